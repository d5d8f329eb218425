//! The `doorward` command.

use std::io;
use std::process::ExitCode;

/// The quickest for what a gateway does: many small things that live as long as a request. It asks
/// for huge pages, which the gateway lets it have once many are connected (`os::HugePages`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorward::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr())
}
