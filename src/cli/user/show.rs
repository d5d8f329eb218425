//! The details of one user, in plain words.

use std::io::{self, Write};

use crate::cli::api::{Codes, Details, Factor, Failed, Happened, Person, Tally, written};
use crate::domain::factor::Kind;
use crate::domain::lockout::WrongCodes;
use crate::domain::time::Timestamp;

/// Prints all details as of `now`, one line each.
pub(super) fn print(details: &Details, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let person = &details.person;
    for (label, text) in facts(details, now) {
        writeln!(out, "{label:16}{text}")?;
    }
    for failed in &details.failures {
        for line in failures(failed) {
            writeln!(out, "{:16}{line}", "failures")?;
        }
    }
    if details.events.is_empty() {
        return writeln!(out, "\nNo recent events for {}.", person.name);
    }
    writeln!(out, "\nRecent events (UTC):")?;
    details.events.iter().try_for_each(|event| writeln!(out, "  {}", happened(event)))
}

fn facts(details: &Details, now: Timestamp) -> Vec<(&'static str, String)> {
    let Details { person, imported_password, factors, recovery_codes, .. } = details;
    let groups: Vec<&str> = person.groups.iter().map(String::as_str).collect();
    let mut facts = vec![("name", person.name.clone())];
    let mut tell = |label, text: Option<String>| facts.extend(text.map(|text| (label, text)));
    tell("full name", Some(or_none(person.full_name.as_deref())));
    tell("e-mail", Some(or_none(person.email.as_deref())));
    tell("groups", Some(or_none(Some(groups.join(", ")).as_deref().filter(|g| !g.is_empty()))));
    tell("added", Some(person.added.clone()));
    tell("disabled", person.disabled_since.as_ref().map(|since| format!("since {since}")));
    tell("password", Some(password(person, imported_password.as_deref())));
    for (index, account) in details.accounts.iter().enumerate() {
        let is_own = index == 0 && details.is_of_provider;
        let means = if is_own { "manages this user" } else { "connected" };
        tell("provider", Some(format!("{account} ({means})")));
    }
    tell("two-factor", Some(two_factor(details, now)));
    for factor in factors {
        let Factor { kind, name, added, last_used, id, notes } = factor;
        let kind = Kind::of_word(kind).map_or(kind.as_str(), |kind| kind.row().name);
        let name = name.as_ref().map(|name| format!(" “{name}”")).unwrap_or_default();
        let id = if notes.is_empty() { String::new() } else { format!(" ({id})") };
        let dated = format!("{kind}{name}{id}, added {added}, last used {last_used}");
        let text = std::iter::once(&dated).chain(notes).cloned().collect::<Vec<_>>().join(", ");
        tell("second factor", Some(text));
    }
    tell("recovery codes", recovery_codes.as_ref().map(codes));
    for device in &details.devices {
        let (first, last, over) = (&device.first_used, &device.last_used, &device.expires);
        let text = format!("since {first}, last used {last}, until {over}");
        tell("trusted device", Some(text));
    }
    tell("known browsers", Some(details.known_browsers.to_string()));
    facts
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("–").to_owned()
}

fn password(person: &Person, imported: Option<&str>) -> String {
    match imported {
        Some(scheme) => format!("imported ({scheme}); replaced at the first sign-in"),
        None if person.has_password => "set".to_owned(),
        None => "not set yet".to_owned(),
    }
}

fn two_factor(details: &Details, now: Timestamp) -> String {
    let Details { person, frozen_since, awaits_a_link, second_factor_due, .. } = details;
    // Times of one form, in UTC, compare as text.
    let now = written(now);
    let due = match second_factor_due {
        Some(due) if *due > now => format!("; must be set up by {due}"),
        Some(_) => "; must be set up at the next visit".to_owned(),
        None => String::new(),
    };
    match frozen_since {
        Some(since) => format!(
            "frozen since {since}: {0} reported that somebody else set it up; \
             to start again, create a link: `doorward user passwd {0}`",
            person.name
        ),
        None if person.has_second_factor => "on".to_owned(),
        None if *awaits_a_link => {
            format!("off{due}; needs a link to set it up: `doorward user passwd {}`", person.name)
        }
        None => format!("off{due}"),
    }
}

fn codes(codes: &Codes) -> String {
    let Codes { left, of, made, saved } = codes;
    let saved = if *saved { "" } else { ", not confirmed as saved" };
    format!("{left} of {of} left, made {made}{saved}")
}

fn failures(failed: &Failed) -> impl Iterator<Item = String> {
    let whence = match &failed.known_browser {
        Some(seen) => format!("from the known browser last seen {seen}"),
        None => "from unknown browsers".to_owned(),
    };
    let both = [("password", &failed.password), ("second factor", &failed.second_factor)];
    let counted = |tally: &Tally| tally.failures > 0 || tally.in_thirty_days.is_some();
    both.into_iter().filter(move |(_, tally)| counted(tally)).map(move |(factor, tally)| {
        let Tally { failures, waits_until, locked, in_thirty_days } = tally;
        let of_all = match in_thirty_days {
            Some(wrong) => format!(", {wrong} of {} in thirty days", WrongCodes::AT_MOST),
            None => String::new(),
        };
        let follows = match waits_until {
            _ if *locked => {
                ", locked: codes from an app, by text or e-mail are refused; recovery codes, \
                 security keys and `doorward user unlock` help"
                    .to_owned()
            }
            Some(until) => format!(", sign-in is locked until {until}"),
            None => String::new(),
        };
        format!("{factor}: {failures} in a row {whence}{of_all}{follows}")
    })
}

fn happened(event: &Happened) -> String {
    let Happened { at, in_words, from, by, .. } = event;
    let from = from.as_ref().map_or(String::new(), |from| format!(", from {from}"));
    let by = by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
    format!("{at}  {in_words}{from}{by}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api::Device;
    use crate::cli::user::list::nobody_yet;

    const THEN: &str = "2026-01-02T03:04:05Z";

    fn told(details: &Details) -> String {
        told_at("2026-01-02T03:04:04Z", details)
    }

    fn told_at(now: &str, details: &Details) -> String {
        let now = now.parse::<jiff::Timestamp>().unwrap().as_second();
        let mut out = Vec::new();
        print(details, Timestamp::from_secs(now.unsigned_abs()), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn nobody_knows() -> Details {
        Details {
            person: nobody_yet("bob"),
            imported_password: None,
            frozen_since: None,
            awaits_a_link: false,
            second_factor_due: None,
            accounts: Vec::new(),
            is_of_provider: false,
            factors: vec![],
            recovery_codes: None,
            devices: vec![],
            known_browsers: 0,
            failures: vec![],
            events: vec![],
        }
    }

    #[test]
    fn somebody_new_has_little_to_tell_of() {
        insta::assert_snapshot!("show_new", told(&nobody_knows()));
    }

    #[test]
    fn who_needs_a_link_is_said_with_the_command_that_makes_one() {
        let reset = Details { awaits_a_link: true, ..nobody_knows() };
        assert!(
            told(&reset).contains("off; needs a link to set it up: `doorward user passwd bob`")
        );
        let due = Details { second_factor_due: Some(THEN.to_owned()), ..nobody_knows() };
        assert!(told(&due).contains("off; must be set up by 2026-01-02T03:04:05Z\n"));
        assert!(told_at(THEN, &due).contains("off; must be set up at the next visit\n"));
        let person = Person { has_second_factor: true, ..nobody_yet("bob") };
        let frozen = Details { person, frozen_since: Some(THEN.to_owned()), ..nobody_knows() };
        let said = told(&frozen);
        assert!(said.contains("frozen since 2026-01-02T03:04:05Z: bob reported that somebody"));
        assert!(said.contains("`doorward user passwd bob`"), "{said}");
    }

    #[test]
    fn everything_is_told_in_words() {
        let then = || THEN.to_owned();
        let tally = |failures, waits_until, locked| Tally {
            failures,
            waits_until,
            locked,
            in_thirty_days: None,
        };
        let ada = Details {
            person: Person {
                full_name: Some("Ada Lovelace".to_owned()),
                email: Some("ada@example.com".to_owned()),
                groups: ["engine".to_owned(), "staff".to_owned()].into(),
                disabled_since: Some(then()),
                has_password: true,
                has_second_factor: true,
                ..nobody_yet("ada")
            },
            imported_password: Some("bcrypt".to_owned()),
            frozen_since: None,
            awaits_a_link: false,
            second_factor_due: None,
            accounts: ["110169", "583231"]
                .map(|subject| format!("https://id.example.com {subject}"))
                .into(),
            is_of_provider: true,
            factors: vec![
                Factor {
                    kind: "totp".to_owned(),
                    name: Some("Phone".to_owned()),
                    added: then(),
                    last_used: then(),
                    id: "0".repeat(32),
                    notes: vec![],
                },
                Factor {
                    kind: "security-key".to_owned(),
                    name: Some("Drawer".to_owned()),
                    added: then(),
                    last_used: then(),
                    id: "1".repeat(32),
                    notes: vec!["cannot be copied".to_owned()],
                },
            ],
            recovery_codes: Some(Codes { left: 3, of: 12, made: then(), saved: false }),
            devices: vec![Device { first_used: then(), last_used: then(), expires: then() }],
            known_browsers: 2,
            failures: vec![
                Failed {
                    known_browser: None,
                    password: tally(6, Some(then()), false),
                    second_factor: tally(50, None, true),
                },
                Failed {
                    known_browser: Some(then()),
                    password: tally(1, None, false),
                    second_factor: tally(0, None, false),
                },
            ],
            events: vec![Happened {
                at: then(),
                what: "user-added".to_owned(),
                in_words: "user added by an administrator".to_owned(),
                from: Some("192.0.2.1".to_owned()),
                by: Some("root".to_owned()),
            }],
        };
        insta::assert_snapshot!("show_everything", told(&ada));
    }
}
