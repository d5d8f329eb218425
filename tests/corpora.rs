//! Everything that the fuzzer has found worth keeping, tried again: `tests/fuzz/README.md`.

use std::collections::{BTreeMap, BTreeSet};
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

/// The packages of a lock file, each with its versions.
fn locked(file: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages = BTreeMap::<_, BTreeSet<_>>::new();
    for package in file.split("[[package]]").skip(1) {
        let says = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_matches([' ', '=', '"'])
        };
        packages.entry(says("name")).or_default().insert(says("version"));
    }
    packages
}

/// Nothing builds the fuzz targets every day: they are a package of their own, with a lock file of its own.
#[test]
fn the_fuzz_targets_are_those_that_are_tried_here_with_the_crates_that_doorward_has() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    let (ours, theirs) = (text("Cargo.lock"), text("tests/fuzz/Cargo.lock"));
    let (ours, theirs) = (locked(&ours), locked(&theirs));
    for (name, versions) in &theirs {
        let known = ours.get(name).is_none_or(|known| known.is_superset(versions));
        assert!(known, "{name} {versions:?}: copy Cargo.lock to tests/fuzz, and build there");
    }
    let manifest = text("Cargo.toml");
    let (_, needs) = manifest.split_once("\n[dependencies]\n").unwrap();
    let needs = needs.split("\n[").next().unwrap().lines();
    for (name, of) in needs.filter_map(|line| line.split_once(" = ")) {
        let is_called = of.split_once("package = \"").and_then(|(_, name)| name.split('"').next());
        let name = is_called.unwrap_or(name);
        assert!(theirs.contains_key(name), "{name} is missing in tests/fuzz/Cargo.lock");
    }
    let manifest = text("tests/fuzz/Cargo.toml");
    for (name, _) in checks::ALL {
        let target = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"{target}\"")), "{name}");
        assert!(text(&format!("tests/fuzz/{target}")).contains(&format!("doorward_fuzz::{name}(")));
    }
}
