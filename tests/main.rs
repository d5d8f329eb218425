//! All tests but those that stand beside what they test, in `src`, and `cost.rs`, which counts the
//! allocations of its whole process. One program, so that it is linked once, and `support` compiled
//! once. `cargo test --test suite flows::` runs what is in `flows`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod support;

mod answers;
mod applications;
mod browser;
mod commands;
mod config;
mod corpora;
mod decisions;
mod factors;
mod demo;
mod encrypted;
mod flows;
mod hostile;
mod incidents;
mod layers;
mod mail;
mod pages;
mod parameters;
mod process;
mod proxy;
mod routes;
mod servers;
mod sms;
mod spellings;
mod store;
mod webdav;

use std::fs;
use std::path::{Path, PathBuf};

/// Cargo does not look for tests here (`autotests = false`): a file that no `mod` names is never run.
#[test]
fn every_file_of_tests_is_run() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let apart = ["main.rs", "cost.rs", "fuzz"].map(|name| tests.join(name));
    for file in rust_in(&tests).iter().filter(|file| !apart.iter().any(|a| file.starts_with(a))) {
        let module = if file.ends_with("mod.rs") { file.parent().unwrap() } else { file };
        let folder = module.parent().unwrap();
        let parent = folder.join(if folder == tests { "main.rs" } else { "mod.rs" });
        let line = format!("mod {};\n", module.file_stem().unwrap().display());
        let declared = fs::read_to_string(&parent).unwrap_or_default().contains(&line);
        assert!(declared, "{} does not declare {}", parent.display(), file.display());
    }
}

/// The files below `folder` that are written in Rust.
fn rust_in(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rust = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => rust_in(&path),
        Some(extension) if extension == "rs" => vec![path],
        _ => Vec::new(),
    };
    paths.flat_map(rust).collect()
}
