//! Generated docs for a package: shell completions and manual pages, made from the commands.

use std::io::Write;
use std::path::Path;

use clap::{Command, ValueEnum};
use clap_complete::{Shell as Known, generate};
use clap_mangen::{Man, generate_to};

use super::failure::{Failure, unwritten};

/// A shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// Source it, or put it into /usr/share/bash-completion/completions
    Bash,
    /// Put it into a folder of `$fpath`, as `_doorward`
    Zsh,
    /// Put it into ~/.config/fish/completions
    Fish,
}

/// Prints the completions of `line` for `shell`.
///
/// # Errors
/// If they cannot be printed.
pub(super) fn completions(
    mut line: Command,
    shell: Shell,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let known = match shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut script = Vec::new();
    generate(known, &mut line, "doorward", &mut script);
    out.write_all(&script).map_err(unwritten)
}

/// Prints doorward(1), or writes the pages of all commands of `line` into `folder`.
///
/// # Errors
/// If they cannot be printed or written.
pub(super) fn manual(
    line: Command,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match folder {
        None => Man::new(line).render(&mut &mut *out).map_err(unwritten),
        Some(folder) => std::fs::create_dir_all(folder)
            .and_then(|()| generate_to(line, folder))
            .map_err(|error| {
                Failure::new(format!("cannot write to {}", folder.display())).because(error)
            }),
    }
}

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(doorward completions bash)
  doorward completions zsh > ~/.zfunc/_doorward
  doorward completions fish > ~/.config/fish/completions/doorward.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  doorward man | man -l -
  doorward man /usr/local/share/man/man1";
