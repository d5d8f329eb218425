//! The user sessions of a user, found through an index.

use super::Store;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::domain::user_session::{UserSession, UserSessionId};
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::Unavailable;

impl Store {
    /// The user sessions of `user`, at most `limit`, in no particular order. The caller must check
    /// whether they have ended. Sessions from before this index existed are not found.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_sessions_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(UserSessionId, UserSession)>, Unavailable> {
        let range = KeyRange::prefix(user.as_bytes());
        let found = self.records.scan(Kind::UserSessionOf, range, limit).await?;
        let mut user_sessions = Vec::with_capacity(found.len());
        for entry in found {
            let Some(id) = pointed_at(&entry.key) else { continue };
            let read = self.read::<UserSession>(Kind::UserSession, id.as_bytes()).await?;
            // Skip sessions that were swept meanwhile or belong to somebody else.
            let theirs = read.value.filter(|user_session| user_session.user == user);
            user_sessions.extend(theirs.map(|user_session| (id, user_session)));
        }
        Ok(user_sessions)
    }

    /// The ids of all user sessions of `user`, also of those that have ended.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_session_ids_of(
        &self,
        user: UserId,
    ) -> Result<Vec<UserSessionId>, Unavailable> {
        let (mut ids, mut range) = (Vec::new(), KeyRange::prefix(user.as_bytes()));
        loop {
            let page = self.records.scan(Kind::UserSessionOf, range.clone(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(ids) };
            range = range.behind(&last.key);
            ids.extend(page.iter().filter_map(|entry| pointed_at(&entry.key)));
        }
    }

    /// Adds a new user session and its index entry to `batch`; both are swept after `over`.
    pub(super) fn put_user_session(
        &self,
        batch: Batch,
        id: UserSessionId,
        user_session: &UserSession,
        over: Timestamp,
    ) -> Result<Batch, Unavailable> {
        let (absent, over) = (Expect::Absent, Some(over));
        let batch =
            self.put(batch, Kind::UserSession, id.as_bytes(), absent, over, user_session)?;
        self.put(batch, Kind::UserSessionOf, &pointer(user_session.user, id), absent, over, &())
    }
}

/// The index key: the user id, then the session id.
pub(super) fn pointer(user: UserId, user_session: UserSessionId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(user.as_bytes());
    key[16..].copy_from_slice(user_session.as_bytes());
    key
}

fn pointed_at(pointer: &[u8]) -> Option<UserSessionId> {
    let id = pointer.get(16..)?;
    <[u8; 16]>::try_from(id).ok().map(UserSessionId::from)
}

/// How many are read at once.
const PAGE: usize = 256;
