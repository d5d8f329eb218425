//! Letters that wait to be sent: written in the batch of what they tell of, and kept until somebody
//! has taken them.
//!
//! They lie in the order in which they are due. Whoever sends one claims it first, so that nobody
//! else sends it meanwhile, and it is due again if they die.

use std::sync::atomic::Ordering;
use std::time::Duration;

use minicbor::bytes::ByteArray;

use super::Store;
use super::posted::Posted;
use crate::domain::event::Event;
use crate::domain::letter::Letter;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind, Version};
use crate::store::unavailable::Unavailable;

/// A letter that waits, and where it lies.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The letter.
    pub posted: Posted,
    key: Vec<u8>,
    version: Version,
}

impl Store {
    /// Whether people are told of what happens to them by letters from now on.
    pub fn set_mails(&self, mails: bool) {
        self.mails.store(mails, Ordering::Relaxed);
    }

    /// The letters that are due, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn due_letters(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Waiting>, Unavailable> {
        let found = self.letters(limit).await?;
        Ok(found.into_iter().take_while(|waiting| due(&waiting.key) <= now).collect())
    }

    /// The letters that wait, the next due first, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn letters(&self, limit: usize) -> Result<Vec<Waiting>, Unavailable> {
        let (mut readable, mut unreadable) = (Vec::new(), 0);
        let mut range = KeyRange::all();
        loop {
            let page = self.records.scan(Kind::Letter, range, limit.min(PAGE)).await?;
            let last = page.last().map(|entry| entry.key.clone());
            for entry in page {
                match self.open(Kind::Letter, &entry.key, &entry.record) {
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

    /// One that cannot be read does not hold up the others. It is swept when it is stale.
    fn pass_over(&self, unreadable: usize) {
        if self.unreadable_letters.swap(unreadable, Ordering::Relaxed) < unreadable {
            tracing::error!(
                unreadable,
                "messages in the outbox cannot be read and are passed over; the others are sent"
            );
        }
    }

    /// How many letters wait; no more than `limit` are counted.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn count_letters(&self, limit: usize) -> Result<usize, Unavailable> {
        Ok(self.records.scan(Kind::Letter, KeyRange::all(), limit).await?.len())
    }

    /// Claims a letter for one try, which must be over at `until`. `None`: somebody else has it, or
    /// has sent it.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn claim(
        &self,
        waiting: Waiting,
        until: Timestamp,
    ) -> Result<Option<Waiting>, Unavailable> {
        let tries = waiting.posted.tries.saturating_add(1);
        let posted = Posted { tries, ..waiting.posted };
        self.put_off(Waiting { posted, ..waiting }, until).await
    }

    /// Puts a letter off: it is due at `until`. `None`: somebody else has it, or has sent it.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn put_off(
        &self,
        waiting: Waiting,
        until: Timestamp,
    ) -> Result<Option<Waiting>, Unavailable> {
        let Waiting { posted, key: before, version } = waiting;
        let batch = Batch::new().delete(Kind::Letter, before, Expect::Version(version));
        let key = key(until, &posted.id);
        let batch = self.put_posted(batch, &key, &posted)?;
        if !self.commit(batch, &[], None).await? {
            return Ok(None);
        }
        let written = self.records.get(Kind::Letter, &key).await?;
        Ok(written.map(|record| Waiting { posted, key, version: record.version }))
    }

    /// A letter was sent, or is given up. Says whether it was still there.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn forget_letter(&self, waiting: &Waiting) -> Result<bool, Unavailable> {
        let expected = Expect::Version(waiting.version);
        let batch = Batch::new().delete(Kind::Letter, waiting.key.clone(), expected);
        self.commit(batch, &[], None).await
    }

    /// Adds to `batch` the news of `events` to whoever they are about, and the letters of `written`.
    /// What a letter of these tells of is not told twice.
    pub(super) fn post(
        &self,
        mut batch: Batch,
        events: &[Event],
        before: &User,
        after: &User,
        written: &[Letter],
    ) -> Result<Batch, Unavailable> {
        if !self.mails.load(Ordering::Relaxed) {
            return Ok(batch);
        }
        let told = |event: &Event| written.iter().any(|one| one.happened() == Some(event));
        let news = events.iter().filter(|event| !told(event));
        let news = news.filter_map(|event| Letter::of(event, before, after));
        for letter in news.chain(written.iter().cloned()) {
            let mut id = [0; 16];
            self.chance.draw(|rng| rng.fill_bytes(&mut id));
            let posted = Posted { id: id.into(), tries: 0, letter };
            batch = self.put_posted(batch, &key(posted.letter.written, &posted.id), &posted)?;
        }
        Ok(batch)
    }

    /// Whoever sends letters gives up a stale one, and says so. It is swept where nobody does.
    fn put_posted(&self, batch: Batch, key: &[u8], posted: &Posted) -> Result<Batch, Unavailable> {
        let over = posted.letter.stale().plus(GIVEN_UP_WITHIN);
        self.put(batch, Kind::Letter, key, Expect::Absent, Some(over), posted)
    }
}

fn key(due: Timestamp, id: &ByteArray<16>) -> Vec<u8> {
    [&due.millis().to_be_bytes()[..], &id[..]].concat()
}

fn due(key: &[u8]) -> Timestamp {
    let millis = key.first_chunk().copied().map_or(0, u64::from_be_bytes);
    Timestamp::from_millis(millis)
}

/// How many are read at once at most.
const PAGE: usize = 256;

/// More than it takes until a stale letter is looked at: a pause after a try that failed.
const GIVEN_UP_WITHIN: Duration = Duration::from_hours(1);
