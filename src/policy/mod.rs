//! Which rule governs a request, and what it asks: pure.
//!
//! A request comes in as the bytes that were sent; [`request::Request`] finds every way in which
//! an application might read them, [`rules::Policy`] finds the rule that governs each reading and
//! joins what they ask. So an odd spelling can only raise.

pub mod explain;
pub mod header;
mod index;
mod method;
pub mod pattern;
mod query;
mod reading;
pub mod request;
pub mod rules;

pub use explain::{Asks, Explanation};
pub use request::{OwnPage, Request, Sent, Unreadable};
pub use rules::{Asker, Governor, Options, Parameter, Policy, Rule, Ruling};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod properties;
