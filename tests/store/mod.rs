//! What every store promises, what the file promises beyond that, and what the seal keeps.

use proptest::test_runner::{Config, RngSeed};

mod golden;
mod conformance;
mod file;
mod full_disk;
mod power_cuts;
mod rotation;
mod sealing;

/// Properties are tried on the same cases every time.
fn cases(number: u32) -> Config {
    Config {
        cases: number,
        rng_seed: RngSeed::Fixed(8),
        failure_persistence: None,
        ..Config::default()
    }
}
