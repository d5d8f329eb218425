//! Everything that the fuzzer has found worth keeping, tried again: `tests/fuzz/README.md`.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "fuzz/checks.rs"]
mod checks;
#[allow(dead_code, reason = "only the decoders are needed here")]
#[path = "spellings/mod.rs"]
mod spellings;

use std::fs;
use std::path::Path;

#[test]
fn nothing_that_was_found_before_is_found_again() {
    for (name, check) in checks::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert!(files.len() >= 5, "{name} has a corpus");
        for file in files {
            check(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}
