//! Events: written in the same batch as the change that they report, and indexed by user.

use std::time::Duration;

use super::{Store, Told};
use crate::domain::event::{Event, Whom};
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect, Outcome};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::Unavailable;

/// How long events are kept.
pub(super) const EVENTS_LAST: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// The oldest events, at most `limit`, in order of time.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn events(&self, limit: usize) -> Result<Vec<Event>, Unavailable> {
        let entries = self.records.scan(Kind::Event, KeyRange::all(), limit).await?;
        entries.iter().map(|entry| self.open(Kind::Event, &entry.key, &entry.record)).collect()
    }

    /// The newest events about `user`, at most `limit`, newest first.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn events_of(&self, user: UserId, limit: usize) -> Result<Vec<Event>, Unavailable> {
        let range = KeyRange::prefix(user.as_bytes());
        let found = self.records.scan(Kind::Happened, range, limit).await?;
        let mut events = Vec::with_capacity(found.len());
        for entry in found {
            let read = self.read::<Event>(Kind::Event, &pointed_at(&entry.key)).await?;
            // Skip events that were swept in the meantime.
            events.extend(read.value);
        }
        Ok(events)
    }

    /// Commits `batch` together with `events`, which are about the user called `name`, if any.
    /// Returns whether the batch was carried out.
    pub(super) async fn commit(
        &self,
        batch: Batch,
        events: &[Event],
        name: Option<&str>,
    ) -> Result<bool, Unavailable> {
        self.commit_told(batch, &[(events, name)]).await
    }

    /// Like [`Store::commit`], for several users. This is the only place where events are written,
    /// logged and passed to the listener.
    pub(super) async fn commit_told(
        &self,
        mut batch: Batch,
        people: &[(&[Event], Option<&str>)],
    ) -> Result<bool, Unavailable> {
        for (events, _) in people {
            for (number, event) in events.iter().enumerate() {
                batch = self.put_event(batch, event, number)?;
            }
        }
        let committing = self.commits.read().await;
        let batch = self.sealed_with_the_current_key(batch)?;
        let outcome = self.records.commit(batch).await;
        drop(committing);
        match outcome {
            Ok(Outcome::Committed(_)) => {
                for (events, name) in people {
                    events.iter().for_each(|event| self.announce(event, *name));
                }
                Ok(true)
            }
            Ok(Outcome::Overtaken) => Ok(false),
            Err(unavailable) => {
                // The batch may have been carried out without an announcement, so the cache may be
                // outdated.
                self.cache.forget_everything();
                Err(unavailable)
            }
        }
    }

    pub(super) fn announce(&self, event: &Event, name: Option<&str>) {
        log(event, name);
        if let Some(Told(hear)) = self.told.get() {
            hear(event, name);
        }
    }

    pub(super) fn sealed(&self, key: &[u8; 16], event: &Event) -> Result<Vec<u8>, Unavailable> {
        let body = minicbor::to_vec(event)
            .map_err(|error| Unavailable::record("cannot encode an event").because(error))?;
        let sealer = self.keyring.sealer();
        self.rng.draw(|rng| sealer.seal(rng, Kind::Event, key, &body))
    }

    /// Adds the event with this number in the batch, and its index entry.
    fn put_event(&self, batch: Batch, event: &Event, number: usize) -> Result<Batch, Unavailable> {
        let over = Some(event.at.plus(EVENTS_LAST));
        let key = self.event_key(event, number);
        let sealed = self.sealed(&key, event)?;
        let batch = batch.put(Kind::Event, key, Expect::Absent, over, sealed);
        let pointer = pointer(&event.whom, &key);
        self.put(batch, Kind::Happened, &pointer, Expect::Absent, over, &())
    }

    /// Keys are ordered by time and, within a batch, by number. Seven random bytes distinguish
    /// events of the same time.
    fn event_key(&self, event: &Event, number: usize) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&event.at.millis().to_be_bytes());
        key[8] = u8::try_from(number).unwrap_or(u8::MAX);
        self.rng.draw(|rng| rng.fill_bytes(&mut key[9..]));
        key
    }
}

/// The index key: the user, then the key of the event with time and number inverted, so that the
/// newest comes first.
fn pointer(whom: &Whom, event: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    match whom {
        Whom::User(user) => key[..16].copy_from_slice(user.as_bytes()),
        Whom::Nobody(hash) => key[8..16].copy_from_slice(&hash.to_be_bytes()),
        Whom::Strangers(_) | Whom::Key(..) | Whom::Provider(_) => {}
    }
    key[16..].copy_from_slice(event);
    turn_round(&mut key);
    key
}

/// The key of the event that this index entry refers to.
fn pointed_at(pointer: &[u8]) -> Vec<u8> {
    let mut key = pointer.to_vec();
    turn_round(&mut key);
    key.split_off(key.len().min(16))
}

fn turn_round(pointer: &mut [u8]) {
    pointer.iter_mut().skip(16).take(9).for_each(|byte| *byte = !*byte);
}

/// Logs `event`, which is about the user called `name`, if any.
fn log(event: &Event, name: Option<&str>) {
    let (what, message) = (event.what.name(), event.what.sentence());
    let from = event.from.map(tracing::field::display);
    let by = event.by.as_deref();
    match &event.whom {
        Whom::User(user) => {
            tracing::info!(target: "doorward::event", name, %user, what, from, by, "{message}");
        }
        Whom::Nobody(hash) => {
            let unknown_name = format!("{hash:016x}");
            // A separate target, because strangers can cause any number of these lines.
            tracing::info!(target: "doorward::unknown", unknown_name, what, from, by, "{message}");
        }
        Whom::Strangers(times) => {
            tracing::info!(target: "doorward::unknown", times, what, "{message}");
        }
        Whom::Provider(provider) => {
            tracing::info!(target: "doorward::unknown", provider, what, from, by, "{message}");
        }
        Whom::Key(purpose, key) => {
            tracing::info!(target: "doorward::event", purpose, key, what, by, "{message}");
        }
    }
}
