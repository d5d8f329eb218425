//! What the way of a request reads, kept in memory.
//!
//! The cache never serves what somebody was told is gone: it takes in every change that was
//! announced before it looks, and keeps nothing whose reading began before a change it has heard
//! of since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::records::{Change, Kind};
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

/// Users, stays and sessions in memory; at most [`Cache::AT_MOST`] of each.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    changes: Receiver<Arc<Change>>,
    /// How often something was heard: whoever reads remembers it, to know whether it still holds.
    heard: u64,
    users: HashMap<UserId, Arc<Snapshot>>,
    sessions: HashMap<TokenHash, Arc<Session>>,
    stays: HashMap<StayId, Arc<Stay>>,
}

/// When a reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Cache {
    const AT_MOST: usize = 100_000;

    pub(super) fn new(changes: Receiver<Arc<Change>>) -> Self {
        let kept = Kept {
            changes,
            heard: 0,
            users: HashMap::new(),
            sessions: HashMap::new(),
            stays: HashMap::new(),
        };
        Self { kept: Mutex::new(kept) }
    }

    /// The user, if kept; otherwise the moment to hand to [`Cache::keep_user`] after reading.
    pub(super) fn user(&self, id: UserId) -> Result<Arc<Snapshot>, Moment> {
        let kept = self.up_to_date();
        kept.users.get(&id).map(Arc::clone).ok_or(Moment(kept.heard))
    }

    /// The session, if kept; otherwise the moment to hand to [`Cache::keep_session`].
    pub(super) fn session(&self, hash: TokenHash) -> Result<Arc<Session>, Moment> {
        let kept = self.up_to_date();
        kept.sessions.get(&hash).map(Arc::clone).ok_or(Moment(kept.heard))
    }

    /// The stay, if kept; otherwise the moment to hand to [`Cache::keep_stay`].
    pub(super) fn stay(&self, id: StayId) -> Result<Arc<Stay>, Moment> {
        let kept = self.up_to_date();
        kept.stays.get(&id).map(Arc::clone).ok_or(Moment(kept.heard))
    }

    pub(super) fn keep_stay(&self, id: StayId, stay: Arc<Stay>, since: Moment) {
        let mut kept = self.up_to_date();
        if Moment(kept.heard) == since {
            keep(&mut kept.stays, id, stay);
        }
    }

    pub(super) fn keep_user(&self, id: UserId, user: Arc<Snapshot>, since: Moment) {
        let mut kept = self.up_to_date();
        if Moment(kept.heard) == since {
            keep(&mut kept.users, id, user);
        }
    }

    pub(super) fn keep_session(&self, hash: TokenHash, session: Arc<Session>, since: Moment) {
        let mut kept = self.up_to_date();
        if Moment(kept.heard) == since {
            keep(&mut kept.sessions, hash, session);
        }
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

fn keep<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= Cache::AT_MOST {
        map.clear();
    }
    map.insert(key, value);
}

impl Kept {
    fn hear(&mut self) {
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
                    <[u8; 16]>::try_from(key.as_slice())
                        .map(|id| self.users.remove(&UserId::from(id)))
                        .ok();
                }
                Kind::Session => {
                    TokenHash::from_bytes(key).map(|hash| self.sessions.remove(&hash));
                }
                Kind::Stay => {
                    <[u8; 16]>::try_from(key.as_slice())
                        .map(|id| self.stays.remove(&StayId::from(id)))
                        .ok();
                }
                _ => {}
            }
        }
    }

    fn forget_all(&mut self) {
        self.heard += 1;
        self.users.clear();
        self.sessions.clear();
        self.stays.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;
    use crate::domain::assurance::Proofs;
    use crate::store::records::Version;

    const VISIT: [u8; 32] = [7; 32];

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
        cache.keep_session(hash(), visit(), since);
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
            cache.keep_session(hash(), visit(), since);
            assert!(cache.session(hash()).is_ok());
            misses(&cache, &mut changes);
            assert!(cache.session(hash()).is_err());
        }
    }
}
