//! The upstream side: the endpoints of applications, their health, and which certificates we trust.

mod addresses;
mod application;
mod asked;
mod fault;
mod health;
mod dial;
mod endpoint;
pub(super) mod connection_auth;
mod length;
mod trust;
mod tunnel;

pub(super) use self::application::{Application, Tried};
pub use self::asked::{Asked, ask_all};
pub(super) use self::fault::{LINES, fault_of_field, fixed_words, reason, shortage};
pub(super) use self::length::{Length, is_endless};
