//! Records in one redb file.
//!
//! Reads are answered inline, from a snapshot of the last commit. Writes go to one thread, which
//! carries out everything that waits in a single transaction: a durable commit costs two waits
//! for the disk, and many can share them. The file belongs to one process at a time.

mod disk;
mod health;
mod picture;
mod recovery;
mod writer;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, RepairSession, StorageBackend, StorageError,
    TableDefinition,
};
use tokio::sync::broadcast;

use self::disk::OnDisk;
use self::health::{Health, opened};
use self::picture::{Picture, Shared};
use self::writer::{Task, Writer};
use super::batch::{Batch, Outcome};
use super::directory::sync_directory;
use super::records::{Change, Entry, KeyRange, Kind, Record, Records, Unavailable, Version};
use crate::domain::time::Timestamp;

/// The tag of a kind, and a key.
type Place = (u8, &'static [u8]);
/// Version, expiry in milliseconds, body.
type Stored = (u64, Option<u64>, &'static [u8]);
/// Expiry in milliseconds, and whose it is.
type Due = (u64, u8, &'static [u8]);

const RECORDS: TableDefinition<Place, Stored> = TableDefinition::new("records");
/// Every record that expires, in the order in which they do.
const EXPIRIES: TableDefinition<Due, ()> = TableDefinition::new("expiries");
/// What the store knows about itself: [`FORMAT`] and [`COMMITS`].
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("facts");
/// How the tables are to be read.
const FORMAT: &str = "format";
/// The number of the last commit.
const COMMITS: &str = "commits";

const KNOWN_FORMAT: u64 = 1;

/// Keeps records in a redb file. Dropping it closes the file.
#[derive(Debug)]
pub struct Redb {
    writer: Writer,
    health: Arc<Health>,
}

/// How a file is kept open.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much of the file is kept in memory at most, in bytes.
    pub cache: usize,
    /// How long to wait at least until a file that could not be written is tried again; the wait
    /// doubles up to sixteen times as long.
    pub pause: Duration,
}

impl Default for Options {
    /// 16 MiB: the inner pages of a million records. The rest the system keeps for us as it sees fit.
    fn default() -> Self {
        Self { cache: 16 << 20, pause: Duration::from_millis(250) }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A process has it open, perhaps this one.
    #[error("the store is open already; a store belongs to one running doorward at a time")]
    Locked,
    /// It is no store, or what holds it together is broken.
    #[error("the store is damaged, or no store of doorward's; restore it from a backup")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was written by a version of doorward that this one does not know.
    #[error("the store has format {found}; this doorward reads format {KNOWN_FORMAT}")]
    Format {
        /// The format it has.
        found: u64,
    },
    /// The system did not let us.
    #[error("the store cannot be opened")]
    Io(#[from] io::Error),
}

impl Redb {
    /// Opens the store at `path`, or creates it there, readable by this system user only.
    ///
    /// What a crash leaves is whole: commits have two phases and note what they allocate ([`writer`]),
    /// so redb takes up the last of them at once, however long the file is. What disks and people do
    /// to a file shows only when every page is verified, which takes seconds for each gigabyte. So
    /// the store is read at once, every answer of redb taken with care ([`health`]), and written to
    /// only once it is verified: damage is never built upon.
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

    /// Opens the store that `backend` holds, or creates it there if it holds nothing at all.
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
            writer::lay_out(&database)?;
        } else {
            // Until it is verified; if it is refused below, not even its closing writes to it.
            file.guard(true);
        }
        health.use_database(database);
        match health.careful("its file cannot be read", format_of) {
            Ok(Some(KNOWN_FORMAT)) => {
                let commits = health.careful("its file cannot be read", commits_of);
                health.is_committed(commits.map_err(|error| OpenError::Damaged(error.into()))?);
            }
            Ok(Some(found)) => return Err(OpenError::Format { found }),
            Ok(None) => return Err(OpenError::Damaged("it names no format".into())),
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

    /// Makes the store under another name first, so that what bears its name is always whole.
    fn create(path: &Path, options: Options) -> Result<Self, OpenError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = Path::new(&draft);
        let store = match Self::over_draft(draft, path, options) {
            // Left by a crash on an earlier first start; nothing in it was promised to anybody.
            Err(OpenError::Damaged(_)) => {
                fs::remove_file(draft)?;
                Self::over_draft(draft, path, options)?
            }
            store => store?,
        };
        // Whoever holds the draft's lock decides. If another process was done before we had the
        // lock, this draft is a second one.
        if path.try_exists()? {
            drop(store);
            fs::remove_file(draft)?;
            return Self::open(path, options);
        }
        fs::rename(draft, path)?;
        if let Some(directory) = path.parent() {
            sync_directory(directory)?;
        }
        Ok(store)
    }

    /// The number of the last commit that is known to be on disk, 0 if there was none.
    pub fn last_commit(&self) -> u64 {
        self.health.last_commit()
    }

    /// Counts on behind `commit`: the next commit has a number above it.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be written.
    pub async fn advance_to(&self, commit: u64) -> Result<(), Unavailable> {
        self.writer.carry_out(Task::Advance(commit)).await.map(drop)
    }

    /// Reads from the database. What fails is put right by the writer.
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

/// Opens the database in `file`, or creates it there if it holds nothing at all.
fn open_database(file: &Shared, options: Options) -> Result<Database, OpenError> {
    opened(|| {
        Database::builder()
            .set_cache_size(options.cache)
            // No crash makes that necessary (see above). Where damage does, redb would go back to
            // the commit before, and write to what nobody has verified.
            .set_repair_callback(RepairSession::abort)
            .create_with_backend(file.clone())
    })
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

fn commits_of(database: &Database) -> Result<u64, redb::Error> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    Ok(facts.get(COMMITS)?.map_or(0, |found| found.value()))
}

fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    Ok(facts.get(FORMAT)?.map(|found| found.value()))
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::Locked
            }
            DatabaseError::Storage(StorageError::Io(error)) if !tells_of_damage(&error) => {
                Self::Io(error)
            }
            DatabaseError::Storage(StorageError::PreviousIo) => {
                Self::Io(io::Error::other("an earlier operation of the file has failed"))
            }
            error => Self::Damaged(error.into()),
        }
    }
}

/// The file could be read, and was not what it should be.
fn tells_of_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
