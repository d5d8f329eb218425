//! Events, in words for the user they are about.

use super::Moment;
use crate::domain::event::What;

/// One event.
pub struct Happened {
    /// When.
    pub at: Moment,
    /// What happened.
    pub what: What,
    /// The browser, from its `User-Agent`.
    pub browser: Option<String>,
    /// The client address, if a visitor did it.
    pub address: Option<String>,
}

impl Happened {
    /// The event in one sentence.
    pub(super) fn sentence(&self) -> &'static str {
        match self.what {
            What::UserAdded => "An administrator added you.",
            What::LinkMade => "An administrator made a link for you to set a password.",
            What::Unlocked => "An administrator cleared your failed sign-in attempts.",
            What::PasswordSet => "You set a password with a link.",
            What::PasswordRefused => "A wrong password was typed.",
            What::SignedIn => "You signed in.",
            What::Confirmed => "You confirmed that it was you.",
            What::SignedInByPasskey => "You signed in with a passkey.",
            What::ConfirmedByPasskey => "You confirmed with your passkey that it was you.",
            What::SignedOut => "You signed out.",
            What::FactorShown(kind) => kind.row().told.shown.read,
            What::FactorAdded(kind) => kind.row().told.added.read,
            What::FactorReplaced(kind) => kind.row().told.replaced.read,
            What::FactorRemoved(kind) => kind.row().told.removed.read,
            What::FactorRenamed(kind) => kind.row().told.renamed.read,
            What::SecondFactorRefused => "A wrong code was typed, or a security key was refused.",
            What::TwoFactorOn => "You turned two-factor on.",
            What::RecoveryCodesSaved => "You confirmed that you saved your recovery codes.",
            What::DeviceTrusted => "You trusted a device.",
            What::DeviceUsed => "You signed in on a trusted device, without a code.",
            What::DeviceCopied => {
                "The cookie of a trusted device was used in two browsers, so it was copied. The \
                 device is no longer trusted."
            }
            What::WaitBegan => {
                "There were many failed attempts, so sign-in was locked for a while."
            }
            What::Locked => {
                "There were many wrong codes. Codes from an app, by text message and by e-mail are \
                 not accepted in browsers that you have not used before. Use your usual browser. In \
                 any other, use a recovery code or a security key."
            }
            What::UserDisabled => "An administrator disabled your sign-in.",
            What::UserEnabled => "An administrator enabled your sign-in again.",
            What::TwoFactorReset => "An administrator turned two-factor off for you.",
            What::UserChanged => "An administrator changed your name, address or groups.",
            What::UserRemoved => "An administrator removed you.",
            What::TwoFactorOff => "You turned two-factor off.",
            What::RecoveryCodesViewed => "You looked at your recovery codes.",
            What::DeviceRevoked => "You stopped trusting one of your devices.",
            What::DevicesRevoked => "You stopped trusting all of your devices.",
            What::SessionEnded => "You ended another session.",
            What::SessionsEnded => "You ended all other sessions.",
            What::PasswordChanged => "You changed your password.",
            What::ResetAsked => "A link to set a new password was asked for and mailed to you.",
            What::PasswordReset => "You set a new password with a mailed link.",
            What::EmailAsked => "You entered a new e-mail address, and a link was sent there.",
            What::EmailChanged => "Your new e-mail address was verified.",
            What::NewBrowser => "You signed in with a new browser.",
            What::Frozen => "You reported that a second factor is not yours. It was frozen.",
            What::CodeMailed => "A code was mailed to you.",
            What::CodeTexted => "A code was sent to your phone.",
            What::MailedCodeShown => "You typed a code that was mailed to you.",
            What::CodesGuessed => {
                "Three or more wrong codes were typed after the first step of signing in. If that \
                 was not you, somebody knows your password. Change it."
            }
            What::KeyTrusted => {
                "An administrator confirmed that one of your security keys is yours."
            }
            What::KeyDoubted => {
                "One of your security keys behaved as if there were a copy of it, so it is no \
                 longer accepted. If you are sure that nobody has a copy, allow the key again. \
                 Otherwise remove it."
            }
            What::KeyKept => "You allowed a security key again that may have been copied.",
            // Nobody finds this on their page: it is about no user.
            What::KeyRotated => "An administrator rotated a key.",
            What::UserBrought => "Your identity provider added you here.",
            What::SignedOutThere => {
                "Your identity provider ended your sign-in, so you were signed out here."
            }
            What::ProviderDisconnected => {
                "An account at an identity provider was disconnected from you."
            }
            What::ProviderConnected => {
                "An account at an identity provider was connected to you. You can sign in with it."
            }
            What::ProviderDenied => "Your identity provider did not sign you in.",
            What::ProviderUnavailable => "Your identity provider did not answer.",
            What::ProviderRefused => "The answer of your identity provider was not valid.",
            What::ProviderBarred => {
                "You signed in at your identity provider, but that account may not sign in here."
            }
            What::ProviderNameTaken => {
                "Somebody with the same name as you tried to sign in with an identity provider, \
                 and was refused."
            }
            What::ProviderNameMissing => "Your identity provider did not tell us your name.",
        }
    }

    /// Whether it should stand out: another person may have done it.
    pub(super) const fn is_grave(&self) -> bool {
        matches!(
            self.what,
            What::DeviceCopied
                | What::Locked
                | What::Frozen
                | What::CodesGuessed
                | What::KeyDoubted
                | What::KeyKept
        )
    }

    /// The browser and the address, in one line.
    pub(super) fn from(&self) -> Option<String> {
        match (&self.browser, &self.address) {
            (Some(browser), Some(address)) => Some(format!("{browser}, {address}")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}
