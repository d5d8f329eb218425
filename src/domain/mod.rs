//! The rules of two-factor authentication, pure.
//!
//! No I/O, no clock, no randomness of its own, no HTTP: what is needed comes in as an argument and
//! what follows goes out as a value.

pub mod agent;
pub mod assurance;
pub mod chance;
pub mod demand;
pub mod device;
pub mod digest;
pub mod event;
pub mod factor;
mod id;
pub mod identity;
pub mod letter;
pub mod link;
pub mod lockout;
pub mod mailed;
pub mod name;
pub mod password;
pub mod secret;
pub mod session;
pub mod set_up;
pub mod signed;
pub mod stay;
pub mod ticket;
pub mod time;
pub mod user;
