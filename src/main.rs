//! The `doorward` command.

use std::io;
use std::process::ExitCode;

// Takes the place of the system's `malloc`, by being linked. It is the quickest for what a gateway
// does: many small things that live as long as a request. It asks for huge pages, which the gateway
// lets it have once many are connected (`os::HugePages`).
use mimalloc as _;

fn main() -> ExitCode {
    doorward::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr())
}
