//! New keys while a store is in use: nothing is lost, whatever fails, and in the end nothing needs
//! the old key.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use doorward::domain::event::{Event, What, Whom};
use doorward::domain::name::{Email, Login, Name};
use doorward::domain::rng::SharedRng;
use doorward::domain::signed;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Change, Profile, User, UserId};
use doorward::store::memory::Memory;
use doorward::store::record::{Entry, KeyRange};
use doorward::store::{
    Added, Batch, Changed, Expect, Keyring, Kind, Left, Purpose, Records, Rotated, StateFolder,
    Store, Target,
};
use doorward::unavailable::Unavailable;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::support::before_commit::{Before, BeforeCommit};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

/// A keys file, and records that outlive the processes that use them.
struct Place {
    home: TempDir,
    records: Arc<Memory>,
    rng: SharedRng,
}

impl Place {
    fn new() -> Self {
        let rng = SharedRng::new(StdRng::seed_from_u64(1));
        Self { home: tempfile::tempdir().unwrap(), records: Arc::new(Memory::new()), rng }
    }

    fn state(&self) -> StateFolder {
        StateFolder::open(&self.home.path().join("state")).unwrap()
    }

    /// A process that uses `records`.
    fn opens_over(&self, records: Arc<dyn Records>) -> Store {
        let keyring = self.rng.draw(|rng| Keyring::of(self.state(), rng, NOW)).unwrap();
        Store::over(records, Arc::new(keyring), self.rng.clone())
    }

    fn opens(&self) -> Store {
        self.opens_over(Arc::<Memory>::clone(&self.records))
    }

    /// The lines of the keys file for this purpose.
    fn lines(&self, purpose: Purpose) -> Vec<String> {
        let text = fs::read_to_string(self.state().keys_file()).unwrap();
        let begin = format!("{purpose} ");
        text.lines().filter(|line| line.starts_with(&begin)).map(str::to_owned).collect()
    }

    async fn all_of(&self, kind: Kind) -> Vec<Entry> {
        self.records.scan(kind, KeyRange::all(), usize::MAX).await.unwrap()
    }

    /// The ids of the keys that records are sealed with, and those of the keys of names.
    async fn ids_in_use(&self) -> (BTreeSet<u8>, BTreeSet<u8>) {
        let (mut sealing, mut names) = (BTreeSet::new(), BTreeSet::new());
        for kind in Kind::ALL {
            for entry in self.all_of(kind).await {
                sealing.insert(entry.record.body[1]);
                if [Kind::Name, Kind::FormerName, Kind::Attempts].contains(&kind) {
                    names.insert(entry.key[0]);
                }
            }
        }
        (sealing, names)
    }
}

/// The user with this number.
fn user(number: u8) -> User {
    named_alike(number, number)
}

/// A user with this number, and the names of another.
fn named_alike(number: u8, other: u8) -> User {
    let profile = Profile {
        name: Name::parse(&format!("user{other}")).unwrap(),
        full_name: None,
        email: Some(Email::parse(&format!("user{other}@example.com")).unwrap()),
        groups: BTreeSet::new(),
    };
    User::new(UserId::from([number; 16]), profile, NOW)
}

const PEOPLE: u8 = 9;

async fn filled(place: &Place) -> Store {
    let store = place.opens();
    for number in 1..=PEOPLE {
        assert_eq!(store.add_user(&user(number), None, &[]).await.unwrap(), Added::Now);
    }
    store
}

async fn fails_once(store: &Store, name: &str) {
    let target = store.target(&Login::typed(name)).await.unwrap();
    store.update_attempts(&target, |failures| failures.fail(NOW)).await.unwrap();
}

async fn failures(store: &Store, name: &str) -> u32 {
    let target = store.target(&Login::typed(name)).await.unwrap();
    store.update_attempts(&target, |failures| failures.count()).await.unwrap()
}

async fn everybody_is_found(store: &Store) {
    for number in 1..=PEOPLE {
        for login in [format!("user{number}"), format!("User{number}@Example.com")] {
            let found = store.user_named(&Login::typed(&login)).await.unwrap();
            assert_eq!(found, Some(UserId::from([number; 16])), "{login}");
        }
    }
    assert_eq!(store.users(None, 100).await.unwrap().len(), usize::from(PEOPLE));
}

/// Carries on until nothing is left to do.
async fn finishes(store: &Store) -> Result<(), Unavailable> {
    while let Left::Work(_) = store.carry_on().await? {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_the_end_nothing_needs_the_old_key_and_the_file_does_not_have_it() {
    let place = Place::new();
    let store = filled(&place).await;
    fails_once(&store, "user3").await;
    for (purpose, id) in [(Purpose::Sealing, 2), (Purpose::Names, 2), (Purpose::Sealing, 3)] {
        let before = place.lines(purpose);
        assert_eq!(store.rotate(purpose, "root", NOW).await.unwrap(), Rotated::Now(id));
        let both = place.lines(purpose);
        assert_eq!((both.len(), &both[0]), (2, &before[0]), "the new one stands below the old one");
        everybody_is_found(&store).await;
        finishes(&store).await.unwrap();
        assert_eq!(place.lines(purpose), both[1..]);
        everybody_is_found(&store).await;
    }
    let (sealing, names) = place.ids_in_use().await;
    assert_eq!((sealing, names), ([3].into(), [2].into()));
    let store = place.opens();
    everybody_is_found(&store).await;
    assert_eq!(failures(&store, "user3").await, 1);
    let events = store.events(100).await.unwrap();
    let rotated: Vec<_> = events.iter().filter(|event| event.what == What::KeyRotated).collect();
    assert_eq!((rotated.len(), rotated[0].by.as_deref()), (3, Some("root")));
}

#[tokio::test(start_paused = true)]
async fn while_names_move_everybody_is_found_and_no_name_is_given_twice() {
    let place = Place::new();
    let store = filled(&place).await;
    store.rotate(Purpose::Names, "root", NOW).await.unwrap();
    loop {
        everybody_is_found(&store).await;
        let twin = named_alike(99, 1);
        assert_eq!(store.add_user(&twin, None, &[]).await.unwrap(), Added::NameTaken);
        let address = Email::parse("user2@example.com").unwrap();
        let takes = Change { email: Some(Some(address)), ..Change::default() };
        let changed = store.change_user(UserId::from([3; 16]), |user| {
            user.change(&takes);
            ((), Vec::new())
        });
        assert_eq!(changed.await.unwrap(), Some(Changed::EmailTaken));
        if store.carry_on().await.unwrap() == Left::Nothing {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_changed_or_removed_while_names_move_leaves_no_name_behind() {
    let place = Place::new();
    let store = filled(&place).await;
    store.rotate(Purpose::Names, "root", NOW).await.unwrap();
    let id = UserId::from([2; 16]);
    let moves =
        Change { email: Some(Some(Email::parse("new@example.com").unwrap())), ..Change::default() };
    let changed = store.change_user(id, |user| {
        user.change(&moves);
        ((), Vec::new())
    });
    changed.await.unwrap();
    store.remove_user(UserId::from([4; 16]), removed).await.unwrap();
    finishes(&store).await.unwrap();
    let named = async |login: &str| store.user_named(&Login::typed(login)).await.unwrap();
    assert_eq!(named("new@example.com").await, Some(id));
    assert_eq!((named("user2@example.com").await, named("user4").await), (None, None));
    assert_eq!(place.all_of(Kind::Name).await.len(), usize::from(PEOPLE - 1) * 2);
}

fn removed(user: &User) -> Event {
    Event::by_operator("root", Whom::User(user.id()), What::UserRemoved, NOW)
}

#[tokio::test(start_paused = true)]
async fn the_names_of_removed_users_move_and_are_known_all_the_time() {
    let place = Place::new();
    let store = filled(&place).await;
    for number in 1..=3 {
        store.remove_user(UserId::from([number; 16]), removed).await.unwrap();
    }
    store.rotate(Purpose::Names, "root", NOW).await.unwrap();
    loop {
        for (name, is_former) in [("user1", true), ("User3", true), ("user4", false)] {
            let name = Name::parse(name).unwrap();
            assert_eq!(store.was_somebodys(&name).await.unwrap(), is_former, "{name}");
        }
        if store.carry_on().await.unwrap() == Left::Nothing {
            break;
        }
    }
    assert_eq!(place.all_of(Kind::FormerName).await.len(), 3);
    assert_eq!(place.ids_in_use().await.1, [2].into());
}

#[tokio::test(start_paused = true)]
async fn failures_of_users_move_with_them_and_those_of_unknown_names_are_forgotten() {
    let place = Place::new();
    let store = filled(&place).await;
    for name in ["user1", "user1@example.com", "user2", "nobody"] {
        fails_once(&store, name).await;
    }
    store.rotate(Purpose::Names, "root", NOW).await.unwrap();
    // Before, while and after they move.
    fails_once(&store, "user2").await;
    let expected = [("user1", 2), ("user2", 2), ("user3", 0), ("nobody", 0)];
    loop {
        for (name, count) in expected {
            assert_eq!(failures(&store, name).await, count, "{name}");
        }
        if store.carry_on().await.unwrap() == Left::Nothing {
            break;
        }
    }
    assert_eq!(place.all_of(Kind::Attempts).await.len(), 2);
}

/// A process that dies at a commit: before it, or before anybody hears that it was carried out.
struct Dies {
    records: Arc<Memory>,
    left: AtomicUsize,
    carries_out: bool,
}

#[async_trait]
impl Before for Dies {
    async fn before(&self, batch: &Batch) -> Result<(), Unavailable> {
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
            return Ok(());
        }
        if self.carries_out {
            self.records.commit(batch.clone()).await?;
        }
        Err(Unavailable::store("dead, as the test says"))
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_commit_a_crash_hits_the_next_start_goes_on_and_nothing_is_lost() {
    for purpose in [Purpose::Sealing, Purpose::Names] {
        for (commits, carries_out) in (0..20).flat_map(|n| [(n, false), (n, true)]) {
            let place = Place::new();
            let store = filled(&place).await;
            fails_once(&store, "user5").await;
            let records = Arc::clone(&place.records);
            let left = AtomicUsize::new(commits);
            let death = Dies { records: Arc::clone(&records), left, carries_out };
            let dying = place.opens_over(Arc::new(BeforeCommit::new(death, records)));
            let died = match dying.rotate(purpose, "root", NOW).await {
                Ok(_) => finishes(&dying).await.is_err(),
                Err(_) => true,
            };
            let store = place.opens();
            assert_eq!(store.lacks_key().await.unwrap(), None, "{purpose} {commits}");
            everybody_is_found(&store).await;
            finishes(&store).await.unwrap();
            everybody_is_found(&store).await;
            assert_eq!(failures(&store, "user5").await, 1);
            let (sealing, names) = place.ids_in_use().await;
            assert_eq!((sealing.len(), names.len(), place.lines(purpose).len()), (1, 1, 1));
            if !died {
                assert!(commits > 3, "{purpose}: the commits were not met");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_rotations_at_once_one_waits_and_is_told_what_is_not_finished() {
    let place = Place::new();
    let store = filled(&place).await;
    for purpose in [Purpose::Sealing, Purpose::Names] {
        let (one, other) =
            tokio::join!(store.rotate(purpose, "root", NOW), store.rotate(purpose, "root", NOW));
        assert_eq!((one.unwrap(), other.unwrap()), (Rotated::Now(2), Rotated::Unfinished));
        assert_eq!(place.lines(purpose).len(), 2);
        // The other purposes do not wait for it.
        assert!(matches!(store.rotate(Purpose::Csrf, "root", NOW).await, Ok(Rotated::Now(_))));
        finishes(&store).await.unwrap();
    }
    assert_eq!(place.lines(Purpose::Csrf).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_an_old_key_signed_is_accepted_until_it_has_ended() {
    const HOST: &str = "crm.example.com";
    let kinds =
        [(Purpose::Cookies, signed::Kind::Device, 365), (Purpose::Csrf, signed::Kind::Csrf, 30)];
    for (purpose, kind, days) in kinds {
        let place = Place::new();
        let store = place.opens();
        let cookie = store.keyring().sign(kind, HOST, &[7; 16]);
        store.rotate(purpose, "root", NOW.plus(DAY)).await.unwrap();
        let newer = store.keyring().sign(kind, HOST, &[7; 16]);
        assert_ne!(newer, cookie);
        let accepts = |store: &Store, cookie: &str| {
            store.keyring().open::<16>(kind, HOST, cookie) == Some([7; 16])
        };
        let end = NOW.plus(DAY * (days + 1));
        for (now, lines) in [(Timestamp::from_millis(end.millis() - 1), 2), (end, 1)] {
            store.retire_keys(now).await.unwrap();
            assert_eq!(place.lines(purpose).len(), lines, "{purpose}");
            for store in [&store, &place.opens()] {
                assert_eq!(accepts(store, &cookie), lines == 2, "{purpose}");
                assert!(accepts(store, &newer));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cookies_and_forms_have_keys_of_their_own() {
    let place = Place::new();
    let store = place.opens();
    let signs = |kind| store.keyring().sign(kind, "crm.example.com", &[7; 16]);
    let (cookie, form) = (signs(signed::Kind::Session), signs(signed::Kind::Csrf));
    store.rotate(Purpose::Csrf, "root", NOW).await.unwrap();
    assert_eq!(signs(signed::Kind::Session), cookie);
    assert_ne!(signs(signed::Kind::Csrf), form);
}

#[tokio::test(start_paused = true)]
async fn a_store_and_a_keys_file_of_different_times_are_recognized() {
    for purpose in [Purpose::Sealing, Purpose::Names] {
        let place = Place::new();
        let store = filled(&place).await;
        store.carry_on().await.unwrap();
        let older_keys = fs::read(place.state().keys_file()).unwrap();
        store.rotate(purpose, "root", NOW).await.unwrap();
        let both_keys = fs::read(place.state().keys_file()).unwrap();
        finishes(&store).await.unwrap();
        // Older keys, newer store.
        fs::write(place.state().keys_file(), &older_keys).unwrap();
        let lacks = place.opens().lacks_key().await;
        if purpose == Purpose::Names {
            assert_eq!(lacks.unwrap(), Some(("names".to_owned(), 2)));
        } else {
            let why = format!("{:?}", lacks.unwrap_err());
            assert!(why.contains("Key(2)"), "{why}");
        }
        // With a file that has both, all is well again.
        fs::write(place.state().keys_file(), &both_keys).unwrap();
        let store = place.opens();
        assert_eq!(store.lacks_key().await.unwrap(), None);
        everybody_is_found(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_store_with_newer_keys_is_recognized_although_its_first_record_can_be_read() {
    let place = Place::new();
    let store = filled(&place).await;
    store.rotate(Purpose::Sealing, "root", NOW).await.unwrap();
    // A backup is made while records are sealed anew: some have the old key.
    let text = fs::read_to_string(place.state().keys_file()).unwrap();
    let newer: Vec<_> = text.lines().filter(|line| !line.starts_with("sealing 1 ")).collect();
    fs::write(place.state().keys_file(), newer.join("\n") + "\n").unwrap();
    assert_eq!(place.opens().lacks_key().await.unwrap(), Some(("sealing".to_owned(), 1)));
}

#[tokio::test(start_paused = true)]
async fn where_the_keys_file_cannot_be_written_nothing_changes() {
    let place = Place::new();
    let store = filled(&place).await;
    let before = fs::read(place.state().keys_file()).unwrap();
    let cookie = store.keyring().sign(signed::Kind::Session, "a", &[7; 16]);
    // What cannot be replaced by a file.
    let draft = place.state().path().join("keys.new");
    fs::create_dir_all(draft.join("full")).unwrap();
    for purpose in Purpose::ALL {
        let error = store.rotate(*purpose, "root", NOW).await.unwrap_err();
        assert!(error.to_string().contains("keys file cannot be written"), "{error}");
    }
    assert_eq!(fs::read(place.state().keys_file()).unwrap(), before);
    assert_eq!(store.keyring().sign(signed::Kind::Session, "a", &[7; 16]), cookie);
    assert_eq!(store.carry_on().await.unwrap(), Left::Nothing);
    assert!(store.events(100).await.unwrap().is_empty());
    fs::remove_dir_all(&draft).unwrap();
    assert_eq!(store.rotate(Purpose::Csrf, "root", NOW).await.unwrap(), Rotated::Now(2));
}

#[tokio::test(start_paused = true)]
async fn the_old_key_is_kept_as_long_as_a_record_cannot_be_read_with_it() {
    let place = Place::new();
    let store = filled(&place).await;
    let broken = place.all_of(Kind::User).await.remove(0);
    let mut body = broken.record.body.clone();
    *body.last_mut().unwrap() ^= 1;
    let batch = Batch::new().put(Kind::Message, [1; 24], Expect::Absent, None, body);
    place.records.commit(batch).await.unwrap();
    store.rotate(Purpose::Sealing, "root", NOW).await.unwrap();
    let left = loop {
        match store.carry_on().await.unwrap() {
            Left::Work(_) => {}
            left => break left,
        }
    };
    let Left::Unreadable(progress) = left else { panic!("{left:?}") };
    assert_eq!((progress.unreadable, place.lines(Purpose::Sealing).len()), (1, 2));
    everybody_is_found(&store).await;
    // Once it is gone, so is the key.
    let gone = Batch::new().delete(Kind::Message, [1; 24], Expect::Any);
    place.records.commit(gone).await.unwrap();
    finishes(&store).await.unwrap();
    assert_eq!(place.lines(Purpose::Sealing).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_read_stops_no_other_name() {
    let place = Place::new();
    let store = filled(&place).await;
    let broken = place.all_of(Kind::Name).await.remove(0);
    let mut body = broken.record.body.clone();
    *body.last_mut().unwrap() ^= 1;
    let breaks = Batch::new().put(Kind::Name, broken.key.clone(), Expect::Any, None, body);
    place.records.commit(breaks).await.unwrap();
    store.rotate(Purpose::Names, "root", NOW).await.unwrap();
    for _ in 0..2 {
        let left = loop {
            match store.carry_on().await.unwrap() {
                Left::Work(_) => {}
                left => break left,
            }
        };
        let Left::Unreadable(progress) = left else { panic!("{left:?}") };
        assert_eq!((progress.purpose, progress.unreadable), (Purpose::Names, 1));
    }
    let old = |entry: &&Entry| entry.key[0] == 1;
    assert_eq!(place.all_of(Kind::Name).await.iter().filter(old).count(), 1);
    assert_eq!(place.lines(Purpose::Names).len(), 2);
    // Once it is gone, so is the key.
    let gone = Batch::new().delete(Kind::Name, broken.key, Expect::Any);
    place.records.commit(gone).await.unwrap();
    finishes(&store).await.unwrap();
    assert_eq!(place.lines(Purpose::Names).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_readers_are_not_disturbed_by_rotations() {
    let place = Place::new();
    let store = Arc::new(filled(&place).await);
    let goes_on = Arc::new(AtomicUsize::new(1));
    let mut busy = tokio::task::JoinSet::new();
    for number in 1..=PEOPLE {
        let (store, goes_on) = (Arc::clone(&store), Arc::clone(&goes_on));
        busy.spawn(async move {
            let name = format!("user{number}");
            let mut count = 0;
            while goes_on.load(Ordering::SeqCst) > 0 {
                fails_once(&store, &name).await;
                let id = UserId::from([number; 16]);
                assert_eq!(store.user_named(&Login::typed(&name)).await.unwrap(), Some(id));
                let twin = named_alike(100 + number, number);
                assert_eq!(store.add_user(&twin, None, &[]).await.unwrap(), Added::NameTaken);
                assert_eq!(store.users(None, 100).await.unwrap().len(), usize::from(PEOPLE));
                count += 1;
                tokio::task::yield_now().await;
            }
            (name, count)
        });
    }
    for purpose in Purpose::ALL {
        store.rotate(*purpose, "root", NOW).await.unwrap();
        finishes(&store).await.unwrap();
    }
    goes_on.store(0, Ordering::SeqCst);
    let counts = busy.join_all().await;
    for (name, count) in counts {
        assert!(count > 0);
        let target = store.target(&Login::typed(&name)).await.unwrap();
        assert!(matches!(target, Target::User(_)));
        assert_eq!(failures(&store, &name).await, count, "{name}");
    }
    assert_eq!(place.ids_in_use().await, ([2].into(), [2].into()));
}

#[tokio::test(start_paused = true)]
async fn a_store_from_before_the_first_rotation_of_names_is_not_used_with_newer_keys() {
    let place = Place::new();
    let store = filled(&place).await;
    // As upkeep does at every start.
    assert_eq!(store.carry_on().await.unwrap(), Left::Nothing);
    let text = fs::read_to_string(place.state().keys_file()).unwrap();
    let newer = text.replace("names 1 ", "names 2 ");
    fs::write(place.state().keys_file(), newer).unwrap();
    assert_eq!(place.opens().lacks_key().await.unwrap(), Some(("names".to_owned(), 1)));
}
