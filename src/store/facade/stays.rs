//! The user sessions of a user, found through an index.

use super::Store;
use crate::domain::stay::{Stay, StayId};
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::store::unavailable::Unavailable;

impl Store {
    /// The user sessions of `user`, at most `limit`, in no particular order. The caller must check
    /// whether they have ended. Sessions from before this index existed are not found.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn stays_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(StayId, Stay)>, Unavailable> {
        let range = KeyRange::prefix(user.as_bytes());
        let found = self.records.scan(Kind::StayOf, range, limit).await?;
        let mut stays = Vec::with_capacity(found.len());
        for entry in found {
            let Some(id) = pointed_at(&entry.key) else { continue };
            let read = self.read::<Stay>(Kind::Stay, id.as_bytes()).await?;
            // Skip sessions that were swept meanwhile or belong to somebody else.
            let theirs = read.value.filter(|stay| stay.user == user);
            stays.extend(theirs.map(|stay| (id, stay)));
        }
        Ok(stays)
    }

    /// Adds a new user session and its index entry to `batch`; both are swept after `over`.
    pub(super) fn put_stay(
        &self,
        batch: Batch,
        id: StayId,
        stay: &Stay,
        over: Timestamp,
    ) -> Result<Batch, Unavailable> {
        let (absent, over) = (Expect::Absent, Some(over));
        let batch = self.put(batch, Kind::Stay, id.as_bytes(), absent, over, stay)?;
        self.put(batch, Kind::StayOf, &pointer(stay.user, id), absent, over, &())
    }
}

/// The index key: the user id, then the session id.
pub(super) fn pointer(user: UserId, stay: StayId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(user.as_bytes());
    key[16..].copy_from_slice(stay.as_bytes());
    key
}

fn pointed_at(pointer: &[u8]) -> Option<StayId> {
    let id = pointer.get(16..)?;
    <[u8; 16]>::try_from(id).ok().map(StayId::from)
}
