//! Seven days of a flood of fifty guesses a second, at a scale: of so many guesses one is made, and so
//! many times fewer failures are remembered.
//!
//! The clock is moved. The guesses come in bursts at the full rate, four a day, because the log is
//! limited by the second.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorward::cli::reload::Live;
use doorward::domain::device::BrowserId;
use doorward::domain::event::{What, Whom};
use doorward::domain::name::Login;
use doorward::domain::password::Password;
use doorward::domain::user::User;
use doorward::flow::decision_log::Refusal;
use doorward::flow::sign_in::{SignIn, sign_in};
use doorward::flow::{Caller, Carried, Env};
use doorward::identity::{Full, Hashing, Place, Verified, Work, Worker};
use doorward::store::memory::Memory;
use doorward::store::record::KeyRange;
use doorward::store::redb::{Options, Redb};
use doorward::store::{Kind, Records};
use redb::StorageBackend;
use redb::backends::FileBackend;
use serde_json::Value;

use super::log::Log;
use crate::support::gate::{CONFIG, Gate};

const SECONDS: u64 = 7 * 24 * 60 * 60;
const RATE: u64 = 50;
const BURSTS: u64 = 28;
/// How many names have their failed passwords remembered, if the scale is one.
const REMEMBERED: u64 = 250_000;
/// Every so many guesses, one is at somebody who is there.
const AT_ADA: u64 = 10;
/// How many pages are refused for each guess: in all, more than the decision log keeps.
const PAGES: u64 = 4;

#[tokio::test]
async fn seven_days_of_a_flood_leave_little_behind_and_what_is_known_of_people_stays() {
    let flood = Flood::over(Arc::new(Memory::new()), 6_000).await;
    let seen = flood.lasts(|_| {}).await;
    flood.has_left_little(&seen).await;
}

/// On a file that is never synced: seven days of syncs take hours.
#[tokio::test]
#[ignore = "takes minutes"]
async fn seven_days_of_a_flood_leave_a_small_file_behind() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store.redb");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let backend = NeverSynced(FileBackend::new(file).unwrap());
    let records = Redb::over(backend, Options { cache: 1 << 20, ..Options::default() }).unwrap();
    let flood = Flood::over(Arc::new(records), 3_000).await;
    let mut sizes = Vec::new();
    let seen = flood.lasts(|_| sizes.push(fs::metadata(&path).unwrap().len())).await;
    flood.has_left_little(&seen).await;
    assert!(sizes[27] <= sizes[3] * 3 / 2, "it grows no more once a day is over: {sizes:?}");
}

/// A gateway over `records` that writes its events to a file, and three people: Ada, who is guessed at;
/// Bob, who has failed three times; Cyd, who is signed in and was refused something.
struct Flood {
    gate: Gate,
    /// Where guesses are not hashed: that is another story.
    unhashed: Env,
    records: Arc<dyn Records>,
    scale: u64,
    home: tempfile::TempDir,
    _live: Live,
    /// What Cyd was refused.
    refusal: Refusal,
}

/// What was counted from outside.
#[derive(Debug, Default)]
struct Seen {
    /// Guesses at Ada that were compared with her password.
    at_ada: u32,
    /// Guesses at names that nobody has.
    at_nobody: u64,
    /// The most names with failed passwords that were stored at a time.
    names: usize,
    /// The seconds in which there was a guess.
    seconds: u64,
    /// Lines in the log on standard error but those about each event.
    lines: usize,
}

impl Flood {
    async fn over(records: Arc<dyn Records>, scale: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config =
            format!("{CONFIG}events: {{ to: '{}' }}\n", home.path().join("events").display());
        let remembered = usize::try_from(REMEMBERED / scale).unwrap();
        let gate = Gate::flooded(&config, remembered, Arc::clone(&records));
        let live = Live::start(Arc::clone(&gate.env)).await.unwrap();
        for name in ["ada", "bob", "cyd"] {
            gate.knows(name).await;
        }
        for _ in 0..3 {
            gate.browser().signs_in_with("bob", "wrong").await;
        }
        gate.browser().signs_in("cyd").await.opens("/closed/").await;
        let refusal = gate.env.decision_log.refusals().remove(0).last;
        assert_eq!(refusal.user.as_deref(), Some("cyd"));
        let unhashed = Env { hashing: Arc::new(AllWrong), ..Env::clone(&gate.env) };
        Self { gate, unhashed, records, scale, home, _live: live, refusal }
    }

    /// All seven days; `look` is called after each burst.
    async fn lasts(&self, mut look: impl FnMut(u64)) -> Seen {
        let (log, _guard) = Log::start();
        let (gate, store) = (&self.gate, &self.gate.env.store);
        let of_a_burst = RATE * SECONDS / self.scale / BURSTS;
        let mut seen = Seen::default();
        for burst in 0..BURSTS {
            let began = gate.now();
            for guess in burst * of_a_burst..(burst + 1) * of_a_burst {
                self.guesses(guess, &mut seen).await;
                // Time goes on, and with it what is done every few minutes.
                gate.waits(Duration::from_secs(1) / u32::try_from(RATE).unwrap());
                if guess.is_multiple_of(self.between_sweeps()) {
                    store.note_time(gate.now()).await.unwrap();
                    seen.names = seen.names.max(self.count(Kind::Attempts).await);
                    store.sweep(gate.now()).await.unwrap();
                }
            }
            seen.seconds += of_a_burst.div_ceil(RATE);
            let next = began.millis() + SECONDS / BURSTS * 1_000;
            gate.waits(Duration::from_millis(next - gate.now().millis()));
            store.note_time(gate.now()).await.unwrap();
            store.sweep(gate.now()).await.unwrap();
            look(burst);
        }
        let lines = log.lines_about(": ");
        let is_told =
            |line: &&String| [" INFO ", " WARN ", "ERROR "].iter().any(|l| line.contains(l));
        // The burst limit, which goes by real time, throttles these.
        let is_event = |line: &&String| line.contains("doorward::unknown: ");
        seen.lines = lines.iter().filter(is_told).filter(|line| !is_event(line)).count();
        seen
    }

    /// A stranger guesses a password, and is refused some pages.
    async fn guesses(&self, guess: u64, seen: &mut Seen) {
        let (env, now) = (&self.unhashed, self.gate.now());
        let address = u32::try_from(guess).unwrap() + u32::from(Ipv4Addr::new(203, 0, 0, 0));
        let address = IpAddr::from(Ipv4Addr::from(address));
        let visitor = Some(address);
        let carried = Carried::default();
        let caller = Caller { now, address, visitor, agent: None, request: None, carried };
        let is_at_ada = guess.is_multiple_of(AT_ADA);
        let name = if is_at_ada { "ada".to_owned() } else { format!("flood{guess}") };
        let password = Password::typed("a guess");
        let signed_in = sign_in(env, &caller, &Login::typed(&name), password).await.unwrap();
        match signed_in {
            SignIn::Refused if is_at_ada => seen.at_ada += 1,
            SignIn::Refused => seen.at_nobody += 1,
            SignIn::Waiting { .. } => {}
            SignIn::Begun(_) | SignIn::MustChange | SignIn::Busy => panic!("{signed_in:?}"),
        }
        for page in 0..PAGES {
            let request_id = format!("flood{guess}-{page}");
            let (at, from, user, is_known) = (now, address, None, false);
            let refusal = self.refusal.clone();
            env.decision_log.refused(Refusal { request_id, at, from, user, is_known, ..refusal });
        }
    }

    /// So many guesses are made until expired records are deleted: in half an hour, which is more than
    /// in a gateway.
    fn between_sweeps(&self) -> u64 {
        RATE * 1_800 / self.scale
    }

    async fn count(&self, kind: Kind) -> usize {
        self.records.scan(kind, KeyRange::all(), usize::MAX).await.unwrap().len()
    }

    async fn user(&self, name: &str) -> User {
        let store = &self.gate.env.store;
        let id = store.user_named(&Login::typed(name)).await.unwrap().unwrap();
        store.user(id).await.unwrap().unwrap().user.clone()
    }

    async fn has_left_little(&self, seen: &Seen) {
        let store = &self.gate.env.store;
        let guesses = RATE * SECONDS / self.scale / BURSTS * BURSTS;

        // People's own failures and events are exact.
        let ada = self.user("ada").await;
        assert!(seen.at_ada > 5, "and more than {} were made", seen.at_ada);
        assert_eq!(ada.strangers().password.count(), seen.at_ada);
        assert_eq!(self.user("bob").await.strangers().password.count(), 3);
        let of_ada = store.events_of(ada.id(), usize::MAX).await.unwrap();
        let refused = of_ada.iter().filter(|event| event.what == What::PasswordRefused);
        assert_eq!(refused.count(), usize::try_from(seen.at_ada).unwrap());

        // The store: names by their limit, events of names that nobody has by the hour.
        let remembered = usize::try_from(REMEMBERED / self.scale).unwrap();
        let between = usize::try_from(self.between_sweeps()).unwrap() + remembered / 20;
        assert!(seen.names <= remembered + between + 3, "{} names", seen.names);
        assert!(self.count(Kind::Attempts).await <= remembered);
        let of_strangers = self.count(Kind::Event).await - self.count(Kind::Happened).await;
        assert!(of_strangers <= usize::try_from(2 * BURSTS).unwrap(), "{of_strangers} sums");
        let sums = store.events(usize::MAX).await.unwrap();
        let summed = sums.iter().map(|event| match event.whom {
            Whom::Strangers(times) if event.what == What::PasswordRefused => times,
            Whom::Strangers(_)
            | Whom::User(_)
            | Whom::Nobody(_)
            | Whom::Key(..)
            | Whom::Provider(_) => 0,
        });
        assert_eq!(summed.sum::<u64>(), seen.at_nobody, "every one is counted");

        // The log: a line of a kind and second; refusals have limits by the minute.
        let bursts = usize::try_from(BURSTS).unwrap();
        let seconds = usize::try_from(seen.seconds).unwrap() + bursts;
        assert!(seen.lines <= 2 * seconds + 10 * bursts, "{} lines", seen.lines);
        let events = self.events_in_the_log().await;
        let of = |wanted: fn(&Value) -> bool| events.iter().filter(|line| wanted(line)).count();
        let of_nobody = of(|line| line.get("unknown_name").is_some());
        let refusals = of(|line| line["event"] == "request-refused");
        assert!((1..=seconds).contains(&of_nobody), "{of_nobody} of {guesses} guesses");
        assert!((1..=200 * bursts).contains(&refusals), "{refusals} of {guesses} refusals");
        let of_people = self.count(Kind::Happened).await;
        assert_eq!(of_people, of(|line| line.get("user_id").is_some()), "all that people are told");

        // What was refused to somebody who is known can still be explained.
        assert_eq!(
            self.gate.env.decision_log.why(&self.refusal.request_id).as_ref(),
            Some(&self.refusal)
        );
    }

    /// The lines of the event log, once the last event is there.
    async fn events_in_the_log(&self) -> Vec<Value> {
        self.gate.browser().signs_in("cyd").await;
        let last = self.gate.now().seconds();
        let cyd = self.user("cyd").await.id();
        let of_cyd = self.gate.env.store.events_of(cyd, usize::MAX).await.unwrap();
        let told = of_cyd.iter().filter(|event| event.at.seconds() == last).count();
        let file = self.home.path().join("events");
        loop {
            let events = lines(&file);
            let is_last = |event: &Value| event["user"] == "cyd" && at(event) == Some(last);
            if events.iter().filter(|event| is_last(event)).count() >= told {
                return events;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn at(event: &Value) -> Option<u64> {
    let at: jiff::Timestamp = event["at"].as_str()?.parse().ok()?;
    u64::try_from(at.as_second()).ok()
}

/// Hashes nothing.
struct AllWrong;

impl Hashing for AllWrong {
    fn place(&self, _: IpAddr, _: Option<BrowserId>) -> Result<Place, Full> {
        Ok(Place::new(Self))
    }
}

impl Worker for AllWrong {
    fn begin(self: Box<Self>, work: Work) {
        let Work::Verify { answer, .. } = work else { return };
        answer.send(Ok(Verified { right: false, rehashed: None })).ok();
    }
}

/// A file that is written, but never synced.
#[derive(Debug)]
struct NeverSynced(FileBackend);

impl StorageBackend for NeverSynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
