//! What the redb file promises: it comes back, it is ours alone, and damage is called damage.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use doorward::domain::time::Timestamp;
use doorward::store::record::{Entry, KeyRange};
use doorward::store::redb::{OpenError, Options, Redb};
use doorward::store::{Batch, Expect, Kind, Outcome, Records};
use doorward::unavailable::Unavailable;
use futures_util::future::poll_immediate;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition};
use tempfile::TempDir;
use tokio::sync::broadcast::error::TryRecvError;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("store.redb")
    }

    fn open(&self) -> Result<Redb, OpenError> {
        Redb::open(&self.file(), Options { cache: 1 << 20, ..Options::default() })
    }

    fn changes(&self, offset: usize, byte: u8) {
        let file = OpenOptions::new().write(true).open(self.file()).unwrap();
        file.write_all_at(&[byte], offset as u64).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Waits for the turn of a write that changes nothing.
async fn is_verified(store: &Redb) -> Result<(), Unavailable> {
    store.sweep(Timestamp::from_secs(0)).await.map(drop)
}

async fn writes(store: &Redb, key: &str, body: &str) -> Outcome {
    store.commit(Batch::new().put(Kind::User, key, Expect::Any, None, body)).await.unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_versions_go_on() {
    let home = Home::new();
    let store = home.open().unwrap();
    let first = writes(&store, "ada", "engines").await;
    drop(store);

    let store = home.open().unwrap();
    assert_eq!(store.get(Kind::User, b"ada").await.unwrap().unwrap().body, b"engines");
    assert_ne!(writes(&store, "bob", "").await, first);
}

#[tokio::test]
async fn the_file_is_ours_alone_and_lies_alone() {
    let home = Home::new();
    let store = home.open().unwrap();
    writes(&store, "ada", "engines").await;
    assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.files(), ["store.redb"]);
}

#[tokio::test]
async fn whoever_opens_a_store_that_is_open_is_told_so_and_harms_nothing() {
    let home = Home::new();
    let store = home.open().unwrap();
    writes(&store, "ada", "engines").await;
    assert!(matches!(home.open().unwrap_err(), OpenError::Locked));
    writes(&store, "bob", "tables").await;
    drop(store);
    let store = home.open().unwrap();
    assert_eq!(store.scan(Kind::User, KeyRange::all(), 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn dropping_the_store_frees_its_file_although_somebody_still_watches() {
    let home = Home::new();
    let store: Arc<dyn Records> = Arc::new(home.open().unwrap());
    let _watching = store.watch();
    drop(store);
    assert!(home.open().is_ok());
}

#[tokio::test]
async fn what_a_crash_left_of_a_first_start_does_no_harm() {
    for left in [b"".as_slice(), b"half a header", &[0; 9000]] {
        let home = Home::new();
        fs::write(home.0.path().join("store.redb.new"), left).unwrap();
        let store = home.open().unwrap();
        writes(&store, "ada", "engines").await;
        assert_eq!(home.files(), ["store.redb"]);
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    for content in [b"".as_slice(), b"hello", &[0; 9000], &[0xff; 9000]] {
        let home = Home::new();
        fs::write(home.file(), content).unwrap();
        let refused = home.open().unwrap_err();
        assert!(matches!(refused, OpenError::Damaged(_)), "{refused:?}");
        assert_eq!(fs::read(home.file()).unwrap(), content);
    }
}

#[test]
fn a_store_of_a_later_format_is_refused_with_both_numbers() {
    let home = Home::new();
    drop(home.open().unwrap());
    let database = Database::open(home.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let facts = TableDefinition::<&str, u64>::new("facts");
    transaction.open_table(facts).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(home.file()).unwrap();
    assert_eq!(
        home.open().unwrap_err().to_string(),
        "the store has format 2; this version of doorward reads format 1"
    );
    assert!(pages(&fs::read(home.file()).unwrap()) == pages(&before), "it is left as it was");
}

/// All of a file but its first page, in which redb notes that somebody has opened it.
fn pages(file: &[u8]) -> &[u8] {
    &file[4096..]
}

#[test]
fn a_redb_file_of_somebody_else_is_refused() {
    let home = Home::new();
    drop(Database::create(home.file()).unwrap());
    assert!(matches!(home.open().unwrap_err(), OpenError::Damaged(_)));
}

/// A file of many pages, and what the store held.
async fn fifty_users(home: &Home) -> Vec<Entry> {
    let store = home.open().unwrap();
    for number in 0..50 {
        writes(&store, &format!("user {number}"), &"x".repeat(3000)).await;
    }
    store.scan(Kind::User, KeyRange::all(), 100).await.unwrap()
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let home = Home::new();
    fifty_users(&home).await;
    let whole = fs::read(home.file()).unwrap();
    for part in 1..8 {
        fs::write(home.file(), &whole[..whole.len() * part / 8]).unwrap();
        let refused = home.open().unwrap_err();
        assert!(matches!(refused, OpenError::Damaged(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_noticed_or_changes_nothing() {
    let home = Home::new();
    let before = fifty_users(&home).await;
    let whole = fs::read(home.file()).unwrap();
    let mut rng = StdRng::seed_from_u64(8);
    let mut noticed = 0;
    for _ in 0..100 {
        fs::write(home.file(), &whole).unwrap();
        let offset = rng.random_range(0..whole.len());
        home.changes(offset, whole[offset] ^ 1 << rng.random_range(0..8));
        let store = match home.open() {
            Err(OpenError::Damaged(_)) => {
                noticed += 1;
                continue;
            }
            opened => opened.unwrap(),
        };
        match is_verified(&store).await {
            Ok(()) => {
                let after = store.scan(Kind::User, KeyRange::all(), 100).await.unwrap();
                assert_eq!(after, before, "at {offset}");
            }
            Err(damage) => {
                assert!(damage.is_damage(), "{damage:?}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 0);
}

#[tokio::test]
async fn nothing_is_written_to_a_damaged_file_and_no_damage_is_a_panic() {
    let home = Home::new();
    let before = fifty_users(&home).await;
    let whole = fs::read(home.file()).unwrap();
    let mut rng = StdRng::seed_from_u64(9);
    let mut noticed = 0;
    for _ in 0..200 {
        fs::write(home.file(), &whole).unwrap();
        // The beginning of a page is what redb steers by. What is zero there means little.
        let page = rng.random_range(1..whole.len() / 4096) * 4096;
        for at in (page..page + 64).filter(|at| whole[*at] != 0) {
            if rng.random_ratio(1, 4) {
                home.changes(at, rng.random());
            }
        }
        let damaged = fs::read(home.file()).unwrap();
        let Ok(store) = home.open() else { continue };
        // Whatever this says: nobody has verified anything yet.
        let _ = store.scan(Kind::User, KeyRange::all(), 100).await;
        let batch = Batch::new().put(Kind::User, "user 7", Expect::Any, None, "y".repeat(3000));
        match store.commit(batch).await {
            Ok(_) => {
                // It was a page that nothing uses.
                let after = store.scan(Kind::User, KeyRange::all(), 100).await.unwrap();
                assert_eq!(after.len(), before.len());
            }
            Err(error) => {
                assert!(error.is_damage(), "{error:?}");
                assert!(store.get(Kind::User, b"user 8").await.unwrap_err().is_damage());
                drop(store);
                let left = fs::read(home.file()).unwrap();
                assert!(pages(&left) == pages(&damaged), "the file is left as it was found");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 0);
}

#[tokio::test]
async fn damage_that_is_found_while_the_store_is_used_ends_its_use() {
    let home = Home::new();
    fifty_users(&home).await;
    let whole = fs::read(home.file()).unwrap();
    // Within a body: only a checksum tells.
    let at = whole.windows(9).position(|bytes| bytes == b"xxxxxxxxx").unwrap();
    home.changes(at, b'y');
    let store = home.open().unwrap();
    let mut changes = store.watch();
    assert!(is_verified(&store).await.unwrap_err().is_damage());
    assert!(store.get(Kind::User, b"user 7").await.unwrap_err().is_damage());
    assert!(store.commit(Batch::new()).await.unwrap_err().is_damage());
    assert!(matches!(changes.try_recv(), Err(TryRecvError::Closed)), "nobody keeps anything");
    assert!(matches!(store.watch().try_recv(), Err(TryRecvError::Closed)));
}

#[tokio::test]
async fn what_was_acknowledged_is_not_taken_back_where_a_crash_and_damage_meet() {
    let (home, after_a_crash) = (Home::new(), Home::new());
    fifty_users(&home).await;
    let store = home.open().unwrap();
    writes(&store, "ada", &"z".repeat(3000)).await;
    // As kill -9 leaves it: nobody has closed it.
    let left = fs::read(home.file()).unwrap();
    fs::write(after_a_crash.file(), &left).unwrap();
    let at = left.windows(9).position(|bytes| bytes == b"zzzzzzzzz").unwrap();
    after_a_crash.changes(at, b'y');
    let store = after_a_crash.open().unwrap();
    assert!(is_verified(&store).await.unwrap_err().is_damage());
    drop(store);
    // Where the head has forgotten that commits have two phases, redb would go back to the one before.
    fs::write(after_a_crash.file(), &left).unwrap();
    after_a_crash.changes(at, b'y');
    after_a_crash.changes(9, left[9] & !TWO_PHASES);
    assert!(matches!(after_a_crash.open().unwrap_err(), OpenError::Damaged(_)));
}

/// A bit of the byte behind redb's magic number.
const TWO_PHASES: u8 = 4;

#[tokio::test]
async fn a_store_is_read_before_it_is_verified_and_written_to_afterwards() {
    let home = Home::new();
    let before = fifty_users(&home).await;
    let (disk, writers_may_read) = Transaction::over(&home.file());
    let store = Redb::over(disk, Options { cache: 1 << 20, ..Options::default() }).unwrap();
    assert_eq!(store.scan(Kind::User, KeyRange::all(), 100).await.unwrap(), before);
    let mut written = store.commit(Batch::new().delete(Kind::User, "user 7", Expect::Any));
    assert!(poll_immediate(&mut written).await.is_none());
    assert_eq!(store.scan(Kind::User, KeyRange::all(), 100).await.unwrap(), before);
    writers_may_read.send(()).unwrap();
    assert!(matches!(written.await.unwrap(), Outcome::Committed(_)));
    drop(store);
    assert!(home.open().unwrap().get(Kind::User, b"user 7").await.unwrap().is_none());
}

#[tokio::test]
async fn whoever_closes_a_store_before_it_is_verified_leaves_it_as_it_was() {
    let home = Home::new();
    let before = fifty_users(&home).await;
    let (disk, writers_may_read) = Transaction::over(&home.file());
    let store = Redb::over(disk, Options { cache: 1 << 20, ..Options::default() }).unwrap();
    let mut written = store.commit(Batch::new().delete(Kind::User, "user 7", Expect::Any));
    assert!(poll_immediate(&mut written).await.is_none());
    drop(written);
    let closing = thread::spawn(|| drop(store));
    // If it was closed before the writer had begun, nobody waits for this.
    writers_may_read.send(()).ok();
    closing.join().unwrap();
    let store = home.open().unwrap();
    // It may have been verified just before it was closed, and then the batch was carried out.
    let after = store.scan(Kind::User, KeyRange::all(), 100).await.unwrap();
    assert!((49..=50).contains(&after.len()) && after.iter().all(|entry| before.contains(entry)));
}

#[tokio::test]
async fn nothing_is_written_to_a_damaged_file_that_is_closed_before_it_is_verified() {
    let home = Home::new();
    fifty_users(&home).await;
    let whole = fs::read(home.file()).unwrap();
    let at = whole.windows(9).position(|bytes| bytes == b"xxxxxxxxx").unwrap();
    home.changes(at, b'y');
    let damaged = fs::read(home.file()).unwrap();
    let (disk, writers_may_read) = Transaction::over(&home.file());
    let store = Redb::over(disk, Options { cache: 1 << 20, ..Options::default() }).unwrap();
    let closing = thread::spawn(|| drop(store));
    // Most often it is closed first; if not, the damage is found first.
    (0..1000).for_each(|_| thread::yield_now());
    // If it was closed before the writer had begun, nobody waits for this.
    writers_may_read.send(()).ok();
    closing.join().unwrap();
    assert!(pages(&fs::read(home.file()).unwrap()) == pages(&damaged));
}

/// A file that the writer cannot read before it is told to.
#[derive(Debug)]
struct Transaction {
    file: FileBackend,
    until: Mutex<Option<Receiver<()>>>,
}

impl Transaction {
    fn over(path: &Path) -> (Self, Sender<()>) {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (tell, until) = channel();
        (Self { file: FileBackend::new(file).unwrap(), until: Mutex::new(Some(until)) }, tell)
    }
}

impl StorageBackend for Transaction {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if thread::current().name() == Some("store-writer") {
            let until = self.until.lock().unwrap().take();
            until.map(|until| until.recv());
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
