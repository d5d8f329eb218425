//! What happened, as values.
//!
//! Events are written in the batch of what they tell of; activity, notices and logs are made of
//! them. None holds a secret, nor what a person typed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::time::Timestamp;
use super::user::UserId;

/// A fact about what happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// To whom.
    #[n(1)]
    pub whom: Whom,
    /// What.
    #[n(2)]
    pub what: What,
    /// The visitor's address, where a visitor did it.
    #[n(3)]
    pub from: Option<IpAddr>,
    /// The operator who did it, where one did.
    #[n(4)]
    pub by: Option<String>,
}

/// Whom an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Whom {
    /// A user.
    #[n(0)]
    User(#[n(0)] UserId),
    /// A name that no user has, as the first bytes of its keyed hash: people type passwords there.
    #[n(1)]
    Nobody(#[n(0)] u64),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum What {
    /// An operator added the user.
    #[n(0)]
    UserAdded,
    /// An operator made a link to set a password.
    #[n(1)]
    LinkMade,
    /// An operator forgot all failures of the user.
    #[n(2)]
    Unlocked,
    /// The user set a password by a link.
    #[n(3)]
    PasswordSet,
    /// A wrong password was shown.
    #[n(4)]
    PasswordRefused,
    /// The right password was shown, and a visit began.
    #[n(5)]
    SignedIn,
    /// The password was shown again.
    #[n(6)]
    Confirmed,
    /// The user ended a visit.
    #[n(7)]
    SignedOut,
    /// A right code of an authenticator was shown.
    #[n(8)]
    TotpShown,
    /// A wrong second factor, or a wrong recovery code, was shown.
    #[n(9)]
    SecondFactorRefused,
    /// A recovery code was used.
    #[n(10)]
    RecoveryCodeUsed,
    /// Two-factor was turned on.
    #[n(11)]
    TwoFactorOn,
    /// The user said that the recovery codes are saved.
    #[n(12)]
    RecoveryCodesSaved,
    /// A browser became a trusted device.
    #[n(13)]
    DeviceTrusted,
    /// A trusted device stood in for the second factor.
    #[n(14)]
    DeviceUsed,
    /// The cookie of a trusted device was used by two browsers; the device is trusted no longer.
    #[n(15)]
    DeviceCopied,
}

impl What {
    /// The name of this event in logs, in kebab-case; stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserAdded => "user-added",
            Self::LinkMade => "link-made",
            Self::Unlocked => "unlocked",
            Self::PasswordSet => "password-set",
            Self::PasswordRefused => "password-refused",
            Self::SignedIn => "signed-in",
            Self::Confirmed => "confirmed",
            Self::SignedOut => "signed-out",
            Self::TotpShown => "totp-shown",
            Self::SecondFactorRefused => "second-factor-refused",
            Self::RecoveryCodeUsed => "recovery-code-used",
            Self::TwoFactorOn => "two-factor-on",
            Self::RecoveryCodesSaved => "recovery-codes-saved",
            Self::DeviceTrusted => "device-trusted",
            Self::DeviceUsed => "device-used",
            Self::DeviceCopied => "device-copied",
        }
    }
}
