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
    /// Everything that may happen.
    pub fn all() -> impl Iterator<Item = Self> {
        // The derived codec knows all of them by their numbers.
        let numbers = (0..=u8::MAX).filter_map(|number| minicbor::to_vec(number).ok());
        numbers.filter_map(|number| minicbor::decode(&number).ok())
    }

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
            Self::UserAdded => "user added by an operator",
            Self::LinkMade => "password link created by an operator",
            Self::Unlocked => "user unlocked by an operator",
            Self::PasswordSet => "password set with a link",
            Self::PasswordRefused => "wrong password",
            Self::SignedIn => "signed in with password",
            Self::Confirmed => "password confirmed",
            Self::SignedOut => "signed out",
            Self::TotpShown => "authenticator code accepted",
            Self::SecondFactorRefused => "wrong code",
            Self::RecoveryCodeUsed => "recovery code used",
            Self::TwoFactorOn => "two-factor turned on",
            Self::RecoveryCodesSaved => "recovery codes saved",
            Self::DeviceTrusted => "device trusted",
            Self::DeviceUsed => "trusted device used instead of the second factor",
            Self::DeviceCopied => "trusted device revoked: two browsers used it",
            Self::WaitBegan => "locked for a while after many failures in a row",
            Self::Locked => {
                "locked after many wrong codes in a row: only a recovery code is \
                             accepted"
            }
            Self::UserDisabled => "user disabled by an operator",
            Self::UserEnabled => "user enabled by an operator",
            Self::TwoFactorReset => "two-factor reset by an operator",
            Self::UserChanged => "user changed by an operator",
            Self::UserRemoved => "user removed by an operator",
            Self::TwoFactorOff => "two-factor turned off",
            Self::AuthenticatorAdded => "authenticator added",
            Self::AuthenticatorReplaced => "authenticator replaced",
            Self::AuthenticatorRemoved => "authenticator removed",
            Self::AuthenticatorRenamed => "authenticator renamed",
            Self::RecoveryCodesRenewed => "new recovery codes created",
            Self::RecoveryCodesViewed => "recovery codes viewed",
            Self::DeviceRevoked => "trusted device revoked",
            Self::DevicesRevoked => "all trusted devices revoked",
            Self::SessionEnded => "another session ended by the user",
            Self::SessionsEnded => "all other sessions ended by the user",
            Self::PasswordChanged => "password changed",
            Self::ResetAsked => "password link mailed",
            Self::PasswordReset => "password set with a mailed link",
            Self::EmailAsked => "new e-mail address entered",
            Self::EmailChanged => "new e-mail address verified",
            Self::NewBrowser => "signed in with a new browser",
            Self::Frozen => "factor reported as not the user's own",
            Self::CodeMailed => "code mailed",
            Self::MailedCodeShown => "mailed code accepted",
            Self::CodesGuessed => "three or more wrong codes after the right password",
        }
    }
}
