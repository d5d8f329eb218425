//! Records of any kind in a transaction, by their type and key.
//!
//! A new kind of record needs a variant of [`Kind`] and an `impl` of [`Stored`] here. No function of
//! the store names it.

use std::any::Any;
use std::fmt;

use minicbor::{Decode, Encode};

use super::{Quiet, Read, Store, TRIES, expect, form};
use crate::domain::link::Link;
use crate::domain::provider::SpentState;
use crate::domain::secret::TokenHash;
use crate::domain::texts::{Ledger, LedgerKey, Text, TextId};
use crate::domain::ticket::Ticket;
use crate::domain::time::Timestamp;
use crate::domain::user_session::{NamedAtProvider, Renewal};
use crate::store::batch::{Batch, Expect};
use crate::store::record::{KeyRange, Kind};
use crate::unavailable::Unavailable;

/// A value that is one record.
pub trait Stored: fmt::Debug + Encode<()> + for<'b> Decode<'b, ()> + Send + 'static {
    /// The kind of its record.
    const KIND: Kind;
    /// What it is found by.
    type Key: AsRef<[u8]>;

    /// When a new record of it is swept.
    fn expires(&self) -> Option<Timestamp>;
}

impl Stored for Link {
    const KIND: Kind = Kind::Token;
    type Key = TokenHash;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Stored for Ticket {
    const KIND: Kind = Kind::Ticket;
    type Key = TokenHash;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Stored for SpentState {
    const KIND: Kind = Kind::SpentState;
    type Key = TokenHash;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Stored for NamedAtProvider {
    const KIND: Kind = Kind::NamedAtProvider;
    type Key = TokenHash;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Stored for Renewal {
    const KIND: Kind = Kind::Renewal;
    type Key = TokenHash;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Stored for Text {
    const KIND: Kind = Kind::Text;
    type Key = TextId;

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires())
    }
}

impl Stored for Ledger {
    const KIND: Kind = Kind::TextLedger;
    type Key = LedgerKey;

    fn expires(&self) -> Option<Timestamp> {
        self.ends()
    }
}

impl<T: Stored> Quiet for T {}

/// A record that a transaction will need.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    kind: Kind,
    key: Vec<u8>,
    read: Decoder,
}

/// Decodes the bytes of a record.
type Decoder = fn(&[u8]) -> Result<Box<dyn Value>, Unavailable>;

impl Wanted {
    pub(super) fn of<T: Stored>(key: &T::Key) -> Self {
        let read = |bytes: &[u8]| Ok(Box::new(form::decode::<T>(bytes)?) as Box<dyn Value>);
        Self { kind: T::KIND, key: key.as_ref().to_vec(), read }
    }
}

/// A record in a transaction: as it was read, and what becomes of it.
#[derive(Debug)]
struct Held {
    kind: Kind,
    key: Vec<u8>,
    /// What must still be stored when the transaction is written.
    expect: Expect,
    /// When the record that was read is swept.
    expires: Option<Timestamp>,
    value: Option<Box<dyn Value>>,
    is_changed: bool,
}

/// A stored value of some type.
trait Value: fmt::Debug + Any + Send {
    fn write(&self, store: &Store, batch: Batch, to: &Held) -> Result<Batch, Unavailable>;
    fn as_any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: Stored> Value for T {
    fn write(&self, store: &Store, batch: Batch, to: &Held) -> Result<Batch, Unavailable> {
        let over = to.expires.or_else(|| self.expires());
        store.put(batch, to.kind, &to.key, to.expect, over, self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The records of a transaction, besides those of the user and the session.
#[derive(Debug, Default)]
pub(super) struct HeldRecords(Vec<Held>);

impl HeldRecords {
    pub(super) fn get<T: Stored>(&self, key: &T::Key) -> Option<&T> {
        let held = self.0.iter().find(|held| held.is::<T>(key))?;
        held.value.as_ref()?.as_ref().as_any().downcast_ref()
    }

    pub(super) fn take<T: Stored>(&mut self, key: &T::Key) -> Option<T> {
        let held = self.0.iter_mut().find(|held| held.is::<T>(key))?;
        let value = held.value.take()?;
        held.is_changed = true;
        value.into_any().downcast().ok().map(|value| *value)
    }

    pub(super) fn put<T: Stored>(&mut self, key: &T::Key, value: T) {
        let value: Option<Box<dyn Value>> = Some(Box::new(value));
        match self.0.iter_mut().find(|held| held.is::<T>(key)) {
            Some(held) => (held.value, held.is_changed, held.expires) = (value, true, None),
            None => self.0.push(Held {
                kind: T::KIND,
                key: key.as_ref().to_vec(),
                expect: Expect::Absent,
                expires: None,
                value,
                is_changed: true,
            }),
        }
    }

    /// Adds what becomes of each record to `batch`. Returns whether anything changes; what does
    /// not is only checked.
    pub(super) fn write(&self, store: &Store, batch: &mut Batch) -> Result<bool, Unavailable> {
        for held in &self.0 {
            let so_far = std::mem::take(batch);
            *batch = match &held.value {
                _ if !held.is_changed => so_far.check(held.kind, &*held.key, held.expect),
                Some(value) => value.write(store, so_far, held)?,
                None => so_far.delete(held.kind, &*held.key, held.expect),
            };
        }
        Ok(self.0.iter().any(|held| held.is_changed))
    }
}

impl Held {
    fn is<T: Stored>(&self, key: &T::Key) -> bool {
        self.kind == T::KIND && self.key == key.as_ref()
    }
}

impl Store {
    /// The record of this type under `key`.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn stored<T: Stored>(&self, key: &T::Key) -> Result<Option<T>, Unavailable> {
        Ok(self.read(T::KIND, key.as_ref()).await?.value)
    }

    /// All records of this type that can be read, and why the last of the others cannot.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be read.
    pub async fn readable<T: Stored>(&self) -> Result<(Vec<T>, Option<Unavailable>), Unavailable> {
        let (mut all, mut unreadable, mut range) = (Vec::new(), None, KeyRange::all());
        loop {
            let page = self.records.scan(T::KIND, range.clone(), PAGE).await?;
            let Some(last) = page.last() else { return Ok((all, unreadable)) };
            range = range.behind(&last.key);
            for entry in &page {
                match self.open(T::KIND, &entry.key, &entry.record) {
                    Ok(value) => all.push(value),
                    Err(why) => unreadable = Some(why),
                }
            }
        }
    }

    /// Deletes the record of this type under `key`, whatever it says.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn forget<T: Stored>(&self, key: &T::Key) -> Result<(), Unavailable> {
        let batch = Batch::new().delete(T::KIND, key.as_ref(), Expect::Any);
        self.commit(batch, &[], None).await.map(|_| ())
    }

    /// Writes the record under `key`, unless one is there that is swept no earlier.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn keep<T: Stored>(&self, key: &T::Key, value: &T) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let read = self.read::<T>(T::KIND, key.as_ref()).await?;
            if read.value.is_some_and(|kept| kept.expires() >= value.expires()) {
                return Ok(());
            }
            let (key, expected) = (key.as_ref(), expect(read.version));
            let over = value.expires();
            let batch = self.put(Batch::new(), T::KIND, key, expected, over, value)?;
            if self.commit(batch, &[], None).await? {
                return Ok(());
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same record"))
    }

    /// Reads the records that a transaction will need.
    pub(super) async fn held(&self, wanted: &[Wanted]) -> Result<HeldRecords, Unavailable> {
        let mut all = Vec::with_capacity(wanted.len());
        for Wanted { kind, key, read } in wanted {
            let Read { value, version, expires, .. } = self.read_by(*kind, key, *read).await?;
            let (kind, key, expect) = (*kind, key.clone(), expect(version));
            all.push(Held { kind, key, expect, expires, value, is_changed: false });
        }
        Ok(HeldRecords(all))
    }
}

/// How many records are read at once.
const PAGE: usize = 256;
