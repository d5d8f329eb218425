//! How far the store has come, noted outside of it: an older one that is put back shows itself.
//!
//! ```text
//! doorward store mark 1
//! commit 12345
//! at 1800000000
//! ```
//!
//! Codes, links and sessions are used up by a commit of the store, so a store from before that
//! commit would revive them. The note lies beside the keys. It is written after the commits that it
//! counts are on disk, never before, so no crash makes a store look old. Who puts back the whole
//! folder puts back the note, too: that is not noticed.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::directory::{StateDirectory, StateError};
use super::redb::Redb;
use crate::domain::time::Timestamp;

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of a commit that was on disk.
    pub commit: u64,
    /// When that was noted.
    pub at: Timestamp,
}

impl Mark {
    /// The note in `state`, if there is one.
    ///
    /// # Errors
    /// [`StateError::MarkUnreadable`] if it is not what we write, and those of a private file.
    pub fn read(state: &StateDirectory) -> Result<Option<Self>, StateError> {
        let path = file(state);
        let Some(file) = state.open_private(&path)? else { return Ok(None) };
        let mut text = String::new();
        if file.take(LONGEST).read_to_string(&mut text).is_err() {
            return Err(StateError::MarkUnreadable { path });
        }
        Self::parse(&text).map(Some).ok_or(StateError::MarkUnreadable { path })
    }

    fn write(self, state: &StateDirectory) -> std::io::Result<()> {
        let _lock = state.lock()?;
        state.write_private(&file(state), self.text().as_bytes())
    }

    fn text(self) -> String {
        format!("{TITLE}\ncommit {}\nat {}\n", self.commit, self.at.seconds())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let title = lines.next()? == TITLE;
        let commit = lines.next()?.strip_prefix("commit ")?.parse().ok()?;
        let at = Timestamp::from_secs(lines.next()?.strip_prefix("at ")?.parse().ok()?);
        (title && lines.next().is_none()).then_some(Self { commit, at })
    }
}

const TITLE: &str = "doorward store mark 1";
const LONGEST: u64 = 200;

fn file(state: &StateDirectory) -> PathBuf {
    state.path().join(NAME)
}

const NAME: &str = "store.mark";

/// Notes how far the store of one folder has come, and once more when it is dropped.
#[derive(Debug)]
pub struct Progress {
    records: Arc<Redb>,
    state: StateDirectory,
    clock: fn() -> Timestamp,
    noted: AtomicU64,
}

impl Progress {
    /// Of `records` in `state`, whose lock this process has. Nothing is noted before the
    /// [`Progress::mark`] of before was looked at.
    pub fn of(records: Arc<Redb>, state: StateDirectory, clock: fn() -> Timestamp) -> Self {
        Self { records, state, clock, noted: AtomicU64::new(u64::MAX) }
    }

    /// What an earlier run has noted.
    ///
    /// # Errors
    /// As [`Mark::read`].
    pub fn mark(&self) -> Result<Option<Mark>, StateError> {
        let mark = Mark::read(&self.state)?;
        self.noted.store(mark.map_or(0, |mark| mark.commit), Ordering::SeqCst);
        Ok(mark)
    }

    /// How far the store has come: the last commit that is on disk, 0 if there was none.
    pub fn commit(&self) -> u64 {
        self.records.last_commit()
    }

    /// Counts commits on behind `commit`, so that no store from before counts as newer.
    ///
    /// # Errors
    /// [`Unavailable`](super::Unavailable) if the store cannot be written.
    pub async fn advance_to(&self, commit: u64) -> Result<(), super::Unavailable> {
        self.records.advance_to(commit).await
    }

    /// Notes how far the store has come, where it has come further than noted before: never for a
    /// store that was refused.
    pub fn note(&self) {
        let commit = self.commit();
        if commit <= self.noted.load(Ordering::SeqCst) {
            return;
        }
        match (Mark { commit, at: (self.clock)() }).write(&self.state) {
            Ok(()) => self.noted.store(commit, Ordering::SeqCst),
            Err(error) => {
                tracing::warn!(%error, file = NAME, "how far the store has come was not noted");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = Mark { commit: 12_345, at: Timestamp::from_secs(1_800_000_000) };
        let text = mark.text();
        assert_eq!(Mark::parse(&text), Some(mark));
        for end in 0..text.len() {
            assert_eq!(Mark::parse(&text[..end]), None, "cut off at {end}");
        }
        assert_eq!(Mark::parse(&format!("{text}more\n")), None);
        assert_eq!(Mark::parse(&text.replace("commit 1", "commit -1")), None);
    }
}
