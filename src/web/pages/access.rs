//! Pages to regain access, and to change password and e-mail address.

use askama::Template;

use super::{Form, Frame, Problem, problem};

/// Asks who needs a link to set a new password (S14). The answer is the same for everybody.
#[derive(Template)]
#[template(path = "page/forgot.html")]
pub struct Forgot {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Whether mail is configured.
    pub mails: bool,
    /// Whether the form was just sent.
    pub asked: bool,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Asks a signed-in user for a new password.
#[derive(Template)]
#[template(path = "page/change-password.html")]
pub struct ChangePassword {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// How many characters a password needs.
    pub at_least: usize,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// A code that is mailed to prove access to a mailbox.
#[derive(Clone)]
pub struct Mailed {
    /// The address, partly hidden.
    pub to: String,
    /// Whether a code is pending.
    pub sent: bool,
    /// When another may be sent; `None`: now.
    pub again_in: Option<std::time::Duration>,
}

impl Mailed {
    /// The seconds until another may be sent, for the countdown; zero: now.
    pub(super) fn again(&self) -> u64 {
        self.again_in.map_or(0, |span| span.as_secs() + u64::from(span.subsec_nanos() > 0))
    }
}

/// Asks for a new e-mail address, or first for a code that was mailed to the present one.
#[derive(Template)]
#[template(path = "page/change-email.html")]
pub struct ChangeEmail {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Whether mail is configured.
    pub mails: bool,
    /// The present address.
    pub present: Option<String>,
    /// The address that is not verified yet.
    pub waiting: Option<String>,
    /// The code for the present address, if one is required first.
    pub old_address: Option<Mailed>,
    /// The previous input.
    pub typed: String,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// The accounts at identity providers with which a user signs in.
#[derive(Template)]
#[template(path = "page/providers.html")]
pub struct Providers {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Those that are connected.
    pub accounts: Vec<Connected>,
    /// The providers where one can be connected: their names in URLs and on pages.
    pub others: Vec<(String, String)>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// An account at an identity provider.
#[derive(Clone)]
pub struct Connected {
    /// The provider's name on pages.
    pub provider: String,
    /// The subject there.
    pub subject: String,
    /// The id in its form.
    pub handle: String,
    /// Whether the provider answers for the user.
    pub is_origin: bool,
    /// Whether it can be disconnected.
    pub may_go: bool,
}

/// A question with one button.
#[derive(Template)]
#[template(path = "page/ask.html")]
pub struct Ask {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields; the form posts to the URL of its page.
    pub form: Form,
    /// The question.
    pub what: Question,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// The question of a page with one button.
#[derive(Clone)]
pub enum Question {
    /// Whether an address belongs to this user.
    VerifyEmail {
        /// The address.
        address: String,
        /// The user who is to have it.
        username: String,
    },
    /// Whether another person has set up two-factor in this user's name.
    NotMe {
        /// The user.
        username: String,
    },
    /// Whether to create new recovery codes (S22).
    NewRecoveryCodes {
        /// How many of the old ones are left.
        left: usize,
    },
    /// Whether to remove one of several factors.
    RemoveFactor {
        /// Its name.
        name: String,
        /// The question, and what removing it means.
        words: (&'static str, &'static str),
    },
    /// Whether to keep a security key that may have been copied.
    KeepKey {
        /// Its name.
        name: String,
    },
}

impl Question {
    const fn heading(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "Is this your address?",
            Self::NotMe { .. } => "Was this somebody else?",
            Self::NewRecoveryCodes { .. } => "Make new recovery codes?",
            Self::RemoveFactor { words: (question, _), .. } => question,
            Self::KeepKey { .. } => "Allow this security key again?",
        }
    }

    /// The subject of the question, between its words.
    fn about(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { address, .. } => Some(address),
            Self::RemoveFactor { name, .. } | Self::KeepKey { name } => Some(name),
            Self::NotMe { username } => Some(username),
            Self::NewRecoveryCodes { .. } => None,
        }
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::VerifyEmail { username, .. } => vec![format!(
                "If you are {username}, confirm it. E-mails about your security then go to this \
                 address, and you can sign in with it."
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
            Self::RemoveFactor { words: (_, means), .. } => vec![(*means).to_owned()],
            Self::KeepKey { .. } => vec![
                "This security key behaved as if there were a copy of it. This also happens if it \
                 was restored from a backup, and with a few keys that are faulty."
                    .to_owned(),
                "If you are sure that nobody has a copy, allow the key again; your sessions in other \
                 browsers then end. Otherwise remove it."
                    .to_owned(),
            ],
        }
    }

    const fn button(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "This is my address",
            Self::NotMe { .. } => "This was not me",
            Self::NewRecoveryCodes { .. } => "Make new ones",
            Self::RemoveFactor { .. } => "Remove it",
            Self::KeepKey { .. } => "Allow it again",
        }
    }

    /// Whether the user came from the security page.
    const fn leads_back(&self) -> bool {
        match self {
            Self::VerifyEmail { .. } | Self::NotMe { .. } => false,
            Self::NewRecoveryCodes { .. } | Self::RemoveFactor { .. } | Self::KeepKey { .. } => {
                true
            }
        }
    }
}
