//! Batches: conditions on records and the writes that follow if all conditions hold.

use super::record::{Change, Kind, Record, Version};
use crate::domain::time::Timestamp;

/// What must be stored under a key so that a batch is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No record. An expired record that was not swept yet still counts as one.
    Absent,
    /// The record with this version.
    Version(Version),
    /// Anything.
    Any,
}

impl Expect {
    /// Expects the record to be as it was when it was read as `found`.
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

/// A list of conditions and writes, carried out completely or not at all.
///
/// All conditions are checked against the state before the batch. Then the writes are applied in
/// the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    steps: Vec<Step>,
}

/// One step of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The kind of the record.
    pub kind: Kind,
    /// The key of the record.
    pub key: Vec<u8>,
    /// The condition on the record before the batch.
    pub expect: Expect,
    /// What happens to the record.
    pub then: Then,
}

/// What a [`Step`] does with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Leaves it as it is.
    Keep,
    /// Writes it.
    Put {
        /// When it expires; `None` if never.
        expires: Option<Timestamp>,
        /// The sealed bytes.
        body: Vec<u8>,
    },
    /// Deletes it. Deleting an absent record is not an error.
    Delete,
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Adds a condition without a write.
    #[must_use]
    pub fn check(self, kind: Kind, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        self.with(Step { kind, key: key.into(), expect, then: Then::Keep })
    }

    /// Writes a record if the condition holds. The record expires at `expires`.
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

    /// Deletes the record if the condition holds.
    #[must_use]
    pub fn delete(self, kind: Kind, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        self.with(Step { kind, key: key.into(), expect, then: Then::Delete })
    }

    /// Adds one step.
    #[must_use]
    pub fn with(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Appends all steps of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The change to announce after the commit with this version.
    pub(super) fn change(&self, version: Version) -> Change {
        let written = self.steps.iter().filter(|step| step.then != Then::Keep);
        Change { version, touched: written.map(|step| (step.kind, step.key.clone())).collect() }
    }
}

/// The result of committing a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out and is durable. The written records have this version.
    Committed(Version),
    /// A condition does not hold, because somebody else wrote first. Nothing was written.
    Overtaken,
}
