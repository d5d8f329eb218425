//! The way through: from a visitor's request to the application and back.
//!
//! The one place, with the composition root, that names Pingora. A request is read once
//! ([`intake`]), is answered by our own pages or judged by [`Web::admit`](crate::web::Web::admit),
//! and goes on only with a [`Permit`](crate::domain::assurance::Permit) in hand, which is then
//! stamped on it ([`headers`]). Whatever fails on the way stops it.

mod answers;
mod socket;
mod shedding;
mod reauthorize;
mod names;
mod in_flight;
mod head_size;
mod entered;
mod authorization;
mod address;
mod bound;
mod connections;
mod cookies;
mod framing;
mod gateway;
mod headers;
mod house;
mod intake;
mod link;
mod location;
mod own;
mod present;
mod proxy_protocol;
mod recall;
mod removal;
mod room;
mod serving;
mod silence;
mod source;
mod stream;
mod targets;
mod tls;
mod unchunk;
mod titled;
mod unread;
mod unsent;
mod upstream;

pub use gateway::{Gateway, Passage};
pub use house::House;
pub use serving::Running;
pub use tls::Certificates;
pub use upstream::{Asked, ask_all};
