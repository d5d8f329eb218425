//! The rotation of a key that is under way, and how far it is.

use std::collections::VecDeque;
use std::sync::PoisonError;

use tokio::sync::{Mutex, Notify};

use crate::store::keys::Purpose;
use crate::store::record::{KeyRange, Kind};

/// How far the work of a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationProgress {
    /// The keys that were rotated.
    pub purpose: Purpose,
    /// How many records were looked at.
    pub done: u64,
    /// How many records there were when it began.
    pub all: u64,
    /// How many records cannot be read, so that the old key is kept.
    pub unreadable: u64,
}

/// The rotation that is under way.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// Held while a part of it is done.
    pub(super) work: Mutex<Option<Work>>,
    /// How far it is, for those who do not want to wait for the part.
    progress: std::sync::Mutex<Option<RotationProgress>>,
    pub(super) due: Notify,
}

/// One walk over the records that may rest on an older key. The walk in which none does any more is
/// the last.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) ranges: VecDeque<(Kind, KeyRange)>,
    pub(super) moved: u64,
    pub(super) progress: RotationProgress,
}

impl Rotation {
    pub(super) fn progress(&self) -> Option<RotationProgress> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, progress: Option<RotationProgress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}
