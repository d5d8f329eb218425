//! Problems of a configuration: where they are, under which key, and how to fix them.

use std::fmt;

use serde::Serialize;

/// A place in the file. Line and column start at 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// An error or a warning.
///
/// `Display` is for the operator, without the file name: `12:5: apps[0].rules[2].require (rule 3): … ; …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The place; `None` if the file could not be read, or the problem concerns the whole file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The key path (`apps[0].rules[2].require`); empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// How to fix it, if known.
    pub cure: Option<String>,
}

impl Problem {
    /// `12:5: key: what`, without the fix. `mark` is inserted after the place.
    fn named(&self, mark: &str) -> String {
        let place = self.place.map(|Place { line, column }| format!("{line}:{column}: "));
        let rule = self.rule().map(|number| format!(" (rule {number})")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("{}{rule}: ", self.key) };
        format!("{}{mark}{key}{}", place.unwrap_or_default(), on_one_line(&self.what))
    }

    /// The number of the rule that the key is in, as `explain` and the logs count them: from 1.
    fn rule(&self) -> Option<usize> {
        let (index, _) = self.key.split_once(".rules[")?.1.split_once(']')?;
        index.parse::<usize>().ok()?.checked_add(1)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(""))?;
        self.cure.iter().try_for_each(|cure| write!(f, "; {}", on_one_line(cure)))
    }
}

/// All errors or warnings of one file, in file order. Never empty when used as an error.
///
/// `Display` writes one line for each: `doorward.yaml:12:5: key: what; cure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The name of the file, as it was given.
    pub file: String,
    /// The problems.
    pub problems: Vec<Problem>,
    /// The content of the file, for quoting; empty if it could not be read.
    #[serde(skip)]
    pub text: String,
}

impl Problems {
    /// The problems as `check` displays them: each with its line of the file, carets under the
    /// relevant part, and the fix. Plain text without a final line break.
    pub fn shown(&self) -> String {
        self.marked("")
    }

    /// The same for warnings: `doorward.yaml:12:5: warning: key: what`.
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

    /// Whether the file has nothing but comments.
    pub fn are_of_empty_file(&self) -> bool {
        self.problems.iter().any(|problem| problem.what == EMPTY)
    }

    fn prefix(&self, problem: &Problem) -> String {
        let space = if problem.place.is_some() { "" } else { " " };
        format!("{}:{space}", self.file)
    }
}

/// What is wrong with a file that has nothing but comments.
pub(super) const EMPTY: &str = "the file is empty";

/// Removes control characters: text from the file must not control the reader's terminal.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The line that contains `place`, and below it carets under the relevant part.
fn excerpt(place: Place, text: &str) -> Option<String> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    let line = on_one_line(line);
    let (number, before) = (place.line.to_string(), place.column.checked_sub(1)?);
    let width = extent(line.chars().skip(before)).max(1);
    let (gutter, before, carets) =
        (" ".repeat(number.len()), " ".repeat(before), "^".repeat(width));
    Some(format!("\n  {number} | {line}\n  {gutter} | {before}{carets}"))
}

/// The length in characters of the key or value at the start of `rest`, if that is simple to
/// determine; 1 for a list or a map.
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

/// The name in `known` that `written` is probably a typo of.
pub(super) fn meant<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.replace('-', "_"));
    let nearest = known.into_iter().min_by_key(|name| distance(name))?;
    (distance(nearest) <= written.len().max(3) / 3).then_some(nearest)
}

/// Formats as `a`, `b`, `c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
