//! The pages of the second factor: the challenge, the set-up, the recovery codes.

use std::time::Duration;

use askama::Template;

use super::words::in_words;
use super::{Demanded, Form, Frame, Mailed, Problem, problem};
use crate::web::qr::Qr;

/// What the challenge asks for; the value of the field `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Six digits from an authenticator app.
    Totp,
    /// One of the recovery codes.
    RecoveryCode,
}

impl Kind {
    /// The spelling in the field `kind` and in the query of the switch.
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
    /// Whether the visitor had ticked it.
    pub ticked: bool,
}

impl Trust {
    fn span(&self) -> String {
        in_words(self.lasts)
    }
}

/// The state of a visitor who is asked for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not signed in without the code.
    Outside,
    /// Signed in, and no code is required.
    Inside,
    /// Signed in, but the URL ahead requires a new code.
    AskedAgain,
}

/// Asks for the second factor: an authenticator code or, with a visible switch, a recovery code
/// (S9).
#[derive(Template)]
#[template(path = "page/challenge.html")]
pub struct Challenge {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Which of the two.
    pub kind: Kind,
    /// The state of the visitor.
    pub standing: Standing,
    /// The offer to trust this device, if there is one.
    pub trust: Option<Trust>,
    /// Whether a recovery code is enough for the URL ahead.
    pub takes_recovery_codes: bool,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl Challenge {
    fn heading(&self) -> &'static str {
        if self.is_frozen() { "Two-factor is frozen" } else { self.kind.heading() }
    }

    fn is_frozen(&self) -> bool {
        self.problem == Some(Problem::Frozen)
    }

    /// Whether the form has a use: not while authenticator codes are locked or no code is accepted.
    fn reads_codes(&self) -> bool {
        match self.problem {
            Some(Problem::Frozen) => false,
            Some(Problem::Locked) => self.kind == Kind::RecoveryCode,
            _ => true,
        }
    }
}

/// Two-factor will be demanded and can be postponed until then.
pub struct Later {
    /// The day on which the demand takes effect.
    pub due: String,
    /// Where to continue without it.
    pub url: String,
}

/// Shows the secret of a new authenticator and asks for its first code (S1–S6).
#[derive(Template)]
#[template(path = "page/set-up.html")]
pub struct SetUp {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Who demands two-factor; `None`: the user's own choice.
    pub demanded_by: Option<String>,
    /// The link to skip this page, while nothing demands two-factor yet.
    pub later: Option<Later>,
    /// The key for the app.
    pub scan: Scan,
    /// The offer to trust this device, if there is one.
    pub trust: Option<Trust>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// A new key for the authenticator app, as a picture and as text.
#[derive(Clone)]
pub struct Scan {
    /// The `otpauth://` URL as a QR code; missing if it is too long for one.
    pub qr: Option<Qr>,
    /// The `otpauth://` URL, for an app on the same device.
    pub uri: String,
    /// The secret in base32 without padding or spaces; shown in groups of four.
    pub secret: String,
    /// The issuer that the app shows.
    pub issuer: String,
    /// The user name that the app shows.
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
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The mailed code; `None`: a link from an administrator is required.
    pub by_mail: Option<Mailed>,
    /// Whether no other page can be opened without a second factor.
    pub is_demanded: bool,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Shows the secret of a further authenticator and asks for its first code (S26).
#[derive(Template)]
#[template(path = "page/authenticator.html")]
pub struct NewAuthenticator {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Where it goes.
    pub place: NewPlace,
    /// The key for the app.
    pub scan: Scan,
    /// The name that was typed.
    pub name: String,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Where a further authenticator goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPlace {
    /// Added to the existing ones.
    Beside,
    /// Replaces all existing ones.
    Instead {
        /// How many devices are trusted.
        devices: usize,
        /// Whether all of them are revoked.
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

/// Asks for a new name for an authenticator.
#[derive(Template)]
#[template(path = "page/rename.html")]
pub struct Rename {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Its present name, or the one that was typed.
    pub name: String,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Warns what turning two-factor off means, and asks for a code (S17).
#[derive(Template)]
#[template(path = "page/turn-off.html")]
pub struct TurnOff {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Why it cannot be turned off, if it is demanded of this user.
    pub demanded: Option<Demanded>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl TurnOff {
    fn reads_codes(&self) -> bool {
        self.problem != Some(Problem::Frozen)
    }
}

/// Shows the recovery codes: until the user confirms that they are saved (S19, S20), or again
/// (S21).
#[derive(Template)]
#[template(path = "page/recovery-codes.html")]
pub struct RecoveryCodes {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The codes, grouped for reading and typing.
    pub codes: Vec<String>,
    /// The issuer, as in the authenticator app.
    pub issuer: String,
    /// The user.
    pub username: String,
    /// Whether they are new and must be saved.
    pub to_be_saved: bool,
    /// The problem, if the form is shown again.
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
