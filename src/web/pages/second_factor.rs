//! The pages of the second factor: the challenge, the set-up, the recovery codes.

use std::time::Duration;

use askama::Template;

use super::factor::{Inputs, NewPlace, Part, SetUpWords, Steps, Texted};
use super::words::in_words;
use super::{Demanded, Form, Frame, Mailed, Moment, Problem, problem};
use crate::domain::factor::Kind;

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

/// Asks for the second factor: an answer of one kind, with a visible way to the others (S9).
#[derive(Template)]
#[template(path = "page/challenge.html")]
pub struct Challenge {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The kind that it asks for.
    pub part: &'static Part,
    /// What the browser is told to ask for, as JSON, if that kind needs it.
    pub options: Option<String>,
    /// The code by text message, if that is the kind.
    pub texted: Option<Texted>,
    /// The other kinds that open the URL ahead.
    pub others: Vec<&'static Part>,
    /// The state of the visitor.
    pub standing: Standing,
    /// The offer to trust this device, if there is one.
    pub trust: Option<Trust>,
    /// Whether a recovery code signs in, although it does not open the URL ahead.
    pub recovery_codes_sign_in: bool,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl Challenge {
    fn heading(&self) -> &'static str {
        if self.is_frozen() { "Two-factor is frozen" } else { self.words()[0] }
    }

    fn lead(&self) -> &'static str {
        self.words()[1]
    }

    /// Heading and lead.
    fn words(&self) -> [&'static str; 2] {
        let before = self.part.before.filter(|_| !self.asks());
        before.unwrap_or([self.part.heading, self.part.lead])
    }

    fn is_frozen(&self) -> bool {
        self.problem == Some(Problem::Frozen)
    }

    fn fields(&self) -> String {
        let described = problem::described(self.problem.as_ref(), "");
        (self.part.fields)(&Inputs { described, options: self.options.clone(), sends_itself: true })
    }

    /// Whether there is something to answer: of text messages, one was sent.
    fn asks(&self) -> bool {
        self.texted.as_ref().is_none_or(|texted| texted.is_waiting)
    }

    /// Whether the form has a use: not while factors are locked or no answer is accepted.
    fn reads_codes(&self) -> bool {
        match self.problem {
            Some(Problem::Frozen) => false,
            Some(Problem::Locked) => !self.part.kind.row().can_be_guessed,
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

/// Shows how the first second factor is set up and asks for its first answer (S1–S6).
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
    /// The kind.
    pub kind: Kind,
    /// The kinds that may be set up, with their names.
    pub kinds: Vec<(Kind, &'static str)>,
    /// Its words.
    pub words: &'static SetUpWords,
    /// The steps.
    pub steps: Steps,
    /// The offer to trust this device, if there is one.
    pub trust: Option<Trust>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Before what something must be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proving {
    /// The set-up of the first second factor.
    SetUp,
    /// The set-up of the first security key, beside other factors or in their place.
    Key,
}

/// Says what must be shown, besides the password, before a first factor is set up; or, besides a
/// factor, before a first security key is.
#[derive(Template)]
#[template(path = "page/prove-first.html")]
pub struct ProveFirst {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Before what.
    pub what: Proving,
    /// The mailed code; `None`: a link from an administrator is required.
    pub by_mail: Option<Mailed>,
    /// From when on a mailed code is enough, if only time is missing for that.
    pub mail_from: Option<Moment>,
    /// Whether no other page can be opened without a second factor.
    pub is_demanded: bool,
    /// The day on which a second factor will be demanded, if it is not yet.
    pub due: Option<String>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl ProveFirst {
    const fn heading(&self) -> &'static str {
        match self.what {
            Proving::SetUp => "Set up two-factor",
            Proving::Key => "Set up a security key",
        }
    }

    /// The word of the kind that is set up, where that must be said again.
    const fn kind(&self) -> &'static str {
        match self.what {
            Proving::SetUp => "",
            Proving::Key => Kind::SecurityKey.word(),
        }
    }

    /// Why the password, or a code, is not enough.
    const fn reason(&self) -> &'static str {
        match self.what {
            Proving::SetUp => {
                "A password can be stolen. So that nobody else can set up two-factor in your name,"
            }
            Proving::Key => {
                "A password and a code can be stolen. So that nobody else can set up a security key \
                 for you,"
            }
        }
    }

    /// What follows the link from an administrator.
    const fn then(&self) -> &'static str {
        match self.what {
            Proving::SetUp => {
                "With it, you choose a password. Then set up two-factor before you sign out."
            }
            Proving::Key => {
                "With it, you choose a new password. Then set up the security key before you sign \
                 out."
            }
        }
    }
}

/// Shows how a further factor is set up and asks for its first answer (S26).
#[derive(Template)]
#[template(path = "page/new-factor.html")]
pub struct NewFactor {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// Where it goes.
    pub place: NewPlace,
    /// The kind.
    pub kind: Kind,
    /// The kinds that may be set up, with their names.
    pub kinds: Vec<(Kind, &'static str)>,
    /// Its words.
    pub words: &'static SetUpWords,
    /// The steps.
    pub steps: Steps,
    /// The name that was typed.
    pub name: String,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Asks for a new name for a factor.
#[derive(Template)]
#[template(path = "page/rename.html")]
pub struct Rename {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The words of its kind.
    pub words: &'static SetUpWords,
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
    /// The kind by which it is turned off, if its answers are not typed.
    pub part: Option<&'static Part>,
    /// What the browser is told to ask for, as JSON, if that kind needs it.
    pub options: Option<String>,
    /// The code by text message, if that is the kind.
    pub texted: Option<Texted>,
    /// The links to the other ways: where they lead, and their text.
    pub others: Vec<(&'static str, &'static str)>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl TurnOff {
    fn fields(&self, part: &Part) -> String {
        let described = problem::described(self.problem.as_ref(), "");
        // A change must be pressed for.
        let sends_itself = false;
        (part.fields)(&Inputs { described, options: self.options.clone(), sends_itself })
    }

    fn asks(&self) -> bool {
        self.texted.as_ref().is_none_or(|texted| texted.is_waiting)
    }

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

/// Says from when on a key counts as one that cannot be phished.
#[derive(Template)]
#[template(path = "page/not-yet.html")]
pub struct NotYet {
    /// The frame of the page.
    pub frame: Frame,
    /// From when on.
    pub from: Moment,
}

/// Says what helps if a security key does not work.
#[derive(Template)]
#[template(path = "page/security-key-help.html")]
pub struct SecurityKeyHelp {
    /// The frame of the page.
    pub frame: Frame,
}

/// The recovery codes as a text file, for `recovery-codes.txt`.
pub fn recovery_codes_file(issuer: &str, username: &str, codes: &[String]) -> String {
    let codes = codes.join("\r\n");
    format!("Recovery codes for {issuer}, user name {username}: each works once\r\n\r\n{codes}\r\n")
}
