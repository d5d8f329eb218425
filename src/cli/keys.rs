//! `doorward keys`: shows and rotates the secret keys of an installation, through the running
//! gateway or, without one, in its state folder.

use std::io::{self, Write};
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Access;
use super::api::{CarriedOn, KeyRing, KeyState, RotateKey, RotatedKey, Rotation, path};
use super::client::Client;
use super::failure::{Failure, unwritten};
use super::policy::{print, table};
use super::progress::Progress;
use crate::store::Purpose;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys by purpose: which is used, and which are still accepted
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a new key for a purpose, and use it from now on
    ///
    /// Nobody is signed out (except with --drop-old), and nothing is lost. The old key stays in the keys file as long as
    /// anything needs it. What was encrypted or looked up with it is moved to the new key; a running
    /// gateway does that in the background; if none is running, this command does it. If it is
    /// interrupted, it is finished at the next start.
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate {
        /// What the key is for
        #[arg(value_parser = purposes())]
        purpose: Purpose,
        /// Wait until nothing needs the old key any more, also if a gateway does the work
        #[arg(long)]
        wait: bool,
        /// Accept nothing any more that older keys have signed; use it if somebody may have copied
        /// one (cookies and csrf only)
        #[arg(long, conflicts_with_all = ["resume", "wait"])]
        drop_old: bool,
        /// Create no key: only finish the last rotation, and wait for that
        #[arg(long)]
        resume: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `command` on the keys of `access`, and prints the result.
///
/// # Errors
/// Why it was not done, for the operator.
pub(super) async fn run(
    command: Command,
    access: Access,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), Failure> {
    let mut console = Console { client: Client::new(access), out, notes };
    match command {
        Command::List { json } => {
            let rings: Vec<KeyRing> = console.ask(path::KEYS, &()).await?;
            if json {
                return print(&rings, console.out);
            }
            list(&rings, console.out).map_err(unwritten)
        }
        Command::Rotate { purpose, resume: true, json, .. } => {
            console.finishes(purpose).await?;
            let ring = console.ring(purpose).await?;
            if json {
                return print(&ring, console.out);
            }
            let said = format!("`{purpose}` has one key: nothing needs an older one.");
            let said = if ring.keys.len() == 1 { said } else { kept(purpose, &ring) };
            writeln!(console.out, "{said}").map_err(unwritten)
        }
        Command::Rotate { purpose, wait, drop_old, resume: false, json } => {
            let question = RotateKey { purpose: purpose.word().to_owned(), drop_old };
            console.rotates(purpose, question, wait, json).await
        }
    }
}

/// What carries out commands, and where output goes.
struct Console<'o> {
    client: Client,
    out: &'o mut dyn Write,
    notes: &'o mut dyn Write,
}

impl Console<'_> {
    async fn ask<A: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<A, Failure> {
        self.client.ask(path, question, self.notes).await
    }

    async fn ring(&mut self, purpose: Purpose) -> Result<KeyRing, Failure> {
        let rings: Vec<KeyRing> = self.ask(path::KEYS, &()).await?;
        let ring = rings.into_iter().find(|ring| ring.purpose == purpose.word());
        ring.ok_or_else(|| Failure::new(format!("the gateway has no keys for `{purpose}`")))
    }

    async fn rotates(
        &mut self,
        purpose: Purpose,
        question: RotateKey,
        wait: bool,
        json: bool,
    ) -> Result<(), Failure> {
        let RotatedKey { mut ring, gateway } = self.ask(path::ROTATE, &question).await?;
        let id = ring.keys.last().map_or(0, |key| key.id);
        if !json {
            writeln!(self.out, "`{purpose}` key {id} is used from now on.").map_err(unwritten)?;
        }
        let in_background = gateway && !wait;
        if ring.rotation.is_some() && !in_background {
            self.finishes(purpose).await?;
            ring = self.ring(purpose).await?;
        }
        if json {
            return print(&ring, self.out);
        }
        let then = if ring.rotation.is_some() {
            "The gateway moves all that needs the old key to the new one.\n\
             See how far it is: doorward keys list"
                .to_owned()
        } else {
            kept(purpose, &ring)
        };
        writeln!(self.out, "{then}").map_err(unwritten)
    }

    /// Waits until nothing needs an older key of `purpose`, and shows the progress.
    async fn finishes(&mut self, purpose: Purpose) -> Result<(), Failure> {
        let mut shown: Option<(Progress, u64)> = None;
        let ended = loop {
            let CarriedOn { gateway, left } = self.ask(path::CARRY_ON, &()).await?;
            let Some(Rotation { done, all, unreadable, stuck }) = left else { break Ok(()) };
            if stuck {
                break Err(Failure::new(format!(
                    "{unreadable} records cannot be read with the old `{purpose}` key, so it is kept"
                ))
                .cure("restore the store from a backup, if they matter; see the log for the cause"));
            }
            let (progress, before) = shown.get_or_insert_with(|| {
                (Progress::of(usize::try_from(all).unwrap_or(usize::MAX)), 0)
            });
            let more = done.saturating_sub(*before);
            *before = done.max(*before);
            progress
                .goes_on(usize::try_from(more).unwrap_or(usize::MAX), self.notes)
                .map_err(unwritten)?;
            if gateway {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        };
        if let Some((progress, _)) = shown {
            progress.ends();
        }
        ended
    }
}

fn kept(purpose: Purpose, ring: &KeyRing) -> String {
    let accepted = ring.keys.iter().rev().nth(1);
    match accepted.and_then(|key| key.until.as_ref()) {
        Some(until) => {
            format!("What the old key signed stays valid until {until}; then the key is dropped.")
        }
        None if purpose.accepted_for().is_some() => {
            format!("Older `{purpose}` keys were dropped: what they signed is no longer accepted.")
        }
        None => "Nothing needs an older key any more.".to_owned(),
    }
}

fn list(rings: &[KeyRing], out: &mut dyn Write) -> io::Result<()> {
    let rows = rings.iter().flat_map(|ring| {
        ring.keys.iter().map(|key| {
            let state = match (key.state, &key.until, ring.rotation) {
                (KeyState::Current, ..) => format!("used to {}", ring.about),
                (KeyState::Accepted, Some(until), _) => format!("accepted until {until}"),
                (KeyState::Accepted, None, Some(rotation)) => progress(rotation),
                (KeyState::Accepted, None, None) => "accepted".to_owned(),
            };
            [ring.purpose.clone(), key.id.to_string(), key.since.clone(), state]
        })
    });
    let head = ["PURPOSE", "KEY", "SINCE", "STATE"].map(str::to_owned);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), out)
}

fn progress(Rotation { done, all, unreadable, stuck }: Rotation) -> String {
    if stuck {
        return format!("kept: {unreadable} records cannot be read with it");
    }
    if done >= all && all > 0 {
        return "being replaced: checking that nothing needs it".to_owned();
    }
    format!("being replaced: {done} of {all} records are done")
}

/// The purposes, for the command line and its help.
fn purposes() -> impl TypedValueParser<Value = Purpose> {
    let values = Purpose::ALL.iter().map(|purpose| {
        PossibleValue::new(purpose.word()).help(format!("keys that {}", purpose.about()))
    });
    PossibleValuesParser::new(values)
        .try_map(|word| Purpose::named(&word).ok_or("there are no keys for this purpose"))
}

/// How often a gateway is asked how far it is.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The text below the help of `doorward keys`.
pub(super) const NOTE: &str = "\
All keys are in the file `keys` in the state folder. Without it the store cannot be read: back it up
with the store, and keep it as long as the backups of the store.

Rotate a key if somebody may have copied it, or as often as your security policy requires. Cookies
and forms that the old key signed are accepted until they expire; if the key may have been copied,
add --drop-old.

Examples:
  doorward keys list
  doorward keys rotate sealing

These commands use the running gateway, through the socket in its state folder: run them as the
system user of the gateway, or as root. If no gateway is running, they open the store directly: run
them as the system user who owns it.
Exit codes: 0 done, 1 refused or failed, 2 invalid command line.";

const LIST_EXAMPLES: &str = "\
Examples:
  doorward keys list
  doorward keys list --json | jq -r '.[] | .purpose + \" \" + .keys[-1].since'

The keys themselves are not shown.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  doorward keys rotate cookies
  doorward keys rotate cookies --drop-old   Somebody may have copied the old key
  doorward keys rotate sealing --wait
  doorward keys rotate sealing --resume     After an interruption, without a gateway

What it costs:
- sealing: every record is read and written once, while the gateway works.
- names: every name is read and written once. Failed sign-in attempts at names that do not exist are
  forgotten.
- cookies and csrf: nothing. What the old key signed is accepted until it expires. With --drop-old,
  it is refused at once: everybody signs in again, and no device is trusted or known any more; with
  csrf, forms that are open must be loaded again.
Afterwards back up the keys file again: the old backup does not contain the new key.
Exit codes: 0 done, 1 refused or failed.";
