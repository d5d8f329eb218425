//! What the redb file promises: it comes back, it is ours alone, and damage is called damage.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use doorward::store::records::KeyRange;
use doorward::store::redb::{OpenError, Options, Redb};
use doorward::store::{Batch, Expect, Kind, Outcome, Records};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("store.redb")
    }

    fn open(&self) -> Result<Redb, OpenError> {
        Redb::open(&self.file(), Options { cache: 1 << 20 })
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
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
    assert_eq!(
        home.open().unwrap_err().to_string(),
        "the store has format 2; this doorward reads format 1"
    );
}

#[test]
fn a_redb_file_of_somebody_else_is_refused() {
    let home = Home::new();
    drop(Database::create(home.file()).unwrap());
    assert!(matches!(home.open().unwrap_err(), OpenError::Damaged(_)));
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let home = Home::new();
    let store = home.open().unwrap();
    for number in 0..50 {
        writes(&store, &format!("user {number}"), &"x".repeat(3000)).await;
    }
    drop(store);
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
    let store = home.open().unwrap();
    for number in 0..50 {
        writes(&store, &format!("user {number}"), &"x".repeat(3000)).await;
    }
    let before = store.scan(Kind::User, KeyRange::all(), 100).await.unwrap();
    drop(store);
    let whole = fs::read(home.file()).unwrap();
    let mut chance = StdRng::seed_from_u64(8);
    let mut noticed = 0;
    for _ in 0..100 {
        fs::write(home.file(), &whole).unwrap();
        let offset = chance.random_range(0..whole.len());
        let file = OpenOptions::new().write(true).open(home.file()).unwrap();
        file.write_all_at(&[whole[offset] ^ 1 << chance.random_range(0..8)], offset as u64)
            .unwrap();
        match home.open() {
            Err(OpenError::Damaged(_)) => noticed += 1,
            Err(other) => panic!("at {offset}: {other:?}"),
            Ok(store) => {
                let after = store.scan(Kind::User, KeyRange::all(), 100).await.unwrap();
                assert_eq!(after, before, "at {offset}");
            }
        }
    }
    assert!(noticed > 0);
}
