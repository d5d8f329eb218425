//! `doorward user`: manages users through the running gateway or, without one, in its store.

mod import;
mod list;
mod show;

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Access;
use super::api::{
    Changes, Details, Done, Filter, LinkMade, NewAccount, NewUser, Person, WhichKey, Whom, path,
};
use super::client::Client;
use super::failure::{Failure, unwritten};
use crate::domain::name::{Email, FullName, Group, Name};

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a user, and print a link to set the password
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Import users from another system: a CSV file, or an htpasswd file of Apache
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
    /// List users
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only members of this group; given several times, members of any of them
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<Group>,
        /// Only users who have no second factor yet
        #[arg(long)]
        without_second_factor: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a user: factors, devices, failures and recent events
    #[command(after_help = SHOW_EXAMPLES)]
    Show(One),
    /// Change the name, e-mail address or groups of a user
    ///
    /// Sessions stay open, except with `--origin`; the next request is judged by the new groups.
    #[command(after_help = SET_EXAMPLES)]
    Set(Set),
    /// Print a link to set a new password for a user
    ///
    /// The old password works until the link is used. Then every session of the user ends, and
    /// their devices are no longer trusted. Every earlier link stops working at once.
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd(One),
    /// Clear the failed attempts of a user, so that they can try again at once
    #[command(after_help = UNLOCK_EXAMPLES)]
    Unlock(One),
    /// Let a security key count as phishing-resistant now
    ///
    /// A key that was added in a session that had shown something weaker, such as a code from an app,
    /// counts after 72 hours. First make sure that the key is this person's. `doorward user show NAME`
    /// lists keys with their ids.
    #[command(after_help = TRUST_KEY_EXAMPLES)]
    TrustKey {
        #[command(flatten)]
        one: One,
        /// The name or id of the key
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Turn two-factor off for a user who lost their second factors and recovery codes
    ///
    /// Removes every second factor, recovery code and trusted device, and ends every session. The password stays. First make sure that the request comes from this person.
    #[command(name = "reset-2fa", after_help = RESET_EXAMPLES)]
    Reset2fa(One),
    /// Disable a user: every session, link and trusted device ends at once
    #[command(after_help = DISABLE_EXAMPLES)]
    Disable(One),
    /// Enable a disabled user again, with the same password and factors
    #[command(after_help = ENABLE_EXAMPLES)]
    Enable(One),
    /// Remove a user permanently, with password and factors; every session ends at once
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        #[command(flatten)]
        one: One,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// A new user.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The name to sign in with: 1 to 64 characters, no colon, comma, slash or space
    #[arg(value_name = "NAME")]
    user: Name,
    /// An e-mail address; it can be used to sign in, too
    #[arg(long, value_name = "ADDRESS")]
    email: Option<Email>,
    /// The full name, for applications to show
    #[arg(long = "name", value_name = "FULL NAME")]
    full_name: Option<FullName>,
    /// A group; can be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Group>,
    /// The account at an identity provider of the configuration with which the user signs in
    #[arg(long, value_name = "PROVIDER:SUBJECT")]
    provider: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An existing user.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The user name or e-mail address
    #[arg(value_name = "NAME")]
    user: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The changes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
#[command(override_usage = "doorward user set [OPTIONS] <NAME>")]
pub(super) struct Set {
    /// The user name or e-mail address
    #[arg(value_name = "NAME")]
    user: String,
    /// A new e-mail address; the old one can no longer be used to sign in
    #[arg(long, value_name = "ADDRESS", group = "change")]
    email: Option<Email>,
    /// Remove the e-mail address
    #[arg(long, conflicts_with = "email", group = "change")]
    no_email: bool,
    /// A new full name
    #[arg(long = "name", value_name = "FULL NAME", group = "change")]
    full_name: Option<FullName>,
    /// Remove the full name
    #[arg(long = "no-name", conflicts_with = "full_name", group = "change")]
    no_full_name: bool,
    /// Replace all groups by this one; given several times, by these
    #[arg(long = "group", value_name = "GROUP", group = "change")]
    groups: Vec<Group>,
    /// Add this group; can be given several times
    #[arg(long = "add-group", value_name = "GROUP", group = "change")]
    add_groups: Vec<Group>,
    /// Remove this group; can be given several times
    #[arg(long = "remove-group", value_name = "GROUP", group = "change")]
    remove_groups: Vec<Group>,
    /// Let this account manage the user, or, with `local`, none. Ends all sessions, disconnects the
    /// old account and removes the groups that it gave. After `local`, make a link with `doorward
    /// user passwd`
    #[arg(long, value_name = "local|PROVIDER:SUBJECT", group = "change")]
    origin: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `command` on the users of `access`, and prints the result.
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
        Command::Add(add) => console.add(add).await,
        Command::Import(what) => import::run(what, &mut console).await,
        Command::List { groups, without_second_factor, json } => {
            let filter = Filter { groups: groups.into_iter().collect(), without_second_factor };
            console.list(&filter, json).await
        }
        Command::Show(one) => {
            let details: Details = console.ask(path::SHOW, &one.whom()).await?;
            console.print(one.json, &details, |out| {
                show::print(&details, crate::os::system_time(), out)
            })
        }
        Command::Set(set) => console.set(set).await,
        Command::Passwd(one) => {
            let made: LinkMade = console.ask(path::PASSWORD_LINK, &one.whom()).await?;
            console.print_link(&made, one.json)
        }
        Command::Unlock(one) => {
            console.does(path::UNLOCK, &one, |name, _| format!("{name} can try again now.")).await
        }
        Command::TrustKey { one, key } => {
            let which = WhichKey { name: one.user.clone(), key };
            let done: Done = console.ask(path::TRUST_KEY, &which).await?;
            console.print(one.json, &done, |out| {
                let counts = if done.changed { "now counts" } else { "already counts" };
                writeln!(out, "This key of {} {counts} as phishing-resistant.", done.name)
            })
        }
        Command::Reset2fa(one) => console.does(path::RESET_2FA, &one, reset).await,
        Command::Disable(one) => console.does(path::DISABLE, &one, disabled).await,
        Command::Enable(one) => console.does(path::ENABLE, &one, enabled).await,
        Command::Remove { one, yes } => console.remove(&one, yes).await,
    }
}

/// What carries out commands, and where output goes.
struct Console<'o> {
    client: Client,
    out: &'o mut dyn Write,
    notes: &'o mut dyn Write,
}

impl One {
    fn whom(&self) -> Whom {
        Whom { name: self.user.clone() }
    }
}

impl Console<'_> {
    async fn ask<A: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<A, Failure> {
        self.client.ask(path, question, self.notes).await
    }

    async fn add(&mut self, add: Add) -> Result<(), Failure> {
        let new = NewUser {
            name: add.user,
            full_name: add.full_name,
            email: add.email,
            groups: add.groups.into_iter().collect(),
        };
        if let Some(account) = &add.provider {
            return self.add_account(new, account, add.json).await;
        }
        let made: LinkMade = self.ask(path::ADD, &new).await?;
        self.print_link(&made, add.json)
    }

    async fn add_account(&mut self, who: NewUser, at: &str, json: bool) -> Result<(), Failure> {
        let Some((provider, subject)) = at.split_once(':') else {
            return Err(Failure::new(format!("`{at}` is not an account at a provider")).cure(
                "write PROVIDER:SUBJECT, such as `--provider google:110169484474386276334`",
            ));
        };
        let (provider, subject) = (provider.to_owned(), subject.to_owned());
        let new = NewAccount { who, provider, subject };
        let done: Done = self.ask(path::ADD_ACCOUNT, &new).await?;
        self.print(json, &done, |out| {
            writeln!(out, "{} was added, and signs in with {}.", done.name, new.provider)
        })
    }

    async fn list(&mut self, filter: &Filter, json: bool) -> Result<(), Failure> {
        let people: Vec<Person> = self.ask(path::LIST, filter).await?;
        let everybody = *filter == Filter::default();
        self.print(json, &people, |out| list::print(&people, everybody, out))
    }

    async fn set(&mut self, set: Set) -> Result<(), Failure> {
        let groups = (!set.groups.is_empty()).then(|| set.groups.into_iter().collect());
        let changes = Changes {
            name: set.user,
            full_name: set.full_name,
            no_full_name: set.no_full_name,
            email: set.email,
            no_email: set.no_email,
            groups,
            add_groups: set.add_groups,
            remove_groups: set.remove_groups,
            origin: set.origin,
        };
        let person: Person = self.ask(path::SET, &changes).await?;
        self.print(set.json, &person, |out| list::print(std::slice::from_ref(&person), false, out))
    }

    /// Runs an operation on one user, and prints what `says` makes of the name and the change.
    async fn does(
        &mut self,
        path: &str,
        one: &One,
        says: impl Fn(&str, bool) -> String,
    ) -> Result<(), Failure> {
        let done: Done = self.ask(path, &one.whom()).await?;
        self.print(one.json, &done, |out| writeln!(out, "{}", says(&done.name, done.changed)))
    }

    async fn remove(&mut self, one: &One, yes: bool) -> Result<(), Failure> {
        if !yes {
            let Details { person, .. } = self.ask(path::SHOW, &one.whom()).await?;
            let stdin = io::stdin();
            let is_sure = stdin.is_terminal() && asks(&person, &mut stdin.lock(), self.notes)?;
            if !is_sure {
                return Err(Failure::new(format!("{} was not removed", person.name))
                    .cure("use `--yes` if you are sure: this cannot be undone"));
            }
        }
        self.does(path::REMOVE, one, |name, _| format!("{name} was removed.")).await
    }

    /// Prints only the link to standard output, so that it can be piped; the explanation goes to
    /// standard error.
    fn print_link(&mut self, made: &LinkMade, json: bool) -> Result<(), Failure> {
        self.print(json, made, |out| writeln!(out, "{}", made.link))?;
        if json {
            return Ok(());
        }
        let LinkMade { name, expires, .. } = made;
        writeln!(
            self.notes,
            "Give this link to {name}. It sets a password, works once, and expires at {expires}."
        )
        .map_err(unwritten)
    }

    fn print(
        &mut self,
        json: bool,
        answer: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if !json {
            return text(self.out).map_err(unwritten);
        }
        let text = serde_json::to_string_pretty(answer)
            .map_err(|error| Failure::new("cannot write the result as JSON").because(error))?;
        writeln!(self.out, "{text}").map_err(unwritten)
    }
}

/// Asks at the terminal whether to remove this user.
fn asks(
    person: &Person,
    answers: &mut dyn BufRead,
    notes: &mut dyn Write,
) -> Result<bool, Failure> {
    let name = &person.name;
    let whom = person.full_name.as_ref().map_or(name.clone(), |full| format!("{name} ({full})"));
    write!(notes, "Remove {whom} permanently? Type the user name to confirm: ")
        .and_then(|()| notes.flush())
        .map_err(unwritten)?;
    let mut typed = String::new();
    answers
        .read_line(&mut typed)
        .map_err(|error| Failure::new("cannot read the answer").because(error))?;
    Ok(typed.trim() == name)
}

fn reset(name: &str, changed: bool) -> String {
    if !changed {
        return format!("{name} has no second factor. Nothing was changed.");
    }
    format!(
        "{name} no longer has a second factor, and every session has ended.\n\
         {name} is no longer asked for a second factor. Where one is required, or to set one up, {name} \
         needs a\nlink, so that nobody else who knows the password can do it first. Create one with: \
         doorward \
         user passwd {name}"
    )
}

fn disabled(name: &str, changed: bool) -> String {
    if changed {
        format!("{name} is disabled and cannot sign in. Every session has ended.")
    } else {
        format!("{name} was already disabled.")
    }
}

fn enabled(name: &str, changed: bool) -> String {
    if changed {
        format!("{name} is enabled again. Password and factors are as before.")
    } else {
        format!("{name} was not disabled.")
    }
}

const ADD_EXAMPLES: &str = "\
Examples:
  doorward user add ada
  doorward user add ada --email ada@example.com --name 'Ada Lovelace' --group staff
  doorward user add ada --provider google:110169484474386276334

The link works once, for seven days. The user opens it and chooses a password. With --provider there
is no link: the user signs in at that identity provider.";

const LIST_EXAMPLES: &str = "\
Examples:
  doorward user list
  doorward user list --group staff --without-second-factor
                                     Who still has no second factor in this group
  doorward user list --json | jq -r '.[] | select(.disabled_since == null) | .email'";

const SHOW_EXAMPLES: &str = "\
Examples:
  doorward user show ada
  doorward user show ada@example.com --json | jq '.failures'

Times are in UTC. Of the events of the last ninety days, the last ten are shown.";

const SET_EXAMPLES: &str = "\
Examples:
  doorward user set ada --add-group admins --remove-group interns
  doorward user set ada --group staff --email ada@example.org
  doorward user set ada --no-email
  doorward user set ada --origin google:110169484474386276334
                                     The user signs in with this account
  doorward user set ada --origin local
                                     The user signs in with a password again";

const UNLOCK_EXAMPLES: &str = "\
Examples:
  doorward user unlock ada
  doorward user unlock ada@example.com

After five wrong passwords or codes a user must wait, longer each time. After fifty wrong codes in
thirty days, no code from an app, by text message or by e-mail is accepted in browsers that the user
has not used before. Known browsers, recovery codes and security keys still work; this command ends
the lock at once.";

const TRUST_KEY_EXAMPLES: &str = "\
Examples:
  doorward user trust-key ada 'Key in the drawer'

The person is told by e-mail, if `mail` is configured.";

const PASSWD_EXAMPLES: &str = "\
Examples:
  doorward user passwd ada
  doorward user passwd ada --json | jq -r .link";

const RESET_EXAMPLES: &str = "\
Examples:
  doorward user reset-2fa ada

After that, no second factor is asked for. Where one is required, or to set one up, the user needs a
link from `doorward user passwd`. The event is recorded with your name.";

const DISABLE_EXAMPLES: &str = "\
Examples:
  doorward user disable ada

Signing in then fails as with a wrong password, so nobody can see that the user is disabled.
`doorward user enable` undoes it, but restores no session, link or trusted device.";

const ENABLE_EXAMPLES: &str = "\
Examples:
  doorward user enable ada";

const REMOVE_EXAMPLES: &str = "\
Examples:
  doorward user remove ada
  doorward user remove ada --yes

On a terminal it asks for confirmation. Without a terminal it needs `--yes`. To keep somebody out
for a while, use `doorward user disable`.";

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, full_name: Option<&str>) -> Person {
        Person { full_name: full_name.map(str::to_owned), ..list::nobody_yet(name) }
    }

    #[test]
    fn removing_wants_the_name_typed() {
        let says = |typed: &str, person: &Person| {
            let mut notes = Vec::new();
            let sure = asks(person, &mut typed.as_bytes(), &mut notes).unwrap();
            (sure, String::from_utf8(notes).unwrap())
        };
        let ada = person("ada", Some("Ada Lovelace"));
        let question = "Remove ada (Ada Lovelace) permanently? Type the user name to confirm: ";
        assert_eq!(says("ada\n", &ada), (true, question.to_owned()));
        for typed in ["", "\n", "yes\n", "bob\n"] {
            assert!(!says(typed, &ada).0, "{typed}");
        }
        assert!(says("", &person("bob", None)).1.starts_with("Remove bob permanently?"));
    }
}
