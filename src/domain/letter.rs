//! What people are told by mail, as values.
//!
//! A letter is written in the batch of what it tells of, and sent later. Its words are made when it
//! is sent. It holds secrets (codes, tokens), so it prints none, and lies sealed until then.

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

/// One letter to one person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Letter {
    /// To whom.
    #[n(0)]
    pub user: UserId,
    /// Where to.
    #[n(1)]
    pub to: Email,
    /// The user name, by which the person signs in.
    #[n(2)]
    pub name: String,
    /// What it is about.
    #[n(3)]
    pub about: About,
    /// When it was written.
    #[n(4)]
    pub written: Timestamp,
}

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum About {
    /// Something happened to this person's own protection.
    #[n(0)]
    Happened {
        /// What.
        #[n(0)]
        event: Event,
        /// The token of a link that says "this was not me", where there is one.
        #[n(1)]
        not_me: Option<Token>,
    },
    /// A code shows that whoever asks reads this mailbox; see [`MailedCode`].
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
    /// A link by which this address becomes the person's.
    #[n(3)]
    VerifyEmail {
        /// Its token.
        #[n(0)]
        token: Token,
    },
    /// An operator tries whether letters arrive.
    #[n(4)]
    Trial,
}

/// What a mailed code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum WhatFor {
    /// To set up a first second factor.
    #[n(0)]
    SetUp,
    /// To name another e-mail address.
    #[n(1)]
    ChangeEmail,
}

impl Letter {
    /// A letter to `user`; `None` if there is no address.
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

    /// The news of `event` to whom it is about, where they were `before` it: whoever changes an
    /// address does not choose who is told. Who had none is told where they are `after`. `None` if
    /// people are not told of such a thing, or there is no address.
    pub fn of(event: &Event, before: &User, after: &User) -> Option<Self> {
        if !event.what.is_told_by_mail() || event.whom != Whom::User(before.id()) {
            return None;
        }
        let about = About::Happened { event: event.clone(), not_me: None };
        let whom = if before.email().is_some() { before } else { after };
        Self::to(whom, about, event.at)
    }

    /// A letter to `to` by which an operator tries whether letters arrive.
    pub fn trial(to: Email, now: Timestamp) -> Self {
        let (user, name) = (UserId::from([0; 16]), to.as_str().to_owned());
        Self { user, to, name, about: About::Trial, written: now }
    }

    /// What this letter tells of, if of something that happened.
    pub fn happened(&self) -> Option<&Event> {
        match &self.about {
            About::Happened { event, .. } => Some(event),
            _ => None,
        }
    }

    /// From when on it is of no use to whoever reads it.
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

    /// How long a server may be away before news are given up.
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
    /// Whether whom it is about is told by mail: every change to one's own protection, every use of
    /// what stands in for the second factor in an emergency, a sign-in in a new browser, and that
    /// somebody seems to have the password
    /// (NIST SP 800-63B-4 §4.6, notifications).
    pub const fn is_told_by_mail(self) -> bool {
        match self {
            Self::PasswordSet
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::TwoFactorOn
            | Self::TwoFactorOff
            | Self::TwoFactorReset
            | Self::AuthenticatorAdded
            | Self::AuthenticatorReplaced
            | Self::AuthenticatorRemoved
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesRenewed
            | Self::DeviceTrusted
            | Self::DeviceCopied
            | Self::EmailAsked
            | Self::EmailChanged
            | Self::NewBrowser
            | Self::Frozen
            | Self::CodesGuessed
            | Self::Locked => true,
            Self::UserAdded
            | Self::LinkMade
            | Self::Unlocked
            | Self::PasswordRefused
            | Self::SignedIn
            | Self::Confirmed
            | Self::SignedOut
            | Self::TotpShown
            | Self::SecondFactorRefused
            | Self::RecoveryCodesSaved
            | Self::DeviceUsed
            | Self::WaitBegan
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::UserChanged
            | Self::UserRemoved
            | Self::AuthenticatorRenamed
            | Self::RecoveryCodesViewed
            | Self::DeviceRevoked
            | Self::DevicesRevoked
            | Self::SessionEnded
            | Self::SessionsEnded
            | Self::ResetAsked
            | Self::CodeMailed
            | Self::MailedCodeShown => false,
        }
    }
}
