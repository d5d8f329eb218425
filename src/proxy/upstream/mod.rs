//! Where an application is: one place or several, whether each of them is well, and whom to believe there.

mod addresses;
mod application;
mod asked;
mod fault;
mod health;
mod length;
mod place;
mod trust;
mod tunnel;
mod way;

pub(super) use self::application::{Application, Tried};
pub use self::asked::{Asked, ask_all};
pub(super) use self::fault::{fault_of_field, reason};
pub(super) use self::length::Length;
