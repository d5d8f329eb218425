//! New keys while the store is in use, and the end of old ones.
//!
//! A new key is written to the keys file and then used. The old one stays in the file as long as
//! anything rests on it: what it signed, for as long as that is accepted; what it sealed, until
//! every record is sealed anew ([`reseal`](super::reseal)); the names that it hashed, until all are
//! re-keyed ([`rekey`](super::rekey)). That work is done in parts, and begins again after a crash:
//! the keys file says what is left to do, and the records say what was done.
//!
//! The store itself has a record of the keys that it rests on. So a store and a keys file that do
//! not belong together are recognized before anything is written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::rests::Rests;
use super::under_way::{RotationProgress, Work};
use crate::domain::event::{Event, What, Whom};
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect};
use crate::store::keys::{Held, KeyId, Keys, Purpose, Until};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::{self, Unavailable};

/// The result of asking for a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The key with this id is used from now on.
    Now(KeyId),
    /// Records still rest on the key of before; nothing was changed.
    Unfinished,
    /// As many keys are accepted as there are ids; nothing was changed.
    Full,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: every ring that records rest on has one key.
    Nothing,
    /// This rotation.
    Work(RotationProgress),
    /// Some records cannot be read, so the old key is kept. They are tried again later.
    Unreadable(RotationProgress),
}

/// What was done with some records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// How many rested on an older key.
    pub(super) moved: u64,
    /// How many of them cannot be read.
    pub(super) unreadable: u64,
}

impl Moved {
    /// What was read, or `None` if its record cannot be read: that is counted, and must not stop
    /// the others.
    pub(super) fn unless_unreadable<T>(
        &mut self,
        read: Result<T, Unavailable>,
    ) -> Result<Option<T>, Unavailable> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == unavailable::Kind::Record => {
                self.unreadable += 1;
                let error = error.told();
                tracing::debug!(error, "a record cannot be moved to the new key");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The key of the setting that holds them.
const RESTS: &[u8] = b"keys";

impl Store {
    /// A key that the store rests on and the keys file does not have: its purpose and id.
    ///
    /// # Errors
    /// Like [`Store::user`]. The record that says so may itself be sealed with such a key.
    pub async fn lacks_key(&self) -> Result<Option<(String, KeyId)>, Unavailable> {
        let rests = self.read::<Rests>(Kind::Setting, RESTS).await?.value.unwrap_or_default();
        Ok(rests.lacks(&self.keyring.keys()))
    }

    /// Uses a new key for `purpose` from now on, on behalf of the operator `by`. It is in the keys
    /// file when this returns. Must not be dropped before it has returned.
    ///
    /// # Errors
    /// [`Unavailable`] if the keys file or the store cannot be written. If the file cannot, nothing
    /// has changed. Otherwise the key is used, but its event was not stored.
    pub async fn rotate(
        &self,
        purpose: Purpose,
        by: &str,
        now: Timestamp,
    ) -> Result<Rotated, Unavailable> {
        self.records.writable()?;
        let _turn = self.keyring.turn().await;
        let keys = self.keyring.keys();
        if purpose.is_rested_on() && !keys.ring(purpose).older().is_empty() {
            return Ok(Rotated::Unfinished);
        }
        let Some(keys) = self.rng.draw(|rng| keys.rotated(purpose, rng, now)) else {
            return Ok(Rotated::Full);
        };
        self.keyring.write(&keys).await.map_err(unwritten)?;
        let id = keys.ring(purpose).current().id;
        self.take_up(keys.clone()).await;
        self.rotation.due.notify_one();
        let whom = Whom::Key(purpose.word().to_owned(), id);
        let event = Event::by_operator(by, whom, What::KeyRotated, now);
        let batch = self.put_rests(Batch::new(), &keys)?;
        self.commit(batch, &[event], None).await?;
        Ok(Rotated::Now(id))
    }

    /// Does a part of what older keys wait for, and drops those on which nothing rests any more.
    /// Must not be dropped before it has returned.
    ///
    /// # Errors
    /// [`Unavailable`] if the store or the keys file cannot be read or written. Nothing is lost; the
    /// next call goes on.
    pub async fn carry_on(&self) -> Result<Left, Unavailable> {
        let mut work = self.rotation.work.lock().await;
        let keys = self.keyring.keys();
        let is_due =
            |purpose: &Purpose| purpose.is_rested_on() && !keys.ring(*purpose).older().is_empty();
        let Some(purpose) = Purpose::ALL.iter().copied().find(is_due) else {
            *work = None;
            self.rotation.tell(None);
            self.notes_keys(&keys).await?;
            return Ok(Left::Nothing);
        };
        let mut walk = match work.take().filter(|work| work.progress.purpose == purpose) {
            Some(walk) => walk,
            None => self.begins(purpose, &keys).await?,
        };
        let Some((kind, range)) = walk.ranges.pop_front() else {
            // The walk is at its end.
            let progress = walk.progress;
            if walk.moved == 0 && progress.unreadable == 0 {
                self.drop_older(purpose).await?;
                self.rotation.tell(None);
            } else if walk.moved > progress.unreadable {
                let again = RotationProgress { unreadable: 0, ..progress };
                *work = Some(Work { ranges: ranges(purpose, &keys), moved: 0, progress: again });
            } else {
                return Ok(Left::Unreadable(progress));
            }
            return Ok(Left::Work(progress));
        };
        let page = self.records.scan(kind, range.clone(), PAGE).await?;
        if let Some(last) = page.last() {
            walk.ranges.push_front((kind, range.behind(&last.key)));
            let seen = page.len() as u64;
            let Moved { moved, unreadable } = match purpose.until() {
                Until::Rekeyed => self.rekey(kind, page).await?,
                Until::Resealed | Until::Over(_) => self.reseal(kind, page).await?,
            };
            walk.moved += moved;
            walk.progress.unreadable += unreadable;
            walk.progress.done = (walk.progress.done + seen).min(walk.progress.all);
        }
        let progress = walk.progress;
        self.rotation.tell(Some(progress));
        *work = Some(walk);
        Ok(Left::Work(progress))
    }

    /// How far the rotation is that is under way, if one is.
    pub fn rotation_progress(&self) -> Option<RotationProgress> {
        self.rotation.progress()
    }

    /// Waits until a key was rotated.
    pub async fn rotation_is_due(&self) {
        self.rotation.due.notified().await;
    }

    /// Drops keys that were replaced so long ago that all that they signed has ended.
    ///
    /// # Errors
    /// [`Unavailable`] if the keys file cannot be written. The keys are not accepted any more, but
    /// they leave the file later.
    pub async fn retire_keys(&self, now: Timestamp) -> Result<(), Unavailable> {
        let _turn = self.keyring.turn().await;
        let keys = self.keyring.keys();
        let mut kept = keys.clone();
        for purpose in Purpose::ALL {
            let Some(life) = purpose.accepted_for() else { continue };
            let ring = keys.ring(*purpose);
            let is_over =
                |held: &Held| ring.replaced(held.id).is_none_or(|at| at.plus(life) <= now);
            kept = kept.keeping(*purpose, |held| !is_over(held));
        }
        self.accept_only(kept).await
    }

    /// Drops the older keys for `purpose`, although something that they signed may still be in use.
    /// Those that records rest on are kept.
    ///
    /// # Errors
    /// Like [`Store::retire_keys`].
    pub async fn end_older_keys(&self, purpose: Purpose) -> Result<(), Unavailable> {
        if purpose.is_rested_on() {
            return Ok(());
        }
        let _turn = self.keyring.turn().await;
        self.accept_only(self.keyring.keys().keeping(purpose, |_| false)).await
    }

    /// Accepts only `kept` of the present keys, and removes the others from the file.
    async fn accept_only(&self, kept: Keys) -> Result<(), Unavailable> {
        let keys = self.keyring.keys();
        if kept == keys {
            return Ok(());
        }
        let written = self.keyring.write(&kept).await.map_err(unwritten);
        log_dropped(&keys, &kept);
        self.take_up(kept).await;
        written
    }

    /// Begins to walk over all that may rest on older keys.
    async fn begins(&self, purpose: Purpose, keys: &Keys) -> Result<Work, Unavailable> {
        // Commits are carried out in order. So once this one is acknowledged, nothing is on its way
        // that was sealed before the current key, even if nobody waits for it any more.
        let batch = self.put_rests(Batch::new(), keys)?;
        self.commit(batch, &[], None).await?;
        let ranges = ranges(purpose, keys);
        let all = match purpose.until() {
            Until::Rekeyed => self.count(&ranges).await?,
            Until::Resealed | Until::Over(_) => self.records.count().await?,
        };
        let progress = RotationProgress { purpose, done: 0, all, unreadable: 0 };
        Ok(Work { ranges, moved: 0, progress })
    }

    async fn count(&self, ranges: &VecDeque<(Kind, KeyRange)>) -> Result<u64, Unavailable> {
        let mut count = 0;
        for (kind, range) in ranges {
            let mut range = range.clone();
            loop {
                let page = self.records.scan(*kind, range.clone(), PAGE).await?;
                let Some(last) = page.last() else { break };
                range = range.behind(&last.key);
                count += page.len() as u64;
                tokio::task::yield_now().await;
            }
        }
        Ok(count)
    }

    /// Drops the older keys for `purpose`: no record rests on them.
    async fn drop_older(&self, purpose: Purpose) -> Result<(), Unavailable> {
        let _turn = self.keyring.turn().await;
        let keys = self.keyring.keys();
        let kept = keys.keeping(purpose, |_| false);
        let batch = self.put_rests(Batch::new(), &kept)?;
        self.commit(batch, &[], None).await?;
        self.keyring.write(&kept).await.map_err(unwritten)?;
        log_dropped(&keys, &kept);
        // Somebody may be about to open what they read a moment ago.
        tokio::time::sleep(READ_MEANWHILE).await;
        self.take_up(kept).await;
        Ok(())
    }

    /// Uses `keys` from now on; they are in the file. Once this returns, nothing is committed any
    /// more that was decided with the keys of before.
    async fn take_up(&self, keys: Keys) {
        let naming = self.naming.write().await;
        self.keyring.take_up(keys);
        drop(naming);
        self.decoy.store(Arc::new(Self::decoy(&self.keyring, &self.rng)));
        drop(self.commits.write().await);
    }

    /// Writes down which keys the store rests on, unless that is there already.
    async fn notes_keys(&self, keys: &Keys) -> Result<(), Unavailable> {
        if self.read::<Rests>(Kind::Setting, RESTS).await?.value != Some(Rests::on(keys)) {
            self.commit(self.put_rests(Batch::new(), keys)?, &[], None).await?;
        }
        Ok(())
    }

    fn put_rests(&self, batch: Batch, keys: &Keys) -> Result<Batch, Unavailable> {
        self.put(batch, Kind::Setting, RESTS, Expect::Any, None, &Rests::on(keys))
    }
}

/// Where the records are that may rest on an older key for `purpose`, in the order in which they
/// are moved.
fn ranges(purpose: Purpose, keys: &Keys) -> VecDeque<(Kind, KeyRange)> {
    let all = |kind: Kind| (kind, KeyRange::all());
    let older = keys.ring(purpose).older().iter();
    match purpose.until() {
        Until::Resealed => Kind::ALL.into_iter().map(all).collect(),
        Until::Rekeyed => {
            let ids: Vec<KeyId> = older.map(|held| held.id).collect();
            let kinds = [Kind::Name, Kind::FormerName, Kind::Attempts].into_iter();
            kinds
                .flat_map(|kind| ids.iter().map(move |id| (kind, KeyRange::prefix(&[*id]))))
                .collect()
        }
        Until::Over(_) => VecDeque::new(),
    }
}

fn log_dropped(before: &Keys, after: &Keys) {
    for purpose in Purpose::ALL {
        let is_gone = |held: &&Held| after.ring(*purpose).get(held.id).is_none();
        for held in before.ring(*purpose).older().iter().filter(is_gone) {
            let (purpose, key) = (purpose.word(), held.id);
            tracing::info!(purpose, key, "old key dropped");
        }
    }
}

fn unwritten(error: std::io::Error) -> Unavailable {
    Unavailable::store("the keys file cannot be written").because(error)
}

/// How many records are moved at once.
const PAGE: usize = 128;
/// Far longer than it takes to open a record that was read.
const READ_MEANWHILE: Duration = Duration::from_secs(1);
