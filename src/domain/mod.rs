//! The rules of two-factor authentication, as pure functions and values.
//!
//! No I/O, no clock, no randomness of its own, no HTTP: inputs are arguments, results are return
//! values.

pub mod address_block;
pub mod agent;
pub mod assurance;
pub mod request_id;
pub mod rng;
pub mod ceremony;
pub mod demand;
pub mod device;
pub mod digest;
pub mod event;
pub mod fact;
pub mod factor;
mod id;
pub mod identity;
pub mod message;
pub mod link;
pub mod lockout;
pub mod mailed;
pub mod name;
pub mod password;
pub mod phone;
pub mod provider;
pub mod reach;
pub mod secret;
pub mod host_session;
pub mod set_up;
pub mod signed;
pub mod user_session;
pub mod texts;
pub mod ticket;
pub mod time;
pub mod user;
