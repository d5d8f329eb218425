//! Batches: what must be so, and what follows if it is.

use super::record::{Change, Kind, Record, Version};
use crate::domain::time::Timestamp;

/// What must lie under a key for a batch to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No record. An expired one that was not swept yet is a record.
    Absent,
    /// The record that this commit wrote.
    Version(Version),
    /// Whatever is there.
    Any,
}

impl Expect {
    /// What `found` was, unchanged.
    pub fn unchanged(found: Option<&Record>) -> Self {
        found.map_or(Self::Absent, |record| Self::Version(record.version))
    }

    pub(super) fn met_by(self, found: Option<Version>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Version(version) => found == Some(version),
            Self::Any => true,
        }
    }
}

/// What must be so, and what follows if it is.
///
/// Everything expected is held against the store as it was before the batch; then the writes
/// follow in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    steps: Vec<Step>,
}

/// One thing of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which kind.
    pub kind: Kind,
    /// Under which key.
    pub key: Vec<u8>,
    /// What must lie there before.
    pub expect: Expect,
    /// What lies there afterwards.
    pub then: Then,
}

/// What becomes of the record that a [`Step`] names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It stays as it is.
    Keep,
    /// It becomes this.
    Put {
        /// From when on it counts as gone; `None`: it stays.
        expires: Option<Timestamp>,
        /// The sealed bytes.
        body: Vec<u8>,
    },
    /// It goes. To delete what is not there is no failure.
    Delete,
}

impl Batch {
    /// Nothing expected, nothing written.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Expects something and leaves it as it is.
    #[must_use]
    pub fn check(self, kind: Kind, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        self.with(Step { kind, key: key.into(), expect, then: Then::Keep })
    }

    /// Writes a record where what is expected lies. It counts as gone from `expires` on.
    #[must_use]
    pub fn put(
        self,
        kind: Kind,
        key: impl Into<Vec<u8>>,
        expect: Expect,
        expires: Option<Timestamp>,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let then = Then::Put { expires, body: body.into() };
        self.with(Step { kind, key: key.into(), expect, then })
    }

    /// Deletes the record if what is expected lies there.
    #[must_use]
    pub fn delete(self, kind: Kind, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        self.with(Step { kind, key: key.into(), expect, then: Then::Delete })
    }

    /// This batch and one more step.
    #[must_use]
    pub fn with(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// This batch and everything of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What a receiver is told once the commit of this version has carried the batch out.
    pub(super) fn change(&self, version: Version) -> Change {
        let written = self.steps.iter().filter(|step| step.then != Then::Keep);
        Change { version, touched: written.map(|step| (step.kind, step.key.clone())).collect() }
    }
}

/// What became of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out and is durable; the records that it put have this version.
    Committed(Version),
    /// Something it expected is not so: somebody else wrote first. Nothing was written.
    Overtaken,
}
