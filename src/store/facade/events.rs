//! What happened: written in the batch of what it tells of, and found again by whom it is about.

use std::time::Duration;

use super::{Store, Told};
use crate::domain::event::{Event, Whom};
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect, Outcome};
use crate::store::records::{KeyRange, Kind, Unavailable};

/// How long events are kept.
const EVENTS_LAST: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// The first `limit` events at most, the oldest first.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn events(&self, limit: usize) -> Result<Vec<Event>, Unavailable> {
        let entries = self.records.scan(Kind::Event, KeyRange::all(), limit).await?;
        entries.iter().map(|entry| self.open(Kind::Event, &entry.key, &entry.record)).collect()
    }

    /// The last `limit` events at most that are about `user`, the newest first.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn events_of(&self, user: UserId, limit: usize) -> Result<Vec<Event>, Unavailable> {
        let range = KeyRange::prefix(user.as_bytes());
        let found = self.records.scan(Kind::Happened, range, limit).await?;
        let mut events = Vec::with_capacity(found.len());
        for entry in found {
            let read = self.read::<Event>(Kind::Event, &pointed_at(&entry.key)).await?;
            // One that was swept meanwhile is no longer told of.
            events.extend(read.value);
        }
        Ok(events)
    }

    /// Commits `batch` with `events`, which are about the user called `name` if any; whether it was
    /// carried out.
    pub(super) async fn commit(
        &self,
        batch: Batch,
        events: &[Event],
        name: Option<&str>,
    ) -> Result<bool, Unavailable> {
        self.commit_told(batch, &[(events, name)]).await
    }

    /// The same for several people. Here alone what happened is written, logged, and told to whoever
    /// hears of it.
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
        match self.records.commit(batch).await {
            Ok(Outcome::Committed(_)) => {
                for (events, name) in people {
                    events.iter().for_each(|event| self.announce(event, *name));
                }
                Ok(true)
            }
            Ok(Outcome::Overtaken) => Ok(false),
            Err(unavailable) => {
                // It may have been carried out, and then nobody is told of the change: what is in
                // memory may be gone.
                self.cache.forget_everything();
                Err(unavailable)
            }
        }
    }

    fn announce(&self, event: &Event, name: Option<&str>) {
        log(event, name);
        if let Some(Told(hear)) = self.told.get() {
            hear(event, name);
        }
    }

    /// Adds the event to `batch`, as the one of this number there, and where to find it. A name that no user has takes the same
    /// writes, so that nobody can tell.
    fn put_event(&self, batch: Batch, event: &Event, number: usize) -> Result<Batch, Unavailable> {
        let over = Some(event.at.plus(EVENTS_LAST));
        let key = self.event_key(event, number);
        let body = minicbor::to_vec(event)
            .map_err(|error| Unavailable::because("an event cannot be written", error))?;
        let sealed = self.chance.draw(|rng| self.sealer.seal(rng, Kind::Event, &key, &body))?;
        let batch = batch.put(Kind::Event, key, Expect::Absent, over, sealed);
        let pointer = pointer(&event.whom, &key);
        self.put(batch, Kind::Happened, &pointer, Expect::Absent, over, &())
    }

    /// In the order of time, and of one batch in its order; seven random bytes keep those of one
    /// moment apart.
    fn event_key(&self, event: &Event, number: usize) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&event.at.millis().to_be_bytes());
        key[8] = u8::try_from(number).unwrap_or(u8::MAX);
        self.chance.draw(|rng| rng.fill_bytes(&mut key[9..]));
        key
    }
}

/// Whom the event is about, and its key with time and number turned round: the newest comes first.
fn pointer(whom: &Whom, event: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    match whom {
        Whom::User(user) => key[..16].copy_from_slice(user.as_bytes()),
        Whom::Nobody(hash) => key[8..16].copy_from_slice(&hash.to_be_bytes()),
    }
    key[16..].copy_from_slice(event);
    turn_round(&mut key);
    key
}

/// The key of the event that lies behind this pointer.
fn pointed_at(pointer: &[u8]) -> Vec<u8> {
    let mut key = pointer.to_vec();
    turn_round(&mut key);
    key.split_off(key.len().min(16))
}

fn turn_round(pointer: &mut [u8]) {
    pointer.iter_mut().skip(16).take(9).for_each(|byte| *byte = !*byte);
}

/// Writes the line of the log for `event`, which is about the user called `name` if any.
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
            tracing::info!(target: "doorward::event", unknown_name, what, from, by, "{message}");
        }
    }
}
