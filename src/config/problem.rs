//! What is wrong with a configuration: where, under which key, and how to mend it.

use std::fmt;

use serde::Serialize;

/// A place in the file, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong, or, as a warning, unwise.
///
/// `Display` is for the operator, without the file: `12:5: apps[0].rules[2].require: … ; …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where; `None` if the file could not be read at all, or is wrong as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The key path (`apps[0].rules[2].require`); empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it, where that can be said.
    pub cure: Option<String>,
}

impl Problem {
    /// `12:5: key: what`, without the cure; `mark` stands after the place.
    fn named(&self, mark: &str) -> String {
        let place = self.place.map(|Place { line, column }| format!("{line}:{column}: "));
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        format!("{}{mark}{key}{}", place.unwrap_or_default(), on_one_line(&self.what))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(""))?;
        self.cure.iter().try_for_each(|cure| write!(f, "; {}", on_one_line(cure)))
    }
}

/// Everything that is wrong with one file, or unwise, in the order of the file. As an error it is
/// never empty.
///
/// `Display` gives one line each, `doorward.yaml:12:5: key: what; cure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What stands in it, to quote from; empty if it could not be read.
    #[serde(skip)]
    pub text: String,
}

impl Problems {
    /// The problems as `check` shows them to people: each with its line of the file, carets
    /// under what is meant, and the cure. Plain text; no line break at the end.
    pub fn shown(&self) -> String {
        self.marked("")
    }

    /// The same of warnings, each called one: `doorward.yaml:12:5: warning: key: what`.
    pub fn shown_as_warnings(&self) -> String {
        self.marked("warning: ")
    }

    fn marked(&self, mark: &str) -> String {
        let each = self.problems.iter().map(|problem| {
            let excerpt = problem.place.and_then(|place| excerpt(place, &self.text));
            let cure = problem.cure.as_ref().map(|cure| format!("\n  {}", on_one_line(cure)));
            let named = problem.named(mark);
            let (excerpt, cure) = (excerpt.unwrap_or_default(), cure.unwrap_or_default());
            format!("{}{named}{excerpt}{cure}", self.prefix(problem))
        });
        each.collect::<Vec<_>>().join("\n\n")
    }

    fn prefix(&self, problem: &Problem) -> String {
        let space = if problem.place.is_some() { "" } else { " " };
        format!("{}:{space}", self.file)
    }
}

/// What the file holds must not move the cursor of whoever reads about it.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The line with `place` in it, and a line with carets under what begins there.
fn excerpt(place: Place, text: &str) -> Option<String> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    let line = on_one_line(line);
    let (number, before) = (place.line.to_string(), place.column.checked_sub(1)?);
    let width = extent(line.chars().skip(before)).max(1);
    let (gutter, before, carets) =
        (" ".repeat(number.len()), " ".repeat(before), "^".repeat(width));
    Some(format!("\n  {number} | {line}\n  {gutter} | {before}{carets}"))
}

/// How many characters the key or value at the start of `rest` has, as far as that is simple to
/// see; one for a list or a map.
fn extent(rest: impl Iterator<Item = char>) -> usize {
    let rest: Vec<char> = rest.collect();
    let ends = |at: &usize| match (rest[*at], rest.get(at + 1)) {
        (',' | ']' | '}', _) => true,
        (':', next) | (' ', next @ Some('#')) => next.is_none_or(|next| " #".contains(*next)),
        _ => false,
    };
    match rest.first() {
        Some('[' | '{' | '-') => 1,
        Some(quote @ ('"' | '\'')) => {
            let closing = rest.iter().skip(1).position(|character| character == quote);
            closing.map_or(rest.len(), |closing| closing + 2)
        }
        _ => (0..rest.len()).find(ends).unwrap_or(rest.len()),
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line = if index > 0 { "\n" } else { "" };
            write!(f, "{line}{}{problem}", self.prefix(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The one of `known` that somebody who wrote `written` probably meant.
pub(super) fn meant<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.replace('-', "_"));
    let nearest = known.into_iter().min_by_key(|name| distance(name))?;
    (distance(nearest) <= written.len().max(3) / 3).then_some(nearest)
}

/// `a`, `b`, `c`: as sentences list names.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
