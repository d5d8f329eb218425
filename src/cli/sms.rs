//! `doorward sms`: tests whether text messages can be sent, and resets their limits.

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use super::Access;
use super::api::{TextsOfCountry, path};
use super::client::ask_gateway;
use super::failure::{Failure, unwritten};
use super::policy::{print, table};
use super::test_report::{self, Failed};
use crate::config::{Config, Sms};
use crate::domain::phone::{Number, Unsuitable};
use crate::messages::sms::{Provider, Refused, SmsWords};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a test text message now, and show each step
    #[command(after_help = TEST_EXAMPLES, arg = super::unused_state())]
    Test {
        /// The number
        number: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Reset the limits of text messages: texts of the last 24 hours no longer count
    #[command(after_help = RESET_NOTE)]
    ResetLimits,
}

/// The text below the help of `doorward sms`.
pub(super) const NOTE: &str = "\
Text messages are sent through the provider that `sms` names in the configuration. Each costs
money, and each is handed over once at most.

Example:
  doorward sms test '+41 79 123 45 67'";

const TEST_EXAMPLES: &str = "\
Examples:
  doorward sms test '+41 79 123 45 67'
  doorward sms test 0791234567 --json | jq -r .failed.cure

This command reads the configuration and asks the provider itself: no gateway needs to run, and the
limits of `sms` do not apply. If the provider accepts a text, it may still not arrive: look at the
phone, too.
Exit codes: 0 the provider accepted it, 1 it did not.";

const RESET_NOTE: &str = "\
Examples:
  doorward sms reset-limits

Use it if the log says that the limits cannot be read: until then, no texts are sent. Without this
command, that lasts until 24 hours after the last text. Before you use it to lift a limit, look at
`doorward report sms`: a limit may be what stops toll fraud.
Exit codes: 0 done, 1 failed, for example because no gateway is running.";

/// What `sms test --json` says first.
#[derive(Serialize)]
struct About {
    number: String,
    provider: &'static str,
}

/// Runs `command`.
///
/// # Errors
/// If texts are not configured, the number gets none, or the provider does not accept the text.
pub(super) async fn run(
    command: Command,
    access: impl FnOnce() -> Result<Access, Failure>,
    config: impl FnOnce() -> Result<Config, Failure>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (number, json) = match command {
        Command::Test { number, json } => (number, json),
        Command::ResetLimits => {
            let () = ask_gateway(&access()?.state, path::RESET_TEXT_LIMITS, &()).await?;
            return writeln!(out, "The limits of text messages were reset.").map_err(unwritten);
        }
    };
    let config = &config()?;
    let sms = config.sms.as_ref().ok_or_else(|| {
        Failure::new("no provider of text messages is configured")
            .cure("add `sms: { provider, countries }`; `config/example.yaml` shows all of it")
    })?;
    let mut done = Vec::new();
    let sent = test(sms, config, &number, &mut done).await;
    let about = About { number, provider: sms.provider.word() };
    test_report::print(about, &done, sent, json, out)
}

/// Sends a text to `typed`, and adds each step that worked to `done`.
async fn test(
    sms: &Sms,
    config: &Config,
    typed: &str,
    done: &mut Vec<String>,
) -> Result<(), Failed> {
    let number = sms.accepted.read(typed).map_err(|why| Failed {
        what: "no text is sent to this number".to_owned(),
        why: format!("it is {why}"),
        cure: cure_of_number(why).to_owned(),
    })?;
    done.push(says(&number));
    let provider = Provider::of(sms).map_err(|error| Failed {
        what: "cannot use the provider".to_owned(),
        why: error.to_string(),
        cure: "check `sms.authority`".to_owned(),
    })?;
    let text = SmsWords::of(config).trial();
    let accepted = provider.send(&number, &text).await.map_err(|refused| Failed {
        what: "the provider did not accept the text".to_owned(),
        why: refused.to_string(),
        cure: cure(&refused).to_owned(),
    })?;
    let status = accepted.status;
    done.push(format!("{} answered {status}: it accepted the text.", sms.provider));
    Ok(())
}

/// Summarizes the text messages of the last day, by country.
///
/// # Errors
/// If no gateway runs.
pub(super) async fn report(state: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let countries: Vec<TextsOfCountry> = ask_gateway(state, path::TEXTS, &()).await?;
    if json {
        return print(&countries, out);
    }
    if countries.is_empty() {
        return writeln!(out, "No text message was sent in the last 24 hours.").map_err(unwritten);
    }
    let rows = countries.into_iter().map(|row| {
        let country = if row.country.is_empty() { "-".to_owned() } else { row.country };
        let braked = if row.braked { "no codes are sent there now" } else { "" };
        [
            country,
            row.codes.to_string(),
            row.entered.to_string(),
            row.refused.to_string(),
            row.notices.to_string(),
            braked.to_owned(),
        ]
    });
    let head = ["COUNTRY", "CODES", "ENTERED", "REFUSED", "NOTICES", "BRAKE"].map(str::to_owned);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out).map_err(unwritten)
}

fn says(number: &Number) -> String {
    let country = number.country().map_or("an unknown country".to_owned(), |one| one.to_string());
    format!("{} is a number of {country} that may get texts.", number.grouped())
}

fn cure_of_number(why: Unsuitable) -> &'static str {
    match why {
        Unsuitable::Malformed => {
            "write all of it with its country code, or set `sms.default_country`"
        }
        Unsuitable::Country => "add its country to `sms.countries`",
        Unsuitable::Own => "choose another one, or remove it from `sms.own_numbers`",
        Unsuitable::Landline | Unsuitable::Service | Unsuitable::Pager | Unsuitable::Voip => {
            "choose the number of a mobile phone"
        }
    }
}

/// What an operator can do about it.
fn cure(refused: &Refused) -> &'static str {
    match refused {
        Refused::Unbuilt(_) => "check `sms.url` and `sms.headers`",
        Refused::NoAnswer(_) => {
            "check `sms.url`, and whether this machine may connect to it; the provider may have \
             accepted the text all the same"
        }
        Refused::Status(status, _) if matches!(status.as_u16(), 401 | 403) => {
            "check `sms.account` and its token"
        }
        Refused::Status(status, _) if status.is_server_error() => "ask the provider, or wait",
        Refused::Status(..) | Refused::Body(..) => {
            "check `sms.from`, and what the provider says of this error"
        }
    }
}
