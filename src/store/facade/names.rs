//! Names that lead to people, and names that nobody has.

use super::{Store, TRIES, expect};
use crate::domain::event::{Event, Whom};
use crate::domain::lockout::Failures;
use crate::domain::name::Login;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect};
use crate::store::records::{KeyRange, Kind, SWEEP_AT_MOST, Unavailable};

/// How many names that no user has are remembered; those whose time is over soonest go.
const ATTEMPTS_AT_MOST: usize = 100_000;

impl Store {
    /// Who signs in with this name or e-mail address.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn user_named(&self, login: &Login) -> Result<Option<UserId>, Unavailable> {
        Ok(self.read(Kind::Name, &self.names.of(login.key())).await?.value)
    }

    pub(super) async fn is_taken(&self, name: &[u8; 32]) -> Result<bool, Unavailable> {
        Ok(self.records.get(Kind::Name, name).await?.is_some())
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

    pub(super) async fn forget_strangers(&self) -> Result<usize, Unavailable> {
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
}
