//! TLS towards other servers: whose certificates are trusted, and with which library.

pub mod roots;
pub mod tls;

pub use roots::Roots;
