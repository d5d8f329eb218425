//! A job that two threads may run and that is answered once.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::places::Seat;
use crate::domain::digest::{Digest, Effort};
use crate::domain::password::{Password, PasswordHash};
use crate::identity::{Broken, Verified, Work};

/// A job that has begun.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    /// The caller and their place; `None` once answered.
    waits: Mutex<Option<(Answer, Seat)>>,
}

/// What to compute.
#[derive(Debug)]
pub(super) enum Task {
    Verify { password: Password, stored: Option<PasswordHash>, alike: Vec<Effort> },
    Hash(Password),
    TakeOver(Digest),
}

/// The result.
#[derive(Debug)]
pub(super) enum Done {
    Verified(Result<Verified, Broken>),
    Hashed(Result<PasswordHash, Broken>),
}

#[derive(Debug)]
enum Answer {
    Verified(oneshot::Sender<Result<Verified, Broken>>),
    Hashed(oneshot::Sender<Result<PasswordHash, Broken>>),
}

impl Job {
    pub(super) fn new(work: Work, seat: Seat) -> Self {
        let (task, answer) = match work {
            Work::Verify { password, stored, alike, answer } => {
                (Task::Verify { password, stored, alike }, Answer::Verified(answer))
            }
            Work::Hash { password, answer } => (Task::Hash(password), Answer::Hashed(answer)),
            Work::TakeOver { digest, answer } => (Task::TakeOver(digest), Answer::Hashed(answer)),
        };
        Self { task, waits: Mutex::new(Some((answer, seat))) }
    }

    /// Whether somebody still waits for the result.
    pub(super) fn is_wanted(&self) -> bool {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.as_ref().is_some_and(|(answer, _)| match answer {
            Answer::Verified(answer) => !answer.is_closed(),
            Answer::Hashed(answer) => !answer.is_closed(),
        })
    }

    /// Frees the place and sends the result, unless the other thread was faster. The place is freed
    /// first, so that a caller who tries again at once finds it free.
    pub(super) fn answer(&self, done: Done) {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((answer, seat)) = waits else { return };
        drop(seat);
        // If nobody waits any more, the result is discarded.
        match (answer, done) {
            (Answer::Verified(answer), Done::Verified(verified)) => drop(answer.send(verified)),
            (Answer::Hashed(answer), Done::Hashed(hash)) => drop(answer.send(hash)),
            (Answer::Verified(_), Done::Hashed(_)) | (Answer::Hashed(_), Done::Verified(_)) => {}
        }
    }

    /// Drops the job without a result; the caller gets an error.
    pub(super) fn give_up(&self) {
        drop(self.waits.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
