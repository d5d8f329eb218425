//! `doorward mail`: tests whether e-mail can be sent.

use std::io::Write;

use clap::Subcommand;
use serde::Serialize;

use super::failure::Failure;
use super::test_report::{self, Failed};
use crate::config::{Config, Mail, MailTls};
use crate::domain::message::Message;
use crate::domain::name::Email;
use crate::messages::{Done, Smtp, Step, Unsent};
use crate::os;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a test e-mail now, and show each step
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// The recipient
        address: Email,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The text below the help of `doorward mail`.
pub(super) const NOTE: &str = "\
E-mails are sent through the server that `mail` names in the configuration. E-mails of
the gateway wait in its store until the server accepts them, for up to three days.

Example:
  doorward mail test ada@example.com";

const TEST_EXAMPLES: &str = "\
Examples:
  doorward mail test ada@example.com
  doorward mail test ada@example.com --json | jq -r .failed.cure

This command reads the configuration and connects to the mail server itself: no gateway needs to
run. If the server accepts an e-mail, it may still not arrive: check the mailbox, too.
Exit codes: 0 the server accepted it, 1 it did not.";

/// What `mail test --json` says first.
#[derive(Serialize)]
struct About<'a> {
    to: &'a str,
    server: String,
}

/// Runs `command`.
///
/// # Errors
/// If there is no mail server, or it does not accept the message.
pub(super) async fn run(
    command: Command,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Command::Test { address, json } = command;
    let unset = || {
        Failure::new("no mail server is configured")
            .cure("add `mail: { server, from }`; `config/example.yaml` shows all of it")
    };
    let mail = config.mail.as_ref().ok_or_else(unset)?;
    let smtp = Smtp::of(config).map_err(|error| {
        Failure::new("cannot use the mail server").because(error).cure("check `mail.authority`")
    })?;
    let smtp = smtp.ok_or_else(unset)?;
    let to = address.as_str().to_owned();
    let message = Message::trial(address, os::system_time());
    let mut id = [0; 16];
    os::rng().draw(|rng| rng.fill_bytes(&mut id));
    let (said, says) = std::sync::mpsc::channel();
    let sent = smtp.send_and_say(&message, &id, &mut |done| drop(said.send(done))).await;
    drop(said);
    let done: Vec<String> = says.iter().map(|done| sentence(&done, mail, &to)).collect();
    let sent = sent.map_err(|unsent| {
        let cure = cure(&unsent, mail);
        Failed { what: unsent.step.to_string(), why: unsent.why, cure }
    });
    let about = About { to: &to, server: format!("{}:{}", mail.host, mail.port) };
    test_report::print(about, &done, sent, json, out)
}

fn sentence(done: &Done, mail: &Mail, to: &str) -> String {
    match done {
        Done::Reached(peer) => format!("Connected to {} at {peer}.", mail.host),
        Done::Encrypted(version) => format!("The connection is encrypted with {version}."),
        Done::SignedIn => {
            let user = mail.credentials.as_ref().map_or("", |(user, _)| user);
            format!("Signed in as {user}.")
        }
        Done::Taken(said) => format!("The server accepted the e-mail to {to}: {said}"),
    }
}

/// What an operator can do about it.
fn cure(unsent: &Unsent, mail: &Mail) -> String {
    let Mail { host, port, .. } = mail;
    match unsent.step {
        Step::Reach => format!(
            "check `mail.server`, and whether this machine may connect to port {port} of {host}"
        ),
        Step::Encrypt if mail.tls == MailTls::StartTls => format!(
            "if port {port} uses TLS from the first byte, as 465 does, write `tls: implicit`; the \
             certificate must be for {host} and signed by a CA that the system or `mail.authority` \
             trusts"
        ),
        Step::Encrypt => format!(
            "if port {port} uses STARTTLS, as 587 and 25 do, write `tls: starttls`; the \
             certificate must be for {host} and signed by a CA that the system or `mail.authority` \
             trusts"
        ),
        Step::Greet => format!("check that a mail server listens on port {port} of {host}"),
        Step::SignIn => {
            "check `mail.user` and its password; some services need an app password".to_owned()
        }
        Step::Sender => format!("allow {} as a sender on the mail server", mail.from.address),
        Step::Recipient if mail.credentials.is_none() => {
            "check the address; a relaying server may need `mail.user`".to_owned()
        }
        Step::Recipient => "check the address".to_owned(),
        Step::Message => "ask the administrator of the mail server why it was rejected".to_owned(),
    }
}
