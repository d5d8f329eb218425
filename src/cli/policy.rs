//! `doorward why`, `report` and `reload`: what a running gateway knows about its policy.

use std::io::{self, Write};
use std::path::Path;

use super::api::{Outcome, RefusedRequests, Stopped, Which, Why, path};
use super::client::ask_gateway as ask;
use super::failure::{Failure, unwritten};
use super::reload::Reloaded;

/// Says why a request was refused, or failed.
///
/// # Errors
/// If no gateway runs, or the request is not remembered.
pub(super) async fn why(
    state: &Path,
    request_id: String,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let why: Why = ask(state, path::WHY, &Which { request_id }).await?;
    if json {
        return print(&why, out);
    }
    let app = why.app.as_deref().unwrap_or("Doorward itself");
    // Hosts share no cookies: who is signed in at the portal only is not known here.
    let unknown = || format!("a visitor without a session at {app}");
    let who = why.user.clone().unwrap_or_else(unknown);
    let told = || -> io::Result<()> {
        writeln!(out, "{}: {} {} of {app}", why.at, why.method, why.path)?;
        let outcome = match why.outcome {
            Outcome::Refused => "was refused",
            Outcome::Failed => "got an error",
        };
        writeln!(out, "{who}, from {}, {outcome}: {}", why.from, why.reason)?;
        if let Some(rule) = &why.rule {
            write!(out, "by {rule}")?;
            if why.readings > 1 {
                write!(out, "; the path can be read in {} ways", why.readings)?;
            }
            writeln!(out)?;
        }
        Ok(())
    };
    let mut told = told;
    told().map_err(unwritten)
}

/// Summarizes what observe mode would have stopped.
///
/// # Errors
/// If no gateway runs.
pub(super) async fn report(state: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let stopped: Vec<Stopped> = ask(state, path::REPORT, &()).await?;
    if json {
        return print(&stopped, out);
    }
    if stopped.is_empty() {
        let nothing = "Observe mode: nothing would have been refused.";
        return writeln!(out, "{nothing}").map_err(unwritten);
    }
    let rows = stopped.iter().map(|row| {
        let user = row.user.clone().unwrap_or_else(|| NO_SESSION.to_owned());
        [
            row.count.to_string(),
            row.app.clone(),
            row.rule.clone(),
            row.verdict.clone(),
            user,
            row.last.clone(),
            row.example.clone(),
        ]
    });
    let head =
        ["COUNT", "APP", "RULE", "WOULD BE", "USER", "LAST", "FOR EXAMPLE"].map(str::to_owned);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out).map_err(unwritten)?;
    if stopped.iter().any(|row| row.user.is_none()) {
        writeln!(out, "\n{NO_SESSION}: {WHAT_THAT_MEANS}").map_err(unwritten)?;
    }
    Ok(())
}

/// Summarizes what was refused.
///
/// # Errors
/// If no gateway runs.
pub(super) async fn refused(state: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let refused: Vec<RefusedRequests> = ask(state, path::REFUSED, &()).await?;
    if json {
        return print(&refused, out);
    }
    if refused.is_empty() {
        return writeln!(out, "Nothing was refused since the gateway started.").map_err(unwritten);
    }
    let rows = refused.iter().map(|row| {
        [
            row.count.to_string(),
            row.app.clone().unwrap_or_else(|| "-".to_owned()),
            row.rule.clone().unwrap_or_else(|| "-".to_owned()),
            row.user.clone().unwrap_or_else(|| NO_SESSION.to_owned()),
            row.last.clone(),
            row.request_id.clone(),
            format!("{} {}", row.method, row.path),
            row.reason.clone(),
        ]
    });
    let head = ["COUNT", "APP", "REFUSED BY", "USER", "LAST", "ID", "FOR EXAMPLE", "REASON"];
    let head = head.map(str::to_owned);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out).map_err(unwritten)
}

/// Instead of the user, of a visitor who is not known to the application.
const NO_SESSION: &str = "(no session)";
const WHAT_THAT_MEANS: &str = "the visitor had no session at this application. They may be signed \
                               in at the portal or at another application; hosts share no cookies";

/// Makes the gateway reload its configuration.
///
/// # Errors
/// If no gateway runs, or the configuration was not reloaded.
pub(super) async fn reload(state: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let reloaded: Reloaded = ask(state, path::RELOAD, &()).await?;
    if json {
        return print(&reloaded, out);
    }
    let Reloaded { file, warnings, warning_text, changes, requests } = &reloaded;
    if !warning_text.is_empty() {
        writeln!(out, "{warning_text}\n").map_err(unwritten)?;
    }
    let but = match warnings {
        0 => String::new(),
        1 => ", with one warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    writeln!(out, "{file} was reloaded{but}.").map_err(unwritten)?;
    if changes.is_empty() {
        let said = format!("No decision changes for {requests} requests, the tests and the rules.");
        return writeln!(out, "{said}").map_err(unwritten);
    }
    let rows = changes.iter().map(|change| {
        [
            change.count.to_string(),
            change.app.clone(),
            change.before.clone(),
            change.after.clone(),
            change.example.clone(),
        ]
    });
    let head = ["COUNT", "APP", "BEFORE", "NOW", "FOR EXAMPLE"].map(str::to_owned);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out).map_err(unwritten)
}

/// Prints rows, with their columns below each other.
pub(super) fn table<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> io::Result<()> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Prints an answer of the gateway as JSON.
pub(super) fn print(answer: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer)
        .map_err(|error| Failure::new("cannot write the result as JSON").because(error))?;
    writeln!(out, "{text}").map_err(unwritten)
}
