//! Pingora with nothing before, in or behind it: what every proxy that is built on it pays at least.
//!
//! `cargo bench --bench load` runs it twice: as it is here, with the system's allocator in the plain
//! release profile ("stock"), and once more within itself, in its own profile and with its own allocator.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a bench")]

mod bare;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    // `cargo bench` and `cargo test --benches` start every bench there is.
    if words.get(1).is_some_and(|word| word == "serve") {
        bare::serve(&words[2..]);
    }
}
