//! One suite for all adapters: whoever adds a store adds a line to [`Adapter`].

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use doorward::domain::time::Timestamp;
use doorward::store::batch::{Step, Then};
use doorward::store::memory::Memory;
use doorward::store::record::{KeyRange, SWEEP_AT_MOST};
use doorward::store::redb::{Options, Redb};
use doorward::store::{Batch, Expect, Kind, Outcome, Record, Records, Version};
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use rstest::rstest;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::cases;
use crate::support::overtaken::Overtaken;
use Adapter::{InFile, InMemory};

#[derive(Clone, Copy, Debug)]
enum Adapter {
    InMemory,
    InFile,
}

impl Adapter {
    fn open(self) -> Open {
        let home = tempfile::tempdir().unwrap();
        let records: Arc<dyn Records> = match self {
            InMemory => Arc::new(Memory::new()),
            InFile => {
                Arc::new(Redb::open(&home.path().join("s.redb"), Options::default()).unwrap())
            }
        };
        Open { records, _home: home }
    }
}

struct Open {
    records: Arc<dyn Records>,
    _home: TempDir,
}

impl Open {
    async fn get(&self, kind: Kind, key: &str) -> Option<Record> {
        self.records.get(kind, key.as_bytes()).await.unwrap()
    }

    async fn body(&self, kind: Kind, key: &str) -> Option<String> {
        self.get(kind, key).await.map(|record| String::from_utf8(record.body).unwrap())
    }

    async fn commit(&self, batch: Batch) -> Outcome {
        self.records.commit(batch).await.unwrap()
    }

    async fn put(&self, kind: Kind, key: &str, expect: Expect, body: &str) -> Option<Version> {
        version(self.commit(Batch::new().put(kind, key, expect, None, body)).await)
    }

    async fn expiring(&self, key: &str, seconds: u64) -> Version {
        let expires = Some(Timestamp::from_secs(seconds));
        let batch = Batch::new().put(Kind::Token, key, Expect::Any, expires, "until then");
        version(self.commit(batch).await).unwrap()
    }

    async fn sweep(&self, seconds: u64) -> usize {
        self.records.sweep(Timestamp::from_secs(seconds)).await.unwrap()
    }

    async fn keys(&self, kind: Kind, range: KeyRange, limit: usize) -> Vec<Vec<u8>> {
        let entries = self.records.scan(kind, range, limit).await.unwrap();
        entries.into_iter().map(|entry| entry.key).collect()
    }
}

fn version(outcome: Outcome) -> Option<Version> {
    match outcome {
        Outcome::Committed(version) => Some(version),
        Outcome::Overtaken => None,
    }
}

#[rstest]
#[tokio::test]
async fn what_is_put_lies_under_its_kind_and_key_and_nowhere_else(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    assert_eq!(store.get(Kind::User, "ada").await, None);
    let version = store.put(Kind::User, "ada", Expect::Absent, "engines").await.unwrap();
    let expected = Record { version, expires: None, body: b"engines".to_vec() };
    assert_eq!(store.get(Kind::User, "ada").await, Some(expected));
    assert_eq!(store.get(Kind::Name, "ada").await, None);
    assert_eq!(store.get(Kind::User, "ad").await, None);
}

#[rstest]
#[tokio::test]
async fn a_write_is_refused_where_something_else_lies_than_expected(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let first = store.put(Kind::User, "ada", Expect::Absent, "1").await.unwrap();
    assert_eq!(store.put(Kind::User, "ada", Expect::Absent, "2").await, None);
    let second = store.put(Kind::User, "ada", Expect::Version(first), "2").await.unwrap();
    assert!(second > first);
    assert_eq!(store.put(Kind::User, "ada", Expect::Version(first), "3").await, None);
    assert_eq!(store.put(Kind::User, "bob", Expect::Version(second), "3").await, None);
    let delete = Batch::new().delete(Kind::User, "ada", Expect::Version(first));
    assert_eq!(store.commit(delete).await, Outcome::Overtaken);
    assert_eq!(store.body(Kind::User, "ada").await.unwrap(), "2");
    store.put(Kind::User, "ada", Expect::Any, "4").await.unwrap();
    assert_eq!(store.body(Kind::User, "ada").await.unwrap(), "4");
}

#[rstest]
#[tokio::test]
async fn a_batch_is_carried_out_whole_or_not_at_all(#[values(InMemory, InFile)] adapter: Adapter) {
    let store = adapter.open();
    let user = store.put(Kind::User, "ada", Expect::Absent, "before").await.unwrap();
    let token = store.put(Kind::Token, "link", Expect::Absent, "once").await.unwrap();
    let spend = |expect| {
        Batch::new()
            .put(Kind::User, "ada", Expect::Version(user), None, "after")
            .put(Kind::HostSession, "s", Expect::Absent, None, "new")
            .delete(Kind::Token, "link", expect)
    };

    assert_eq!(store.commit(spend(Expect::Version(user))).await, Outcome::Overtaken);
    assert_eq!(store.body(Kind::User, "ada").await.unwrap(), "before");
    assert_eq!(store.get(Kind::HostSession, "s").await, None);

    let committed = version(store.commit(spend(Expect::Version(token))).await).unwrap();
    assert_eq!(store.get(Kind::User, "ada").await.unwrap().version, committed);
    assert_eq!(store.get(Kind::HostSession, "s").await.unwrap().version, committed);
    assert_eq!(store.get(Kind::Token, "link").await, None);
}

#[rstest]
#[tokio::test]
async fn what_is_only_checked_holds_the_batch_back_and_stays_as_it_is(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let parent = store.put(Kind::HostSession, "parent", Expect::Absent, "p").await.unwrap();
    let child = |expect| {
        Batch::new().put(Kind::HostSession, "child", Expect::Absent, None, "c").check(
            Kind::HostSession,
            "parent",
            expect,
        )
    };
    assert_eq!(store.commit(child(Expect::Absent)).await, Outcome::Overtaken);
    assert!(version(store.commit(child(Expect::Version(parent))).await).is_some());
    assert_eq!(store.get(Kind::HostSession, "parent").await.unwrap().version, parent);
}

#[rstest]
#[tokio::test]
async fn a_batch_is_held_against_the_store_as_it_was_before_it(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let twice = Batch::new().put(Kind::User, "ada", Expect::Absent, None, "first").put(
        Kind::User,
        "ada",
        Expect::Absent,
        None,
        "last",
    );
    assert!(version(store.commit(twice).await).is_some());
    assert_eq!(store.body(Kind::User, "ada").await.unwrap(), "last");
}

#[rstest]
#[tokio::test]
async fn a_version_never_comes_back(#[values(InMemory, InFile)] adapter: Adapter) {
    let store = adapter.open();
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let version = store.put(Kind::User, "ada", Expect::Absent, "again").await.unwrap();
        assert!(seen.insert(version));
        store.commit(Batch::new().delete(Kind::User, "ada", Expect::Version(version))).await;
        let late = store.put(Kind::User, "ada", Expect::Version(version), "revived").await;
        assert_eq!(late, None);
    }
}

#[rstest]
#[tokio::test]
async fn keys_come_in_the_order_of_their_bytes(#[values(InMemory, InFile)] adapter: Adapter) {
    let store = adapter.open();
    let sorted: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"a\xff", b"b", b"\xff\xff"];
    let mut batch = Batch::new()
        .put(Kind::HostSession, *b"\xff\xff", Expect::Absent, None, "before")
        .put(Kind::Token, *b"", Expect::Absent, None, "behind");
    for key in sorted.iter().rev() {
        batch = batch.put(Kind::HostSession, *key, Expect::Absent, None, "");
    }
    store.commit(batch).await;
    assert_eq!(store.keys(Kind::HostSession, KeyRange::all(), 100).await, sorted);
}

#[rstest]
#[tokio::test]
async fn a_scan_keeps_to_its_range_and_its_limit(#[values(InMemory, InFile)] adapter: Adapter) {
    let store = adapter.open();
    for key in ["a", "b1", "b2", "b3", "c"] {
        store.put(Kind::Event, key, Expect::Absent, "").await;
    }
    let key = |key: &str| key.as_bytes().to_vec();
    let between = |from, to| KeyRange { from, to };

    let of_b = KeyRange::prefix(b"b");
    assert_eq!(store.keys(Kind::Event, of_b.clone(), 2).await, [key("b1"), key("b2")]);
    assert_eq!(store.keys(Kind::Event, of_b.behind(b"b2"), 2).await, [key("b3")]);
    let half_open = between(Bound::Excluded(key("b3")), Bound::Unbounded);
    assert_eq!(store.keys(Kind::Event, half_open, 9).await, [key("c")]);
    let closed = between(Bound::Unbounded, Bound::Included(key("b1")));
    assert_eq!(store.keys(Kind::Event, closed, 9).await, [key("a"), key("b1")]);
    assert!(store.keys(Kind::Event, KeyRange::all(), 0).await.is_empty());

    let nothing = [
        between(Bound::Included(key("c")), Bound::Included(key("a"))),
        between(Bound::Excluded(key("b1")), Bound::Excluded(key("b1"))),
        between(Bound::Excluded(key("b1")), Bound::Included(key("b1"))),
        between(Bound::Excluded(key("b1")), Bound::Excluded(key("b2"))),
    ];
    for range in nothing {
        assert!(store.keys(Kind::Event, range, 9).await.is_empty());
    }
}

#[rstest]
#[tokio::test]
async fn what_has_expired_is_there_until_it_is_swept(#[values(InMemory, InFile)] adapter: Adapter) {
    let store = adapter.open();
    let version = store.expiring("link", 100).await;
    store.put(Kind::User, "ada", Expect::Absent, "stays").await;

    assert_eq!(store.sweep(99).await, 0);
    let found = store.get(Kind::Token, "link").await.unwrap();
    assert_eq!((found.version, found.expires), (version, Some(Timestamp::from_secs(100))));
    assert_eq!(store.put(Kind::Token, "link", Expect::Absent, "").await, None);

    assert_eq!(store.sweep(100).await, 1);
    assert_eq!(store.get(Kind::Token, "link").await, None);
    assert_eq!(store.sweep(u64::MAX / 1000).await, 0);
    assert!(store.get(Kind::User, "ada").await.is_some());
}

#[rstest]
#[tokio::test]
async fn a_record_is_swept_by_the_expiry_that_was_written_last(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    store.expiring("used", 100).await;
    store.expiring("used", 200).await;
    store.expiring("kept", 100).await;
    store.put(Kind::Token, "kept", Expect::Any, "for ever").await;
    store.expiring("ended", 100).await;
    store.commit(Batch::new().delete(Kind::Token, "ended", Expect::Any)).await;

    assert_eq!(store.sweep(150).await, 0);
    assert_eq!(store.sweep(250).await, 1);
    assert_eq!(store.get(Kind::Token, "used").await, None);
    assert!(store.get(Kind::Token, "kept").await.is_some());
}

#[rstest]
#[tokio::test]
async fn a_sweep_goes_in_steps_and_begins_with_the_longest_expired(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let mut batch = Batch::new();
    for number in 0..SWEEP_AT_MOST as u64 + 10 {
        let expires = Some(Timestamp::from_secs(10_000 - number));
        let key = number.to_be_bytes();
        batch = batch.put(Kind::HostSession, key, Expect::Absent, expires, "");
    }
    store.commit(batch).await;

    assert_eq!(store.sweep(20_000).await, SWEEP_AT_MOST);
    let left = store.keys(Kind::HostSession, KeyRange::all(), 100).await;
    assert_eq!(left, (0..10_u64).map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>());
    assert_eq!(store.sweep(20_000).await, 10);
    assert_eq!(store.sweep(20_000).await, 0);
}

#[rstest]
#[tokio::test]
async fn whoever_watches_has_heard_of_a_change_when_it_is_acknowledged(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let mut heard = store.records.watch();
    let written = store.expiring("link", 100).await;
    let change = heard.try_recv().unwrap();
    assert_eq!(change.version, written);
    assert_eq!(change.touched, [(Kind::Token, b"link".to_vec())]);

    store.put(Kind::Token, "link", Expect::Absent, "").await;
    assert!(heard.try_recv().is_err(), "nothing was written");

    let both = Batch::new().check(Kind::Token, "link", Expect::Version(written)).put(
        Kind::User,
        "ada",
        Expect::Absent,
        None,
        "",
    );
    store.commit(both).await;
    assert_eq!(heard.try_recv().unwrap().touched, [(Kind::User, b"ada".to_vec())]);

    store.sweep(100).await;
    assert_eq!(heard.try_recv().unwrap().touched, [(Kind::Token, b"link".to_vec())]);
    assert!(heard.try_recv().is_err());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_who_expect_the_same_version_one_succeeds(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    let before = store.put(Kind::User, "ada", Expect::Absent, "unused").await.unwrap();
    let mut tries = JoinSet::new();
    for number in 0..100_u8 {
        let records = Arc::clone(&store.records);
        let batch = Batch::new()
            .put(Kind::User, "ada", Expect::Version(before), None, [number])
            .put(Kind::Event, [number], Expect::Absent, None, "used");
        tries.spawn(async move { (number, records.commit(batch).await.unwrap()) });
    }
    let outcomes = tries.join_all().await;
    let won: Vec<u8> = outcomes
        .into_iter()
        .filter_map(|(number, outcome)| version(outcome).map(|_| number))
        .collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.get(Kind::User, "ada").await.unwrap().body, won);
    assert_eq!(store.keys(Kind::Event, KeyRange::all(), 100).await, [won]);
}

#[rstest]
#[tokio::test]
async fn whoever_is_overtaken_between_reading_and_writing_writes_nothing(
    #[values(InMemory, InFile)] adapter: Adapter,
) {
    let store = adapter.open();
    store.put(Kind::User, "ada", Expect::Absent, "unused").await;
    let ours = Overtaken::over(Arc::clone(&store.records));
    let read = ours.get(Kind::User, b"ada").await.unwrap();
    let theirs = Arc::clone(&store.records);
    ours.by(async move {
        let batch = Batch::new().put(Kind::User, "ada", Expect::Any, None, "used by them");
        theirs.commit(batch).await.unwrap();
    });

    let batch =
        Batch::new().put(Kind::User, "ada", Expect::unchanged(read.as_ref()), None, "used by us");
    assert_eq!(ours.commit(batch).await.unwrap(), Outcome::Overtaken);
    assert!(ours.is_played_out());
    assert_eq!(store.body(Kind::User, "ada").await.unwrap(), "used by them");
}

/// What one of several writers does, in small numbers so that they get into each other's way.
#[derive(Clone, Debug)]
enum Operation {
    Commit(Vec<(Kind, u8, Believes, Then)>),
    Sweep(u64),
}

#[derive(Clone, Copy, Debug)]
enum Believes {
    Absent,
    Current,
    Version(u64),
    Any,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let kind = prop::sample::select(vec![Kind::User, Kind::Name]);
    let believes = prop_oneof![
        2 => Just(Believes::Current),
        1 => Just(Believes::Absent),
        1 => Just(Believes::Any),
        1 => (1..20_u64).prop_map(Believes::Version),
    ];
    let then = prop_oneof![
        1 => Just(Then::Keep),
        2 => Just(Then::Delete),
        4 => prop::option::of(0..50_u64).prop_map(|seconds| Then::Put {
            expires: seconds.map(Timestamp::from_secs),
            body: b"body".to_vec(),
        }),
    ];
    let step = (kind, 0..4_u8, believes, then);
    let operation = prop_oneof![
        4 => prop::collection::vec(step, 0..4).prop_map(Operation::Commit),
        1 => (0..50_u64).prop_map(Operation::Sweep),
    ];
    prop::collection::vec(operation, 1..24)
}

async fn does(records: &dyn Records, operation: &Operation) -> String {
    let steps = match operation {
        Operation::Commit(steps) => steps,
        Operation::Sweep(now) => {
            return format!("{:?}", records.sweep(Timestamp::from_secs(*now)).await.unwrap());
        }
    };
    let mut batch = Batch::new();
    for (kind, key, believes, then) in steps {
        let expect = match believes {
            Believes::Absent => Expect::Absent,
            Believes::Any => Expect::Any,
            Believes::Version(number) => Expect::Version(Version::of_commit(*number)),
            Believes::Current => {
                Expect::unchanged(records.get(*kind, &[*key]).await.unwrap().as_ref())
            }
        };
        batch = batch.with(Step { kind: *kind, key: vec![*key], expect, then: then.clone() });
    }
    format!("{:?}", records.commit(batch).await.unwrap())
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn all_stores_do_the_same_whatever_is_done_to_them(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::new();
            let redb = Redb::over(InMemoryBackend::new(), Options::default()).unwrap();
            for operation in &operations {
                prop_assert_eq!(does(&memory, operation).await, does(&redb, operation).await);
                for kind in [Kind::User, Kind::Name] {
                    let in_memory = memory.scan(kind, KeyRange::all(), 100).await.unwrap();
                    prop_assert_eq!(in_memory, redb.scan(kind, KeyRange::all(), 100).await.unwrap());
                }
            }
            Ok(())
        })?;
    }
}
