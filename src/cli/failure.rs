//! Why a command failed, in plain sentences.

use std::{fmt, io};

/// What went wrong, why, and what to do: one line each on standard error, and exit code 1.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: Vec<String>,
    cure: Option<String>,
}

impl Failure {
    /// `what` starts small and ends without a full stop.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: Vec::new(), cure: None }
    }

    /// Adds what the system, or another part of ours, says of it.
    pub(super) fn because(mut self, error: impl fmt::Display) -> Self {
        self.why.push(error.to_string());
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

/// What is printed went nowhere.
pub(super) fn unwritten(error: io::Error) -> Failure {
    Failure::new("the answer cannot be printed").because(error)
}
