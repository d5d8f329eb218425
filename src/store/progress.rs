//! The mark file: the number of the store's last commit, stored outside of the store.
//!
//! ```text
//! doorward store mark 1
//! commit 12345
//! at 1800000000
//! ```
//!
//! It detects that somebody restored an older store. Used codes, links and ended sessions would be
//! valid again in it. The file is next to the keys file. It is written only after the commits that
//! it counts are on disk, so a crash never makes a store look old. Restoring the whole folder also
//! restores the mark, so that is not detected.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::redb::Redb;
use super::state_folder::{StateError, StateFolder};
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

/// The content of the mark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of a commit that is on disk.
    pub commit: u64,
    /// When the mark was written.
    pub at: Timestamp,
}

impl Mark {
    /// Reads the mark in `state`, if there is one.
    ///
    /// # Errors
    /// [`StateError::MarkUnreadable`] if it is malformed, and the errors of opening a private file.
    pub fn read(state: &StateFolder) -> Result<Option<Self>, StateError> {
        let path = file(state);
        let Some(file) = state.open_private(&path)? else { return Ok(None) };
        let mut text = String::new();
        if file.take(LONGEST).read_to_string(&mut text).is_err() {
            return Err(StateError::MarkUnreadable { path });
        }
        Self::parse(&text).map(Some).ok_or(StateError::MarkUnreadable { path })
    }

    fn write(self, state: &StateFolder) -> std::io::Result<()> {
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

fn file(state: &StateFolder) -> PathBuf {
    state.path().join(NAME)
}

const NAME: &str = "store.mark";

/// Updates the mark of one store, and once more when it is dropped.
#[derive(Debug)]
pub struct Progress {
    records: Arc<Redb>,
    state: StateFolder,
    clock: fn() -> Timestamp,
    noted: AtomicU64,
}

impl Progress {
    /// For `records` in `state`, whose lock this process holds. Nothing is written before
    /// [`Progress::mark`] was called.
    pub fn of(records: Arc<Redb>, state: StateFolder, clock: fn() -> Timestamp) -> Self {
        Self { records, state, clock, noted: AtomicU64::new(u64::MAX) }
    }

    /// The mark of an earlier run.
    ///
    /// # Errors
    /// Like [`Mark::read`].
    pub fn mark(&self) -> Result<Option<Mark>, StateError> {
        let mark = Mark::read(&self.state)?;
        self.noted.store(mark.map_or(0, |mark| mark.commit), Ordering::SeqCst);
        Ok(mark)
    }

    /// The number of the last commit that is on disk; 0 if there was none.
    pub fn commit(&self) -> u64 {
        self.records.last_commit()
    }

    /// Continues counting commits above `commit`, so that no earlier store counts as newer.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written.
    pub async fn advance_to(&self, commit: u64) -> Result<(), Unavailable> {
        self.records.advance_to(commit).await
    }

    /// Updates the mark if there were commits since the last update. Never writes the mark of a
    /// store that was refused.
    pub fn note(&self) {
        let commit = self.commit();
        if commit <= self.noted.load(Ordering::SeqCst) {
            return;
        }
        match (Mark { commit, at: (self.clock)() }).write(&self.state) {
            Ok(()) => self.noted.store(commit, Ordering::SeqCst),
            Err(error) => {
                tracing::warn!(%error, file = NAME, "cannot write the store mark");
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
