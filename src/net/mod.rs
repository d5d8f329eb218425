//! Other servers: whose certificates are trusted, with which library, and requests to them.

pub mod client;
pub mod roots;
pub mod tls;

pub use client::{Answer, Bounds, Client, Failed};
pub use roots::Roots;
