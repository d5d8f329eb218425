//! An in-memory cache of the records that every request reads.
//!
//! The cache never returns a record whose change was already acknowledged. Before each lookup it
//! processes all announced changes, and it does not store a record if any change was announced
//! since the read of that record began.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::record::{Change, Kind};
use crate::domain::host_session::HostSession;
use crate::domain::secret::TokenHash;
use crate::domain::user::{Identity, User, UserId};
use crate::domain::user_session::{UserSession, UserSessionId};

/// A user at one point in time, with the identity for applications computed once.
#[derive(Debug)]
pub struct Snapshot {
    /// The record.
    pub user: User,
    /// The identity for applications.
    pub identity: Arc<Identity>,
}

impl Snapshot {
    pub(super) fn of(user: User) -> Self {
        let identity = Arc::new(user.identity());
        Self { user, identity }
    }
}

/// The most recently used users, user sessions and host sessions, with a total size of up to twice
/// [`Cache::GENERATION`].
#[derive(Debug)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    changes: Receiver<Arc<Change>>,
    /// A counter of changes. A reader remembers it to find out whether anything changed during the
    /// read.
    heard: u64,
    /// The records used since the last change of generations, and those from before. When the young
    /// generation is full, it replaces the old one.
    young: Generation,
    old: Generation,
}

/// The keys are random ids or digests, so nobody can choose colliding ones.
#[derive(Debug, Default)]
struct Generation {
    users: FxHashMap<UserId, Weighed<Snapshot>>,
    sessions: FxHashMap<TokenHash, Weighed<HostSession>>,
    user_sessions: FxHashMap<UserSessionId, Weighed<UserSession>>,
    weight: usize,
}

/// A record and its approximate size in memory, in bytes.
type Weighed<T> = (Arc<T>, usize);

/// An authenticated request: the records that its cookie leads to.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The host session.
    pub session: Arc<HostSession>,
    /// The user session that it belongs to.
    pub user_session: Arc<UserSession>,
    /// The user of both.
    pub user: Arc<Snapshot>,
}

/// The time when a read began, as a count of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Cache {
    /// The size of one generation in bytes. With two of them and redb's cache, the process stays
    /// below a hundred megabytes, however many users there are. A user who is not cached costs
    /// three more reads of the store.
    const GENERATION: usize = 16 << 20;

    pub(super) fn new(changes: Receiver<Arc<Change>>) -> Self {
        let (young, old) = (Generation::default(), Generation::default());
        Self { kept: Mutex::new(Kept { changes, heard: 0, young, old }) }
    }

    /// The cached user; otherwise the moment to pass to [`Cache::keep_user`] after reading.
    pub(super) fn user(&self, id: UserId) -> Result<Arc<Snapshot>, Moment> {
        self.up_to_date().find(id)
    }

    /// The cached host session; otherwise the moment to pass to [`Cache::keep_session`].
    pub(super) fn session(&self, hash: TokenHash) -> Result<Arc<HostSession>, Moment> {
        self.up_to_date().find(hash)
    }

    /// The cached user session; otherwise the moment to pass to [`Cache::keep_user_session`].
    pub(super) fn user_session(&self, id: UserSessionId) -> Result<Arc<UserSession>, Moment> {
        self.up_to_date().find(id)
    }

    /// The host session, its user session and its user at one point in time, if all three are
    /// cached.
    pub(super) fn authenticate(&self, hash: TokenHash) -> Option<Authenticated> {
        let mut kept = self.up_to_date();
        let session = kept.find(hash).ok()?;
        let user_session = kept.find(session.user_session).ok()?;
        let user = kept.find(session.user).ok()?;
        Some(Authenticated { session, user_session, user })
    }

    /// Caches what was read since that moment. `length` is the length of the stored record.
    pub(super) fn keep_user_session(
        &self,
        id: UserSessionId,
        user_session: Arc<UserSession>,
        length: usize,
        since: Moment,
    ) {
        self.up_to_date().keep(id, user_session, length, since);
    }

    pub(super) fn keep_user(&self, id: UserId, user: Arc<Snapshot>, length: usize, since: Moment) {
        self.up_to_date().keep(id, user, length, since);
    }

    pub(super) fn keep_session(
        &self,
        hash: TokenHash,
        session: Arc<HostSession>,
        length: usize,
        since: Moment,
    ) {
        self.up_to_date().keep(hash, session, length, since);
    }

    /// Drops everything, including records that are being read now.
    pub(super) fn forget_everything(&self) {
        self.up_to_date().forget_all();
    }

    fn up_to_date(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.hear();
        kept
    }
}

/// The type of the records that are cached under this type of key.
trait Keyed: Copy + Eq + Hash {
    type Record;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<Self::Record>>;
}

impl Keyed for UserId {
    type Record = Snapshot;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<Snapshot>> {
        &mut generation.users
    }
}

impl Keyed for TokenHash {
    type Record = HostSession;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<HostSession>> {
        &mut generation.sessions
    }
}

impl Keyed for UserSessionId {
    type Record = UserSession;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<UserSession>> {
        &mut generation.user_sessions
    }
}

/// Measured: the overhead of a cached record in bytes, and how much longer its fields are in memory
/// than in the store.
const BESIDE: usize = 300;
const LONGER: usize = 4;

impl Kept {
    fn find<K: Keyed>(&mut self, key: K) -> Result<Arc<K::Record>, Moment> {
        if let Some((found, _)) = K::shelf(&mut self.young).get(&key) {
            return Ok(Arc::clone(found));
        }
        let (found, weight) = self.old.take(key).ok_or(Moment(self.heard))?;
        self.put(key, Arc::clone(&found), weight);
        Ok(found)
    }

    fn keep<K: Keyed>(&mut self, key: K, record: Arc<K::Record>, length: usize, since: Moment) {
        if Moment(self.heard) == since {
            self.put(key, record, BESIDE + LONGER * length);
        }
    }

    fn put<K: Keyed>(&mut self, key: K, record: Arc<K::Record>, weight: usize) {
        if self.young.weight + weight > Cache::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.take(key);
        self.young.weight += weight;
        K::shelf(&mut self.young).insert(key, (record, weight));
    }

    fn remove<K: Keyed>(&mut self, key: K) {
        self.young.take(key);
        self.old.take(key);
    }

    fn hear(&mut self) {
        // Fast path: usually there are no changes, and checking that is cheaper than receiving.
        if self.changes.is_empty() && !self.changes.is_closed() {
            return;
        }
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.forget(&change),
                Err(TryRecvError::Lagged(_)) => self.forget_all(),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => {
                    // No more changes will be announced, so nothing may be cached.
                    self.forget_all();
                    return;
                }
            }
        }
    }

    fn forget(&mut self, change: &Change) {
        self.heard += 1;
        for (kind, key) in &change.touched {
            match kind {
                Kind::User => {
                    if let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) {
                        self.remove(UserId::from(id));
                    }
                }
                Kind::HostSession => {
                    if let Some(hash) = TokenHash::from_bytes(key) {
                        self.remove(hash);
                    }
                }
                Kind::UserSession => {
                    if let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) {
                        self.remove(UserSessionId::from(id));
                    }
                }
                _ => {}
            }
        }
    }

    fn forget_all(&mut self) {
        self.heard += 1;
        (self.young, self.old) = (Generation::default(), Generation::default());
    }
}

impl Generation {
    fn take<K: Keyed>(&mut self, key: K) -> Option<Weighed<K::Record>> {
        let taken = K::shelf(self).remove(&key);
        self.weight -= taken.as_ref().map_or(0, |(_, weight)| *weight);
        taken
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;
    use crate::domain::assurance::Proofs;
    use crate::domain::device::Seen;
    use crate::domain::time::Timestamp;
    use crate::store::record::Version;

    const VISIT: [u8; 32] = [7; 32];
    const NOW: Timestamp = Timestamp::from_secs(1);

    type Changes = Option<broadcast::Sender<Arc<Change>>>;

    fn hash() -> TokenHash {
        TokenHash::from_bytes(&VISIT).unwrap()
    }

    fn authenticate() -> Arc<HostSession> {
        let user = UserId::from([1; 16]);
        Arc::new(HostSession::begin(user, UserSessionId::from([3; 16]), Proofs::default()))
    }

    fn ended() -> Arc<Change> {
        let touched = vec![(Kind::HostSession, VISIT.to_vec())];
        Arc::new(Change { version: Version::of_commit(1), touched })
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        let changes = broadcast::Sender::new(8);
        let cache = Cache::new(changes.subscribe());
        let since = cache.session(hash()).unwrap_err();
        changes.send(ended()).unwrap();
        cache.keep_session(hash(), authenticate(), 100, since);
        assert!(cache.session(hash()).is_err());
    }

    #[test]
    fn what_changed_is_forgotten_however_long_ago_it_was_used() {
        let changes = broadcast::Sender::new(8);
        let cache = Cache::new(changes.subscribe());
        let since = cache.session(hash()).unwrap_err();
        cache.keep_session(hash(), authenticate(), 100, since);
        let user_session =
            Arc::new(UserSession::begin(UserId::from([1; 16]), 0, Seen::default(), NOW));
        cache.keep_user_session(
            UserSessionId::from([3; 16]),
            user_session,
            Cache::GENERATION / LONGER,
            since,
        );
        assert_eq!(cache.kept.lock().unwrap().old.sessions.len(), 1);
        changes.send(ended()).unwrap();
        assert!(cache.session(hash()).is_err());
    }

    #[test]
    fn whoever_may_have_missed_a_change_forgets_everything() {
        let misses: [fn(&Cache, &mut Changes); 3] = [
            |_, changes| {
                for _ in 0..9 {
                    let nothing = Change { version: Version::of_commit(1), touched: Vec::new() };
                    changes.as_ref().unwrap().send(Arc::new(nothing)).unwrap();
                }
            },
            |_, changes| *changes = None,
            |cache, _| cache.forget_everything(),
        ];
        for misses in misses {
            let mut changes = Some(broadcast::Sender::new(8));
            let cache = Cache::new(changes.as_ref().unwrap().subscribe());
            let since = cache.session(hash()).unwrap_err();
            cache.keep_session(hash(), authenticate(), 100, since);
            assert!(cache.session(hash()).is_ok());
            misses(&cache, &mut changes);
            assert!(cache.session(hash()).is_err());
        }
    }

    #[test]
    fn what_is_kept_weighs_no_more_than_it_may_and_what_is_used_stays() {
        let changes = broadcast::Sender::new(8);
        let cache = Cache::new(changes.subscribe());
        let since = cache.session(hash()).unwrap_err();
        cache.keep_session(hash(), authenticate(), 100, since);
        let id = |number: u32| {
            UserSessionId::from(std::array::from_fn(|at| number.to_be_bytes()[at % 4]))
        };
        let user_session =
            Arc::new(UserSession::begin(UserId::from([1; 16]), 0, Seen::default(), NOW));
        for number in 0..20_000 {
            cache.keep_user_session(id(number), Arc::clone(&user_session), 1_000, since);
            if number % 1_000 == 0 {
                assert!(cache.session(hash()).is_ok(), "{number}");
            }
        }
        assert!(cache.user_session(id(19_999)).is_ok());
        assert!(cache.user_session(id(0)).is_err());
        let kept = cache.kept.lock().unwrap();
        let weight = |generation: &Generation| {
            assert!(generation.weight <= Cache::GENERATION);
            let user_sessions =
                generation.user_sessions.values().map(|(_, weight)| weight).sum::<usize>();
            let sessions = generation.sessions.values().map(|(_, weight)| weight).sum::<usize>();
            assert_eq!(generation.weight, user_sessions + sessions);
        };
        weight(&kept.young);
        weight(&kept.old);
    }
}
