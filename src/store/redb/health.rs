//! Whether the database file is usable, and what happens if it is not.
//!
//! redb panics on some kinds of damage and trusts pages that it has not verified. So every call
//! goes through [`Health::careful`], and the first sign of damage stops the store: from then on it
//! is unavailable, and the change channel is closed, so that caches drop everything.
//!
//! A failed read or write (a full disk, a quota, a bad sector) is not damage. redb refuses all
//! calls after one, so the store is in *trouble* until the writer has reopened the file and written
//! to it ([`recovery`](super::recovery)).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard, RwLock};
use redb::{Database, Error};
use tokio::sync::broadcast;

use super::error::{tells_of_damage, unpanicked};
use super::picture::Shared;
use crate::store::record::{CHANGES_KEPT, Change};
use crate::unavailable::{Kind, Unavailable};

type Sender = broadcast::Sender<Arc<Change>>;

/// The database, the state of its file, and the channel for changes.
#[derive(Debug)]
pub(super) struct Health {
    file: Shared,
    /// `None` while the file is being reopened. Every operation holds the read lock.
    database: RwLock<Option<Database>>,
    changes: Mutex<Option<Sender>>,
    damage: OnceLock<Unavailable>,
    trouble: Mutex<Option<Unavailable>>,
    /// Whether an operation has failed since the database was opened, so that redb refuses all
    /// others.
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

    /// The database file.
    pub(super) fn file(&self) -> &Shared {
        &self.file
    }

    /// Starts using `database`.
    pub(super) fn use_database(&self, database: Database) {
        self.broken.store(false, Ordering::SeqCst);
        *self.database.write() = Some(database);
    }

    /// Closes the database once nobody reads it any more. The file stays locked for this process.
    pub(super) fn close_database(&self) {
        let database = self.database.write().take();
        self.file.keep_locked(true);
        self.file.guard(true);
        // Errors do not matter here: the file is reopened before anything is written to it.
        unpanicked(|| drop(database)).ok();
    }

    /// Whether the database refuses all calls because an operation has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst) || self.database.read().is_none()
    }

    /// Runs an operation on the database, unless it is known to be damaged. Detects damage.
    pub(super) fn careful<T>(
        &self,
        what: &'static str,
        operation: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, Unavailable> {
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        let database = self.database.read();
        let Some(open) = &*database else {
            return Err(self.trouble().unwrap_or(OPENED_AGAIN));
        };
        let done = unpanicked(|| operation(open));
        drop(database);
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_damage(&error) => Err(self.is_damaged(error)),
            Ok(Err(error)) if is_failure(&error) => {
                Err(self.has_failed(Unavailable::store(what).because(error)))
            }
            Ok(Err(error)) => Err(Unavailable::store(what).because(error)),
            // After a failed operation redb may panic even if the file is not damaged.
            Err(panicked) if self.trouble().is_some() => {
                Err(self.has_failed(Unavailable::store(what).because(panicked)))
            }
            Err(panicked) => Err(self.is_damaged(panicked)),
        }
    }

    /// Why the store cannot be read or written at present; `None` if it can.
    pub(super) fn trouble(&self) -> Option<Unavailable> {
        self.damage.get().cloned().or_else(|| self.trouble.lock().clone())
    }

    /// The number of the last commit that is known to be on disk; 0 if there was none.
    pub(super) fn last_commit(&self) -> u64 {
        self.last_commit.load(Ordering::SeqCst)
    }

    /// Records that a commit is on disk.
    pub(super) fn is_committed(&self, number: u64) {
        self.last_commit.fetch_max(number, Ordering::SeqCst);
    }

    /// Whether it is known to be damaged.
    pub(super) fn is_known_to_be_damaged(&self) -> bool {
        self.damage.get().is_some()
    }

    /// Records that an operation has failed. The first failure is kept as the reason for the
    /// trouble.
    pub(super) fn has_failed(&self, why: Unavailable) -> Unavailable {
        self.broken.store(true, Ordering::SeqCst);
        self.trouble
            .lock()
            .get_or_insert_with(|| {
                let error = &why as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the store is unavailable: nobody can sign in until it can be written again; \
                     retrying every few seconds"
                );
                why
            })
            .clone()
    }

    /// Records that the store was written successfully again.
    pub(super) fn has_recovered(&self) {
        if self.trouble.lock().take().is_some() {
            tracing::info!("the store can be written again; no acknowledged write was lost");
        }
    }

    /// Records damage: from now on nothing is read, written or announced.
    pub(super) fn is_damaged(
        &self,
        why: impl std::error::Error + Send + Sync + 'static,
    ) -> Unavailable {
        let damage = self.damage.get_or_init(|| {
            let damage =
                Unavailable::new(Kind::Damage, "it is no longer read or written").because(why);
            let error = &damage as &dyn std::error::Error;
            tracing::error!(
                error,
                "the store is damaged and no longer used: stop doorward and restore the store from \
                 a backup"
            );
            damage
        });
        let mut changes = self.changes();
        *changes = None;
        self.file.guard(true);
        damage.clone()
    }

    /// Records that the file was verified: it may be written from now on.
    pub(super) fn is_verified(&self) {
        let _changes = self.changes();
        // A reader may have found damage meanwhile.
        if self.damage.get().is_none() {
            self.file.guard(false);
            tracing::info!("store integrity check passed");
        }
    }

    /// Announces a change.
    pub(super) fn announce(&self, change: &Arc<Change>) {
        if let Some(changes) = &*self.changes() {
            let _ = changes.send(Arc::clone(change));
        }
    }

    /// Subscribes to changes.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        match &*self.changes() {
            Some(changes) => changes.subscribe(),
            // The sender is dropped at once, so the receiver sees a closed channel and its cache
            // stays empty.
            None => Sender::new(1).subscribe(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, Option<Sender>> {
        self.changes.lock()
    }
}

const OPENED_AGAIN: Unavailable = Unavailable::store("its file is being reopened");

/// Whether a system call failed, so that redb refuses all further operations.
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
