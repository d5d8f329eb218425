//! The pages of the second factor: the challenge, the set-up, the recovery codes.

use std::time::Duration;

use askama::Template;

use super::words::in_words;
use super::{Demanded, Form, Frame, Mailed, Problem, problem};
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
    /// Whether the place ahead is content with a recovery code.
    pub takes_recovery_codes: bool,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl Challenge {
    fn heading(&self) -> &'static str {
        if self.is_frozen() { "Two-factor is frozen" } else { self.kind.heading() }
    }

    fn is_frozen(&self) -> bool {
        self.problem == Some(Problem::Frozen)
    }

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
    /// What the app is shown.
    pub scan: Scan,
    /// The offer to trust this device, where it is made.
    pub trust: Option<Trust>,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// What an authenticator is shown of its new key, as a picture and as text.
#[derive(Clone)]
pub struct Scan {
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
}

impl Scan {
    fn secret_groups(&self) -> Vec<String> {
        let symbols: Vec<char> = self.secret.chars().collect();
        symbols.chunks(4).map(|group| group.iter().collect()).collect()
    }
}

/// Says what must be shown, besides the password, before a first factor is set up.
#[derive(Template)]
#[template(path = "page/prove-first.html")]
pub struct ProveFirst {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The code that is mailed; `None`: a link from an administrator is what it takes.
    pub by_mail: Option<Mailed>,
    /// Whether nothing else can be reached without a second factor.
    pub is_demanded: bool,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// Shows the secret of a further authenticator and asks for its first code (S26).
#[derive(Template)]
#[template(path = "page/authenticator.html")]
pub struct NewAuthenticator {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Where it goes.
    pub place: NewPlace,
    /// What the app is shown.
    pub scan: Scan,
    /// What was typed as its name.
    pub name: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// Where a further authenticator goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPlace {
    /// Beside those that are there.
    Beside,
    /// In the place of all that are there.
    Instead {
        /// How many devices are trusted.
        devices: usize,
        /// Whether none of them is to be trusted any longer.
        forget_devices: bool,
    },
}

impl NewPlace {
    const fn heading(self) -> &'static str {
        match self {
            Self::Beside => "Add another authenticator",
            Self::Instead { .. } => "Replace the authenticator",
        }
    }

    const fn lead(self) -> &'static str {
        match self {
            Self::Beside => "Codes from all of your authenticators are accepted.",
            Self::Instead { .. } => {
                "The old one works until you enter a code from the new one. Then it stops \
                 working, and your sessions in other browsers end."
            }
        }
    }

    const fn button(self) -> &'static str {
        match self {
            Self::Beside => "Add it",
            Self::Instead { .. } => "Replace the old one",
        }
    }
}

/// Asks what an authenticator is to be called.
#[derive(Template)]
#[template(path = "page/rename.html")]
pub struct Rename {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// What it is called now, or was typed.
    pub name: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// Warns of what turning two-factor off means, and asks for a code (S17).
#[derive(Template)]
#[template(path = "page/turn-off.html")]
pub struct TurnOff {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Why it stays on, where it is demanded of this person.
    pub demanded: Option<Demanded>,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl TurnOff {
    fn reads_codes(&self) -> bool {
        self.problem != Some(Problem::Frozen)
    }
}

/// Shows the recovery codes: until the user says that they are saved (S19, S20), or again (S21).
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
    /// Whether they are new, and to be saved.
    pub to_be_saved: bool,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl RecoveryCodes {
    const fn heading(&self) -> &'static str {
        if self.to_be_saved { "Save your recovery codes" } else { "Your recovery codes" }
    }
}

/// The recovery codes as a text file, for `recovery-codes.txt`.
pub fn recovery_codes_file(issuer: &str, username: &str, codes: &[String]) -> String {
    let codes = codes.join("\r\n");
    format!("Recovery codes for {issuer}, user name {username}: each works once\r\n\r\n{codes}\r\n")
}
