//! The gateway under TLS, to visitors of HTTP/1.1 and HTTP/2, and to applications.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test may")]
#![allow(dead_code, reason = "what other tests need of the shared means")]

#[path = "../support/instance.rs"]
mod instance;
#[path = "../support/exact.rs"]
mod exact;
#[path = "../support/upstream.rs"]
mod upstream;
#[path = "../support/window.rs"]
mod window;
#[path = "../support/wire.rs"]
mod wire;

mod answers;
mod applications;
mod bodies;
mod certificates;
mod frames;
mod http2;
mod means;
mod spellings;
