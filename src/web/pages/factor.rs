//! How pages speak of one kind of second factor.

use std::time::Duration;

use crate::domain::factor::{self, Rejection};
use crate::flow::Submitted;

/// One kind on our pages: its words, the fields that ask for it, and what is read from them.
pub struct Part {
    /// The kind.
    pub kind: factor::Kind,
    /// The heading of the challenge.
    pub heading: &'static str,
    /// What to do, at the challenge.
    pub lead: &'static str,
    /// The heading and what to do before a code was sent, if one is.
    pub before: Option<[&'static str; 2]>,
    /// The button of the challenge.
    pub button: &'static str,
    /// The link to this way from the challenge by another kind.
    pub instead: &'static str,
    /// Said where nothing else opens the page: "This page needs …".
    pub needed: &'static str,
    /// The question to somebody who can no longer use it.
    pub lost: &'static str,
    /// The fields of the challenge, as HTML.
    pub fields: fn(inputs: &Inputs) -> String,
    /// Reads what was typed. Input that does not have the form of an answer is no guess, and not
    /// counted as one.
    pub read: fn(typed: &str) -> Result<Submitted, Rejection>,
    /// Whether what was typed looks like an answer of this kind, where several are accepted in one
    /// field.
    pub resembles: fn(typed: &str) -> bool,
    /// The answer is wrong or malformed.
    pub wrong: Said,
    /// The answer was right but used before.
    pub used: Said,
    /// How it is set up; `None`: it only stands in for a factor.
    pub set_up: Option<&'static SetUpWords>,
}

/// What the fields of a challenge are made of.
pub struct Inputs {
    /// The attributes that tie them to a problem.
    pub described: String,
    /// What the browser is told to ask for, as JSON, if this kind needs it.
    pub options: Option<String>,
    /// Whether the last digit of a code may send the form.
    pub sends_itself: bool,
}

/// What pages say while a factor is set up and managed.
pub struct SetUpWords {
    /// What two-factor by this kind means.
    pub lead: &'static str,
    /// What setting it up takes.
    pub takes: &'static str,
    /// Its name where people choose one of several kinds.
    pub choice: &'static str,
    /// The heading of the section on the security page.
    pub section: &'static str,
    /// The name of a factor that the user has not named.
    pub unnamed: &'static str,
    /// The heading of the page that renames one.
    pub rename: &'static str,
    /// What a name is good for.
    pub naming: &'static str,
    /// The question before one of several is removed, and what that means.
    pub remove: (&'static str, &'static str),
    /// The headings of the pages that add one and that replace all.
    pub headings: [&'static str; 2],
    /// What adding one, and replacing all, means.
    pub leads: [&'static str; 2],
    /// The heading of the page that changes it in its place, and what that means, if it can be changed.
    pub change: Option<[&'static str; 2]>,
    /// The user has the most of this kind that are allowed.
    pub too_many: Said,
    /// Reads the first answer.
    pub read: fn(typed: &str) -> Result<Submitted, Rejection>,
    /// The first answer is wrong or malformed.
    pub wrong: Said,
}

impl SetUpWords {
    pub(super) fn heading(&self, place: &NewPlace) -> &'static str {
        self.changing(place).map_or(self.headings[place.index()], |[heading, _]| heading)
    }

    pub(super) fn lead_at(&self, place: &NewPlace) -> &'static str {
        self.changing(place).map_or(self.leads[place.index()], |[_, lead]| lead)
    }

    fn changing(&self, place: &NewPlace) -> Option<[&'static str; 2]> {
        self.change.filter(|_| matches!(place, NewPlace::Phone))
    }
}

/// A problem, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// What happened, and what to do next.
    pub sentence: &'static str,
    /// A further hint, where there is one.
    pub advice: Option<&'static str>,
    /// Whether what was typed is the cause.
    pub blames_what_was_typed: bool,
}

/// The steps of setting up a factor: what comes before the form, and the fields of the form.
#[derive(Clone)]
pub struct Steps {
    /// The steps before the form.
    pub before: Vec<Step>,
    /// The heading of the step with the form.
    pub last: &'static str,
    /// The fields, as HTML.
    pub fields: String,
    /// The button that sends a code first, where one must be sent.
    pub sends: Option<&'static str>,
    /// The code that was sent, if one was.
    pub texted: Option<Texted>,
}

/// A code by text message or e-mail: where it goes, and whether another one can be sent.
#[derive(Clone, Debug, Default)]
pub struct Texted {
    /// Where it goes, in words.
    pub to: String,
    /// The number, where it can be changed.
    pub number: Option<String>,
    /// Whether a code was sent and can be entered.
    pub is_waiting: bool,
    /// In how long, and at what time of day, another one can be sent, if not now.
    pub again: Option<(Duration, String)>,
    /// The page that the form is on, if it is not the challenge.
    pub back: Option<&'static str>,
    /// Whether it goes by e-mail.
    pub by_mail: bool,
    /// Whether it is one of a set-up, where the recipient cannot be changed.
    pub sets_up: bool,
    /// The time of day after which a code can be sent by e-mail instead, if the user has turned that on.
    pub mail_at: Option<String>,
}

impl Texted {
    pub(super) const fn kind(&self) -> factor::Kind {
        if self.by_mail { factor::Kind::Email } else { factor::Kind::Sms }
    }

    pub(super) const fn is_of_challenge(&self) -> bool {
        self.number.is_none() && !self.sets_up
    }

    pub(super) const fn button(&self) -> &'static str {
        if self.by_mail { "E-mail me a code" } else { "Text me a code" }
    }

    /// Whether `to` is the whole number or address, and not a hint in words.
    pub(super) const fn is_named(&self) -> bool {
        self.by_mail || self.number.is_some()
    }
}

/// One step.
#[derive(Clone)]
pub struct Step {
    /// Its heading.
    pub heading: &'static str,
    /// What it shows, as HTML.
    pub content: String,
}

/// Where a further factor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPlace {
    /// Added to the existing ones.
    Beside,
    /// The same of a phone, whose number replaces an earlier one.
    Phone,
    /// Replaces all existing ones.
    Instead {
        /// How many devices are trusted.
        devices: usize,
        /// Whether all of them are revoked.
        forget_devices: bool,
    },
}

impl NewPlace {
    /// Its place in pairs of words.
    const fn index(self) -> usize {
        match self {
            Self::Beside | Self::Phone => 0,
            Self::Instead { .. } => 1,
        }
    }

    pub(super) const fn button(self) -> &'static str {
        match self {
            Self::Beside => "Add it",
            Self::Phone => "Use this number",
            Self::Instead { .. } => "Replace all",
        }
    }
}
