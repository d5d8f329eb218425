//! Reads the text into `written` and makes sure that two YAML parsers agree.
//!
//! The tree knows places and reports every mistake; serde knows types. One parser reads YAML 1.2,
//! the other YAML 1.1, and a file that decides about access must not have two meanings. So a file
//! is accepted only if both parsers read the same.

use serde::Deserialize;

use super::problem::{Place, Problem};
use super::schema;
use super::tree::{self, Node};
use super::written::File;

/// Reads the file `text`, whose tree is `root`. Errors go to `problems`; the valid rest is
/// returned, so that it can be validated, too.
pub(super) fn read(text: &str, root: &Node, problems: &mut Vec<Problem>) -> Option<File> {
    let left = schema::check(&schema::FILE, root, "", problems)?;
    let seen = File::deserialize(left);
    if !problems.is_empty() {
        return seen.ok();
    }
    match (serde_yaml::from_str::<File>(text), seen) {
        (Ok(read), Ok(seen)) if read == seen => return Some(read),
        (Err(error), _) => problems.push(refused(&error, text)),
        (Ok(_), _) => problems.push(Problem {
            place: None,
            key: String::new(),
            what: "YAML parsers read this line in different ways".to_owned(),
            cure: Some("write it more simply: one value on each line, texts in quotes".to_owned()),
        }),
    }
    None
}

/// Turns an error of serde into a problem, with its place in our form.
fn refused(error: &serde_yaml::Error, text: &str) -> Problem {
    let place =
        error.location().map(|at| Place { line: at.line().max(1), column: at.column().max(1) });
    let said = error.to_string();
    let what = said.split_once(" at line ").map_or(&*said, |(what, _)| what);
    let cure = place.and_then(|place| tree::cure_at(text, place));
    Problem {
        place,
        key: String::new(),
        what: format!("some YAML parsers reject this: {what}"),
        cure: Some(cure.unwrap_or("write it more simply").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    const MINIMAL: &str = include_str!("../../config/minimal.yaml");

    fn with(extra: &str) -> String {
        format!("{MINIMAL}{extra}\n")
    }

    /// The problems of `text` if the tree parser had read `seen`.
    fn said(text: &str, seen: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let root = tree::read(seen, &mut problems).unwrap();
        let file = read(text, &root, &mut problems);
        assert_eq!(file.is_some(), problems.is_empty());
        problems.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::same("", "", true)]
    #[case::more_for_serde("support: a", "", false)]
    #[case::more_for_the_tree("", "support: a", false)]
    #[case::another_text("support: a", "support: b", false)]
    #[case::open_instead_of_closed(
        "      - { paths: [/a], require: nothing }",
        "      - { paths: [/a], require: nobody }",
        false
    )]
    #[case::a_comment_for_one("# a\u{2028}support: a", "# a", false)]
    #[case::a_default_written_out("log: { format: text }", "", true)]
    fn a_file_that_means_two_things_is_refused(
        #[case] text: &str,
        #[case] seen: &str,
        #[case] same: bool,
    ) {
        let said = said(&with(text), &with(seen));
        assert_eq!(said.is_empty(), same, "{said:?}");
    }

    #[rstest]
    #[case::unknown("sate: /tmp", "14:1: some YAML parsers reject this: unknown field `sate`")]
    #[case::twice("state: /tmp", "duplicate field `state`")]
    #[case::documents("---\nlog: {}", "more than one document")]
    #[case::type_of_value("log: 3", "log: invalid type")]
    fn what_serde_alone_refuses_is_refused(#[case] extra: &str, #[case] says: &str) {
        let said = said(&with(extra), MINIMAL);
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }

    #[rstest]
    #[case::lone_tab("\t", "14:1: some YAML parsers reject this: found character")]
    #[case::surrogates("support: \"\\ud83d\\ude00\"", "14:13: some YAML parsers reject this")]
    #[case::key_at_a_question_mark(
        "      - { paths: [?/a], require: nobody }",
        "14:19: some YAML parsers reject this: apps[0].rules[1].paths[0]: invalid type: map"
    )]
    #[case::colon("      - { paths: [:/a], require: nobody }", "some YAML parsers reject this")]
    fn real_differences_between_the_readers_are_told(#[case] extra: &str, #[case] says: &str) {
        let said = Config::read("doorward.yaml", &with(extra)).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }

    #[rstest]
    #[case::octal("0o14", "0o14")]
    #[case::old_octal("010", "010")]
    #[case::underscore("1_000", "1_000")]
    #[case::infinity(".inf", ".inf")]
    #[case::exponent("1e3", "1e3")]
    #[case::base_sixty("1:30", "1:30")]
    #[case::date("2001-01-01", "2001-01-01")]
    #[case::quoted_null("'~'", "~")]
    #[case::quoted_number("\"1\"", "1")]
    #[case::comment("a # b", "a")]
    #[case::no_comment("a#b", "a#b")]
    #[case::comment_before("# b\n  a", "a")]
    #[case::literal("|\n  a #b\n  c\n", "a #b\nc\n")]
    #[case::folded(">-\n  a\n  b\n\n  c", "a b\nc")]
    #[case::kept("|+\n  a\n\n\n", "a\n\n\n\n")]
    #[case::over_lines("\"a\n  b\"", "a b")]
    #[case::escapes("\"\\x41\\u0042\\tc\"", "AB\tc")]
    #[case::doubled_quote("'a''b'", "a'b")]
    fn a_text_is_read_as_it_looks(#[case] written: &str, #[case] read: &str) {
        let config = Config::read("doorward.yaml", &with(&format!("support: {written}"))).unwrap();
        assert_eq!(config.support.as_deref(), Some(read));
    }

    #[rstest]
    #[case("0o14")]
    #[case("012")]
    #[case("1_2")]
    #[case("+12")]
    #[case("12.0")]
    #[case("1.2e1")]
    #[case("0b1100")]
    #[case("'12'")]
    #[case("~")]
    #[case(".inf")]
    fn a_number_has_one_spelling(#[case] written: &str) {
        let text = with(&format!("second_factor: {{ recovery_codes: {written} }}"));
        let problems = Config::read("doorward.yaml", &text).unwrap_err().to_string();
        assert!(problems.contains("is not a whole number; write a number from 8"), "{problems}");
    }
}
