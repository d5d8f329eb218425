//! The `doorward` command.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    doorward::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr())
}
