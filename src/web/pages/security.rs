//! The security page: everything about one's own protection (S15).

use askama::Template;

use super::words::counted;
use super::{Form, Frame, Happened, Moment, Problem};
use crate::domain::event::What;
use crate::domain::factor::Kind;
use crate::domain::factor::recovery::RecoveryCodes;

/// A user's protection besides the password.
pub enum Protection {
    /// Two-factor is off.
    Off {
        /// When a demand takes effect, if there is one.
        due: Option<String>,
    },
    /// Two-factor is on.
    On {
        /// Until when this device is trusted, if it is.
        trusted_until: Option<String>,
        /// Why it cannot be turned off, if it cannot.
        demanded: Option<Demanded>,
    },
    /// The user reported the factor as not theirs, so it is frozen.
    Frozen {
        /// When they reported it.
        since: Moment,
    },
}

/// Who demands two-factor of this user.
pub enum Demanded {
    /// It is demanded of everyone.
    OfEveryone,
    /// Of everyone in this group.
    OfGroup(String),
    /// Of this user by name.
    OfYou,
    /// Of everyone who may open some URL.
    ForAPlace,
    /// Of everyone who uses this application.
    InApp(String),
}

/// One second factor.
pub struct Factor {
    /// The id in its forms.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was set up.
    pub added: Moment,
    /// The heading of a section with this kind alone.
    pub section: &'static str,
    /// When an answer of it was last accepted.
    pub last_used: Moment,
    /// What else there is to know.
    pub notes: Vec<&'static str>,
    /// Whether it may have been copied, so that its user must decide what becomes of it.
    pub is_doubted: bool,
    /// Whether its user can show it here.
    pub is_usable: bool,
    /// Its kind.
    pub kind: Kind,
}

/// How many accounts at identity providers a user can sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts(pub usize);

impl Accounts {
    fn sentence(self) -> String {
        match self.0 {
            0 => "No account connected".to_owned(),
            1 => "1 account connected".to_owned(),
            many => format!("{many} accounts connected"),
        }
    }
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
    /// The id in its form.
    pub id: String,
    /// The browser, from its `User-Agent`.
    pub browser: String,
    /// The client address.
    pub address: Option<String>,
    /// Whether it is the one that shows this page.
    pub is_this: bool,
}

/// A trusted device.
pub struct Device {
    /// The device.
    pub row: Row,
    /// Since when it is trusted.
    pub made: Moment,
    /// When it was last used instead of a code.
    pub last_used: Moment,
    /// Until when it is trusted.
    pub expires: Moment,
}

/// A session.
pub struct Session {
    /// The session.
    pub row: Row,
    /// When it began.
    pub began: Moment,
    /// When it was last used.
    pub last_used: Moment,
}

/// A user's protection, sessions and events.
#[derive(Template)]
#[template(path = "page/security.html")]
pub struct Security {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields of all its forms.
    pub form: Form,
    /// Their protection.
    pub two_factor: Protection,
    /// The second factors.
    pub factors: Vec<Factor>,
    /// Whether another can be added.
    pub may_add: bool,
    /// Whether codes by e-mail can be turned on.
    pub may_add_mailbox: bool,
    /// How many recovery codes are left, if two-factor is on.
    pub codes_left: Option<CodesLeft>,
    /// The trusted devices.
    pub devices: Vec<Device>,
    /// The sessions.
    pub sessions: Vec<Session>,
    /// How many more there are.
    pub more_sessions: usize,
    /// The e-mail address, if there is one.
    pub email: Option<String>,
    /// The e-mail address that is not verified yet.
    pub new_email: Option<String>,
    /// The accounts at identity providers; `None` if there are none and no provider.
    pub accounts: Option<Accounts>,
    /// The events, newest first.
    pub happened: Vec<Happened>,
    /// What the browser is told of the security keys that there are, as JSON, so that it offers no
    /// others.
    pub known_keys: Option<String>,
    /// Why a form was not accepted.
    pub problem: Option<Problem>,
}

impl Security {
    /// Names the kind, if all are of one.
    fn factors_heading(&self) -> &'static str {
        match self.factors.split_first() {
            Some((first, rest)) if rest.iter().all(|one| one.section == first.section) => {
                first.section
            }
            _ => "Second factors",
        }
    }

    /// What a sign-in needs besides the first factor.
    fn needs(&self) -> &'static str {
        let usable = || self.factors.iter().filter(|one| one.is_usable);
        let keys = usable().filter(|one| one.kind == Kind::SecurityKey).count();
        match keys {
            0 => "a code",
            keys if keys == usable().count() => "a security key",
            _ => "a code or a security key",
        }
    }

    /// What the user may lose.
    fn thing(&self) -> &'static str {
        match self.needs() {
            "a security key" => "your security key",
            _ => "your phone",
        }
    }

    /// When the password was last changed or set, as far as the events go back.
    fn password_changed(&self) -> Option<&Moment> {
        let is_change =
            |what| matches!(what, What::PasswordChanged | What::PasswordReset | What::PasswordSet);
        self.happened.iter().find(|one| is_change(one.what)).map(|one| &one.at)
    }
}
