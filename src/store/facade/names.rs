//! Looking up names. Takes the same time for users and unknown names.

use std::hint::black_box;

use super::{ABSENT, Store};
use crate::domain::event::Whom;
use crate::domain::name::Login;
use crate::domain::user::UserId;
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
pub struct NobodysName(pub(super) [u8; 32]);

impl NobodysName {
    /// The reference to it in events.
    pub fn whom(&self) -> Whom {
        Whom::Nobody(u64::from_be_bytes(std::array::from_fn(|i| self.0[i])))
    }
}

impl Target {
    /// What its writers are ordered by; see [`Store::line`].
    pub(super) fn line_key(&self) -> &[u8] {
        match self {
            Self::User(user) => user.as_bytes(),
            Self::Nobody(NobodysName(key)) => key,
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

    /// The user with this name, or the unknown name. Takes the same time in both cases.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn target(&self, login: &Login) -> Result<Target, Unavailable> {
        let key = self.names.of(login.key());
        if let Some(record) = self.records.get(Kind::Name, &key).await? {
            return Ok(Target::User(self.open(Kind::Name, &key, &record)?));
        }
        black_box(self.open::<UserId>(Kind::Name, &ABSENT, &self.decoy)?);
        Ok(Target::Nobody(NobodysName(key)))
    }

    /// A record like that of a name, which is opened for unknown names.
    pub(super) fn decoy(sealed: Vec<u8>) -> Record {
        Record { version: Version::of_commit(0), expires: None, body: sealed }
    }

    pub(super) async fn is_taken(&self, name: &[u8; 32]) -> Result<bool, Unavailable> {
        Ok(self.records.get(Kind::Name, name).await?.is_some())
    }
}
