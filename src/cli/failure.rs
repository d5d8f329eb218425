//! Why a command failed, in plain sentences.

use std::error::Error;
use std::{fmt, io};

/// What went wrong, why, and what to do: on standard error, with exit code 1.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: Vec<String>,
    cure: Option<String>,
    /// The reader of standard output has gone, as with `| head`.
    unread: bool,
}

impl Failure {
    /// `what` starts in lower case and ends without a full stop.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: Vec::new(), cure: None, unread: false }
    }

    /// What went wrong and what to do, without the cause.
    pub(super) fn in_one_line(&self) -> String {
        match &self.cure {
            Some(cure) => format!("{}; {cure}", self.what),
            None => self.what.clone(),
        }
    }

    /// What went wrong and why, without what to do.
    pub(super) fn with_causes(&self) -> String {
        let all: Vec<&str> =
            std::iter::once(&self.what).chain(&self.why).map(String::as_str).collect();
        all.join(": ")
    }

    /// Whether the reader of the output has gone: then there is nothing to report.
    pub(super) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Says first what else was tried.
    pub(super) fn after(mut self, what: &str) -> Self {
        self.what = format!("{what}, and {}", self.what);
        self
    }

    /// Adds a cause.
    pub(super) fn because(mut self, error: impl fmt::Display) -> Self {
        self.why.push(error.to_string());
        self
    }

    /// Adds `error` and the chain of its sources.
    pub(super) fn because_of(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.why.push(error.to_string());
            next = error.source();
        }
        // Drop a cause that its effect quotes already.
        self.why.dedup_by(|cause, effect| effect.ends_with(cause.as_str()));
        self
    }

    /// Adds what to do about it.
    pub(super) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "doorward: {}", self.what)?;
        for why in &self.why {
            write!(f, ": {why}")?;
        }
        match &self.cure {
            Some(cure) => write!(f, "\n  {cure}"),
            None => Ok(()),
        }
    }
}

/// Standard output cannot be written.
pub(super) fn unwritten(error: io::Error) -> Failure {
    let unread = error.kind() == io::ErrorKind::BrokenPipe;
    Failure { unread, ..Failure::new("cannot print the result").because(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_nobody_reads_any_more_is_no_failure_worth_telling() {
        assert!(unwritten(io::ErrorKind::BrokenPipe.into()).is_unread());
        assert!(!unwritten(io::ErrorKind::StorageFull.into()).is_unread());
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store{}", if self.quotes { format!(": {}", self.source) } else { String::new() })]
    struct Away {
        quotes: bool,
        source: io::Error,
    }

    #[test]
    fn every_cause_is_told_once() {
        let told = |quotes| {
            let away = Away { quotes, source: io::Error::other("disk on fire") };
            Failure::new("cannot start").because_of(&away).cure("put it out").to_string()
        };
        let whole = "doorward: cannot start: cannot open the store: disk on fire\n  put it out";
        assert_eq!([told(false), told(true)], [whole, whole]);
    }
}
