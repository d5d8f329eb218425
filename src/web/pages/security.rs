//! The security page: everything about one's own protection at one glance (S15).

use askama::Template;

use super::words::counted;
use super::{Form, Frame, Happened, Moment, Problem};
use crate::domain::event::What;
use crate::domain::factor::recovery::RecoveryCodes;

/// What protects a person besides the password.
pub enum Protection {
    /// Two-factor is off.
    Off {
        /// From when on it is demanded, if it will be.
        due: Option<String>,
    },
    /// Two-factor is on.
    On {
        /// Until when this device is asked for no code, if it is trusted.
        trusted_until: Option<String>,
        /// Why it cannot be turned off, if it cannot.
        demanded: Option<Demanded>,
    },
    /// The person said that the factor is not theirs, so nothing is read.
    Frozen {
        /// When they said so.
        since: Moment,
    },
}

/// Of whom two-factor is demanded, this person among them.
pub enum Demanded {
    /// Of everyone.
    OfEveryone,
    /// Of everyone in this group.
    OfGroup(String),
    /// Of this person by name.
    OfYou,
    /// Of whoever may enter some place.
    ForAPlace,
    /// Of whoever uses this application.
    InApp(String),
}

/// One authenticator.
pub struct Authenticator {
    /// By which its deeds name it.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// When it was set up.
    pub added: Moment,
    /// When a code of it was last accepted.
    pub last_used: Moment,
}

/// How many recovery codes are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodesLeft(pub usize);

impl CodesLeft {
    fn sentence(self) -> String {
        match self.0 {
            0 => "No codes are left.".to_owned(),
            1 => "1 code is left.".to_owned(),
            left => format!("{} are left.", counted(left as u64, "code")),
        }
    }

    const fn any(self) -> bool {
        self.0 > 0
    }

    const fn are_few(self) -> bool {
        self.0 <= RecoveryCodes::FEW
    }
}

/// What devices and sessions have in common.
pub struct Row {
    /// By which its deed names it.
    pub id: String,
    /// The browser, as far as it said what it is.
    pub browser: String,
    /// From where it came.
    pub address: Option<String>,
    /// Whether it is the one that shows this page.
    pub is_this: bool,
}

/// A trusted device.
pub struct Device {
    /// Which.
    pub row: Row,
    /// Since when it is trusted.
    pub made: Moment,
    /// When it last stood in for a code.
    pub last_used: Moment,
    /// Until when it is trusted.
    pub expires: Moment,
}

/// A session.
pub struct Session {
    /// Which.
    pub row: Row,
    /// When it began.
    pub began: Moment,
    /// When it was last used.
    pub last_used: Moment,
}

/// What protects a person, where they are signed in, and what happened.
#[derive(Template)]
#[template(path = "page/security.html")]
pub struct Security {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields of all its forms.
    pub form: Form,
    /// What protects them.
    pub two_factor: Protection,
    /// The authenticators.
    pub authenticators: Vec<Authenticator>,
    /// Whether there may be another.
    pub may_add: bool,
    /// How many recovery codes are left, where two-factor is on.
    pub codes_left: Option<CodesLeft>,
    /// The trusted devices.
    pub devices: Vec<Device>,
    /// The sessions.
    pub sessions: Vec<Session>,
    /// How many more there are.
    pub more_sessions: usize,
    /// The e-mail address, where there is one.
    pub email: Option<String>,
    /// The e-mail address that waits to be verified.
    pub new_email: Option<String>,
    /// What happened, the newest first.
    pub happened: Vec<Happened>,
    /// Why a deed was not done.
    pub problem: Option<Problem>,
}

impl Security {
    /// When the password was last changed or set, as far as what happened goes back.
    fn password_changed(&self) -> Option<&Moment> {
        let is_change =
            |what| matches!(what, What::PasswordChanged | What::PasswordReset | What::PasswordSet);
        self.happened.iter().find(|one| is_change(one.what)).map(|one| &one.at)
    }
}
