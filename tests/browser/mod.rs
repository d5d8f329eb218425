//! A real browser before a whole gateway: Debian's Chromium, driven by `chromedriver`.
//!
//! `cargo test --test suite browser:: -- --ignored` writes a picture of every page to
//! `target/screenshots/`, to be looked at.

mod application;
mod apart;
mod chromium;
mod codes;
mod driver;
mod hands;
mod hosts;
mod main_job;
mod pictures;
mod protection;
mod security_keys;
mod tools;
