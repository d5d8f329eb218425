//! A real browser before a whole gateway: Debian's Chromium, driven by `chromedriver`.
//!
//! `cargo test --test browser -- --ignored` writes a picture of every page to
//! `target/screenshots/`, to be looked at.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../support/instance.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod instance;
#[path = "../support/post_office.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod post_office;
#[path = "../support/window.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod window;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod wire;

mod application;
mod apart;
mod browser;
mod codes;
mod driver;
mod hands;
mod hosts;
mod main_job;
mod pictures;
mod protection;
mod tools;
