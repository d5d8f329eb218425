//! The real process: `doorward` as it is installed, with the real clock and the real cost of a
//! password, started, asked, stopped and killed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/exact.rs"]
mod exact;
#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/post_office.rs"]
mod post_office;
#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/upstream.rs"]
mod upstream;
#[path = "../support/window.rs"]
mod window;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod wire;

mod alone;
mod commands;
mod full_disk;
mod setup;
mod killed;
mod logs;
mod person;
mod post;
mod revoked;
mod rollback;
mod starting;
mod stopping;
