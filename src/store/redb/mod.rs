//! Records in one redb file.
//!
//! Reads run in the calling task, on a snapshot of the last commit. Writes go to one thread, which
//! carries out all waiting tasks in a single transaction: a durable commit waits for the disk
//! twice, and many tasks can share that. Only one process can have the file open.

mod database;
mod disk;
mod error;
mod health;
mod picture;
mod recovery;
mod tables;
mod writer;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, StorageBackend};
use tokio::sync::broadcast;

pub use self::database::Options;
use self::database::open_database;
use self::disk::OnDisk;
pub use self::error::OpenError;
use self::health::Health;
use self::picture::{Picture, Shared};
use self::tables::{KNOWN_FORMAT, RECORDS, commits_of, format_of, lay_out};
use self::writer::{Task, Writer};
use super::batch::{Batch, Outcome};
use super::record::{Change, Entry, KeyRange, Kind, Record, Version};
use super::records::Records;
use super::state_folder::sync_folder;
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

/// Stores records in a redb file. Dropping it closes the file.
#[derive(Debug)]
pub struct Redb {
    writer: Writer,
    health: Arc<Health>,
}

impl Redb {
    /// Opens the store at `path`. Creates it if it does not exist, accessible only to our system
    /// user.
    ///
    /// A crash leaves a consistent file: commits have two phases and record their allocations
    /// ([`writer`]), so redb can continue from the last one immediately, whatever the size of the
    /// file. Damage by disks or people is found only by verifying every page, which takes seconds
    /// for each gigabyte. So reads start immediately, with every result of redb checked for damage
    /// ([`health`]), but writes start only after the verification. So we never write to a damaged
    /// file.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Self::over_file(file, path, options),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path, options),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the store in `backend`. Creates it if the backend is empty.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn over(backend: impl StorageBackend, options: Options) -> Result<Self, OpenError> {
        Self::over_shared(Shared::new(backend), options)
    }

    fn over_shared(file: Shared, options: Options) -> Result<Self, OpenError> {
        let fresh = file.len()? == 0;
        let health = Arc::new(Health::of(file.clone()));
        let database = open_database(&file, options)?;
        if fresh {
            lay_out(&database).map_err(io::Error::other)?;
        } else {
            // No writes before the file is verified. If it is refused below, even closing it must
            // not write.
            file.guard(true);
        }
        health.use_database(database);
        match health.careful("its file cannot be read", format_of) {
            Ok(Some(KNOWN_FORMAT)) => {
                let commits = health.careful("its file cannot be read", commits_of);
                health.is_committed(commits.map_err(|error| OpenError::Damaged(error.into()))?);
            }
            Ok(Some(found)) => return Err(OpenError::Format { found }),
            Ok(None) => return Err(OpenError::Damaged("it has no format number".into())),
            Err(error) => return Err(OpenError::Damaged(error.into())),
        }
        let called_off = Arc::new(AtomicBool::new(false));
        let unverified =
            (!fresh).then(|| Picture::of(file, Arc::clone(&called_off))).transpose()?;
        let writer = Writer::start(Arc::clone(&health), options, unverified, called_off)?;
        Ok(Self { writer, health })
    }

    fn over_file(file: File, path: &Path, options: Options) -> Result<Self, OpenError> {
        if file.metadata()?.len() == 0 {
            return Err(OpenError::Damaged("the file is empty".into()));
        }
        let on_disk = OnDisk::of(&file, path)?;
        Self::over_shared(Shared::on_disk(FileBackend::new(file)?, on_disk), options)
    }

    fn over_draft(draft: &Path, path: &Path, options: Options) -> Result<Self, OpenError> {
        let file = private_file(draft)?;
        let on_disk = OnDisk::of(&file, path)?;
        Self::over_shared(Shared::on_disk(FileBackend::new(file)?, on_disk), options)
    }

    /// Creates the store under a temporary name first, so that a file with the final name is always
    /// complete.
    fn create(path: &Path, options: Options) -> Result<Self, OpenError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = Path::new(&draft);
        let store = match Self::over_draft(draft, path, options) {
            // Left over from a crash during an earlier first start; it contains no acknowledged
            // data.
            Err(OpenError::Damaged(_)) => {
                fs::remove_file(draft)?;
                Self::over_draft(draft, path, options)?
            }
            store => store?,
        };
        // The holder of the draft's lock decides. If another process finished before we got the
        // lock, this draft is superfluous.
        if path.try_exists()? {
            drop(store);
            fs::remove_file(draft)?;
            return Self::open(path, options);
        }
        fs::rename(draft, path)?;
        if let Some(directory) = path.parent() {
            sync_folder(directory)?;
        }
        Ok(store)
    }

    /// The number of the last commit that is known to be on disk; 0 if there was none.
    pub fn last_commit(&self) -> u64 {
        self.health.last_commit()
    }

    /// Makes the next commit number greater than `commit`.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written.
    pub async fn advance_to(&self, commit: u64) -> Result<(), Unavailable> {
        self.writer.carry_out(Task::Advance(commit)).await.map(drop)
    }

    /// Reads from the database. After a failure the writer is woken to repair the situation.
    fn read<T>(
        &self,
        reading: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Unavailable> {
        let read = self.health.careful("its file cannot be read", reading);
        if read.is_err() {
            self.writer.wake();
        }
        read
    }
}

fn read_one(database: &Database, kind: Kind, key: &[u8]) -> Result<Option<Record>, redb::Error> {
    let table = database.begin_read()?.open_table(RECORDS)?;
    Ok(table.get((kind.tag(), key))?.map(|found| record(found.value())))
}

fn read_range(
    database: &Database,
    kind: Kind,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Entry>, redb::Error> {
    let tag = kind.tag();
    let from = match &range.from {
        Bound::Unbounded => Bound::Included((tag, [].as_slice())),
        bound => bound.as_ref().map(|key| (tag, key.as_slice())),
    };
    let to = match &range.to {
        Bound::Unbounded => Bound::Excluded((tag + 1, [].as_slice())),
        bound => bound.as_ref().map(|key| (tag, key.as_slice())),
    };
    let table = database.begin_read()?.open_table(RECORDS)?;
    let mut entries = Vec::new();
    for found in table.range::<(u8, &[u8])>((from, to))?.take(limit) {
        let (key, value) = found?;
        entries.push(Entry { key: key.value().1.to_vec(), record: record(value.value()) });
    }
    Ok(entries)
}

#[async_trait]
impl Records for Redb {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        self.read(|database| read_one(database, kind, key))
    }

    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|database| read_range(database, kind, &range, limit))
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable> {
        let change = self.writer.carry_out(Task::Commit(batch)).await?;
        Ok(change.map_or(Outcome::Overtaken, |change| Outcome::Committed(change.version)))
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.health.watch()
    }

    async fn count(&self) -> Result<u64, Unavailable> {
        self.read(|database| Ok(database.begin_read()?.open_table(RECORDS)?.len()?))
    }

    fn writable(&self) -> Result<(), Unavailable> {
        self.health.trouble().map_or(Ok(()), Err)
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let change = self.writer.carry_out(Task::Sweep(now)).await?;
        Ok(change.map_or(0, |change| change.touched.len()))
    }
}

fn record((version, expires, body): (u64, Option<u64>, &[u8])) -> Record {
    Record {
        version: Version::of_commit(version),
        expires: expires.map(Timestamp::from_millis),
        body: body.to_vec(),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
