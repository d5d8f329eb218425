//! The store's interface for the rest of the program: users, sessions, links and events.
//!
//! This file has the reads, and how records are opened, sealed and committed. The other files:
//! changes as one pure decision over what was read ([`update`]); adding, changing and removing
//! users ([`people`]), and the names of removed ones ([`former_names`]); looking up names
//! ([`names`]); counting failed passwords ([`attempts`]);
//! refusing unknown names ([`strangers`]) and summing up such events ([`unsummed`]); reading events
//! ([`events`]); the user sessions of a user ([`user_sessions`]); messages that wait to be sent
//! ([`outbox`]); voiding what an older store would revive ([`void_after_restore`]); new keys
//! ([`rotation`]) and what they make necessary ([`reseal`], [`rekey`]); housekeeping ([`upkeep`]).

mod attempt_count;
mod attempts;
mod events;
mod former_names;
mod form;
pub(super) mod held;
mod imported;
pub(super) mod names;
pub(super) mod outbox;
pub(super) mod people;
pub(super) mod queued_message;
mod rekey;
mod reseal;
mod rests;
pub(super) mod rotation;
mod rp_id;
mod strangers;
pub(super) mod texts;
pub(super) mod under_way;
mod unsummed;
pub(super) mod update;
mod upkeep;
mod user_sessions;
mod void_after_restore;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use tokio::sync::{Mutex, MutexGuard, RwLock, Semaphore};

use self::attempt_count::AttemptCount;
use self::queued_message::QueuedMessage;
use self::rests::Rests;
use self::under_way::Rotation;
use self::unsummed::Unsummed;
use super::batch::{Batch, Expect};
use super::cache::{Authenticated, Cache, Snapshot};
use super::changes::Changes;
use super::keys::{Keyring, Keys, NAME_LENGTH};
use super::record::{Change, KeyRange, Kind, Record, Version};
use super::records::Records;
use crate::domain::digest::Imported;
use crate::domain::event::Event;
use crate::domain::host_session::HostSession;
use crate::domain::link::Link;
use crate::domain::lockout::Failures;
use crate::domain::rng::SharedRng;
use crate::domain::secret::TokenHash;
use crate::domain::ticket::Ticket;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};
use crate::domain::user_session::{UserSession, UserSessionId};
use crate::unavailable::Unavailable;

/// Stores everything that must outlive a request.
#[derive(Debug)]
pub struct Store {
    records: Arc<dyn Records>,
    keyring: Arc<Keyring>,
    /// Held while records are committed. Whoever holds it for writing knows that from then on
    /// nothing is committed that was sealed with the keys of before.
    commits: RwLock<()>,
    /// Held while names are looked up or given to users, likewise.
    naming: RwLock<()>,
    rotation: Rotation,
    rng: SharedRng,
    cache: Cache,
    /// Whether users are notified by e-mail.
    mails: AtomicBool,
    /// Whether users are notified by text message.
    texts: AtomicBool,
    /// How many records of the outbox could not be read the last time.
    unreadable_messages: AtomicUsize,
    /// The same of text messages.
    unreadable_texts: AtomicUsize,
    /// The listener for events that are durable.
    told: OnceLock<Told>,
    /// Locks by user: writers of one user wait here, so that they do not overtake each other.
    lines: [Mutex<()>; LINES],
    /// How many updates of user sessions' last use may be pending. Limited, because they would pile
    /// up while the store cannot write.
    touches: Semaphore,
    /// The record that is opened if a name is unknown; see [`Store::target`].
    decoy: ArcSwap<Record>,
    /// The maximum number of records of failed passwords, and when to count them again.
    attempts_at_most: usize,
    failures: AttemptCount,
    /// Failed passwords of unknown names that are not in the stored sums yet.
    unsummed: Unsummed,
}

const LINES: usize = 64;
const TOUCHES: usize = 512;

/// Called with each durable event and the name of the user that it is about.
type Hear = Box<dyn Fn(&Event, Option<&str>) + Send + Sync>;

/// The event listener.
struct Told(Hear);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told(…)")
    }
}

/// How often a decision is repeated because somebody else wrote first. Conflicts are rare: our own
/// writers wait for each other, and there are few other nodes.
const TRIES: usize = 256;

/// The key of a name that refers to nobody.
const ABSENT: [u8; NAME_LENGTH] = [0; NAME_LENGTH];

/// A record as it was read: its value and its version.
struct Read<T> {
    value: Option<T>,
    version: Option<Version>,
    expires: Option<Timestamp>,
    /// The length of the stored record in bytes.
    length: usize,
}

impl Store {
    /// A store over `records` with `keys` that are kept nowhere.
    pub fn new(records: Arc<dyn Records>, keys: &Keys, rng: SharedRng) -> Self {
        Self::over(records, Arc::new(Keyring::in_memory(keys.clone())), rng)
    }

    /// A store over `records` with the keys in `keyring`.
    pub fn over(records: Arc<dyn Records>, keyring: Arc<Keyring>, rng: SharedRng) -> Self {
        let cache = Cache::new(records.watch());
        let decoy = Self::decoy(&keyring, &rng);
        Self {
            records,
            keyring,
            commits: RwLock::new(()),
            naming: RwLock::new(()),
            rotation: Rotation::default(),
            decoy: ArcSwap::from_pointee(decoy),
            attempts_at_most: attempt_count::AT_MOST,
            failures: AttemptCount::unknown(),
            unsummed: Unsummed::default(),
            rng,
            cache,
            mails: AtomicBool::new(false),
            texts: AtomicBool::new(false),
            unreadable_messages: AtomicUsize::new(0),
            unreadable_texts: AtomicUsize::new(0),
            told: OnceLock::new(),
            lines: std::array::from_fn(|_| Mutex::new(())),
            touches: Semaphore::new(TOUCHES),
        }
    }

    /// Sets the maximum number of records of failed passwords.
    #[must_use]
    pub fn remembering_failures(self, at_most: usize) -> Self {
        Self { attempts_at_most: at_most, ..self }
    }

    /// Calls `hear` for every event from now on, once it is durable, with the name of the user that
    /// it is about. Only the first listener is accepted.
    pub fn tell(&self, hear: impl Fn(&Event, Option<&str>) + Send + Sync + 'static) {
        self.told.set(Told(Box::new(hear))).ok();
    }

    /// The keys that it uses.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Subscribes to all changes; see [`Records::watch`].
    pub fn watch(&self) -> tokio::sync::broadcast::Receiver<Arc<Change>> {
        self.records.watch()
    }

    /// Subscribes to changes of users and user sessions.
    pub fn changes(&self) -> Changes {
        Changes::new(self.records.watch())
    }

    /// The user, from the cache if possible.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read, or the record is not a valid user.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<Snapshot>>, Unavailable> {
        let since = match self.cache.user(id) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(since) => since,
        };
        let read = self.read::<User>(Kind::User, id.as_bytes()).await?;
        Ok(read.value.map(|user| {
            let snapshot = Arc::new(Snapshot::of(user));
            self.cache.keep_user(id, Arc::clone(&snapshot), read.length, since);
            snapshot
        }))
    }

    /// The host session under this hash, with its user session and user, from the cache if
    /// possible. The caller must check whether the sessions have ended.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn authenticate(
        &self,
        hash: TokenHash,
    ) -> Result<Option<Authenticated>, Unavailable> {
        if let Some(kept) = self.cache.authenticate(hash) {
            return Ok(Some(kept));
        }
        // Boxed because it is rare: otherwise its state would enlarge the future of every request.
        Box::pin(async {
            let Some(session) = self.session(hash).await? else { return Ok(None) };
            let Some(user_session) = self.user_session(session.user_session).await? else {
                return Ok(None);
            };
            let user = self.user(session.user).await?;
            Ok(user.map(|user| Authenticated { session, user_session, user }))
        })
        .await
    }

    /// The host session under this hash, from the cache if possible. The caller must check whether
    /// it has ended.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn session(&self, hash: TokenHash) -> Result<Option<Arc<HostSession>>, Unavailable> {
        let since = match self.cache.session(hash) {
            Ok(session) => return Ok(Some(session)),
            Err(since) => since,
        };
        let read = self.read::<HostSession>(Kind::HostSession, hash.as_bytes()).await?;
        Ok(read.value.map(|session| {
            let session = Arc::new(session);
            self.cache.keep_session(hash, Arc::clone(&session), read.length, since);
            session
        }))
    }

    /// The user session, from the cache if possible. The caller must check whether it has ended.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_session(
        &self,
        id: UserSessionId,
    ) -> Result<Option<Arc<UserSession>>, Unavailable> {
        let since = match self.cache.user_session(id) {
            Ok(user_session) => return Ok(Some(user_session)),
            Err(since) => since,
        };
        let read = self.read::<UserSession>(Kind::UserSession, id.as_bytes()).await?;
        Ok(read.value.map(|user_session| {
            let user_session = Arc::new(user_session);
            self.cache.keep_user_session(id, Arc::clone(&user_session), read.length, since);
            user_session
        }))
    }

    /// The ticket under this hash. The caller must check whether it is still valid.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn ticket(&self, hash: TokenHash) -> Result<Option<Ticket>, Unavailable> {
        Ok(self.read(Kind::Ticket, hash.as_bytes()).await?.value)
    }

    /// The link under this hash. The caller must check whether it is still valid.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn link(&self, hash: TokenHash) -> Result<Option<Link>, Unavailable> {
        Ok(self.read(Kind::Token, hash.as_bytes()).await?.value)
    }

    /// The users with ids after `after`, at most `limit`, in order of their ids.
    ///
    /// # Errors
    /// Like [`Store::user`].
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

    async fn line(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        let place = key.first().copied().map_or(0, usize::from) % LINES;
        self.lines[place].lock().await
    }

    async fn read_some<T>(&self, kind: Kind, key: Option<&[u8]>) -> Result<Read<T>, Unavailable>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        match key {
            Some(key) => self.read(kind, key).await,
            None => Ok(Read { value: None, version: None, expires: None, length: 0 }),
        }
    }

    async fn read<T>(&self, kind: Kind, key: &[u8]) -> Result<Read<T>, Unavailable>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        self.read_by(kind, key, form::decode).await
    }

    /// Reads a record whose value `decode` makes of its bytes.
    async fn read_by<T>(
        &self,
        kind: Kind,
        key: &[u8],
        decode: impl Fn(&[u8]) -> Result<T, Unavailable>,
    ) -> Result<Read<T>, Unavailable> {
        let Some(record) = self.records.get(kind, key).await? else {
            return Ok(Read { value: None, version: None, expires: None, length: 0 });
        };
        let body = self.keyring.sealer().open(kind, key, &record.body)?;
        let value = decode(body.expose())?;
        Ok(Read {
            value: Some(value),
            version: Some(record.version),
            expires: record.expires,
            length: record.body.len(),
        })
    }

    fn open<T>(&self, kind: Kind, key: &[u8], record: &Record) -> Result<T, Unavailable>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        let body = self.keyring.sealer().open(kind, key, &record.body)?;
        form::decode(body.expose())
    }

    /// Adds to `batch` the step that turns the record `read` into `now`. Returns whether that is a
    /// change. If not, the step only checks that the record is unchanged.
    fn step<T: Quiet + PartialEq>(
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

    fn put<T: Quiet>(
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
            .map_err(|error| Unavailable::record("cannot encode it").because(error))?;
        let seal = |rng: &mut dyn CryptoRng| self.keyring.sealer().seal(rng, kind, key, &body);
        let sealed = self.rng.draw(seal)?;
        Ok(batch.put(kind, key, expect, expires, sealed))
    }
}

/// Types that may be written without an announcement. [`Event`] is not one of them: only
/// [`Store::commit`] and [`Store::commit_told`] write events, and they announce them.
trait Quiet: Encode<()> {}

impl Quiet for () {}
impl Quiet for Failures {}
impl Quiet for Imported {}
impl Quiet for QueuedMessage {}
impl Quiet for HostSession {}
impl Quiet for Rests {}
impl Quiet for String {}
impl Quiet for UserSession {}
impl Quiet for Timestamp {}
impl Quiet for User {}
impl Quiet for UserId {}

fn expect(version: Option<Version>) -> Expect {
    version.map_or(Expect::Absent, Expect::Version)
}
