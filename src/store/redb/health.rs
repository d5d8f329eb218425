//! Whether the file can be believed and used, and what follows where it cannot.
//!
//! redb answers damage that it does not expect with a panic, and believes pages that it has not
//! verified. So every call of it goes through [`Health::careful`], and the first sign of damage is
//! the last thing that the store says: from then on it is unavailable, and whoever keeps a copy of
//! what it held is told that nobody speaks any more.
//!
//! A failed read or write (a full disk, a quota, a bad sector) is no damage. redb refuses every
//! call after one, so the store is in *trouble* until the writer has opened the file again and has
//! written to it ([`recovery`](super::recovery)).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard, RwLock};
use redb::{Database, Error};
use tokio::sync::broadcast;

use super::error::{tells_of_damage, unpanicked};
use super::picture::Shared;
use crate::store::record::{CHANGES_KEPT, Change};
use crate::store::unavailable::Unavailable;

type Sender = broadcast::Sender<Arc<Change>>;

/// The database, what is known of its file, and who is told of changes to it.
#[derive(Debug)]
pub(super) struct Health {
    file: Shared,
    /// `None` while the file is opened again. Whoever does something with it holds the lock.
    database: RwLock<Option<Database>>,
    changes: Mutex<Option<Sender>>,
    damage: OnceLock<Unavailable>,
    trouble: Mutex<Option<Unavailable>>,
    /// Whether an operation has failed since the database was opened, so that it refuses all others.
    broken: AtomicBool,
    /// The number of the last commit that is known to be on disk.
    last_commit: AtomicU64,
}

impl Health {
    pub(super) fn of(file: Shared) -> Self {
        Self {
            file,
            database: RwLock::new(None),
            changes: Mutex::new(Some(Sender::new(CHANGES_KEPT))),
            damage: OnceLock::new(),
            trouble: Mutex::new(None),
            broken: AtomicBool::new(false),
            last_commit: AtomicU64::new(0),
        }
    }

    /// The file under the database.
    pub(super) fn file(&self) -> &Shared {
        &self.file
    }

    /// Takes `database` into use.
    pub(super) fn use_database(&self, database: Database) {
        self.broken.store(false, Ordering::SeqCst);
        *self.database.write() = Some(database);
    }

    /// Closes the database, once nobody reads it any more. The file stays locked for this process.
    pub(super) fn close_database(&self) {
        let database = self.database.write().take();
        self.file.keep_locked(true);
        self.file.guard(true);
        // Whatever it says: its file is opened again before anything is written to it.
        unpanicked(|| drop(database)).ok();
    }

    /// Whether the database refuses everything since an operation has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst) || self.database.read().is_none()
    }

    /// Does something with the database, unless it is known to be damaged; finds out if it is.
    pub(super) fn careful<T>(
        &self,
        what: &'static str,
        deed: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, Unavailable> {
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        let database = self.database.read();
        let Some(open) = &*database else {
            return Err(self.trouble().unwrap_or(OPENED_AGAIN));
        };
        let done = unpanicked(|| deed(open));
        drop(database);
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_damage(&error) => Err(self.is_damaged(error)),
            Ok(Err(error)) if is_failure(&error) => {
                Err(self.has_failed(Unavailable::because(what, error)))
            }
            Ok(Err(error)) => Err(Unavailable::because(what, error)),
            // Behind a failed operation redb may meet what it had thought impossible.
            Err(panicked) if self.trouble().is_some() => {
                Err(self.has_failed(Unavailable::because(what, panicked)))
            }
            Err(panicked) => Err(self.is_damaged(panicked)),
        }
    }

    /// Why the store cannot be read or written for now, if it cannot.
    pub(super) fn trouble(&self) -> Option<Unavailable> {
        self.damage.get().cloned().or_else(|| self.trouble.lock().clone())
    }

    /// The number of the last commit that is known to be on disk, 0 if there was none.
    pub(super) fn last_commit(&self) -> u64 {
        self.last_commit.load(Ordering::SeqCst)
    }

    /// A commit is on disk.
    pub(super) fn is_committed(&self, number: u64) {
        self.last_commit.fetch_max(number, Ordering::SeqCst);
    }

    /// Whether it is known to be damaged.
    pub(super) fn is_known_to_be_damaged(&self) -> bool {
        self.damage.get().is_some()
    }

    /// Notes that an operation has failed: the first one says why the store is in trouble.
    pub(super) fn has_failed(&self, why: Unavailable) -> Unavailable {
        self.broken.store(true, Ordering::SeqCst);
        self.trouble
            .lock()
            .get_or_insert_with(|| {
                let error = &why as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the store cannot be used: nobody can sign in until it can be written again, \
                     which is tried every few seconds"
                );
                why
            })
            .clone()
    }

    /// The store was written to again.
    pub(super) fn has_recovered(&self) {
        if self.trouble.lock().take().is_some() {
            tracing::info!("the store is written to again; nothing that was acknowledged is lost");
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
        self.changes.lock()
    }
}

const OPENED_AGAIN: Unavailable = Unavailable::new("its file is being opened again");

/// Whether the system refused an operation, so that redb refuses all that follow.
fn is_failure(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_) | Error::PreviousIo | Error::DatabaseClosed | Error::TransactionPoisoned
    )
}

fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupted(_) => true,
        Error::Io(error) => tells_of_damage(error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn nothing_is_written_once_damage_was_met_although_every_page_is_verified() {
        let file = Shared::new(InMemoryBackend::new());
        let health = Health::of(file.clone());
        health.use_database(Database::builder().create_with_backend(file.clone()).unwrap());
        assert!(
            health.careful("", |_| -> Result<(), Error> { panic!("a page of no kind") }).is_err()
        );
        health.is_verified();
        assert!(file.write(0, &[7]).is_err());
        assert!(health.careful("", |_| Ok(())).unwrap_err().is_damage());
    }
}
