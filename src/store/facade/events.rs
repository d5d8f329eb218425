//! What happened: written in the batch of what it tells of, and found again by whom it is about.

use std::time::Duration;

use super::{Store, TRIES, Told, expect};
use crate::domain::event::{Event, Whom};
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::store::batch::{Batch, Expect, Outcome};
use crate::store::record::{KeyRange, Kind};
use crate::store::unavailable::Unavailable;

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

    /// Notes what was tried at names that nobody has, and what came of it. It is counted by the hour:
    /// whoever types names as fast as we read them fills no disk.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn tell_of_nobody(&self, events: &[Event]) -> Result<(), Unavailable> {
        let _line = self.line(SUMMED).await;
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            for event in events {
                let (key, hour) = sum_of(event);
                let read = self.read::<Event>(Kind::Event, &key).await?;
                let before = match read.value.as_ref().map(|sum| &sum.whom) {
                    Some(Whom::Strangers(times)) => *times,
                    _ => 0,
                };
                let whom = Whom::Strangers(before.saturating_add(1));
                let sum = Event { at: hour, whom, from: None, agent: None, ..event.clone() };
                let over = Some(hour.plus(EVENTS_LAST));
                let sealed = self.sealed(&key, &sum)?;
                batch = batch.put(Kind::Event, key, expect(read.version), over, sealed);
            }
            if self.commit(batch, &[], None).await? {
                for event in events {
                    self.announce(event, None);
                }
                return Ok(());
            }
        }
        Err(Unavailable::new("too many others count the same"))
    }

    fn sealed(&self, key: &[u8; 16], event: &Event) -> Result<Vec<u8>, Unavailable> {
        let body = minicbor::to_vec(event)
            .map_err(|error| Unavailable::because("an event cannot be written", error))?;
        self.chance.draw(|rng| self.sealer.seal(rng, Kind::Event, key, &body))
    }

    /// Adds the event to `batch`, as the one of this number there, and where to find it. A name that no user has takes the same
    /// writes, so that nobody can tell.
    fn put_event(&self, batch: Batch, event: &Event, number: usize) -> Result<Batch, Unavailable> {
        let over = Some(event.at.plus(EVENTS_LAST));
        let key = self.event_key(event, number);
        let sealed = self.sealed(&key, event)?;
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

/// Where events like this one are counted, and the hour of which.
fn sum_of(event: &Event) -> ([u8; 16], Timestamp) {
    const HOUR: u64 = 3_600_000;
    let hour = event.at.millis() - event.at.millis() % HOUR;
    let mut key = [0; 16];
    key[..8].copy_from_slice(&hour.to_be_bytes());
    // No batch has so many events: it lies behind all of its moment.
    key[8] = u8::MAX;
    key[9] = event.what as u8;
    (key, Timestamp::from_millis(hour))
}

/// All who count what strangers do stand in one line.
const SUMMED: &[u8] = b"strangers";

/// Whom the event is about, and its key with time and number turned round: the newest comes first.
fn pointer(whom: &Whom, event: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    match whom {
        Whom::User(user) => key[..16].copy_from_slice(user.as_bytes()),
        Whom::Nobody(hash) => key[8..16].copy_from_slice(&hash.to_be_bytes()),
        Whom::Strangers(_) => {}
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
            // Another target: strangers can cause as many lines as they like.
            tracing::info!(target: "doorward::unknown", unknown_name, what, from, by, "{message}");
        }
        Whom::Strangers(times) => {
            tracing::info!(target: "doorward::unknown", times, what, "{message}");
        }
    }
}
