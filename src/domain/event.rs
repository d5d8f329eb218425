//! Security events, as values.
//!
//! An event is written in the same batch as the change that it reports. Activity pages, notices and
//! logs are made from events. An event never contains a secret or what a person typed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::agent::Agent;
use super::identity::UserId;
use super::time::Timestamp;

/// Something that happened to a user's account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// When it happened.
    #[n(0)]
    pub at: Timestamp,
    /// Who it is about.
    #[n(1)]
    pub whom: Whom,
    /// What happened.
    #[n(2)]
    pub what: What,
    /// The client address, if a visitor caused it.
    #[n(3)]
    pub from: Option<IpAddr>,
    /// The operator who caused it, if one did.
    #[n(4)]
    pub by: Option<String>,
    /// The visitor's browser, from its `User-Agent`.
    #[n(5)]
    pub agent: Option<Agent>,
}

/// Who an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Whom {
    /// A user.
    #[n(0)]
    User(#[n(0)] UserId),
    /// A name that does not exist, as the first bytes of its keyed hash, because people type
    /// passwords into the name field by mistake.
    #[n(1)]
    Nobody(#[n(0)] u64),
    /// All names that do not exist, together: the number of events in one hour.
    #[n(2)]
    Strangers(#[n(0)] u64),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum What {
    /// An operator added the user.
    #[n(0)]
    UserAdded,
    /// An operator created a link to set a password.
    #[n(1)]
    LinkMade,
    /// An operator cleared the user's failed attempts.
    #[n(2)]
    Unlocked,
    /// The user set a password with a link.
    #[n(3)]
    PasswordSet,
    /// A wrong password was entered.
    #[n(4)]
    PasswordRefused,
    /// The right password was entered, and a user session began.
    #[n(5)]
    SignedIn,
    /// The password was entered again to confirm a change.
    #[n(6)]
    Confirmed,
    /// The user ended a user session.
    #[n(7)]
    SignedOut,
    /// A right code of an authenticator was entered.
    #[n(8)]
    TotpShown,
    /// A wrong second factor or a wrong recovery code was entered.
    #[n(9)]
    SecondFactorRefused,
    /// A recovery code was used.
    #[n(10)]
    RecoveryCodeUsed,
    /// Two-factor was turned on.
    #[n(11)]
    TwoFactorOn,
    /// The user confirmed that the recovery codes are saved.
    #[n(12)]
    RecoveryCodesSaved,
    /// A browser became a trusted device.
    #[n(13)]
    DeviceTrusted,
    /// A trusted device was accepted instead of the second factor.
    #[n(14)]
    DeviceUsed,
    /// The cookie of a trusted device was used by two browsers, so the device is no longer trusted.
    #[n(15)]
    DeviceCopied,
    /// After too many failures in a row, attempts are refused for a while.
    #[n(16)]
    WaitBegan,
    /// After too many wrong codes in a row, only a recovery code is accepted.
    #[n(17)]
    Locked,
    /// An operator disabled the user. Sessions, links and trusted devices are revoked.
    #[n(18)]
    UserDisabled,
    /// An operator enabled the user again.
    #[n(19)]
    UserEnabled,
    /// An operator turned two-factor off for a user who lost their factors.
    #[n(20)]
    TwoFactorReset,
    /// An operator changed the user's name, address or groups.
    #[n(21)]
    UserChanged,
    /// An operator removed the user.
    #[n(22)]
    UserRemoved,
    /// The user turned two-factor off.
    #[n(23)]
    TwoFactorOff,
    /// The user added another authenticator.
    #[n(24)]
    AuthenticatorAdded,
    /// The user replaced the old authenticators with a new one.
    #[n(25)]
    AuthenticatorReplaced,
    /// The user removed one of several authenticators.
    #[n(26)]
    AuthenticatorRemoved,
    /// The user renamed an authenticator.
    #[n(27)]
    AuthenticatorRenamed,
    /// The user made new recovery codes; the old ones are void.
    #[n(28)]
    RecoveryCodesRenewed,
    /// The user looked at the recovery codes again.
    #[n(29)]
    RecoveryCodesViewed,
    /// The user revoked a trusted device.
    #[n(30)]
    DeviceRevoked,
    /// The user revoked all trusted devices.
    #[n(31)]
    DevicesRevoked,
    /// The user ended another user session of theirs.
    #[n(32)]
    SessionEnded,
    /// The user ended all their other user sessions.
    #[n(33)]
    SessionsEnded,
    /// The user changed the password.
    #[n(34)]
    PasswordChanged,
    /// Somebody asked for a link to set a new password, and it was mailed.
    #[n(35)]
    ResetAsked,
    /// The user set a password with a mailed link.
    #[n(36)]
    PasswordReset,
    /// The user entered a new e-mail address, and a link was mailed to it.
    #[n(37)]
    EmailAsked,
    /// The new e-mail address was verified and is now the user's address.
    #[n(38)]
    EmailChanged,
    /// Somebody completed a sign-in in a browser that was not known.
    #[n(39)]
    NewBrowser,
    /// The user said that a factor is not theirs. It is refused until an administrator helps.
    #[n(40)]
    Frozen,
    /// A code was mailed to the user.
    #[n(41)]
    CodeMailed,
    /// A right mailed code was entered.
    #[n(42)]
    MailedCodeShown,
    /// Three or more wrong codes were entered after the right password.
    #[n(43)]
    CodesGuessed,
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
            Self::TwoFactorOff => "two-factor-off",
            Self::AuthenticatorAdded => "authenticator-added",
            Self::AuthenticatorReplaced => "authenticator-replaced",
            Self::AuthenticatorRemoved => "authenticator-removed",
            Self::AuthenticatorRenamed => "authenticator-renamed",
            Self::RecoveryCodesRenewed => "recovery-codes-renewed",
            Self::RecoveryCodesViewed => "recovery-codes-viewed",
            Self::DeviceRevoked => "device-revoked",
            Self::DevicesRevoked => "devices-revoked",
            Self::SessionEnded => "session-ended",
            Self::SessionsEnded => "sessions-ended",
            Self::PasswordChanged => "password-changed",
            Self::ResetAsked => "reset-asked",
            Self::PasswordReset => "password-reset",
            Self::EmailAsked => "email-asked",
            Self::EmailChanged => "email-changed",
            Self::NewBrowser => "new-browser",
            Self::Frozen => "frozen",
            Self::CodeMailed => "code-mailed",
            Self::MailedCodeShown => "mailed-code-shown",
            Self::CodesGuessed => "codes-guessed",
        }
    }

    /// This event in words, for log lines.
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
            Self::TwoFactorOff => "a user turned two-factor off",
            Self::AuthenticatorAdded => "a user added another authenticator",
            Self::AuthenticatorReplaced => "a user replaced the authenticator",
            Self::AuthenticatorRemoved => "a user removed an authenticator",
            Self::AuthenticatorRenamed => "a user renamed an authenticator",
            Self::RecoveryCodesRenewed => "a user made new recovery codes",
            Self::RecoveryCodesViewed => "a user looked at the recovery codes",
            Self::DeviceRevoked => "a user revoked a trusted device",
            Self::DevicesRevoked => "a user revoked all trusted devices",
            Self::SessionEnded => "a user ended another visit",
            Self::SessionsEnded => "a user ended all other visits",
            Self::PasswordChanged => "a user changed the password",
            Self::ResetAsked => "a link to set a password was mailed",
            Self::PasswordReset => "a user set a password by a mailed link",
            Self::EmailAsked => "a user named a new e-mail address",
            Self::EmailChanged => "a user's new e-mail address was verified",
            Self::NewBrowser => "a user signed in with a new browser",
            Self::Frozen => "a user said that a factor is not theirs",
            Self::CodeMailed => "a code was mailed to a user",
            Self::MailedCodeShown => "a user showed a code that was mailed",
            Self::CodesGuessed => "three or more wrong codes were shown after the right password",
        }
    }
}
