//! `doorward check`: everything that is wrong with a configuration, at once.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::failure::{Failure, unwritten};
use crate::config::{Config, Problem, Problems};

/// What `check --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    valid: bool,
    problems: &'a [Problem],
    warnings: &'a [Problem],
}

/// Checks the file at `path`, and prints what there is to say.
///
/// # Errors
/// If the configuration is not valid.
pub(super) fn run(path: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let read = Config::load(path);
    let file = path.display().to_string();
    if json {
        let report = match &read {
            Ok(config) => Report { file, valid: true, problems: &[], warnings: config.warnings() },
            Err(Problems { problems, .. }) => {
                Report { file, valid: false, problems, warnings: &[] }
            }
        };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new("the answer cannot be written as JSON").because(error))?;
        writeln!(out, "{text}").map_err(unwritten)?;
        return read.map(drop).map_err(|_| Failure::new("the configuration is not valid"));
    }
    match read {
        Ok(config) => {
            for warning in config.warnings() {
                writeln!(out, "{file}:{warning} (a warning)").map_err(unwritten)?;
            }
            let count = config.warnings().len();
            let but = match count {
                0 => String::new(),
                1 => ", with one warning".to_owned(),
                count => format!(", with {count} warnings"),
            };
            writeln!(out, "{file} is valid{but}.").map_err(unwritten)
        }
        Err(problems) => {
            writeln!(out, "{problems}").map_err(unwritten)?;
            Err(Failure::new(match problems.problems.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            }))
        }
    }
}
