//! The pages of the second factor: the challenge, the set-up, the recovery codes.

use std::time::Duration;

use askama::Template;

use super::words::in_words;
use super::{Form, Frame, Problem, problem};
use crate::web::qr::Qr;

/// What the challenge asks for; the value of its field `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Six digits from an authenticator app.
    Totp,
    /// One of the saved codes.
    RecoveryCode,
}

impl Kind {
    /// How the field `kind` and the query of the switch spell it.
    pub const fn value(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery-code",
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::Totp => "Enter your code",
            Self::RecoveryCode => "Use a recovery code",
        }
    }
}

/// The offer to trust this device (S24).
#[derive(Clone, Copy)]
pub struct Trust {
    /// For how long.
    pub lasts: Duration,
    /// Whether the visitor ticked it before the form came back.
    pub ticked: bool,
}

impl Trust {
    fn span(&self) -> String {
        in_words(self.lasts)
    }
}

/// How far a visitor has come who is asked for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The code is what is missing to be signed in.
    Outside,
    /// Signed in, and nothing asks for a code.
    Inside,
    /// Signed in, but the place ahead wants a fresh code.
    AskedAgain,
}

/// Asks for the second factor: an authenticator code or, by a visible switch, a recovery code (S9).
#[derive(Template)]
#[template(path = "page/challenge.html")]
pub struct Challenge {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Which of the two is asked for.
    pub kind: Kind,
    /// How far the visitor has come.
    pub standing: Standing,
    /// The offer to trust this device, where it is made.
    pub trust: Option<Trust>,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl Challenge {
    /// Whether the form is of any use: not while codes from the app are locked, nor while none is
    /// read at all.
    fn reads_codes(&self) -> bool {
        match self.problem {
            Some(Problem::Frozen) => false,
            Some(Problem::Locked) => self.kind == Kind::RecoveryCode,
            _ => true,
        }
    }
}

/// Two-factor will be demanded, and can be left for later until then.
pub struct Later {
    /// The day from which on it is demanded.
    pub due: String,
    /// Where to go without it.
    pub url: String,
}

/// Shows the secret of a new authenticator and asks for its first code (S1–S6).
#[derive(Template)]
#[template(path = "page/set-up.html")]
pub struct SetUp {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Who asks for two-factor; nobody, where it is the user's own choice.
    pub demanded_by: Option<String>,
    /// The way past this page for as long as nothing demands it yet.
    pub later: Option<Later>,
    /// The `otpauth://` URL as a picture; missing where it is too long for one.
    pub qr: Option<Qr>,
    /// The `otpauth://` URL, for an app on the same device.
    pub uri: String,
    /// The secret in base32 without padding or spaces; shown in groups of four.
    pub secret: String,
    /// Whose name the app will show first.
    pub issuer: String,
    /// The user name that the app will show.
    pub username: String,
    /// The offer to trust this device, where it is made.
    pub trust: Option<Trust>,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl SetUp {
    fn secret_groups(&self) -> Vec<String> {
        let symbols: Vec<char> = self.secret.chars().collect();
        symbols.chunks(4).map(|group| group.iter().collect()).collect()
    }
}

/// Shows the recovery codes until the user says that they are saved (S19, S20).
#[derive(Template)]
#[template(path = "page/recovery-codes.html")]
pub struct RecoveryCodes {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The codes, grouped as they are to be read and typed.
    pub codes: Vec<String>,
    /// For whom they are, as the authenticator app says it.
    pub issuer: String,
    /// Whose they are.
    pub username: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// The recovery codes as a text file, for `recovery-codes.txt`.
pub fn recovery_codes_file(issuer: &str, username: &str, codes: &[String]) -> String {
    let codes = codes.join("\r\n");
    format!("Recovery codes for {issuer}, user name {username}: each works once\r\n\r\n{codes}\r\n")
}
