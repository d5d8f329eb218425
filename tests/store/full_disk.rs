//! A disk that takes nothing for a while: the store says so, loses nothing, and is used again by
//! itself.

use std::error::Error;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::store::record::KeyRange;
use doorward::store::redb::{OpenError, Options, Redb};
use doorward::store::{Batch, Expect, Kind, Outcome, Records};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::task::yield_now;

use super::power_cuts::People;
use crate::support::refusing::{How, Refusing};

const OPTIONS: Options = Options { cache: 1 << 20, pause: Duration::from_millis(1) };

fn open(disk: &Refusing) -> Redb {
    Redb::over(disk.clone(), OPTIONS).unwrap()
}

/// Far longer than it takes: a test that hangs says where.
#[expect(
    clippy::disallowed_methods,
    reason = "a real disk and a thread of the store are waited for"
)]
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "not so: {what}");
        std::thread::yield_now();
        yield_now().await;
    }
}

async fn is_written_again(store: &Redb) {
    until("it is written again", async || store.writable().is_ok()).await;
}

async fn writes(
    store: &Redb,
    key: &str,
    body: &str,
) -> Result<Outcome, doorward::unavailable::Unavailable> {
    store.commit(Batch::new().put(Kind::User, key, Expect::Any, None, body)).await
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_wherever_the_disk_refuses_and_no_restart_is_needed() {
    for how in [How::Full, How::Broken] {
        let (all, mut refused) = (steps_of_an_undisturbed_run().await, 0);
        for step in 0..all {
            let (disk, mut people) = (Refusing::new(), People::default());
            let store = open(&disk);
            people.get_their_codes(&store).await;
            disk.refuses_after(step, how);
            let _ = people.use_their_codes(&store).await;
            refused += usize::from(store.writable().is_err());
            disk.heals();
            is_written_again(&store).await;
            people.find_everything(&store).await;
            people.use_their_codes(&store).await.expect("the disk takes it again");
            people.find_everything(&store).await;
            drop(store);
            people.find_everything(&open(&disk)).await;
        }
        // Where many commits shared few transactions, some steps were never met.
        assert!(refused * 2 > all, "{how:?}: only {refused} of {all} were refused anything");
    }
}

async fn steps_of_an_undisturbed_run() -> usize {
    let (disk, mut people) = (Refusing::new(), People::default());
    let store = open(&disk);
    people.get_their_codes(&store).await;
    let before = disk.steps();
    people.use_their_codes(&store).await.unwrap();
    disk.steps() - before
}

#[tokio::test]
async fn what_is_kept_is_read_while_the_disk_is_full_and_whoever_writes_is_told_why() {
    let disk = Refusing::new();
    let store = open(&disk);
    writes(&store, "ada", "engines").await.unwrap();
    disk.refuses_after(0, How::Full);
    let refused = writes(&store, "bob", "tables").await.unwrap_err();
    assert!(!refused.is_damage());
    let why = store.writable().unwrap_err();
    let why = why.source().unwrap().to_string();
    assert!(why.contains("No space left on device"), "{why}");
    until("it is read", async || store.get(Kind::User, b"ada").await.is_ok()).await;
    assert_eq!(store.get(Kind::User, b"ada").await.unwrap().unwrap().body, b"engines");
    assert!(writes(&store, "bob", "tables").await.is_err());
    disk.heals();
    is_written_again(&store).await;
    writes(&store, "bob", "tables").await.unwrap();
    assert_eq!(store.scan(Kind::User, KeyRange::all(), 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_keeps_a_copy_takes_what_is_in_doubt_for_changed() {
    let disk = Refusing::new();
    let store = open(&disk);
    writes(&store, "ada", "engines").await.unwrap();
    let mut heard = store.watch();
    disk.refuses_after(0, How::Broken);
    writes(&store, "ada", "tables").await.unwrap_err();
    assert_eq!(heard.try_recv().unwrap().touched, [(Kind::User, b"ada".to_vec())]);
    assert!(matches!(heard.try_recv(), Err(TryRecvError::Empty)), "it goes on to be told");
    // Whoever reads it now does not read what was there before the doubt.
    assert!(store.get(Kind::User, b"ada").await.is_err());
    disk.heals();
    is_written_again(&store).await;
    writes(&store, "ada", "more").await.unwrap();
    assert_eq!(heard.try_recv().unwrap().touched, [(Kind::User, b"ada".to_vec())]);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_can_be_closed() {
    let disk = Refusing::new();
    let store = open(&disk);
    writes(&store, "ada", "engines").await.unwrap();
    disk.refuses_after(0, How::Broken);
    writes(&store, "ada", "tables").await.unwrap_err();
    drop(store);
    disk.heals();
    let found = open(&disk).get(Kind::User, b"ada").await.unwrap().unwrap().body;
    assert!(found == b"engines" || found == b"tables");
}

#[tokio::test]
async fn nobody_else_gets_the_file_while_it_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store.redb");
    drop(Redb::open(&path, OPTIONS).unwrap());
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let refuses = Arc::new(AtomicBool::new(false));
    let disk = Locked { file: FileBackend::new(file).unwrap(), refuses: Arc::clone(&refuses) };
    let store = Redb::over(disk, OPTIONS).unwrap();
    writes(&store, "ada", "engines").await.unwrap();
    for _ in 0..3 {
        refuses.store(true, Ordering::SeqCst);
        writes(&store, "ada", "tables").await.unwrap_err();
        for _ in 0..100 {
            assert!(matches!(Redb::open(&path, OPTIONS), Err(OpenError::Locked)));
        }
        refuses.store(false, Ordering::SeqCst);
        until("it is written again", async || {
            assert!(matches!(Redb::open(&path, OPTIONS), Err(OpenError::Locked)));
            store.writable().is_ok()
        })
        .await;
        writes(&store, "ada", "engines").await.unwrap();
    }
    drop(store);
    assert!(Redb::open(&path, OPTIONS).is_ok(), "it lets go of it when it ends");
}

/// A file with its locks, to which nothing can be written for a while.
#[derive(Debug)]
struct Locked {
    file: FileBackend,
    refuses: Arc<AtomicBool>,
}

impl Locked {
    fn takes(&self) -> io::Result<()> {
        if self.refuses.load(Ordering::SeqCst) {
            Err(io::Error::from_raw_os_error(5))
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for Locked {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.takes()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.takes()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.takes()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
