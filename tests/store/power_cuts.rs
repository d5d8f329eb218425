//! Two hundred power cuts: nothing acknowledged is lost, nothing else is half there.

use doorward::store::record::KeyRange;
use doorward::store::redb::{Options, Redb};
use doorward::store::{Batch, Expect, Kind, Outcome, Records, Version};
use doorward::unavailable::Unavailable;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime;

use crate::support::forgetful::Forgetful;

const CUTS: u64 = 200;
const USERS: usize = 4;
const CODES: u8 = 12;

#[test]
fn nothing_acknowledged_is_lost_and_no_used_code_revives_wherever_the_power_fails() {
    let all = steps_of_an_undisturbed_run();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    for seed in 0..CUTS {
        let mut rng = StdRng::seed_from_u64(seed);
        let disk = Forgetful::new(seed);
        let mut people = People::default();
        runtime.block_on(async {
            let store = open(&disk);
            people.get_their_codes(&store).await;
            disk.cut_after(rng.random_range(0..all));
            let _ = people.use_their_codes(&store).await;
        });
        // Where many commits shared few transactions, this cut is the one that they did not meet.
        let mut disk = disk.found_again();
        if rng.random_bool(0.5) {
            disk = cut_again_while_opening(&disk, rng.random_range(0..12));
        }
        runtime.block_on(async {
            let store = open(&disk);
            people.find_everything(&store).await;
            people.use_their_codes(&store).await.expect("the power is back");
            people.find_everything(&store).await;
            assert!(people.0.iter().all(|person| person.used == CODES));
        });
    }
}

#[test]
fn a_store_is_opened_again_wherever_the_power_fails_while_it_grows_shrinks_and_is_closed() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    // Large ones come and go: the file grows, and is cut off when it is closed.
    let body = vec![7; 300_000];
    for cut in (0..).step_by(7) {
        let disk = Forgetful::new(cut as u64);
        let lasting = Batch::new().put(Kind::User, "ada", Expect::Any, None, "engines");
        let store = open(&disk);
        runtime.block_on(store.commit(lasting)).unwrap();
        disk.cut_after(cut);
        let _ = runtime.block_on(async {
            for number in 0..8_u8 {
                let key = [number];
                store.commit(Batch::new().put(Kind::Token, key, Expect::Any, None, &*body)).await?;
            }
            for number in 0..8_u8 {
                store.commit(Batch::new().delete(Kind::Token, [number], Expect::Any)).await?;
            }
            Ok::<_, Unavailable>(())
        });
        drop(store);
        let was_cut = disk.is_off();
        let store = open(&disk.found_again());
        let found = runtime.block_on(store.get(Kind::User, b"ada")).unwrap();
        assert_eq!(found.unwrap().body, b"engines", "{cut}");
        if !was_cut {
            return;
        }
    }
}

fn open(disk: &Forgetful) -> Redb {
    Redb::over(disk.clone(), Options { cache: 1 << 20, ..Options::default() }).unwrap()
}

fn cut_again_while_opening(disk: &Forgetful, steps: usize) -> Forgetful {
    disk.cut_after(steps);
    // It may be open before the cut comes.
    drop(Redb::over(disk.clone(), Options { cache: 1 << 20, ..Options::default() }));
    disk.found_again()
}

fn steps_of_an_undisturbed_run() -> usize {
    let disk = Forgetful::new(0);
    let mut people = People::default();
    runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let store = open(&disk);
        people.get_their_codes(&store).await;
        let before = disk.steps();
        people.use_their_codes(&store).await.unwrap();
        disk.steps() - before
    })
}

/// Users who use their codes one after another, all at the same time, and remember what they were
/// told.
#[derive(Default)]
pub(crate) struct People([Person; USERS]);

#[derive(Default)]
struct Person {
    /// How many codes were acknowledged as used.
    used: u8,
    /// The versions of the user's record at which that was so.
    versions: Vec<Version>,
    /// Whether the last answer never came.
    in_doubt: bool,
}

impl People {
    pub(crate) async fn get_their_codes(&mut self, store: &Redb) {
        let mut batch = Batch::new();
        for who in 0..USERS {
            batch = batch.put(Kind::User, key(who), Expect::Absent, None, [0]);
            for code in 1..=CODES {
                batch = batch.put(Kind::Token, code_key(who, code), Expect::Absent, None, "unused");
            }
        }
        let Outcome::Committed(version) = store.commit(batch).await.unwrap() else {
            panic!("nobody else is here");
        };
        for person in &mut self.0 {
            person.versions.push(version);
        }
    }

    /// Everybody uses the rest of their codes, the n-th of all side by side.
    pub(crate) async fn use_their_codes(&mut self, store: &Redb) -> Result<(), Unavailable> {
        while self.0.iter().any(|person| person.used < CODES) {
            let [first, second, third, fourth] = &mut self.0;
            let (a, b, c, d) = tokio::join!(
                first.use_a_code(store, 0),
                second.use_a_code(store, 1),
                third.use_a_code(store, 2),
                fourth.use_a_code(store, 3),
            );
            a.and(b).and(c).and(d)?;
        }
        Ok(())
    }

    pub(crate) async fn find_everything(&mut self, store: &Redb) {
        for (who, person) in self.0.iter_mut().enumerate() {
            person.finds_everything(store, who).await;
        }
    }
}

impl Person {
    async fn use_a_code(&mut self, store: &Redb, who: usize) -> Result<(), Unavailable> {
        if self.used == CODES {
            return Ok(());
        }
        let last = *self.versions.last().expect("codes come first");
        self.in_doubt = true;
        match store.commit(using(who, self.used + 1, last)).await? {
            Outcome::Committed(version) => {
                self.used += 1;
                self.versions.push(version);
                self.in_doubt = false;
                Ok(())
            }
            Outcome::Overtaken => panic!("nobody else is here"),
        }
    }

    async fn finds_everything(&mut self, store: &Redb, who: usize) {
        let record = store.get(Kind::User, &key(who)).await.unwrap().expect("the user is there");
        let &[used] = record.body.as_slice() else { panic!("the user is whole") };
        let in_doubt = u8::from(self.in_doubt);
        assert!(
            (self.used..=self.used + in_doubt).contains(&used),
            "{used} codes are used; {} were acknowledged, {in_doubt} may be",
            self.used
        );
        let keys_of = async |kind| {
            let entries = store.scan(kind, KeyRange::prefix(&key(who)), 100).await.unwrap();
            entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
        };
        let keys = |codes: std::ops::RangeInclusive<u8>| {
            codes.map(|code| code_key(who, code)).collect::<Vec<_>>()
        };
        assert_eq!(keys_of(Kind::Event).await, keys(1..=used), "what happened is whole");
        assert_eq!(keys_of(Kind::Token).await, keys(used + 1..=CODES), "used codes are gone");
        if used > self.used {
            self.used = used;
            self.versions.push(record.version);
        }
        self.in_doubt = false;
        assert_eq!(self.versions.last(), Some(&record.version));
        for (code, version) in (1..).zip(&self.versions[..self.versions.len() - 1]) {
            let again = store.commit(using(who, code, *version)).await.unwrap();
            assert_eq!(again, Outcome::Overtaken, "a used code is used");
        }
    }
}

fn using(who: usize, code: u8, last: Version) -> Batch {
    Batch::new()
        .put(Kind::User, key(who), Expect::Version(last), None, [code])
        .put(Kind::Event, code_key(who, code), Expect::Absent, None, "code used")
        .delete(Kind::Token, code_key(who, code), Expect::Any)
}

fn key(who: usize) -> Vec<u8> {
    vec![u8::try_from(who).unwrap()]
}

fn code_key(who: usize, code: u8) -> Vec<u8> {
    [key(who), vec![code]].concat()
}
