//! What the way of a request reads, kept in memory.
//!
//! The cache never serves what somebody was told is gone: it takes in every change that was
//! announced before it looks, and keeps nothing whose reading began before a change it has heard
//! of since.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::record::{Change, Kind};
use crate::domain::secret::TokenHash;
use crate::domain::session::Session;
use crate::domain::stay::{Stay, StayId};
use crate::domain::user::{Identity, User, UserId};

/// A user as of some moment, with what applications are told, made once.
#[derive(Debug)]
pub struct Snapshot {
    /// The record.
    pub user: User,
    /// What applications are told.
    pub identity: Arc<Identity>,
}

impl Snapshot {
    pub(super) fn of(user: User) -> Self {
        let identity = Arc::new(user.identity());
        Self { user, identity }
    }
}

/// Users, stays and sessions in memory, as many as weigh no more than twice
/// [`Cache::GENERATION`]: those that were used last.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    changes: Receiver<Arc<Change>>,
    /// How often something was heard: whoever reads remembers it, to know whether it still holds.
    heard: u64,
    /// What was used since the last generation passed, and what was not. Once the young one weighs
    /// enough, the old one goes and the young one is old.
    young: Generation,
    old: Generation,
}

/// Keys are random, or digests: nobody can choose ones that collide.
#[derive(Debug, Default)]
struct Generation {
    users: FxHashMap<UserId, Weighed<Snapshot>>,
    sessions: FxHashMap<TokenHash, Weighed<Session>>,
    stays: FxHashMap<StayId, Weighed<Stay>>,
    weight: usize,
}

/// A record, and about how many bytes of memory it takes.
type Weighed<T> = (Arc<T>, usize);

/// What a visit is made of.
#[derive(Clone, Debug)]
pub struct Visited {
    /// The session.
    pub session: Arc<Session>,
    /// The stay that it belongs to.
    pub stay: Arc<Stay>,
    /// Whose both are.
    pub user: Arc<Snapshot>,
}

/// When a reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Cache {
    /// With twice this and what redb keeps, the process stays below a hundred megabytes however many
    /// people come. Whoever is not kept costs three more reads of the store.
    const GENERATION: usize = 16 << 20;

    pub(super) fn new(changes: Receiver<Arc<Change>>) -> Self {
        let (young, old) = (Generation::default(), Generation::default());
        Self { kept: Mutex::new(Kept { changes, heard: 0, young, old }) }
    }

    /// The user, if kept; otherwise the moment to hand to [`Cache::keep_user`] after reading.
    pub(super) fn user(&self, id: UserId) -> Result<Arc<Snapshot>, Moment> {
        self.up_to_date().find(id)
    }

    /// The session, if kept; otherwise the moment to hand to [`Cache::keep_session`].
    pub(super) fn session(&self, hash: TokenHash) -> Result<Arc<Session>, Moment> {
        self.up_to_date().find(hash)
    }

    /// The stay, if kept; otherwise the moment to hand to [`Cache::keep_stay`].
    pub(super) fn stay(&self, id: StayId) -> Result<Arc<Stay>, Moment> {
        self.up_to_date().find(id)
    }

    /// The session, its stay and its user as of one moment, where all three are kept.
    pub(super) fn visit(&self, hash: TokenHash) -> Option<Visited> {
        let mut kept = self.up_to_date();
        let session = kept.find(hash).ok()?;
        let stay = kept.find(session.stay?).ok()?;
        let user = kept.find(session.user).ok()?;
        Some(Visited { session, stay, user })
    }

    /// Keeps what was read since that moment; `length`: of its record.
    pub(super) fn keep_stay(&self, id: StayId, stay: Arc<Stay>, length: usize, since: Moment) {
        self.up_to_date().keep(id, stay, length, since);
    }

    pub(super) fn keep_user(&self, id: UserId, user: Arc<Snapshot>, length: usize, since: Moment) {
        self.up_to_date().keep(id, user, length, since);
    }

    pub(super) fn keep_session(
        &self,
        hash: TokenHash,
        session: Arc<Session>,
        length: usize,
        since: Moment,
    ) {
        self.up_to_date().keep(hash, session, length, since);
    }

    /// Nothing that is kept can be trusted any longer, nor what is being read.
    pub(super) fn forget_everything(&self) {
        self.up_to_date().forget_all();
    }

    fn up_to_date(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.hear();
        kept
    }
}

/// What is kept under a key of this kind.
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
    type Record = Session;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<Session>> {
        &mut generation.sessions
    }
}

impl Keyed for StayId {
    type Record = Stay;

    fn shelf(generation: &mut Generation) -> &mut FxHashMap<Self, Weighed<Stay>> {
        &mut generation.stays
    }
}

/// What a record takes in memory beside its fields, and how much longer these are than the bytes in
/// which they lie in the store: measured.
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
        // Mostly there is nothing, which is quicker to see than to receive.
        if self.changes.is_empty() && !self.changes.is_closed() {
            return;
        }
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.forget(&change),
                Err(TryRecvError::Lagged(_)) => self.forget_all(),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => {
                    // Nobody tells us of changes any more: remember nothing.
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
                Kind::Session => {
                    if let Some(hash) = TokenHash::from_bytes(key) {
                        self.remove(hash);
                    }
                }
                Kind::Stay => {
                    if let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) {
                        self.remove(StayId::from(id));
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

    fn visit() -> Arc<Session> {
        let user = UserId::from([1; 16]);
        Arc::new(Session::begin(user, StayId::from([3; 16]), Proofs::default()))
    }

    fn ended() -> Arc<Change> {
        let touched = vec![(Kind::Session, VISIT.to_vec())];
        Arc::new(Change { version: Version::of_commit(1), touched })
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        let changes = broadcast::Sender::new(8);
        let cache = Cache::new(changes.subscribe());
        let since = cache.session(hash()).unwrap_err();
        changes.send(ended()).unwrap();
        cache.keep_session(hash(), visit(), 100, since);
        assert!(cache.session(hash()).is_err());
    }

    #[test]
    fn what_changed_is_forgotten_however_long_ago_it_was_used() {
        let changes = broadcast::Sender::new(8);
        let cache = Cache::new(changes.subscribe());
        let since = cache.session(hash()).unwrap_err();
        cache.keep_session(hash(), visit(), 100, since);
        let stay = Arc::new(Stay::begin(UserId::from([1; 16]), 0, Seen::default(), NOW));
        cache.keep_stay(StayId::from([3; 16]), stay, Cache::GENERATION / LONGER, since);
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
            cache.keep_session(hash(), visit(), 100, since);
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
        cache.keep_session(hash(), visit(), 100, since);
        let id = |number: u32| StayId::from(std::array::from_fn(|at| number.to_be_bytes()[at % 4]));
        let stay = Arc::new(Stay::begin(UserId::from([1; 16]), 0, Seen::default(), NOW));
        for number in 0..20_000 {
            cache.keep_stay(id(number), Arc::clone(&stay), 1_000, since);
            if number % 1_000 == 0 {
                assert!(cache.session(hash()).is_ok(), "{number}");
            }
        }
        assert!(cache.stay(id(19_999)).is_ok());
        assert!(cache.stay(id(0)).is_err());
        let kept = cache.kept.lock().unwrap();
        let weight = |generation: &Generation| {
            assert!(generation.weight <= Cache::GENERATION);
            let stays = generation.stays.values().map(|(_, weight)| weight).sum::<usize>();
            let sessions = generation.sessions.values().map(|(_, weight)| weight).sum::<usize>();
            assert_eq!(generation.weight, stays + sessions);
        };
        weight(&kept.young);
        weight(&kept.old);
    }
}
