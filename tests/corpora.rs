//! Everything that the fuzzer has found worth keeping, tried again: `tests/fuzz/README.md`.

use std::fs;
use std::path::Path;

use crate::support::checks;

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
