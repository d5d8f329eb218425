//! E-mail messages to users, as values.
//!
//! A message is written in the same batch as the change that it reports, and sent later. Its text
//! is rendered when it is sent. It contains secrets (codes, tokens), so it is stored sealed and its
//! `Debug` output hides them.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::event::{Event, What, Whom};
use super::identity::UserId;
use super::link::Purpose;
use super::mailed::MailedCode;
use super::name::Email;
use super::secret::{Secret, Token};
use super::time::Timestamp;
use super::user::User;

/// One message to one user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// The recipient.
    #[n(0)]
    pub user: UserId,
    /// The address that it is sent to.
    #[n(1)]
    pub to: Email,
    /// The user name with which the user signs in.
    #[n(2)]
    pub name: String,
    /// What it is about.
    #[n(3)]
    pub about: About,
    /// When it was written to the outbox.
    #[n(4)]
    pub written: Timestamp,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum About {
    /// Something changed in this user's protection.
    #[n(0)]
    Happened {
        /// The event.
        #[n(0)]
        event: Event,
        /// The token of a "this was not me" link, if the message has one.
        #[n(1)]
        not_me: Option<Token>,
    },
    /// A code that proves that the user reads this mailbox; see [`MailedCode`].
    #[n(1)]
    Code {
        /// Six digits.
        #[n(0)]
        code: Secret,
        /// What it is for.
        #[n(1)]
        what_for: WhatFor,
    },
    /// A link to set a password.
    #[n(2)]
    ResetPassword {
        /// Its token.
        #[n(0)]
        token: Token,
    },
    /// A link that verifies a new address.
    #[n(3)]
    VerifyEmail {
        /// Its token.
        #[n(0)]
        token: Token,
    },
    /// A test message from an operator.
    #[n(4)]
    Trial,
}

/// What a mailed code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum WhatFor {
    /// To set up the first second factor.
    #[n(0)]
    SetUp,
    /// To change the e-mail address.
    #[n(1)]
    ChangeEmail,
    /// To set up a first security key, beside other factors.
    #[n(2)]
    AddKey,
    /// To turn on codes by e-mail beside text messages.
    #[n(3)]
    BackUp,
    /// To sign in instead of a text message.
    #[n(4)]
    SignIn,
}

impl Message {
    /// A message to `user`; `None` if the user has no address.
    pub fn to(user: &User, about: About, now: Timestamp) -> Option<Self> {
        let to = user.email()?.clone();
        Some(Self {
            user: user.id(),
            to,
            name: user.name().as_str().to_owned(),
            about,
            written: now,
        })
    }

    /// A notice of `event` to the user, sent to the address that they had `before` it, so that
    /// somebody who changes the address cannot divert the notice. A user who had no address is told
    /// at the one they have `after` it. `None` if there is no notice for this event, or no address.
    pub fn of(event: &Event, before: &User, after: &User) -> Option<Self> {
        if !event.what.is_told_by_mail() || event.whom != Whom::User(before.id()) {
            return None;
        }
        let about = About::Happened { event: event.clone(), not_me: None };
        let whom = if before.email().is_some() { before } else { after };
        Self::to(whom, about, event.at)
    }

    /// A test message from an operator to `to`.
    pub fn trial(to: Email, now: Timestamp) -> Self {
        let (user, name) = (UserId::from([0; 16]), to.as_str().to_owned());
        Self { user, to, name, about: About::Trial, written: now }
    }

    /// The event that this message reports, if it is a notice.
    pub fn happened(&self) -> Option<&Event> {
        match &self.about {
            About::Happened { event, .. } => Some(event),
            _ => None,
        }
    }

    /// When the message is no longer useful to its reader and is dropped.
    pub fn stale(&self) -> Timestamp {
        let lasts = match &self.about {
            About::Happened { .. } => Self::NEWS_LASTS,
            About::Code { .. } => MailedCode::LASTS,
            About::ResetPassword { .. } => Purpose::ResetPassword.lasts(),
            About::VerifyEmail { .. } => Purpose::VerifyEmail.lasts(),
            About::Trial => Duration::from_hours(1),
        };
        self.written.plus(lasts)
    }

    /// How long a notice is retried while the mail server is away.
    pub const NEWS_LASTS: Duration = Duration::from_hours(72);

    /// Its kind in logs and metrics, in kebab-case; stable.
    pub const fn kind(&self) -> &'static str {
        match &self.about {
            About::Happened { event, .. } => event.what.name(),
            About::Code { .. } => "code",
            About::ResetPassword { .. } => "reset-password",
            About::VerifyEmail { .. } => "verify-email",
            About::Trial => "trial",
        }
    }
}

impl What {
    /// Whether the user is notified by mail (NIST SP 800-63B-4 §4.6, notifications). That is so for
    /// every change to their protection, every use of a recovery code, a sign-in in a new browser,
    /// and signs that somebody else has the password.
    pub const fn is_told_by_mail(self) -> bool {
        match self {
            Self::PasswordSet
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::TwoFactorOn
            | Self::TwoFactorOff
            | Self::TwoFactorReset
            | Self::DeviceTrusted
            | Self::DeviceCopied
            | Self::EmailAsked
            | Self::EmailChanged
            | Self::NewBrowser
            | Self::Frozen
            | Self::ProviderConnected
            | Self::ProviderDisconnected
            | Self::CodesGuessed
            | Self::KeyDoubted
            | Self::KeyKept
            | Self::KeyTrusted
            | Self::Locked => true,
            Self::FactorShown(_)
            | Self::FactorAdded(_)
            | Self::FactorReplaced(_)
            | Self::FactorRemoved(_)
            | Self::FactorRenamed(_) => match self.news() {
                Some(news) => news.mailed.is_some(),
                None => false,
            },
            Self::UserAdded
            | Self::LinkMade
            | Self::Unlocked
            | Self::PasswordRefused
            | Self::SignedIn
            | Self::SignedInByPasskey
            | Self::Confirmed
            | Self::ConfirmedByPasskey
            | Self::SignedOut
            | Self::SecondFactorRefused
            | Self::RecoveryCodesSaved
            | Self::DeviceUsed
            | Self::WaitBegan
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::UserChanged
            | Self::UserRemoved
            | Self::RecoveryCodesViewed
            | Self::DeviceRevoked
            | Self::DevicesRevoked
            | Self::SessionEnded
            | Self::SessionsEnded
            | Self::ResetAsked
            | Self::CodeMailed
            | Self::CodeTexted
            | Self::MailedCodeShown
            | Self::KeyRotated
            | Self::UserBrought
            | Self::ProviderDenied
            | Self::ProviderUnavailable
            | Self::ProviderRefused
            | Self::ProviderBarred
            | Self::ProviderNameTaken
            | Self::ProviderNameMissing
            | Self::SignedOutThere => false,
        }
    }
}
