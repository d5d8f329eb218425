//! What a one-time link leads to.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::factor::FactorId;
use super::identity::UserId;
use super::name::Email;
use super::time::Timestamp;

/// What stands behind the token of a link: purpose and user inside, so that a link for one thing or
/// person is worth nothing for another. [`User::honours`](super::user::User::honours) says whether
/// it still is good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Link {
    /// What it is for.
    #[n(0)]
    pub purpose: Purpose,
    /// For whom.
    #[n(1)]
    pub user: UserId,
    /// Its number among the links of this purpose that were made for this user: only the last one
    /// is good.
    #[n(2)]
    pub number: u64,
    /// When it is over.
    #[n(3)]
    pub expires: Timestamp,
    /// The address that it verifies.
    #[n(4)]
    pub address: Option<Email>,
    /// The factor of which it says that it is not the user's.
    #[n(5)]
    pub factor: Option<FactorId>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// From an administrator: to set a password and sign in with it. It is proof enough to set up a
    /// first factor.
    #[n(0)]
    SetPassword,
    /// By mail, to whoever asked: to set a password. It proves no more than the password does.
    #[n(1)]
    ResetPassword,
    /// By mail to a new address: to show that it is read.
    #[n(2)]
    VerifyEmail,
    /// By mail, with the news of a first factor: to say that this was somebody else.
    #[n(3)]
    NotMe,
}

impl Purpose {
    /// How long a link for this can be used.
    pub const fn lasts(self) -> Duration {
        match self {
            Self::SetPassword | Self::NotMe => Duration::from_hours(7 * 24),
            Self::ResetPassword | Self::VerifyEmail => Duration::from_hours(24),
        }
    }
}

impl Link {
    /// A link for `purpose` that is good from now on.
    pub fn new(purpose: Purpose, user: UserId, number: u64, now: Timestamp) -> Self {
        let expires = now.plus(purpose.lasts());
        Self { purpose, user, number, expires, address: None, factor: None }
    }
}
