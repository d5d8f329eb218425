//! What a one-time link leads to.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::identity::UserId;
use super::time::Timestamp;

/// What stands behind the token of a link: purpose and user inside, so that a link for one thing or
/// person is worth nothing for another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Link {
    /// What it is for.
    #[n(0)]
    pub purpose: Purpose,
    /// For whom.
    #[n(1)]
    pub user: UserId,
    /// Its number among the links that were made for this user: only the last one is good.
    #[n(2)]
    pub number: u64,
    /// When it is over.
    #[n(3)]
    pub expires: Timestamp,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// To set a password and sign in with it.
    #[n(0)]
    SetPassword,
}

impl Link {
    /// How long a link from an administrator can be used.
    pub const LASTS: Duration = Duration::from_hours(7 * 24);

    /// Whether it still leads somewhere, for a user whose last link is number `last`. Judged at use:
    /// housekeeping may be late.
    pub fn is_good(&self, last: u64, now: Timestamp) -> bool {
        self.number == last && now < self.expires
    }
}
