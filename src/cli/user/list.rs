//! A list of users, in columns.

use std::io::{self, Write};

use crate::cli::api::Person;

/// Prints users in columns, or that there are none: of `all`, or matching.
pub(super) fn print(people: &[Person], all: bool, out: &mut dyn Write) -> io::Result<()> {
    if people.is_empty() {
        let nobody = if all {
            "There are no users yet. Add one: doorward user add NAME"
        } else {
            "No user matches."
        };
        return writeln!(out, "{nobody}");
    }
    let head =
        ["NAME", "FULL NAME", "E-MAIL", "GROUPS", "PASSWORD", "TWO-FACTOR", "FAILURES", "STATE"];
    let rows: Vec<[String; 8]> =
        std::iter::once(head.map(str::to_owned)).chain(people.iter().map(row)).collect();
    let widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(person: &Person) -> [String; 8] {
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
        if person.disabled_since.is_some() { "disabled" } else { "–" }.to_owned(),
    ]
}

#[cfg(test)]
pub(super) fn nobody_yet(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        full_name: None,
        email: None,
        groups: [].into(),
        added: "2026-01-02T03:04:05Z".to_owned(),
        disabled_since: None,
        has_password: false,
        has_second_factor: false,
        recovery_codes_left: 0,
        trusted_devices: 0,
        password_failures: 0,
        second_factor_failures: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(people: &[Person], all: bool) -> String {
        let mut out = Vec::new();
        print(people, all, &mut out).unwrap();
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
            disabled_since: Some("2026-01-02T03:04:05Z".to_owned()),
            ..nobody_yet("ada")
        };
        let listed = "\
NAME  FULL NAME     E-MAIL           GROUPS         PASSWORD  TWO-FACTOR  FAILURES         STATE
ada   Ada Lovelace  ada@example.com  engine, staff  set       on          3 second factor  disabled
żółw  –             –                –              not yet   off         –                –
";
        assert_eq!(table(&[ada, nobody_yet("żółw")], true), listed);
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert_eq!(table(&[], true), "There are no users yet. Add one: doorward user add NAME\n");
        assert_eq!(table(&[], false), "No user matches.\n");
    }
}
