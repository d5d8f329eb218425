//! What every store promises, what the file promises beyond that, and what the seal keeps.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod conformance;
mod file;
mod power_cuts;
mod sealing;

#[path = "../support/forgetful.rs"]
mod forgetful;
#[path = "../support/overtaken.rs"]
mod overtaken;
