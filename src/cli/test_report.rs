//! What the commands print that send a test message: each step that worked, and where it failed.

use std::io::Write;

use serde::Serialize;

use super::failure::{Failure, unwritten};

/// Why the message was not accepted.
#[derive(Serialize)]
pub(super) struct Failed {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) cure: String,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Report<'a, A> {
    #[serde(flatten)]
    about: A,
    taken: bool,
    done: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a Failed>,
}

/// Prints what was `done`, and as JSON also what the message was `about` and why it was not `sent`.
///
/// # Errors
/// If the message was not accepted, or the output cannot be written.
pub(super) fn print(
    about: impl Serialize,
    done: &[String],
    sent: Result<(), Failed>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if json {
        let failed = sent.as_ref().err();
        let report = Report { about, taken: failed.is_none(), done, failed };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new("cannot write the result as JSON").because(error))?;
        writeln!(out, "{text}").map_err(unwritten)?;
    } else {
        for line in done {
            writeln!(out, "{line}").map_err(unwritten)?;
        }
    }
    sent.map_err(|failed| Failure::new(failed.what).because(failed.why).cure(failed.cure))
}
