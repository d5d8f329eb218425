//! Which users and user sessions have changed; re-authorization of open requests uses this.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::record::{Change, Kind};
use crate::domain::user::UserId;
use crate::domain::user_session::UserSessionId;

/// Receives changes to users and user sessions.
#[derive(Debug)]
pub struct Changes(Receiver<Arc<Change>>);

/// A set of changed users and user sessions.
#[derive(Debug, Default)]
pub struct Touched {
    /// Some changes were missed, so everything counts as changed.
    everything: bool,
    users: FxHashSet<UserId>,
    user_sessions: FxHashSet<UserSessionId>,
}

impl Changes {
    pub(super) fn new(changes: Receiver<Arc<Change>>) -> Self {
        Self(changes)
    }

    /// The changes since the last call.
    pub fn take(&mut self) -> Touched {
        let mut changed = Touched::default();
        loop {
            match self.0.try_recv() {
                Ok(change) => changed.add(&change),
                Err(TryRecvError::Lagged(_)) => changed.everything = true,
                Err(TryRecvError::Empty) => return changed,
                Err(TryRecvError::Closed) => {
                    changed.everything = true;
                    return changed;
                }
            }
        }
    }
}

impl Touched {
    fn add(&mut self, change: &Change) {
        for (kind, key) in &change.touched {
            let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) else { continue };
            match kind {
                Kind::User => drop(self.users.insert(UserId::from(id))),
                Kind::UserSession => drop(self.user_sessions.insert(UserSessionId::from(id))),
                _ => {}
            }
        }
    }

    /// Whether everything counts as changed.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether this user or this user session may have changed.
    pub fn concerns(&self, user: UserId, user_session: UserSessionId) -> bool {
        self.everything || self.users.contains(&user) || self.user_sessions.contains(&user_session)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;
    use crate::store::record::Version;

    fn change(kind: Kind, id: u8) -> Arc<Change> {
        Arc::new(Change { version: Version::of_commit(1), touched: vec![(kind, vec![id; 16])] })
    }

    #[test]
    fn whoever_is_changed_is_told_once() {
        let sender = broadcast::Sender::new(8);
        let mut changes = Changes::new(sender.subscribe());
        let (user, user_session) = (UserId::from([1; 16]), UserSessionId::from([2; 16]));
        assert!(!changes.take().concerns(user, user_session));
        for sent in [change(Kind::User, 1), change(Kind::UserSession, 2)] {
            sender.send(sent).unwrap();
            assert!(changes.take().concerns(user, user_session));
            assert!(!changes.take().concerns(user, user_session));
        }
        sender.send(change(Kind::HostSession, 1)).unwrap();
        sender.send(change(Kind::User, 2)).unwrap();
        assert!(!changes.take().concerns(user, user_session), "that is somebody else");
    }

    #[test]
    fn what_was_missed_may_be_anything() {
        let sender = broadcast::Sender::new(2);
        let mut changes = Changes::new(sender.subscribe());
        for id in 7..12 {
            sender.send(change(Kind::User, id)).unwrap();
        }
        assert!(changes.take().concerns(UserId::from([1; 16]), UserSessionId::from([2; 16])));
        assert!(!changes.take().is_everything());
        drop(sender);
        assert!(changes.take().is_everything());
    }
}
