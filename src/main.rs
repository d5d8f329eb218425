//! The `doorward` command.

use std::io;
use std::process::ExitCode;

/// The quickest for what a gateway does: many small things that live as long as a request. Without huge
/// pages (`no_thp`), which would keep nine mebibytes more resident and made nothing quicker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorward::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr())
}
