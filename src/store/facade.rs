//! The store as everybody else sees it: people, visits, links, and what happened to them.
//!
//! A change is one pure decision over what was read. [`Store::update`] loads, lets `decide` change
//! what it holds, and writes all of it in one batch if nothing of what was read has been written in
//! between; otherwise it loads and decides again. So "works once" holds on any backend and any
//! number of nodes.

use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Encode};
use tokio::sync::{Mutex, MutexGuard};

use super::batch::{Batch, Expect, Outcome};
use super::cache::{Cache, Snapshot};
use super::keys::{Keys, NameKey};
use super::records::{KeyRange, Kind, Record, Records, SWEEP_AT_MOST, Unavailable, Version};
use super::sealing::Sealer;
use crate::domain::chance::Chance;
use crate::domain::event::{Event, Whom};
use crate::domain::link::Link;
use crate::domain::lockout::Failures;
use crate::domain::name::Login;
use crate::domain::secret::TokenHash;
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};

/// Keeps everything that must outlive a request.
#[derive(Debug)]
pub struct Store {
    records: Arc<dyn Records>,
    sealer: Sealer,
    names: NameKey,
    chance: Chance,
    cache: Cache,
    /// Writers of one user stand in line here rather than overtake each other at the store.
    lines: [Mutex<()>; LINES],
}

const LINES: usize = 64;

/// The setting that says how late it was when it was last noted.
const TIME_SEEN: &[u8] = b"time-seen";

/// How often a decision is made again because somebody wrote first. Other nodes are few, and our
/// own writers stand in line.
const TRIES: usize = 256;

/// How long events are kept.
const EVENTS_LAST: Duration = Duration::from_hours(90 * 24);

/// How many names that no user has are remembered; those whose time is over soonest go.
const ATTEMPTS_AT_MOST: usize = 100_000;

/// What a decision is about.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Whose record.
    pub user: UserId,
    /// A visit, not necessarily of that user.
    pub session: Option<TokenHash>,
    /// A one-time link, not necessarily for that user.
    pub link: Option<TokenHash>,
}

impl Reads {
    /// Only the user's record.
    pub const fn user(user: UserId) -> Self {
        Self { user, session: None, link: None }
    }
}

/// What a decision may look at and change. All of it is written together, or nothing.
#[derive(Debug)]
pub struct Held {
    /// The user.
    pub user: User,
    /// The visit, if it is there; taking it ends it.
    pub session: Option<Session>,
    /// The link, if it is there; taking it uses it up.
    pub link: Option<Link>,
    /// Visits that begin.
    begun: Vec<(TokenHash, Session, Timestamp)>,
    /// Links that are made.
    made: Vec<(TokenHash, Link)>,
    /// What happened.
    events: Vec<Event>,
}

impl Held {
    /// Begins a visit under `hash`; it is swept from `over` on at the latest.
    pub fn begin(&mut self, hash: TokenHash, session: Session, over: Timestamp) {
        self.begun.push((hash, session, over));
    }

    /// Makes a link.
    pub fn make_link(&mut self, hash: TokenHash, link: Link) {
        self.made.push((hash, link));
    }

    /// Tells what happened.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// What became of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The user is there now.
    Now,
    /// Somebody has this name, or it is somebody's e-mail address.
    NameTaken,
    /// Somebody has this e-mail address, or it is somebody's name.
    EmailTaken,
}

/// A record as it was read: what it says, and which commit wrote it.
struct Read<T> {
    value: Option<T>,
    version: Option<Version>,
    expires: Option<Timestamp>,
}

impl Store {
    /// A store over `records`, sealed with `keys`.
    pub fn new(records: Arc<dyn Records>, keys: &Keys, chance: Chance) -> Self {
        let cache = Cache::new(records.watch());
        Self {
            records,
            sealer: Sealer::new(keys),
            names: keys.name().clone(),
            chance,
            cache,
            lines: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// The user, from memory where possible.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read, or what it holds is no user.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<Snapshot>>, Unavailable> {
        let since = match self.cache.user(id) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(since) => since,
        };
        let read = self.read::<User>(Kind::User, id.as_bytes()).await?;
        Ok(read.value.map(|user| {
            let snapshot = Arc::new(Snapshot::of(user));
            self.cache.keep_user(id, Arc::clone(&snapshot), since);
            snapshot
        }))
    }

    /// The visit under this hash, from memory where possible; whether it is still alive is for the
    /// caller to judge.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn session(&self, hash: TokenHash) -> Result<Option<Arc<Session>>, Unavailable> {
        let since = match self.cache.session(hash) {
            Ok(session) => return Ok(Some(session)),
            Err(since) => since,
        };
        let read = self.read::<Session>(Kind::Session, hash.as_bytes()).await?;
        Ok(read.value.map(|session| {
            let session = Arc::new(session);
            self.cache.keep_session(hash, Arc::clone(&session), since);
            session
        }))
    }

    /// What the link under this hash leads to; whether it is still good is for the caller to judge.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn link(&self, hash: TokenHash) -> Result<Option<Link>, Unavailable> {
        Ok(self.read(Kind::Token, hash.as_bytes()).await?.value)
    }

    /// Who signs in with this name or e-mail address.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn user_named(&self, login: &Login) -> Result<Option<UserId>, Unavailable> {
        Ok(self.read(Kind::Name, &self.names.of(login.key())).await?.value)
    }

    /// The users whose ids follow `after`, at most `limit`, in the order of their ids.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, Unavailable> {
        let range = match after {
            Some(id) => KeyRange::all().behind(id.as_bytes()),
            None => KeyRange::all(),
        };
        let entries = self.records.scan(Kind::User, range, limit).await?;
        entries.iter().map(|entry| self.open(Kind::User, &entry.key, &entry.record)).collect()
    }

    /// The first `limit` events at most, the oldest first.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn events(&self, limit: usize) -> Result<Vec<Event>, Unavailable> {
        let entries = self.records.scan(Kind::Event, KeyRange::all(), limit).await?;
        entries.iter().map(|entry| self.open(Kind::Event, &entry.key, &entry.record)).collect()
    }

    /// Loads, decides, and writes what was decided, with the events that explain it; durable when
    /// it returns. `None` if there is no such user.
    ///
    /// `decide` may be called several times, each time with what is there then.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read or written. Nothing is half written, but all of
    /// it may have been written; see [`Records::commit`].
    pub async fn update<T>(
        &self,
        reads: Reads,
        mut decide: impl FnMut(&mut Held) -> T,
    ) -> Result<Option<T>, Unavailable> {
        let _line = self.line(reads.user.as_bytes()).await;
        for _ in 0..TRIES {
            let user = self.read::<User>(Kind::User, reads.user.as_bytes()).await?;
            let session = self.read_some::<Session>(Kind::Session, reads.session).await?;
            let link = self.read_some::<Link>(Kind::Token, reads.link).await?;
            let Some(before) = user.value.clone() else { return Ok(None) };
            let mut held = Held {
                user: before,
                session: session.value.clone(),
                link: link.value.clone(),
                begun: Vec::new(),
                made: Vec::new(),
                events: Vec::new(),
            };
            let decided = decide(&mut held);

            let mut batch = Batch::new();
            let mut changed = false;
            let key = reads.user.as_bytes();
            changed |= self.step(&mut batch, Kind::User, key, &user, Some(&held.user))?;
            if let Some(hash) = reads.session {
                let (key, now) = (hash.as_bytes(), held.session.as_ref());
                changed |= self.step(&mut batch, Kind::Session, key, &session, now)?;
            }
            if let Some(hash) = reads.link {
                let (key, now) = (hash.as_bytes(), held.link.as_ref());
                changed |= self.step(&mut batch, Kind::Token, key, &link, now)?;
            }
            for (hash, begun, over) in &held.begun {
                let (key, over) = (hash.as_bytes(), Some(*over));
                batch = self.put(batch, Kind::Session, key, Expect::Absent, over, begun)?;
                changed = true;
            }
            for (hash, made) in &held.made {
                let (key, over) = (hash.as_bytes(), Some(made.expires));
                batch = self.put(batch, Kind::Token, key, Expect::Absent, over, made)?;
                changed = true;
            }
            changed |= !held.events.is_empty();
            let name = held.user.name().as_str();
            if !changed || self.commit(batch, &held.events, Some(name)).await? {
                return Ok(Some(decided));
            }
        }
        Err(Unavailable::new("too many others write to the same user"))
    }

    /// Decides upon the failures of a name that no user has, as [`Store::update`] does for a user:
    /// the same work and the same writes, so that nobody can tell.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn update_stranger<T>(
        &self,
        login: &Login,
        now: Timestamp,
        mut decide: impl FnMut(&mut Failures, Whom) -> (T, Vec<Event>),
    ) -> Result<T, Unavailable> {
        let key = self.names.of(login.key());
        let whom = Whom::Nobody(u64::from_be_bytes(std::array::from_fn(|i| key[i])));
        let _line = self.line(&key).await;
        for _ in 0..TRIES {
            let read = self.read::<Failures>(Kind::Attempts, &key).await?;
            let before = read.value.filter(|_| read.expires.is_none_or(|over| now < over));
            let before = before.unwrap_or_default();
            let mut failures = before.clone();
            let (decided, events) = decide(&mut failures, whom.clone());
            if failures == before && events.is_empty() {
                return Ok(decided);
            }
            let (expect, over) = (expect(read.version), Some(now.plus(Failures::FORGOTTEN_AFTER)));
            let batch = self.put(Batch::new(), Kind::Attempts, &key, expect, over, &failures)?;
            if self.commit(batch, &events, None).await? {
                return Ok(decided);
            }
        }
        Err(Unavailable::new("too many others write to the same name"))
    }

    /// Adds a user, with a first link where there is one; the name and the e-mail address lead to
    /// this user from now on.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn add_user(
        &self,
        user: &User,
        link: Option<(TokenHash, Link)>,
        events: &[Event],
    ) -> Result<Added, Unavailable> {
        let name = self.names.of(user.name().as_str());
        let email = user.email().map(|email| self.names.of(email.key()));
        let email = email.filter(|email| *email != name);
        for _ in 0..TRIES {
            if self.is_taken(&name).await? {
                return Ok(Added::NameTaken);
            }
            if let Some(email) = &email
                && self.is_taken(email).await?
            {
                return Ok(Added::EmailTaken);
            }
            let absent = Expect::Absent;
            let id = user.id();
            let mut batch =
                self.put(Batch::new(), Kind::User, id.as_bytes(), absent, None, user)?;
            for key in [Some(&name), email.as_ref()].into_iter().flatten() {
                batch = self.put(batch, Kind::Name, key, absent, None, &id)?;
                // Whoever guessed at this name before there was a user behind it is forgotten.
                batch = batch.delete(Kind::Attempts, *key, Expect::Any);
            }
            if let Some((hash, link)) = &link {
                let over = Some(link.expires);
                batch = self.put(batch, Kind::Token, hash.as_bytes(), absent, over, link)?;
            }
            if self.commit(batch, events, Some(user.name().as_str())).await? {
                return Ok(Added::Now);
            }
        }
        Err(Unavailable::new("too many others add the same user"))
    }

    /// Notes that a visit was used, if it is still there and nobody else writes to it.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn touch(&self, hash: TokenHash, now: Timestamp) -> Result<(), Unavailable> {
        let read = self.read::<Session>(Kind::Session, hash.as_bytes()).await?;
        let Some(session) = read.value.clone().filter(|session| session.is_worth_touching(now))
        else {
            return Ok(());
        };
        let mut batch = Batch::new();
        let touched = Session { seen: now, ..session };
        self.step(&mut batch, Kind::Session, hash.as_bytes(), &read, Some(&touched))?;
        self.commit(batch, &[], None).await.map(|_| ())
    }

    /// Deletes what has expired by `now`, and names that no user has beyond the most that are
    /// remembered; says how many records went.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let mut gone = 0;
        loop {
            let swept = self.records.sweep(now).await?;
            gone += swept;
            if swept == 0 {
                break;
            }
        }
        Ok(gone + self.forget_strangers().await?)
    }

    async fn forget_strangers(&self) -> Result<usize, Unavailable> {
        const PAGE: usize = 1_000;
        let (mut range, mut all) = (KeyRange::all(), Vec::new());
        loop {
            let page = self.records.scan(Kind::Attempts, range.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            range = range.behind(&last.key);
            all.extend(page.into_iter().map(|entry| (entry.record.expires, entry.key)));
        }
        let surplus = all.len().saturating_sub(ATTEMPTS_AT_MOST);
        all.sort_unstable();
        // Hundreds at a time: each commit waits for the disk.
        for some in all[..surplus].chunks(SWEEP_AT_MOST) {
            let forget = |batch: Batch, (_, key): &(_, Vec<u8>)| {
                batch.delete(Kind::Attempts, key.clone(), Expect::Any)
            };
            self.records.commit(some.iter().fold(Batch::new(), forget)).await?;
        }
        Ok(surplus)
    }

    /// The highest moment that was seen before this run, if there was one.
    ///
    /// # Errors
    /// As [`Store::user`]. A store that was sealed with other keys shows itself here, at the start.
    pub async fn time_seen(&self) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(Kind::Setting, TIME_SEEN).await?.value)
    }

    /// Notes that this moment was seen.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn note_time(&self, now: Timestamp) -> Result<(), Unavailable> {
        let batch = self.put(Batch::new(), Kind::Setting, TIME_SEEN, Expect::Any, None, &now)?;
        self.commit(batch, &[], None).await.map(|_| ())
    }

    /// Whether the store can be read.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot.
    pub async fn probe(&self) -> Result<(), Unavailable> {
        self.records.get(Kind::Setting, TIME_SEEN).await.map(|_| ())
    }

    async fn line(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        let place = key.first().copied().map_or(0, usize::from) % LINES;
        self.lines[place].lock().await
    }

    async fn is_taken(&self, name: &[u8; 32]) -> Result<bool, Unavailable> {
        Ok(self.records.get(Kind::Name, name).await?.is_some())
    }

    async fn read_some<T>(
        &self,
        kind: Kind,
        hash: Option<TokenHash>,
    ) -> Result<Read<T>, Unavailable>
    where
        T: for<'b> Decode<'b, ()>,
    {
        match hash {
            Some(hash) => self.read(kind, hash.as_bytes()).await,
            None => Ok(Read { value: None, version: None, expires: None }),
        }
    }

    async fn read<T>(&self, kind: Kind, key: &[u8]) -> Result<Read<T>, Unavailable>
    where
        T: for<'b> Decode<'b, ()>,
    {
        let Some(record) = self.records.get(kind, key).await? else {
            return Ok(Read { value: None, version: None, expires: None });
        };
        Ok(Read {
            value: Some(self.open(kind, key, &record)?),
            version: Some(record.version),
            expires: record.expires,
        })
    }

    fn open<T>(&self, kind: Kind, key: &[u8], record: &Record) -> Result<T, Unavailable>
    where
        T: for<'b> Decode<'b, ()>,
    {
        let body = self.sealer.open(kind, key, &record.body)?;
        minicbor::decode(body.expose())
            .map_err(|error| Unavailable::because("a record cannot be read", error))
    }

    /// Adds to `batch` what makes the record that was `read` into `now`; says whether that is a
    /// change. Where it is none, the record must still be as it was read.
    fn step<T: Encode<()> + PartialEq>(
        &self,
        batch: &mut Batch,
        kind: Kind,
        key: &[u8],
        read: &Read<T>,
        now: Option<&T>,
    ) -> Result<bool, Unavailable> {
        let expected = expect(read.version);
        let so_far = std::mem::take(batch);
        let changed = read.value.as_ref() != now;
        *batch = match now {
            _ if !changed => so_far.check(kind, key, expected),
            Some(value) => self.put(so_far, kind, key, expected, read.expires, value)?,
            None => so_far.delete(kind, key, expected),
        };
        Ok(changed)
    }

    fn put<T: Encode<()>>(
        &self,
        batch: Batch,
        kind: Kind,
        key: &[u8],
        expect: Expect,
        expires: Option<Timestamp>,
        value: &T,
    ) -> Result<Batch, Unavailable> {
        let body = minicbor::to_vec(value)
            .map(zeroize::Zeroizing::new)
            .map_err(|error| Unavailable::because("a record cannot be written", error))?;
        let sealed = self.chance.draw(|rng| self.sealer.seal(rng, kind, key, &body))?;
        Ok(batch.put(kind, key, expect, expires, sealed))
    }

    /// Commits `batch` with `events`, which are about the user called `name` if any; whether it was
    /// carried out.
    async fn commit(
        &self,
        mut batch: Batch,
        events: &[Event],
        name: Option<&str>,
    ) -> Result<bool, Unavailable> {
        for event in events {
            let key = self.event_key(event);
            let over = Some(event.at.plus(EVENTS_LAST));
            batch = self.put(batch, Kind::Event, &key, Expect::Absent, over, event)?;
        }
        match self.records.commit(batch).await {
            Ok(Outcome::Committed(_)) => {
                for event in events {
                    log(event, name);
                }
                Ok(true)
            }
            Ok(Outcome::Overtaken) => Ok(false),
            Err(unavailable) => {
                // It may have been carried out, and then nobody is told of the change: what is in
                // memory may be gone.
                self.cache.forget_everything();
                Err(unavailable)
            }
        }
    }

    /// In the order of time; eight random bytes keep those of one moment apart.
    fn event_key(&self, event: &Event) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&event.at.millis().to_be_bytes());
        self.chance.draw(|rng| rng.fill_bytes(&mut key[8..]));
        key
    }
}

fn expect(version: Option<Version>) -> Expect {
    version.map_or(Expect::Absent, Expect::Version)
}

fn log(event: &Event, name: Option<&str>) {
    let (what, message) = (event.what.name(), event.what.sentence());
    let from = event.from.map(tracing::field::display);
    let by = event.by.as_deref();
    match &event.whom {
        Whom::User(user) => {
            tracing::info!(target: "doorward::event", name, %user, what, from, by, "{message}");
        }
        Whom::Nobody(hash) => {
            let unknown_name = format!("{hash:016x}");
            tracing::info!(target: "doorward::event", unknown_name, what, from, by, "{message}");
        }
    }
}
