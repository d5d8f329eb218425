//! The gateway on real sockets, in front of an application that says what it received.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../support/instance.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod instance;
#[path = "../support/upstream.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod upstream;
#[path = "../support/window.rs"]
mod window;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod wire;

mod main_job;
mod passing;
mod reloading;
mod remembered;
mod running;
