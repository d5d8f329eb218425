//! The way through: from a visitor's request to the application and back.
//!
//! The one place, with the composition root, that names Pingora. A request is read once
//! ([`request::intake`]), is answered by our own pages or judged by [`Web::admit`](crate::web::Web::admit),
//! and goes on only with a [`Permit`](crate::domain::assurance::Permit) in hand, which is then
//! stamped on it ([`request::identity_headers`]). Whatever fails on the way stops it.

mod authorization;
mod downstream;
mod framing;
mod gateway;
mod in_flight;
mod memo;
mod reauthorize;
mod request;
mod response;
mod room;
mod scan;
mod server;
mod sites;
mod socket;
mod upstream;

pub use downstream::tls::Certificates;
pub use gateway::{Gateway, Passage};
pub use server::Running;
pub use sites::Sites;
pub use upstream::{Asked, ask_all};
