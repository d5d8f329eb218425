//! The outbox: e-mail messages, written in the same batch as the change that they report, and kept
//! until the mail server has accepted them.
//!
//! They are ordered by due time. The outbox worker claims a message before sending it, so that
//! nobody else sends it at the same time. If the worker dies, the message becomes due again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use minicbor::bytes::ByteArray;

use super::queued_message::QueuedMessage;
use super::{Store, TRIES};
use crate::domain::event::Event;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind, Version};
use crate::unavailable::Unavailable;

/// A message in the outbox, with its key and version.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The message.
    pub posted: QueuedMessage,
    key: Vec<u8>,
    version: Version,
}

impl Store {
    /// Sets whether users are notified by e-mail.
    pub fn set_mails(&self, mails: bool) {
        self.mails.store(mails, Ordering::Relaxed);
    }

    /// The messages that are due, longest due first, at most `limit`.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn due_messages(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Waiting>, Unavailable> {
        let found = self.messages(limit).await?;
        Ok(found.into_iter().take_while(|waiting| due(&waiting.key) <= now).collect())
    }

    /// All waiting messages, next due first, at most `limit`.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn messages(&self, limit: usize) -> Result<Vec<Waiting>, Unavailable> {
        let (mut readable, mut unreadable) = (Vec::new(), 0);
        let mut range = KeyRange::all();
        loop {
            let page = self.records.scan(Kind::Message, range, limit.min(PAGE)).await?;
            let last = page.last().map(|entry| entry.key.clone());
            for entry in page {
                match self.open(Kind::Message, &entry.key, &entry.record) {
                    Ok(posted) if readable.len() < limit => {
                        let (key, version) = (entry.key, entry.record.version);
                        readable.push(Waiting { posted, key, version });
                    }
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
            match last {
                Some(last) if readable.len() < limit => range = KeyRange::all().behind(&last),
                _ => break,
            }
        }
        self.pass_over(unreadable);
        Ok(readable)
    }

    /// Logs unreadable messages. They do not block the others and are swept when they are stale.
    fn pass_over(&self, unreadable: usize) {
        if self.unreadable_messages.swap(unreadable, Ordering::Relaxed) < unreadable {
            tracing::error!(
                unreadable,
                "unreadable messages in the outbox are skipped; the others are sent"
            );
        }
    }

    /// How many messages wait, counted up to `limit`, and when the oldest was written; of very many,
    /// only those that are due first are looked at.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn outbox(&self, limit: usize) -> Result<(usize, Option<Timestamp>), Unavailable> {
        let waiting = self.records.scan(Kind::Message, KeyRange::all(), limit).await?;
        let written = waiting.iter().take(LOOKED_AT).filter_map(|entry| {
            let posted = self.open::<QueuedMessage>(Kind::Message, &entry.key, &entry.record);
            Some(posted.ok()?.message.written)
        });
        Ok((waiting.len(), written.min()))
    }

    /// Claims a message for one attempt, which must end before `until`. `None` if somebody else has
    /// claimed it or sent it.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn claim(
        &self,
        waiting: Waiting,
        until: Timestamp,
    ) -> Result<Option<Waiting>, Unavailable> {
        let tries = waiting.posted.tries.saturating_add(1);
        let posted = QueuedMessage { tries, ..waiting.posted };
        self.put_off(Waiting { posted, ..waiting }, until).await
    }

    /// Postpones a message until `until`. `None` if somebody else has claimed it or sent it.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn put_off(
        &self,
        waiting: Waiting,
        until: Timestamp,
    ) -> Result<Option<Waiting>, Unavailable> {
        let Waiting { posted, key: before, mut version } = waiting;
        let key = key(until, &posted.id);
        for _ in 0..TRIES {
            let expected = Expect::Version(version);
            let batch = Batch::new().delete(Kind::Message, before.clone(), expected);
            let batch = self.put_posted(batch, &key, &posted)?;
            if self.commit(batch, &[], None).await? {
                let written = self.records.get(Kind::Message, &key).await?;
                return Ok(written.map(|record| Waiting { posted, key, version: record.version }));
            }
            // Where it still is, nobody has claimed it: a rotation of keys has sealed it anew.
            let Some(record) = self.records.get(Kind::Message, &before).await? else {
                return Ok(None);
            };
            version = record.version;
        }
        Ok(None)
    }

    /// Removes a message that was sent or given up by the worker that has claimed it: its key is
    /// this claim's alone, whoever has sealed the record anew meanwhile.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn forget_message(&self, claimed: &Waiting) -> Result<(), Unavailable> {
        let batch = Batch::new().delete(Kind::Message, claimed.key.clone(), Expect::Any);
        self.commit(batch, &[], None).await?;
        Ok(())
    }

    /// Adds to `batch` the notices of `events` and the messages in `written`. An event that one of
    /// `written` already reports gets no second notice.
    pub(super) fn post(
        &self,
        mut batch: Batch,
        events: &[Event],
        before: &User,
        after: &User,
        written: &[Message],
    ) -> Result<Batch, Unavailable> {
        if let Some(event) = events.first() {
            batch = self.post_texts(batch, before, after, event.at)?;
        }
        if !self.mails.load(Ordering::Relaxed) {
            return Ok(batch);
        }
        let told = |event: &Event| written.iter().any(|one| one.happened() == Some(event));
        let news = events.iter().filter(|event| !told(event));
        let news = news.filter_map(|event| Message::of(event, before, after));
        for message in news.chain(written.iter().cloned()) {
            let mut id = [0; 16];
            self.rng.draw(|rng| rng.fill_bytes(&mut id));
            let posted = QueuedMessage { id: id.into(), tries: 0, message };
            batch = self.put_posted(batch, &key(posted.message.written, &posted.id), &posted)?;
        }
        Ok(batch)
    }

    /// The worker gives up stale messages and logs that. If no worker does, they are swept.
    fn put_posted(
        &self,
        batch: Batch,
        key: &[u8],
        posted: &QueuedMessage,
    ) -> Result<Batch, Unavailable> {
        let over = posted.message.stale().plus(GIVEN_UP_WITHIN);
        self.put(batch, Kind::Message, key, Expect::Absent, Some(over), posted)
    }
}

fn key(due: Timestamp, id: &ByteArray<16>) -> Vec<u8> {
    [&due.millis().to_be_bytes()[..], &id[..]].concat()
}

fn due(key: &[u8]) -> Timestamp {
    let millis = key.first_chunk().copied().map_or(0, u64::from_be_bytes);
    Timestamp::from_millis(millis)
}

/// How many messages are looked at to find the oldest.
const LOOKED_AT: usize = 1_000;

/// How many messages are read at once.
const PAGE: usize = 256;

/// Longer than the pause after a failed attempt, so that the worker sees a stale message before it
/// is swept.
const GIVEN_UP_WITHIN: Duration = Duration::from_hours(1);
