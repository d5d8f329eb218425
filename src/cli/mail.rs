//! `doorward mail test`: whether letters arrive, before somebody waits for one.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::failure::{Failure, unwritten};
use crate::config::{Config, MailTls};
use crate::domain::chance::Chance;
use crate::domain::letter::{About, Letter};
use crate::domain::name::Email;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::messages::{Post, Smtp, Unsent};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a trial letter at once, and say what the mail server answers
    #[command(after_help = EXAMPLES)]
    Test {
        /// Where to
        address: Email,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What stands below the help of `doorward mail`.
pub(super) const NOTE: &str = "\
Letters are sent by the gateway itself, as `mail` in the configuration says. Those that a mail server
does not take are tried again for three days: doorward_letters_total in /metrics counts the tries.

Example:
  doorward mail test you@example.com";

const EXAMPLES: &str = "\
Examples:
  doorward mail test you@example.com
  doorward mail test you@example.com --config /etc/doorward/doorward.yaml --json

It needs no running gateway, and tells nothing to one. The exit code is 0 if the server took the
letter. Whether it ends among the unwanted ones, only the mailbox shows.";

/// Does what `command` says, as `config` wants letters to be sent.
///
/// # Errors
/// If there is no `mail`, or the server does not take the letter.
pub(super) async fn run(
    command: Command,
    config: &Config,
    chance: &Chance,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Command::Test { address, json } = command;
    let Some(mail) = &config.mail else {
        return Err(Failure::new("the configuration has no `mail`, so nothing can be sent")
            .cure("add it: mail: { server: smtp.example.com:587, from: doorward@example.com }"));
    };
    let server = format!("{}:{}", mail.host, mail.port);
    let sent = async {
        let smtp = Smtp::of(config)?.ok_or_else(|| Unsent::Away("there is none".to_owned()))?;
        let letter = Letter {
            user: UserId::from([0; 16]),
            to: address.clone(),
            name: address.as_str().to_owned(),
            about: About::Trial,
            written: now,
        };
        let mut id = [0; 16];
        chance.draw(|rng| rng.fill_bytes(&mut id));
        smtp.send(&letter, &id).await
    };
    let unsent = match sent.await {
        Ok(()) if json => {
            return writeln!(
                out,
                "{:#}",
                json!({ "sent": true, "to": address.as_str(), "server": server })
            )
            .map_err(unwritten);
        }
        Ok(()) => {
            return writeln!(out, "{server} took a letter to {address}. Look into that mailbox.")
                .map_err(unwritten);
        }
        Err(unsent) => unsent,
    };
    if json {
        let why = unsent.to_string();
        let said = json!({ "sent": false, "to": address.as_str(), "server": server, "why": why });
        writeln!(out, "{said:#}").map_err(unwritten)?;
    }
    let failure = Failure::new(format!("no letter was sent by {server}")).because(&unsent);
    Err(match cure(&unsent, mail.tls) {
        Some(cure) => failure.cure(cure),
        None => failure,
    })
}

/// What to do about it, where what the server said points to something.
fn cure(unsent: &Unsent, tls: MailTls) -> Option<&'static str> {
    let (Unsent::Away(said) | Unsent::Later(said) | Unsent::Never(said)) = unsent;
    let says = |words: &[&str]| words.iter().any(|word| said.to_lowercase().contains(word));
    if says(&["invalid peer certificate", "unknownissuer", "certificate"]) {
        Some("name who signs its certificate as `mail.authority`, and the host as it stands there")
    } else if says(&["starttls", "not support tls", "tls"]) && tls == MailTls::StartTls {
        Some("if the port is for TLS from the first byte, as 465 is, write `tls: implicit`")
    } else if says(&["credential", "auth", "535", "534", "530"]) {
        Some("check `mail.user` and its password; some servers want one made for applications")
    } else if says(&["connect", "refused", "dns", "resolve", "lookup", "timed out", "timeout"]) {
        Some("check `mail.server`, and whether a firewall lets this machine out on that port")
    } else {
        None
    }
}
