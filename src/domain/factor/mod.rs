//! The second factors that a user may have, and the recovery codes that replace one.
//!
//! The set is closed. To add a factor, add a variant here; the compiler then shows every place that
//! must handle it.

use std::fmt;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::id::random_id;

pub mod recovery;
pub mod totp;

use super::secret::Secret;
use super::time::Timestamp;

/// Identifies one factor of a user, or one set of recovery codes. It is not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorId(#[n(0)] ByteArray<16>);

random_id!(FactorId);

impl FactorId {
    /// The id of a factor from before factors had ids. A user has at most one such factor.
    pub fn unknown() -> Self {
        Self::from([0; 16])
    }
}

/// A user's own name for a factor: 1 to 64 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorName(#[n(0)] String);

impl FactorName {
    /// The maximum number of characters in a name.
    pub const AT_MOST: usize = 64;

    /// Parses a name as typed, without the white space around it. `None` if it is empty, too long,
    /// or contains control characters.
    pub fn parse(typed: &str) -> Option<Self> {
        let name = typed.trim();
        let fits = (1..=Self::AT_MOST).contains(&name.chars().count());
        (fits && !name.chars().any(char::is_control)).then(|| Self(name.to_owned()))
    }
}

impl fmt::Display for FactorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses six digits as typed. Spaces are ignored, because apps show one in the middle.
///
/// # Errors
/// [`Rejection::Wrong`] if the text is anything else.
pub(super) fn six_digits(typed: &str) -> Result<Secret, Rejection> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let six = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    if six { Ok(Secret::from(digits)) } else { Err(Rejection::Wrong) }
}

/// What a visitor enters as a second factor, or instead of one.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A code of an authenticator.
    Totp(totp::Code),
    /// A recovery code.
    RecoveryCode(recovery::Code),
}

/// Why an answer was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong.
    Wrong,
    /// It was right but has been used before. This is not a failure.
    Used,
    /// After too many failures, attempts are refused until this time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// After too many failures, only a recovery code or an administrator helps.
    Locked,
    /// The user has no such factor.
    NotSetUp,
    /// The user said that this factor is not theirs. It is refused until an administrator helps.
    Frozen,
}
