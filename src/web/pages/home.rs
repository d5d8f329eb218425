//! The page at `/.doorward/`: who you are, your protection, your applications.

use askama::Template;

use super::{Form, Frame, Link};

/// Whether a user has a second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwoFactor {
    /// Set up: every sign-in asks for it.
    On,
    /// Set up, but this device is trusted: signing in here needs no second factor.
    OnButHere {
        /// The day on which the trust ends.
        until: String,
    },
    /// Not set up.
    Off,
}

impl TwoFactor {
    fn sentence(&self) -> String {
        match self {
            Self::On => {
                "On. When you sign in, you are also asked for your second factor.".to_owned()
            }
            Self::OnButHere { until } => format!(
                "On. When you sign in, you are also asked for your second factor, but not on this \
                 device until {until}."
            ),
            Self::Off => "Off. A stolen password is enough to sign in as you.".to_owned(),
        }
    }

    const fn can_be_set_up(&self) -> bool {
        matches!(self, Self::Off)
    }
}

/// Who you are, and your applications.
#[derive(Template)]
#[template(path = "page/home.html")]
pub struct Home {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields of the form that signs out.
    pub form: Form,
    /// Who is signed in.
    pub username: String,
    /// Their protection.
    pub two_factor: TwoFactor,
    /// The applications.
    pub apps: Vec<Link>,
}
