//! Holds two tables to the tests: that of incidents, `tests/incidents.md`, and that of what is ours
//! to do on the wire, `tests/wire.md`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

const TABLE: &str = include_str!("incidents.md");
const WIRE: &str = include_str!("wire.md");

/// How many incidents we know of. A new one is added to the table first, and here.
const KNOWN: usize = 100;

/// What brings the tests that are not there yet; a line goes when it has come.
const TO_COME: &[&str] = &["the security page", "load", "mail"];

#[derive(Debug, PartialEq)]
enum Answer<'a> {
    CoveredBy(Vec<&'a str>),
    ComesWith(&'a str),
    DoesNotApply(&'a str),
}

#[test]
fn every_incident_is_answered_once_and_every_named_test_exists() {
    let complaints = complaints(TABLE, &tests().unwrap());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn everything_that_is_ours_on_the_wire_has_a_test_and_every_named_test_exists() {
    let complaints = wire_complaints(WIRE, &tests().unwrap());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_table_that_is_wrong_is_noticed() {
    let tests = BTreeSet::from(["there_is_one".to_owned()]);
    let table = |last: &str| {
        let rows = (1..KNOWN).map(|number| format!("| {number} | a thing | comes with load |\n"));
        rows.collect::<String>() + last
    };
    let last = |number: usize, rest: &str| table(&format!("| {number} {rest}"));
    let right = last(KNOWN, "| a thing | covered by `there_is_one` |");
    assert_eq!(complaints(&right, &tests), Vec::<String>::new());
    let so_many = [
        table(""),
        last(KNOWN - 1, "| a thing | comes with load |"),
        last(KNOWN + 1, "| a thing | comes with load |"),
    ];
    let so_answered = [
        "| | comes with load |",
        "| a thing | covered by `there_is_none` |",
        "| a thing | covered by `there_is_one`, `there_is_none` |",
        "| a thing | covered by |",
        "| a thing | comes with time |",
        "| a thing | does not apply: |",
        "| a thing | is fine |",
        "| a thing |",
    ];
    for wrong in so_many.into_iter().chain(so_answered.map(|rest| last(KNOWN, rest))) {
        assert!(!complaints(&wrong, &tests).is_empty(), "{wrong}");
    }
}

#[test]
fn a_table_of_the_wire_that_is_wrong_is_noticed() {
    let tests = BTreeSet::from(["there_is_one".to_owned()]);
    let table = |last: &str| "| 1 | a thing | a fix | `there_is_one` |\n".to_owned() + last;
    let right = "| 2 | a thing | a fix | `there_is_one`, `there_is_one` |";
    assert_eq!(wire_complaints(&table(right), &tests), Vec::<String>::new());
    for wrong in [
        "| 1 | a thing | a fix | `there_is_one` |",
        "| 3 | a thing | a fix | `there_is_one` |",
        "| 2 | | a fix | `there_is_one` |",
        "| 2 | a thing | | `there_is_one` |",
        "| 2 | a thing | a fix | |",
        "| 2 | a thing | a fix |",
        "| 2 | a thing | a fix | there_is_one |",
        "| 2 | a thing | a fix | `there_is_none` |",
        "| 2 | a thing | a fix | `there_is_one`, `there_is_none` |",
    ] {
        assert!(!wire_complaints(&table(wrong), &tests).is_empty(), "{wrong}");
    }
    assert!(!wire_complaints("", &tests).is_empty());
}

/// The tests that exist.
fn tests() -> io::Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        test_names(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut tests)?;
    }
    Ok(tests)
}

/// What is wrong with the `table` of the wire: its lines are numbered from 1, in any
/// order, and say what is left to us, what we do, and which tests hold that.
fn wire_complaints(table: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut numbers = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse::<usize>() else { continue };
        numbers.push(number);
        let [_, left, done, held_by] = cells[..] else {
            found.push(format!("wire {number}: is not in four parts"));
            continue;
        };
        if left.is_empty() || done.is_empty() {
            found.push(format!("wire {number}: does not say what is done about what"));
        }
        let quoted = |name: &str| Some(name.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let names = held_by.split(", ").map(|name| (name, quoted(name)));
        let missing =
            names.filter(|(_, quoted)| quoted.as_ref().is_none_or(|q| !tests.contains(q)));
        found.extend(missing.map(|(name, _)| format!("wire {number}: no test {name:?}")));
    }
    if numbers.is_empty() {
        found.push("the table of the wire is empty".to_owned());
    }
    // A line may stand where it belongs: what was numbered once keeps its number.
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(1..=numbers.len()) {
        found.push(format!("the lines of the wire are numbered {numbers:?}"));
    }
    found
}

/// What is wrong with `table`, where `tests` are those that exist.
fn complaints(table: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = vec![0; KNOWN + 1];
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse::<usize>() else { continue };
        match seen.get_mut(number) {
            Some(times) => *times += 1,
            None => found.push(format!("incident {number}: is not known")),
        }
        match (cells.get(1), cells.get(2).and_then(|cell| answer(cell))) {
            (_, None) => found.push(format!("incident {number}: is not answered")),
            (Some(&""), _) => found.push(format!("incident {number}: has no title")),
            (_, Some(Answer::ComesWith(part))) if !TO_COME.contains(&part) => {
                found.push(format!("incident {number}: `{part}` is not to come"));
            }
            (_, Some(Answer::CoveredBy(names))) => {
                let missing = names.into_iter().filter(|name| !tests.contains(*name));
                found.extend(missing.map(|name| format!("incident {number}: no test `{name}`")));
            }
            _ => {}
        }
    }
    let wrong = (1..=KNOWN).filter(|number| seen[*number] != 1);
    found.extend(wrong.map(|number| format!("incident {number}: is there {} times", seen[number])));
    found
}

fn answer(cell: &str) -> Option<Answer<'_>> {
    let answer = if let Some(names) = cell.strip_prefix("covered by ") {
        Answer::CoveredBy(names.split(", ").map(|name| name.trim_matches('`')).collect())
    } else if let Some(part) = cell.strip_prefix("comes with ") {
        Answer::ComesWith(part)
    } else {
        Answer::DoesNotApply(cell.strip_prefix("does not apply: ")?)
    };
    Some(answer)
}

/// The functions below `folder` that stand under a `#[test]`, `#[tokio::test]` or `#[rstest]`.
fn test_names(folder: &Path, to: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            test_names(&path, to)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut marked = false;
            for line in fs::read_to_string(&path)?.lines().map(str::trim_start) {
                marked |=
                    ["#[test]", "#[tokio::test", "#[rstest"].iter().any(|m| line.starts_with(m));
                let line = line.strip_prefix("async ").unwrap_or(line);
                if let Some((name, _)) = line.strip_prefix("fn ").and_then(|f| f.split_once('('))
                    && std::mem::take(&mut marked)
                {
                    to.insert(name.to_owned());
                }
            }
        }
    }
    Ok(())
}
