//! A real browser before a whole gateway: Debian's Chromium, driven by `chromedriver`.
//!
//! `cargo test --test suite browser:: -- --ignored` writes a picture of every page to
//! `target/screenshots/`, to be looked at.

mod accessibility;
pub(crate) mod application;
mod apart;
pub(crate) mod chromium;
pub(crate) mod codes;
mod driver;
mod emailed;
mod hands;
mod hosts;
pub(crate) mod main_job;
mod phishing_resistant;
mod pictures;
mod protection;
mod security_keys;
mod texts;
pub(crate) mod tools;
