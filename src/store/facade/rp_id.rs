//! The RP ID for which people have set up their security keys (WebAuthn §4).
//!
//! A key is bound to the RP ID of its set-up, and no browser offers it for another one. So the one in
//! use is stored, and a configuration with another one is noticed.

use super::Store;
use crate::domain::factor::Factor;
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// The key of the setting.
const RP_ID: &[u8] = b"rp-id";

/// How many users are read at once.
const PAGE: usize = 1_000;

impl Store {
    /// The stored RP ID; `None` if there is none yet.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn rp_id(&self) -> Result<Option<String>, Unavailable> {
        let stored: Option<String> = self.read(Kind::Setting, RP_ID).await?.value;
        Ok(stored.filter(|id| !id.is_empty()))
    }

    /// Stores the RP ID that is used from now on; `None`: keys cannot be used.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn note_rp_id(&self, id: Option<&str>) -> Result<(), Unavailable> {
        let id = id.unwrap_or_default();
        let stored: Option<String> = self.read(Kind::Setting, RP_ID).await?.value;
        if stored.unwrap_or_default() == id {
            return Ok(());
        }
        let id = id.to_owned();
        let batch = self.put(Batch::new(), Kind::Setting, RP_ID, Expect::Any, None, &id)?;
        self.commit(batch, &[], None).await.map(drop)
    }

    /// How many users have a security key. Reads all of them.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn people_with_keys(&self) -> Result<usize, Unavailable> {
        let (mut people, mut after) = (0, None);
        loop {
            let users = self.users(after, PAGE).await?;
            let Some(last) = users.last() else { return Ok(people) };
            after = Some(last.id());
            let has_key =
                |factors: &[Factor]| factors.iter().any(|one| one.security_key().is_some());
            people += users.iter().filter(|user| has_key(user.factors())).count();
        }
    }
}
