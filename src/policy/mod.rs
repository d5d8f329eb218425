//! Which rules govern a request, and what they require: pure functions.
//!
//! A request comes in as the bytes that were sent. [`request::Request`] finds every way in which an
//! application might read them. [`rules::Policy`] finds the rules that govern each reading and
//! combines their requirements. So an unusual spelling can only raise the requirement.

mod below;
pub mod explain;
mod file_name;
mod guess;
pub mod header;
mod index;
mod judged;
mod marks;
mod method;
mod named_methods;
mod own;
pub mod pattern;
mod query;
mod reading;
mod reach;
pub mod request;
pub mod rule;
pub mod rules;
mod short_name;
mod text_set;
mod tree;
mod unicode;
mod unreadable;
mod work;

pub use explain::{Asks, Explanation};
pub use judged::Ruling;
pub use method::is_standard;
pub use own::{OWN, OwnPage};
pub use query::LONGEST_NAME;
pub use query::Parameter;
pub use reach::{Depth, OtherTarget, Role};
pub use request::{Request, Sent};
pub use rule::{Governor, Rule};
pub use rules::{Asker, Options, Policy};
pub use text_set::TextSet;
pub use unreadable::Unreadable;

#[cfg(test)]
mod tests;
