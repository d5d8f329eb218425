//! Voids what a restored older store would make valid again.

use super::Store;
use crate::domain::factor::Settings;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::Unavailable;

/// Records that may have been used, revoked or ended since the store was in its present state.
/// Waiting messages were most likely sent.
const VOID: [Kind; 9] = [
    Kind::HostSession,
    Kind::UserSession,
    Kind::UserSessionOf,
    Kind::NamedAtProvider,
    Kind::Renewal,
    Kind::Ticket,
    Kind::Token,
    Kind::Message,
    Kind::Text,
];

impl Store {
    /// Voids everybody's sessions, links, tickets, trusted devices, recovery codes, and
    /// authenticator codes up to `now`. Returns the number of users.
    ///
    /// May be repeated after an interruption.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn void_what_may_have_been_used(
        &self,
        settings: Settings,
        now: Timestamp,
    ) -> Result<usize, Unavailable> {
        for kind in VOID {
            self.delete_all(kind).await?;
        }
        let (mut count, mut range) = (0, KeyRange::all());
        loop {
            let page = self.records.scan(Kind::User, range, PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            range = KeyRange::all().behind(&last.key);
            let mut batch = Batch::new();
            for entry in &page {
                let mut user: User = self.open(Kind::User, &entry.key, &entry.record)?;
                user.void_what_may_have_been_used(settings, now);
                let expected = Expect::Version(entry.record.version);
                batch = self.put(batch, Kind::User, &entry.key, expected, None, &user)?;
            }
            if !self.commit(batch, &[], None).await? {
                return Err(Unavailable::store("another process writes to the restored store"));
            }
            count += page.len();
        }
    }

    async fn delete_all(&self, kind: Kind) -> Result<(), Unavailable> {
        loop {
            let page = self.records.scan(kind, KeyRange::all(), PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let delete = |batch: Batch, entry: crate::store::record::Entry| {
                batch.delete(kind, entry.key, Expect::Any)
            };
            let batch = page.into_iter().fold(Batch::new(), delete);
            self.commit(batch, &[], None).await?;
        }
    }
}

const PAGE: usize = 256;
