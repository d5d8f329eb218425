//! The second factors a person may have, a closed set, and the recovery codes instead of one.
//!
//! Adding a factor means adding a variant here; the compiler then leads to every place that must
//! think about it.

pub mod recovery;
pub mod totp;

use super::time::Timestamp;

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
}
