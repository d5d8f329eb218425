//! Whether the file can be believed, and what follows where it cannot.
//!
//! redb answers damage that it does not expect with a panic, and believes pages that it has not
//! verified. So every call of it goes through [`Health::careful`], and the first sign of damage is
//! the last thing that the store says: from then on it is unavailable, and whoever keeps a copy of
//! what it held is told that nobody speaks any more.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{DatabaseError, Error};
use tokio::sync::broadcast;

use super::picture::Shared;
use super::tells_of_damage;
use crate::store::records::{CHANGES_KEPT, Change, Unavailable};

type Sender = broadcast::Sender<Arc<Change>>;

/// What is known of the file, and who is told of changes to it.
#[derive(Debug)]
pub(super) struct Health {
    file: Shared,
    changes: Mutex<Option<Sender>>,
    damage: OnceLock<Unavailable>,
}

impl Health {
    pub(super) fn of(file: Shared) -> Self {
        let changes = Mutex::new(Some(Sender::new(CHANGES_KEPT)));
        Self { file, changes, damage: OnceLock::new() }
    }

    /// Does something with the file, unless it is known to be damaged; finds out if it is.
    pub(super) fn careful<T>(
        &self,
        what: &'static str,
        deed: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Unavailable> {
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        match unpanicked(deed) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_damage(&error) => Err(self.is_damaged(error)),
            Ok(Err(error)) => Err(Unavailable::because(what, error)),
            Err(panicked) => Err(self.is_damaged(panicked)),
        }
    }

    /// From now on nothing is read or written, and nobody is told of anything.
    pub(super) fn is_damaged(
        &self,
        why: impl std::error::Error + Send + Sync + 'static,
    ) -> Unavailable {
        let damage = self.damage.get_or_init(|| {
            let damage = Unavailable::damaged(why);
            let error = &damage as &dyn std::error::Error;
            tracing::error!(
                error,
                "nothing in the store is believed any more: stop doorward and restore the store \
                 from a backup"
            );
            damage
        });
        let mut changes = self.changes();
        *changes = None;
        self.file.guard(true);
        damage.clone()
    }

    /// From now on the file may be written to.
    pub(super) fn is_verified(&self) {
        let _changes = self.changes();
        // Whoever read it meanwhile may have come upon damage.
        if self.damage.get().is_none() {
            self.file.guard(false);
            tracing::info!("the store was read from end to end: it is whole");
        }
    }

    /// Tells of a change.
    pub(super) fn announce(&self, change: &Arc<Change>) {
        if let Some(changes) = &*self.changes() {
            let _ = changes.send(Arc::clone(change));
        }
    }

    /// Hears of every change from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        match &*self.changes() {
            Some(changes) => changes.subscribe(),
            // Its sender is gone already: whoever listens keeps nothing.
            None => Sender::new(1).subscribe(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, Option<Sender>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupted(_) => true,
        Error::Io(error) => tells_of_damage(error),
        _ => false,
    }
}

/// Opens the database, or says what is wrong with its file, even if that is found by a panic.
pub(super) fn opened<T>(
    open: impl FnOnce() -> Result<T, DatabaseError>,
) -> Result<T, super::OpenError> {
    match unpanicked(open) {
        Ok(opened) => Ok(opened?),
        Err(panicked) => Err(super::OpenError::Damaged(panicked.into())),
    }
}

/// redb met what it had thought impossible.
#[derive(Debug, thiserror::Error)]
#[error("its pages contradict each other: {0}")]
struct Panicked(String);

/// What is behind a panic may be in any state: whoever catches one asks it nothing more.
fn unpanicked<T>(deed: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(deed)).map_err(|panic| Panicked(words_of(&*panic)))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn nothing_is_written_once_damage_was_met_although_every_page_is_verified() {
        let file = Shared::new(InMemoryBackend::new());
        file.set_len(9).unwrap();
        let health = Health::of(file.clone());
        assert!(
            health.careful("", || -> Result<(), Error> { panic!("a page of no kind") }).is_err()
        );
        health.is_verified();
        assert!(file.write(0, &[7]).is_err());
        assert!(health.careful("", || Ok(())).unwrap_err().is_damage());
    }
}
