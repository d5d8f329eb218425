//! The pages around getting in again, and around password and address.

use askama::Template;

use super::{Form, Frame, Problem, problem};

/// Asks who wants a link to set a new password (S14). It says the same to everybody.
#[derive(Template)]
#[template(path = "page/forgot.html")]
pub struct Forgot {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Whether letters are sent at all.
    pub mails: bool,
    /// Whether somebody has just asked.
    pub asked: bool,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// Asks for a new password of somebody who is signed in.
#[derive(Template)]
#[template(path = "page/change-password.html")]
pub struct ChangePassword {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// How many characters a password needs.
    pub at_least: usize,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// A code that is mailed to show that somebody reads a mailbox.
#[derive(Clone)]
pub struct Mailed {
    /// Where to, partly hidden.
    pub to: String,
    /// Whether one is under way.
    pub sent: bool,
    /// When another may be sent; `None`: now.
    pub again_in: Option<std::time::Duration>,
}

impl Mailed {
    /// In how many seconds another may be sent, for the countdown; zero: now.
    pub(super) fn again(&self) -> u64 {
        self.again_in.map_or(0, |span| span.as_secs() + u64::from(span.subsec_nanos() > 0))
    }
}

/// Asks for another e-mail address, or first for a code that was mailed to the present one.
#[derive(Template)]
#[template(path = "page/change-email.html")]
pub struct ChangeEmail {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Whether letters are sent at all.
    pub mails: bool,
    /// The address now.
    pub present: Option<String>,
    /// The address that waits to be verified.
    pub waiting: Option<String>,
    /// What is mailed to the present address first, where that is asked for.
    pub old_address: Option<Mailed>,
    /// What was typed before.
    pub typed: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// A question with one button.
#[derive(Template)]
#[template(path = "page/ask.html")]
pub struct Ask {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields; the form goes to the page's own address.
    pub form: Form,
    /// What is asked.
    pub what: Question,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// What a page with one button asks.
#[derive(Clone)]
pub enum Question {
    /// Whether an address is this person's.
    VerifyEmail {
        /// The address.
        address: String,
        /// Whose it is to be.
        username: String,
    },
    /// Whether somebody else has set up two-factor in this person's name.
    NotMe {
        /// Whose.
        username: String,
    },
    /// Whether to make new recovery codes (S22).
    NewRecoveryCodes {
        /// How many are left of the old.
        left: usize,
    },
    /// Whether to remove one of several authenticators.
    RemoveAuthenticator {
        /// What it is called.
        name: String,
    },
}

impl Question {
    const fn heading(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "Is this your address?",
            Self::NotMe { .. } => "Was this somebody else?",
            Self::NewRecoveryCodes { .. } => "Make new recovery codes?",
            Self::RemoveAuthenticator { .. } => "Remove this authenticator?",
        }
    }

    /// What the question is about, between its words.
    fn about(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { address, .. } => Some(address),
            Self::RemoveAuthenticator { name } => Some(name),
            Self::NotMe { username } => Some(username),
            Self::NewRecoveryCodes { .. } => None,
        }
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::VerifyEmail { username, .. } => vec![format!(
                "If you are {username}, e-mails about your security go to this address from now \
                 on, and you can sign in with it."
            )],
            Self::NotMe { .. } => vec![
                "A second factor was set up for this user. If that was you, close this page. \
                 There is nothing else to do."
                    .to_owned(),
                "If it was not you, somebody knows your password. The button ends every session \
                 and freezes this second factor: nobody can sign in with it, not even you. Then \
                 ask an administrator for a link to start again."
                    .to_owned(),
            ],
            Self::NewRecoveryCodes { left } => {
                let left = match left {
                    0 => "All of your recovery codes are used.".to_owned(),
                    1 => "One of your recovery codes is left.".to_owned(),
                    left => format!("{left} of your recovery codes are left."),
                };
                vec![format!(
                    "{left} New codes replace all of them at once. The old list stops working."
                )]
            }
            Self::RemoveAuthenticator { .. } => vec![
                "Its codes will no longer be accepted, and your sessions in other browsers end. \
                 Your other authenticators work as before."
                    .to_owned(),
            ],
        }
    }

    const fn button(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "This is my address",
            Self::NotMe { .. } => "This was not me",
            Self::NewRecoveryCodes { .. } => "Make new ones",
            Self::RemoveAuthenticator { .. } => "Remove it",
        }
    }

    /// Whether it is asked of somebody who came from the security page.
    const fn leads_back(&self) -> bool {
        match self {
            Self::VerifyEmail { .. } | Self::NotMe { .. } => false,
            Self::NewRecoveryCodes { .. } | Self::RemoveAuthenticator { .. } => true,
        }
    }
}
