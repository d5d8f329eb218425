//! Security events, as values.
//!
//! An event is written in the same batch as the change that it reports. Activity pages, notices and
//! logs are made from events. An event never contains a secret or what a person typed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::agent::Agent;
use super::factor::{Kind, News};
use super::identity::UserId;
use super::request_id::RequestId;
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
    /// The request that caused it, if a visitor did.
    #[n(6)]
    pub request: Option<RequestId>,
}

impl Event {
    /// Something that nobody here has done.
    pub fn of_itself(whom: Whom, what: What, at: Timestamp) -> Self {
        Self { at, whom, what, from: None, by: None, agent: None, request: None }
    }

    /// Something that the operator `by` has done.
    pub fn by_operator(by: &str, whom: Whom, what: What, at: Timestamp) -> Self {
        Self { at, whom, what, from: None, by: Some(by.to_owned()), agent: None, request: None }
    }
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
    /// A secret key of this installation: its purpose and id.
    #[n(3)]
    Key(#[n(0)] String, #[n(1)] u8),
    /// Nobody known: somebody who came by the identity provider with this name.
    #[n(4)]
    Provider(#[n(0)] String),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
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
    /// The right first factor was shown, and a user session began.
    #[n(5)]
    SignedIn,
    /// The first factor was shown again to confirm a change.
    #[n(6)]
    Confirmed,
    /// The user ended a user session.
    #[n(7)]
    SignedOut,
    /// A right answer of this kind was given.
    #[n(8)]
    FactorShown(#[n(0)] Kind),
    /// A wrong second factor or a wrong recovery code was given.
    #[n(9)]
    SecondFactorRefused,
    /// Two-factor was turned on.
    #[n(10)]
    TwoFactorOn,
    /// The user confirmed that the recovery codes are saved.
    #[n(11)]
    RecoveryCodesSaved,
    /// A browser became a trusted device.
    #[n(12)]
    DeviceTrusted,
    /// A trusted device was accepted instead of the second factor.
    #[n(13)]
    DeviceUsed,
    /// The cookie of a trusted device was used by two browsers, so the device is no longer trusted.
    #[n(14)]
    DeviceCopied,
    /// After too many failures in a row, attempts are refused for a while.
    #[n(15)]
    WaitBegan,
    /// After too many wrong codes in a row, no code is accepted until a recovery code or a security
    /// key is used.
    #[n(16)]
    Locked,
    /// An operator disabled the user. Sessions, links and trusted devices are revoked.
    #[n(17)]
    UserDisabled,
    /// An operator enabled the user again.
    #[n(18)]
    UserEnabled,
    /// An operator turned two-factor off for a user who lost their factors.
    #[n(19)]
    TwoFactorReset,
    /// An operator changed the user's name, address or groups.
    #[n(20)]
    UserChanged,
    /// An operator removed the user.
    #[n(21)]
    UserRemoved,
    /// The user turned two-factor off.
    #[n(22)]
    TwoFactorOff,
    /// The user added another factor of this kind.
    #[n(23)]
    FactorAdded(#[n(0)] Kind),
    /// The user replaced all factors with a new one of this kind, or the set of recovery codes.
    #[n(24)]
    FactorReplaced(#[n(0)] Kind),
    /// The user removed one of several factors.
    #[n(25)]
    FactorRemoved(#[n(0)] Kind),
    /// The user renamed a factor.
    #[n(26)]
    FactorRenamed(#[n(0)] Kind),
    /// The user looked at the recovery codes again.
    #[n(27)]
    RecoveryCodesViewed,
    /// The user revoked a trusted device.
    #[n(28)]
    DeviceRevoked,
    /// The user revoked all trusted devices.
    #[n(29)]
    DevicesRevoked,
    /// The user ended another user session of theirs.
    #[n(30)]
    SessionEnded,
    /// The user ended all their other user sessions.
    #[n(31)]
    SessionsEnded,
    /// The user changed the password.
    #[n(32)]
    PasswordChanged,
    /// Somebody asked for a link to set a new password, and it was mailed.
    #[n(33)]
    ResetAsked,
    /// The user set a password with a mailed link.
    #[n(34)]
    PasswordReset,
    /// The user entered a new e-mail address, and a link was mailed to it.
    #[n(35)]
    EmailAsked,
    /// The new e-mail address was verified and is now the user's address.
    #[n(36)]
    EmailChanged,
    /// Somebody completed a sign-in in a browser that was not known.
    #[n(37)]
    NewBrowser,
    /// The user said that a factor is not theirs. It is refused until an administrator helps.
    #[n(38)]
    Frozen,
    /// A code was mailed to the user.
    #[n(39)]
    CodeMailed,
    /// A right mailed code was entered.
    #[n(40)]
    MailedCodeShown,
    /// Three or more wrong codes were entered after the right password.
    #[n(41)]
    CodesGuessed,
    /// An operator rotated a key; the new one is used from now on.
    #[n(42)]
    KeyRotated,
    /// The signature counter of a security key went back, so it may have been copied. It is refused
    /// from now on.
    #[n(43)]
    KeyDoubted,
    /// An identity provider brought somebody who was unknown here, and the user was added.
    #[n(60)]
    UserBrought,
    /// An account at an identity provider may speak for the user from now on.
    #[n(61)]
    ProviderConnected,
    /// The provider, or the person there, refused the sign-in.
    #[n(62)]
    ProviderDenied,
    /// The provider did not answer, or had an error of its own.
    #[n(63)]
    ProviderUnavailable,
    /// What came back from the provider was not accepted.
    #[n(64)]
    ProviderRefused,
    /// The provider spoke for somebody who may not come in.
    #[n(65)]
    ProviderBarred,
    /// The provider brought a name or an address that is somebody else's here, or that rules mention.
    #[n(66)]
    ProviderNameTaken,
    /// The provider stated no name that can be one here.
    #[n(67)]
    ProviderNameMissing,
    /// An account at an identity provider no longer speaks for the user.
    #[n(68)]
    ProviderDisconnected,
    /// The identity provider said that the user has signed out there; a user session ended.
    #[n(69)]
    SignedOutThere,
    /// A user session began with a passkey.
    #[n(44)]
    SignedInByPasskey,
    /// A passkey was used again to confirm a change.
    #[n(45)]
    ConfirmedByPasskey,
    /// An operator lets a security key count as one that cannot be phished.
    #[n(46)]
    KeyTrusted,
    /// The user keeps a security key whose signature counter went back: it is accepted again.
    #[n(47)]
    KeyKept,
    /// A code was sent to the user as a text message.
    #[n(80)]
    CodeTexted,
}

impl What {
    /// Everything that may happen, with every kind of factor.
    pub fn all() -> impl Iterator<Item = Self> {
        // The derived codec knows all of them by their numbers.
        let read = |bytes: Vec<u8>| minicbor::decode::<Self>(&bytes).ok();
        (0..=u8::MAX).flat_map(move |number| {
            let plain = minicbor::to_vec((number, ())).ok().and_then(read);
            let of_kinds = Kind::all()
                .filter_map(move |kind| minicbor::to_vec((number, (kind,))).ok().and_then(read));
            let is_plain = plain.is_some();
            plain.into_iter().chain(of_kinds.filter(move |_| !is_plain))
        })
    }

    /// What the table of factors says of this event, if it is one of a kind.
    pub const fn news(self) -> Option<&'static News> {
        Some(match self {
            Self::FactorShown(kind) => &kind.row().told.shown,
            Self::FactorAdded(kind) => &kind.row().told.added,
            Self::FactorReplaced(kind) => &kind.row().told.replaced,
            Self::FactorRemoved(kind) => &kind.row().told.removed,
            Self::FactorRenamed(kind) => &kind.row().told.renamed,
            _ => return None,
        })
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
            Self::FactorShown(kind) => kind.row().told.shown.event,
            Self::FactorAdded(kind) => kind.row().told.added.event,
            Self::FactorReplaced(kind) => kind.row().told.replaced.event,
            Self::FactorRemoved(kind) => kind.row().told.removed.event,
            Self::FactorRenamed(kind) => kind.row().told.renamed.event,
            Self::SecondFactorRefused => "second-factor-refused",
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
            Self::KeyRotated => "key-rotated",
            Self::KeyDoubted => "security-key-doubted",
            Self::UserBrought => "user-brought",
            Self::ProviderConnected => "provider-connected",
            Self::ProviderDisconnected => "provider-disconnected",
            Self::SignedOutThere => "signed-out-by-provider",
            Self::ProviderDenied => "provider-denied",
            Self::ProviderUnavailable => "provider-unavailable",
            Self::ProviderRefused => "provider-refused",
            Self::ProviderBarred => "provider-barred",
            Self::ProviderNameTaken => "provider-name-taken",
            Self::ProviderNameMissing => "provider-name-missing",
            Self::SignedInByPasskey => "signed-in-by-passkey",
            Self::ConfirmedByPasskey => "confirmed-by-passkey",
            Self::KeyTrusted => "security-key-trusted",
            Self::KeyKept => "security-key-kept",
            Self::CodeTexted => "code-texted",
        }
    }

    /// This event in words, for log lines.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UserAdded => "user added by an administrator",
            Self::LinkMade => "password link created by an administrator",
            Self::Unlocked => "user unlocked by an administrator",
            Self::PasswordSet => "password set with a link",
            Self::PasswordRefused => "wrong password",
            Self::SignedIn => "signed in",
            Self::Confirmed => "first factor confirmed",
            Self::SignedOut => "signed out",
            Self::FactorShown(kind) => kind.row().told.shown.logged,
            Self::FactorAdded(kind) => kind.row().told.added.logged,
            Self::FactorReplaced(kind) => kind.row().told.replaced.logged,
            Self::FactorRemoved(kind) => kind.row().told.removed.logged,
            Self::FactorRenamed(kind) => kind.row().told.renamed.logged,
            Self::SecondFactorRefused => "second factor refused",
            Self::TwoFactorOn => "two-factor turned on",
            Self::RecoveryCodesSaved => "recovery codes saved",
            Self::DeviceTrusted => "device trusted",
            Self::DeviceUsed => "trusted device used instead of the second factor",
            Self::DeviceCopied => "trusted device revoked: two browsers sent its cookie",
            Self::WaitBegan => "sign-in must wait after five or more failures in a row",
            Self::Locked => {
                "codes refused after many wrong ones: recovery codes and security keys still work, \
                 and so do known browsers"
            }
            Self::UserDisabled => "user disabled by an administrator",
            Self::UserEnabled => "user enabled by an administrator",
            Self::TwoFactorReset => "two-factor turned off by an administrator",
            Self::UserChanged => "user changed by an administrator",
            Self::UserRemoved => "user removed by an administrator",
            Self::TwoFactorOff => "two-factor turned off",
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
            Self::CodesGuessed => "three or more wrong codes after a right first factor",
            Self::KeyRotated => "key rotated by an administrator: a new one is used",
            Self::SignedInByPasskey => "signed in with a passkey",
            Self::ConfirmedByPasskey => "confirmed with a passkey",
            Self::KeyTrusted => {
                "security key trusted by an administrator: it counts as phishing-resistant from now on"
            }
            Self::CodeTexted => "code sent as a text message",
            Self::KeyDoubted => "security key refused from now on: its signature counter went back",
            Self::KeyKept => "security key accepted again: its user allowed it",
            Self::UserBrought => "user added by an identity provider",
            Self::ProviderConnected => "account of an identity provider connected",
            Self::ProviderDisconnected => "account of an identity provider disconnected",
            Self::SignedOutThere => "signed out by the identity provider",
            Self::ProviderDenied => "identity provider did not sign the visitor in",
            Self::ProviderUnavailable => "identity provider does not answer",
            Self::ProviderRefused => "answer of an identity provider refused",
            Self::ProviderBarred => {
                "sign-in with an identity provider refused: not admitted by `people`"
            }
            Self::ProviderNameTaken => {
                "sign-in with an identity provider refused: the name is taken, or rules mention it"
            }
            Self::ProviderNameMissing => "identity provider sent no user name",
        }
    }
}
