//! Looking up names. Takes the same time for users and unknown names.

use std::hint::black_box;

use super::{ABSENT, Store};
use crate::domain::event::Whom;
use crate::domain::name::Login;
use crate::domain::provider::Account;
use crate::domain::rng::SharedRng;
use crate::domain::user::UserId;
use crate::store::keys::{Hashes, Keyring, NameHash};
use crate::store::record::{Kind, Record, Version};
use crate::unavailable::Unavailable;

/// Whose password somebody tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A user's.
    User(UserId),
    /// That of an unknown name.
    Nobody(NobodysName),
}

/// An unknown name, as its record key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NobodysName(pub(super) NameHash);

impl NobodysName {
    /// The reference to it in events.
    pub fn whom(&self) -> Whom {
        // The first byte is the id of the key.
        Whom::Nobody(u64::from_be_bytes(std::array::from_fn(|i| self.0[i + 1])))
    }
}

impl Target {
    /// What its writers are ordered by; see [`Store::line`].
    pub(super) fn line_key(&self) -> &[u8] {
        match self {
            Self::User(user) => user.as_bytes(),
            Self::Nobody(NobodysName(hash)) => &hash[1..],
        }
    }
}

impl Store {
    /// The user who signs in with this name or e-mail address.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_named(&self, login: &Login) -> Result<Option<UserId>, Unavailable> {
        Ok(match self.target(login).await? {
            Target::User(user) => Some(user),
            Target::Nobody(_) => None,
        })
    }

    /// The user for whom this account at a provider may speak.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn user_of_account(&self, account: &Account) -> Result<Option<UserId>, Unavailable> {
        Ok(match self.target_of(&account.key()).await? {
            Target::User(user) => Some(user),
            Target::Nobody(_) => None,
        })
    }

    /// The user with this name, or the unknown name. Takes the same time in both cases.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn target(&self, login: &Login) -> Result<Target, Unavailable> {
        self.target_of(login.key()).await
    }

    async fn target_of(&self, key: &str) -> Result<Target, Unavailable> {
        let _looking_up = self.naming.read().await;
        let hashes = self.keyring.names().of(key);
        let mut found = None;
        // While names are re-keyed there are several, and all are looked at in any case.
        for hash in &hashes {
            let record = self.records.get(Kind::Name, hash).await?;
            found = found.or(record.map(|record| (hash, record)));
        }
        if let Some((hash, record)) = found {
            return Ok(Target::User(self.open(Kind::Name, hash, &record)?));
        }
        black_box(self.open::<UserId>(Kind::Name, &ABSENT, &self.decoy.load())?);
        Ok(Target::Nobody(NobodysName(hashes.last().copied().unwrap_or(ABSENT))))
    }

    /// A record like that of a name, which is opened for unknown names.
    pub(super) fn decoy(keyring: &Keyring, rng: &SharedRng) -> Record {
        let body = minicbor::to_vec(UserId::from([0; 16])).unwrap_or_default();
        let sealed = rng.draw(|rng| keyring.sealer().seal(rng, Kind::Name, &ABSENT, &body));
        let body = sealed.unwrap_or_default();
        Record { version: Version::of_commit(0), expires: None, body }
    }

    /// Whether a name with these hashes belongs to somebody.
    pub(super) async fn is_taken(&self, hashes: &Hashes) -> Result<bool, Unavailable> {
        for hash in hashes {
            if self.records.get(Kind::Name, hash).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
