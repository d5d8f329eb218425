//! The proxy: from a visitor's request to the application and back.
//!
//! Apart from `cli/serve.rs`, only this module names Pingora. A request is read once
//! ([`request::intake`]). Then one of our own pages answers it, or
//! [`Web::admit`](crate::web::Web::admit) judges it. It goes to the application only with a
//! [`Permit`](crate::domain::assurance::Permit), whose identity headers are set on it
//! ([`request::identity_headers`]). Any failure stops the request.

mod access;
mod application_share;
mod authorization;
mod downstream;
mod drain;
mod failure;
mod framing;
mod gateway;
mod memo;
mod overload;
mod passage;
mod reauthorize;
mod receive;
mod request;
mod request_limit;
mod response;
mod scan;
mod server;
mod sites;
mod socket;
mod upstream;

pub use downstream::certificates::Certificates;
pub use downstream::malformed::layer as malformed_requests;
pub use gateway::Gateway;
pub use passage::Passage;
pub use server::Running;
pub use sites::Sites;
pub use upstream::{Asked, ask_all};
