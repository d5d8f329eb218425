//! What happened, as values.
//!
//! Events are written in the batch of what they tell of; activity, notices and logs are made of
//! them. None holds a secret, nor what a person typed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::identity::UserId;
use super::time::Timestamp;

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
    /// There were so many failures in a row that nothing more is read for a while.
    #[n(16)]
    WaitBegan,
    /// There were so many wrong codes in a row that only a recovery code is read from now on.
    #[n(17)]
    Locked,
    /// An operator disabled the user: sessions, links and trusted devices are over.
    #[n(18)]
    UserDisabled,
    /// An operator enabled the user again.
    #[n(19)]
    UserEnabled,
    /// An operator turned two-factor off for somebody who lost everything.
    #[n(20)]
    TwoFactorReset,
    /// An operator changed name, address or groups of the user.
    #[n(21)]
    UserChanged,
    /// An operator removed the user.
    #[n(22)]
    UserRemoved,
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
            Self::WaitBegan => "wait-began",
            Self::Locked => "locked",
            Self::UserDisabled => "user-disabled",
            Self::UserEnabled => "user-enabled",
            Self::TwoFactorReset => "two-factor-reset",
            Self::UserChanged => "user-changed",
            Self::UserRemoved => "user-removed",
        }
    }

    /// This event in words, for people who read logs.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UserAdded => "an operator added a user",
            Self::LinkMade => "an operator made a link to set a password",
            Self::Unlocked => "an operator forgot all failures of a user",
            Self::PasswordSet => "a user set a password by a link",
            Self::PasswordRefused => "a wrong password was shown",
            Self::SignedIn => "a user showed the right password, and a visit began",
            Self::Confirmed => "a user showed the password again",
            Self::SignedOut => "a user ended a visit",
            Self::TotpShown => "a user showed a code of the authenticator",
            Self::SecondFactorRefused => "a wrong code was shown",
            Self::RecoveryCodeUsed => "a user used a recovery code",
            Self::TwoFactorOn => "a user turned two-factor on",
            Self::RecoveryCodesSaved => "a user saved the recovery codes",
            Self::DeviceTrusted => "a user trusted a device",
            Self::DeviceUsed => "a trusted device stood in for the second factor",
            Self::DeviceCopied => {
                "two browsers used one trusted device, so it is trusted no longer"
            }
            Self::WaitBegan => "after many failures in a row, nothing is read for a while",
            Self::Locked => "after many wrong codes in a row, only a recovery code is read",
            Self::UserDisabled => "an operator disabled a user",
            Self::UserEnabled => "an operator enabled a user again",
            Self::TwoFactorReset => "an operator turned two-factor off for a user",
            Self::UserChanged => "an operator changed what is known of a user",
            Self::UserRemoved => "an operator removed a user",
        }
    }
}
