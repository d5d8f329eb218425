//! One-time links, as stored.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::factor::FactorId;
use super::identity::UserId;
use super::name::Email;
use super::time::Timestamp;

/// What the token of a link refers to. It holds the purpose and the user, so a link for one purpose
/// or user cannot be used for another. [`User::honours`](super::user::User::honours) says whether
/// it is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Link {
    /// What it is for.
    #[n(0)]
    pub purpose: Purpose,
    /// The user it is for.
    #[n(1)]
    pub user: UserId,
    /// Its number among the links of this purpose for this user. Only the newest is valid.
    #[n(2)]
    pub number: u64,
    /// When it expires.
    #[n(3)]
    pub expires: Timestamp,
    /// The address that it verifies.
    #[n(4)]
    pub address: Option<Email>,
    /// The factor that it reports as not the user's own.
    #[n(5)]
    pub factor: Option<FactorId>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// From an administrator: to set a password and sign in with it. It is sufficient proof to set
    /// up the first second factor.
    #[n(0)]
    SetPassword,
    /// By mail, to somebody who asked for it: to set a password. It proves no more than the
    /// password does.
    #[n(1)]
    ResetPassword,
    /// By mail to a new address: to verify that address.
    #[n(2)]
    VerifyEmail,
    /// By mail, in the notice of the first second factor: to report that somebody else set it up.
    #[n(3)]
    NotMe,
}

impl Purpose {
    /// How long a link for this purpose is valid.
    pub const fn lasts(self) -> Duration {
        match self {
            Self::SetPassword | Self::NotMe => Duration::from_hours(7 * 24),
            Self::ResetPassword | Self::VerifyEmail => Duration::from_hours(24),
        }
    }
}

impl Link {
    /// A link for `purpose`, valid from now on.
    pub fn new(purpose: Purpose, user: UserId, number: u64, now: Timestamp) -> Self {
        let expires = now.plus(purpose.lasts());
        Self { purpose, user, number, expires, address: None, factor: None }
    }
}
