//! Why a form is shown again, in the visitor's words: what happened, and what to do next.
//!
//! No sentence tells which part was wrong or whether a user name exists.

use crate::domain::factor::Rejection;
use crate::domain::time::Timestamp;
use std::time::Duration;

use super::factor::Said;
use super::words::in_words;

/// The problem with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The user name or the password is wrong.
    SignIn,
    /// A passkey is not accepted: it is unknown, or its answer is.
    Passkey,
    /// The confirmed password is wrong.
    Password,
    /// The password is right, but must be changed where it is kept.
    MustChange,
    /// A problem with one kind of second factor, in its own words.
    Answer(Said),
    /// Too many attempts: nothing is accepted for this long, except a recovery code at the
    /// challenge.
    Wait(Duration),
    /// The same at a challenge by authenticator code, where a recovery code ends the wait.
    WaitOrRecoveryCode(Duration),
    /// Too many wrong codes: a known browser, a recovery code, a security key or an administrator
    /// helps.
    Locked,
    /// The user reported the factor as not theirs: nothing is accepted until an administrator
    /// helps.
    Frozen,
    /// Too many wrong codes in a row, where no recovery code helps.
    LockedOut,
    /// The input is not a name.
    Name,
    /// A mailed code is wrong or has expired.
    MailedCode,
    /// Too many mails were sent in the last hour.
    TooManyMails,
    /// The input is not an e-mail address.
    Address,
    /// The user has this address already.
    AddressAlready,
    /// The address is not available: another user has it.
    AddressTaken,
    /// A new password with too few characters; this many are needed.
    TooShort(usize),
    /// A new password with more characters than this.
    TooLong(usize),
    /// A new password that is easy to guess: common, a sequence or a repetition.
    TooCommon,
    /// A new password made of what is known about the user and the site.
    TooPersonal,
    /// A new password with characters that cannot be typed the same way everywhere.
    Untypable,
    /// The form does not belong to this browser or session, or is too old.
    Expired,
    /// The browser does not say that the form comes from a page of ours.
    Foreign,
    /// The same, because neither `Sec-Fetch-Site` nor `Origin` was sent.
    NoOrigin,
    /// Too much load; nothing was checked.
    Busy,
}

impl Problem {
    /// The problem in one or two sentences. A wait is completed with its length.
    pub fn sentence(&self) -> String {
        match self {
            Self::SignIn => "That did not work. Check the name and the password and try again.",
            Self::Passkey => "That did not work. Try again, or use your password.",
            Self::Password => "That did not work. Check the password and try again.",
            Self::MustChange => {
                "Your password has expired. Change it in the system that you got it from, then sign in here."
            }
            Self::Answer(said) => said.sentence,
            Self::Wait(_) | Self::WaitOrRecoveryCode(_) => {
                "There were too many attempts. You can try again in"
            }
            Self::Locked => {
                "There were too many wrong codes. Codes from an app, by text message and by e-mail \
                 are no longer accepted in this browser."
            }
            Self::Frozen => {
                "You reported that a second factor was set up by somebody else, so no code is accepted."
            }
            Self::LockedOut => {
                "There were too many wrong codes. Codes are no longer accepted in this browser."
            }
            Self::Name => "Please enter a name of 1 to 64 characters.",
            Self::MailedCode => "That code did not work. Check it, or send another one.",
            Self::TooManyMails => {
                "Too many e-mails were sent in the last hour. Please try again later."
            }
            Self::Address => "That is not a valid e-mail address. Please check it.",
            Self::AddressAlready => "That is already your address.",
            Self::AddressTaken => "This address cannot be used here. Please use another one.",
            Self::TooShort(least) => return format!("Please use at least {least} characters."),
            Self::TooLong(most) => return format!("Please use no more than {most} characters."),
            Self::TooCommon => {
                "This password is too easy to guess: many people use it, or it repeats itself, or \
                 its characters form a sequence. Please choose another one."
            }
            Self::TooPersonal => {
                "This password is too easy to guess: it is made of your name, your address or the \
                 name of this site. Please choose another one."
            }
            Self::Untypable => {
                "This password has characters that not every keyboard can type. Please choose \
                 another one."
            }
            Self::Expired => "This page was open for too long. Please try again.",
            Self::Foreign | Self::NoOrigin => {
                "Your browser did not confirm that this form came from this site, so it was not \
                 accepted. Please try again."
            }
            Self::Busy => "The site is busy. Please try again in a moment.",
        }
        .to_owned()
    }

    /// A further hint, where there is one.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Answer(said) => said.advice,
            Self::WaitOrRecoveryCode(_) => Some("You can use a recovery code now."),
            Self::Expired => {
                Some("If this happens again, allow cookies for this address in your browser.")
            }
            Self::Foreign => Some(
                "If this happens again, open this address in a new tab, or look for a browser \
                 setting or an add-on that hides where a form comes from.",
            ),
            Self::NoOrigin => Some(
                "The header “Origin” is missing. If this happens again, look for a browser setting \
                 or an add-on that hides where a form comes from. A script must send the header \
                 itself, with the address of this site.",
            ),
            Self::LockedOut => Some("Please ask for help."),
            Self::Frozen => Some("Ask for a link to start again."),
            Self::Locked => Some(
                "Use the browser in which you usually sign in, a recovery code or a security key. \
                 If you have none of them, ask for help.",
            ),
            _ => None,
        }
    }

    /// Why a code that was sent, and is no second factor yet, was not accepted.
    pub fn of_sent_code(rejection: Rejection, now: Timestamp) -> Self {
        match rejection {
            Rejection::Waiting { until } => Self::Wait(now.until(until)),
            Rejection::Locked => Self::LockedOut,
            Rejection::Frozen => Self::Frozen,
            Rejection::Wrong
            | Rejection::Used
            | Rejection::Expired
            | Rejection::OtherModel
            | Rejection::Doubted { .. }
            | Rejection::NotSetUp => Self::MailedCode,
        }
    }

    /// The seconds during which the form has no use, for the countdown.
    pub fn wait(&self) -> Option<u64> {
        self.span().map(|span| span.as_secs() + u64::from(span.subsec_nanos() > 0))
    }

    pub(super) fn wait_in_words(&self) -> String {
        self.span().map(in_words).unwrap_or_default()
    }

    fn span(&self) -> Option<Duration> {
        match self {
            Self::Wait(span) | Self::WaitOrRecoveryCode(span) => Some(*span),
            _ => None,
        }
    }

    /// Whether the input is the cause, rather than the time or the load.
    fn blames_what_was_typed(self) -> bool {
        if let Self::Answer(said) = self {
            return said.blames_what_was_typed;
        }
        !matches!(
            self,
            Self::Passkey
                | Self::Wait(_)
                | Self::WaitOrRecoveryCode(_)
                | Self::Locked
                | Self::Frozen
                | Self::LockedOut
                | Self::TooManyMails
                | Self::Expired
                | Self::Foreign
                | Self::NoOrigin
                | Self::Busy
        )
    }
}

/// Whether it says what became of a code that was to be sent: then the page does not say that one is on
/// its way.
pub(super) const fn is_about_sending(problem: Option<&Problem>) -> bool {
    matches!(problem, Some(Problem::Answer(said)) if !said.blames_what_was_typed)
}

/// The attributes that tie a field to the problem and to a `note` (an element's id, or nothing).
pub fn described(problem: Option<&Problem>, note: &str) -> String {
    let ids = match (problem, note) {
        (None, "") => return String::new(),
        (None, note) => note.to_owned(),
        (Some(_), "") => "problem".to_owned(),
        (Some(_), note) => format!("problem {note}"),
    };
    let invalid = problem.is_some_and(|problem| problem.blames_what_was_typed());
    let invalid = if invalid { " aria-invalid=\"true\"" } else { "" };
    format!(" aria-describedby=\"{ids}\"{invalid}")
}
