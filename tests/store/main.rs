//! What every store promises, what the file promises beyond that, and what the seal keeps.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use proptest::test_runner::{Config, RngSeed};

mod golden;
mod conformance;
mod file;
mod full_disk;
mod power_cuts;
mod sealing;

#[path = "../support/forgetful.rs"]
mod forgetful;
#[path = "../support/overtaken.rs"]
mod overtaken;
#[path = "../support/refusing.rs"]
mod refusing;

/// Properties are tried on the same cases every time.
fn cases(number: u32) -> Config {
    Config {
        cases: number,
        rng_seed: RngSeed::Fixed(8),
        failure_persistence: None,
        ..Config::default()
    }
}
