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
    /// Where; `None` if the file could not be read at all.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The key path (`apps[0].rules[2].require`); empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it, where that can be said.
    pub cure: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        self.cure.iter().try_for_each(|cure| write!(f, "; {cure}"))
    }
}

/// Everything that is wrong with one file, in the order of the file. Never empty.
///
/// `Display` gives one line each, `doorward.yaml:12:5: key: what; cure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line = if index > 0 { "\n" } else { "" };
            let colon = if problem.place.is_some() { ":" } else { ": " };
            write!(f, "{line}{}{colon}{problem}", self.file)?;
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
