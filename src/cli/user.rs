//! `doorward user`: people, through the running gateway.

use std::io::{self, Write};
use std::path::Path;

use clap::{Args, Subcommand};

use super::api::{Done, LinkMade, NewUser, Person, Whom, path};
use super::client::ask;
use super::failure::{Failure, unwritten};
use crate::domain::name::{Email, FullName, Group, Name};

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add somebody, and print a link by which they set their password
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// List everybody
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget the failures of somebody who has to wait or is locked, so that they can try at once
    #[command(after_help = UNLOCK_EXAMPLES)]
    Unlock(One),
    /// Print a link by which somebody sets a new password
    ///
    /// The old password works until the link is used. Then every session of this person ends, and
    /// their devices are trusted no longer. Every earlier link is dead at once.
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd(One),
}

/// Somebody new.
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Somebody who is there.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The user name or e-mail address
    #[arg(value_name = "NAME")]
    user: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the gateway whose state lies in `state`, and prints what it says.
///
/// # Errors
/// Says for the operator why it was not done.
pub(super) async fn run(
    command: Command,
    state: &Path,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        Command::Add(add) => {
            let new = NewUser {
                name: add.user,
                full_name: add.full_name,
                email: add.email,
                groups: add.groups.into_iter().collect(),
            };
            let made: LinkMade = ask(state, path::ADD, &new).await?;
            print_link(&made, add.json, out, notes)
        }
        Command::Passwd(one) => {
            let made: LinkMade = ask(state, path::PASSWORD_LINK, &Whom { name: one.user }).await?;
            print_link(&made, one.json, out, notes)
        }
        Command::Unlock(one) => {
            let done: Done = ask(state, path::UNLOCK, &Whom { name: one.user }).await?;
            if one.json {
                print_json(&done, out)
            } else {
                writeln!(out, "{} can try again at once.", done.name).map_err(unwritten)
            }
        }
        Command::List { json } => {
            let everybody: Vec<Person> = ask(state, path::LIST, &()).await?;
            if json {
                print_json(&everybody, out)
            } else {
                print_table(&everybody, out).map_err(unwritten)
            }
        }
    }
}

/// The link alone on standard output, so that it can be piped; what it is, beside it.
fn print_link(
    made: &LinkMade,
    json: bool,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), Failure> {
    if json {
        return print_json(made, out);
    }
    writeln!(out, "{}", made.link).map_err(unwritten)?;
    let LinkMade { name, expires, .. } = made;
    writeln!(notes, "Give this link to {name}: it sets a password, once, until {expires}.")
        .map_err(unwritten)
}

fn print_json(answer: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer)
        .map_err(|error| Failure::new("the answer cannot be written as JSON").because(error))?;
    writeln!(out, "{text}").map_err(unwritten)
}

fn print_table(everybody: &[Person], out: &mut dyn Write) -> io::Result<()> {
    if everybody.is_empty() {
        return writeln!(out, "There is nobody yet. Add somebody: doorward user add NAME");
    }
    let head = ["NAME", "FULL NAME", "E-MAIL", "GROUPS", "PASSWORD", "TWO-FACTOR", "FAILURES"];
    let rows: Vec<[String; 7]> =
        std::iter::once(head.map(str::to_owned)).chain(everybody.iter().map(row)).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(person: &Person) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let groups: Vec<&str> = person.groups.iter().map(String::as_str).collect();
    let failures = match (person.password_failures, person.second_factor_failures) {
        (0, 0) => "–".to_owned(),
        (password, 0) => format!("{password} password"),
        (0, second_factor) => format!("{second_factor} second factor"),
        (password, second_factor) => {
            format!("{password} password, {second_factor} second factor")
        }
    };
    [
        person.name.clone(),
        or_dash(&person.full_name),
        or_dash(&person.email),
        if groups.is_empty() { "–".to_owned() } else { groups.join(", ") },
        if person.has_password { "set" } else { "not yet" }.to_owned(),
        if person.has_second_factor { "on" } else { "off" }.to_owned(),
        failures,
    ]
}

const ADD_EXAMPLES: &str = "\
Examples:
  doorward user add ada
  doorward user add ada --email ada@example.com --name 'Ada Lovelace' --group staff

The link works once, for seven days. Whoever opens it chooses a password.
The gateway must be running: the command reaches it through the socket in its state directory.";

const LIST_EXAMPLES: &str = "\
Examples:
  doorward user list
  doorward user list --json | jq -r '.[] | select(.has_second_factor | not) | .name'";

const UNLOCK_EXAMPLES: &str = "\
Examples:
  doorward user unlock ada
  doorward user unlock ada@example.com

After five wrong passwords or codes a person waits, longer each time; fifty wrong codes lock
until a recovery code or this command.";

const PASSWD_EXAMPLES: &str = "\
Examples:
  doorward user passwd ada
  doorward user passwd ada --json | jq -r .link";

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Person {
        Person {
            name: name.to_owned(),
            full_name: None,
            email: None,
            groups: [].into(),
            added: "2026-01-02T03:04:05Z".to_owned(),
            has_password: false,
            has_second_factor: false,
            recovery_codes_left: 0,
            trusted_devices: 0,
            password_failures: 0,
            second_factor_failures: 0,
        }
    }

    fn table(everybody: &[Person]) -> String {
        let mut out = Vec::new();
        print_table(everybody, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_are_listed_in_columns() {
        let ada = Person {
            full_name: Some("Ada Lovelace".to_owned()),
            email: Some("ada@example.com".to_owned()),
            groups: ["staff".to_owned(), "engine".to_owned()].into(),
            has_password: true,
            has_second_factor: true,
            second_factor_failures: 3,
            ..person("ada")
        };
        let listed = "\
NAME  FULL NAME     E-MAIL           GROUPS         PASSWORD  TWO-FACTOR  FAILURES
ada   Ada Lovelace  ada@example.com  engine, staff  set       on          3 second factor
żółw  –             –                –              not yet   off         –
";
        assert_eq!(table(&[ada, person("żółw")]), listed);
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert_eq!(table(&[]), "There is nobody yet. Add somebody: doorward user add NAME\n");
    }

    #[test]
    fn a_link_is_alone_on_standard_output() {
        let made = LinkMade {
            name: "ada".to_owned(),
            link: "https://crm.example.com/.doorward/link/abc".to_owned(),
            expires: "2026-01-02T03:04:05Z".to_owned(),
        };
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        print_link(&made, false, &mut out, &mut notes).unwrap();
        assert_eq!(out, b"https://crm.example.com/.doorward/link/abc\n");
        assert!(String::from_utf8(notes).unwrap().contains("until 2026-01-02T03:04:05Z"));
    }
}
