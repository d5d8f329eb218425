//! The second factors a person may have, a closed set, and the recovery codes instead of one.
//!
//! Adding a factor means adding a variant here; the compiler then leads to every place that must
//! think about it.

use std::fmt;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::id::random_id;

pub mod recovery;
pub mod totp;

use super::secret::Secret;
use super::time::Timestamp;

/// Names one factor of a person, or one set of recovery codes; it opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorId(#[n(0)] ByteArray<16>);

random_id!(FactorId);

impl FactorId {
    /// What names a factor from when factors had no names; a person has one such at most.
    pub fn unknown() -> Self {
        Self::from([0; 16])
    }
}

/// What a person calls a factor of theirs: 1 to 64 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorName(#[n(0)] String);

impl FactorName {
    /// The most characters in a name.
    pub const AT_MOST: usize = 64;

    /// Reads a name as typed; white space around it does not count. `None` if there is nothing, too
    /// much, or what does not show.
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

/// Reads six digits as typed; spaces, which apps put in the middle, do not count.
///
/// # Errors
/// [`Rejection::Wrong`] if it is anything else.
pub(super) fn six_digits(typed: &str) -> Result<Secret, Rejection> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let six = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    if six { Ok(Secret::from(digits)) } else { Err(Rejection::Wrong) }
}

/// What a visitor offers as a second factor, or instead of one.
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
    /// It is not right.
    Wrong,
    /// It was right once, and was used then; not a failure.
    Used,
    /// Too many failures: nothing is read before this moment.
    Waiting {
        /// When the next try is read.
        until: Timestamp,
    },
    /// Too many failures: only a recovery code or an administrator leads on.
    Locked,
    /// This person has no such factor.
    NotSetUp,
    /// The person said that this factor is not theirs: nothing is read before an administrator has
    /// helped.
    Frozen,
}
