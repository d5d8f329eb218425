//! Text messages that wait to be sent.
//!
//! A worker takes a text in a commit of its own and then hands it over, so it is never handed over
//! twice: after a crash in between nobody knows whether the provider got it, and it is not sent again.

use std::sync::atomic::Ordering;

use super::{Read, Store, TRIES, expect};
use crate::domain::texts::{About, Ledger, LedgerKey, Text, TextId, Withheld};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::{self, Unavailable};

/// A text in the outbox, with its key.
#[derive(Clone, Debug)]
pub struct WaitingText {
    /// The text.
    pub text: Text,
    key: Vec<u8>,
}

impl Store {
    /// Sets whether users are notified by text message.
    pub fn set_texts(&self, texts: bool) {
        self.texts.store(texts, Ordering::Relaxed);
    }

    /// The texts that wait, codes first and then by age, at most `limit`. Unreadable ones are skipped and
    /// swept later.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn waiting_texts(&self, limit: usize) -> Result<Vec<WaitingText>, Unavailable> {
        let (mut readable, mut unreadable) = (Vec::new(), 0);
        let mut range = KeyRange::all();
        loop {
            let page = self.records.scan(Kind::Text, range, limit).await?;
            let last = page.last().map(|entry| entry.key.clone());
            for entry in page {
                match self.open(Kind::Text, &entry.key, &entry.record) {
                    Ok(text) => readable.push(WaitingText { text, key: entry.key }),
                    Err(_) => unreadable += 1,
                }
            }
            match last {
                Some(last) if readable.len() < limit => range = KeyRange::all().behind(&last),
                _ => break,
            }
        }
        if self.unreadable_texts.swap(unreadable, Ordering::Relaxed) < unreadable {
            tracing::error!(unreadable, "unreadable text messages in the outbox are skipped");
        }
        readable.truncate(limit);
        Ok(readable)
    }

    /// How many texts wait, counted up to `limit`, and when the oldest of them was written.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn texts_outbox(
        &self,
        limit: usize,
    ) -> Result<(usize, Option<Timestamp>), Unavailable> {
        let waiting = self.records.scan(Kind::Text, KeyRange::all(), limit).await?;
        let written = waiting.iter().filter_map(|entry| TextId::written(&entry.key));
        Ok((waiting.len(), written.min()))
    }

    /// Takes a text out of the outbox. Returns whether it was there: another worker may have taken it.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn take_text(&self, waiting: &WaitingText) -> Result<bool, Unavailable> {
        for _ in 0..TRIES {
            let Some(batch) = self.taking(waiting).await? else { return Ok(false) };
            if self.commit(batch, &[], None).await? {
                return Ok(true);
            }
        }
        Err(Unavailable::store("too many conflicting writes to a text message"))
    }

    /// The same, and lets `decide` enter the text in the ledger in the same commit. If it refuses, the
    /// text stays. `None` if another worker has taken it.
    ///
    /// # Errors
    /// Like [`Store::update`] and [`Store::ledger`].
    pub async fn take_uncounted_text(
        &self,
        waiting: &WaitingText,
        decide: impl Fn(&mut Ledger) -> Result<(), Withheld>,
    ) -> Result<Option<Result<(), Withheld>>, Unavailable> {
        for _ in 0..TRIES {
            let Some(batch) = self.taking(waiting).await? else { return Ok(None) };
            let (batch, decided) = self.in_ledger(batch, &decide).await?;
            if decided.is_err() || self.commit(batch, &[], None).await? {
                return Ok(Some(decided));
            }
        }
        Err(Unavailable::store("too many conflicting writes to the ledger of texts"))
    }

    /// The batch that takes a text out of the outbox, if it is still there.
    async fn taking(&self, waiting: &WaitingText) -> Result<Option<Batch>, Unavailable> {
        // A rotation of keys may have sealed it anew.
        let record = self.records.get(Kind::Text, &waiting.key).await?;
        let expected = record.map(|record| Expect::Version(record.version));
        Ok(expected.map(|expected| Batch::new().delete(Kind::Text, waiting.key.clone(), expected)))
    }

    /// Changes the ledger.
    ///
    /// # Errors
    /// Like [`Store::update`] and [`Store::ledger`].
    pub async fn update_ledger(&self, change: impl Fn(&mut Ledger)) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let (batch, ()) = self.in_ledger(Batch::new(), &change).await?;
            if batch.steps().is_empty() || self.commit(batch, &[], None).await? {
                return Ok(());
            }
        }
        Err(Unavailable::store("too many conflicting writes to the ledger of texts"))
    }

    /// The ledger.
    ///
    /// # Errors
    /// Like [`Store::user`]. Of the kind [`unavailable::Kind::Record`] if it cannot be read: then nobody
    /// knows whether a limit is reached.
    pub async fn ledger(&self) -> Result<Ledger, Unavailable> {
        Ok(self.read_ledger().await?.value.unwrap_or_default())
    }

    async fn read_ledger(&self) -> Result<Read<Ledger>, Unavailable> {
        let read = self.read::<Ledger>(Kind::TextLedger, LedgerKey.as_ref()).await;
        read.map_err(|why| match why.kind() {
            unavailable::Kind::Record => Unavailable::record(
                "the limits of text messages; `doorward sms reset-limits` resets them",
            )
            .because(why),
            _ => why,
        })
    }

    async fn in_ledger<T>(
        &self,
        batch: Batch,
        decide: &impl Fn(&mut Ledger) -> T,
    ) -> Result<(Batch, T), Unavailable> {
        let Read { value, version, .. } = self.read_ledger().await?;
        let before = value.unwrap_or_default();
        let mut ledger = before.clone();
        let decided = decide(&mut ledger);
        if ledger == before {
            return Ok((batch, decided));
        }
        let (kind, key, over) = (Kind::TextLedger, LedgerKey.as_ref(), ledger.ends());
        Ok((self.put(batch, kind, key, expect(version), over, &ledger)?, decided))
    }

    /// Adds to `batch` a text to each number of the user that no longer gets codes, so that somebody
    /// who changes a number cannot do it unnoticed.
    pub(super) fn post_texts(
        &self,
        mut batch: Batch,
        before: &User,
        after: &User,
        now: Timestamp,
    ) -> Result<Batch, Unavailable> {
        if !self.texts.load(Ordering::Relaxed) {
            return Ok(batch);
        }
        let numbers = |user: &User| -> Vec<_> {
            user.phones().filter_map(|phone| phone.phone().cloned()).collect()
        };
        let kept = numbers(after);
        for to in numbers(before).into_iter().filter(|number| !kept.contains(number)) {
            let text = Text { user: before.id(), to, about: About::Removed, written: now };
            let key = self.rng.draw(|rng| TextId::random(rng, &text.about, now));
            let over = Some(text.expires());
            batch = self.put(batch, Kind::Text, key.as_ref(), Expect::Absent, over, &text)?;
        }
        Ok(batch)
    }
}
