//! The names of removed users. Applications may keep something under such a name, so no identity
//! provider gives it to somebody else; an operator may.
//!
//! Each is a record under the keyed hash of the name, like that of a user, and holds the name, so that
//! it can be stored under a new key.

use minicbor::{Decode, Encode};

use super::rotation::Moved;
use super::{Quiet, Store};
use crate::domain::name::Name;
use crate::store::batch::{Batch, Expect};
use crate::store::record::{Entry, Kind};
use crate::unavailable::Unavailable;

/// The name of a removed user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct FormerName {
    #[n(0)]
    name: String,
}

impl Quiet for FormerName {}

impl Store {
    /// Whether a user who was removed had this name.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn was_somebodys(&self, name: &Name) -> Result<bool, Unavailable> {
        let _looking_up = self.naming.read().await;
        for hash in self.keyring.names().of(name.as_str()) {
            if self.records.get(Kind::FormerName, &hash).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds to `batch` that a user with this name is removed. The caller holds `naming`.
    pub(super) fn with_former(&self, batch: Batch, name: &Name) -> Result<Batch, Unavailable> {
        self.put_former(batch, &FormerName { name: name.as_str().to_owned() })
    }

    /// Moves these names to where the current key stores them.
    pub(super) async fn rekey_former_names(&self, page: Vec<Entry>) -> Result<Moved, Unavailable> {
        let mut done = Moved { moved: page.len() as u64, unreadable: 0 };
        let mut batch = Batch::new();
        for Entry { key, record } in page {
            let former = self.open::<FormerName>(Kind::FormerName, &key, &record);
            let Some(former) = done.unless_unreadable(former)? else { continue };
            batch = self.put_former(batch, &former)?.delete(Kind::FormerName, key, Expect::Any);
        }
        self.commit(batch, &[], None).await?;
        Ok(done)
    }

    fn put_former(&self, batch: Batch, former: &FormerName) -> Result<Batch, Unavailable> {
        let hash = self.keyring.names().current.of(&former.name);
        self.put(batch, Kind::FormerName, &hash, Expect::Any, None, former)
    }
}
