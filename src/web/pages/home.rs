//! The page at `/.doorward/`: who you are, what protects you, where to go.

use askama::Template;

use super::{Form, Frame, Link};

/// Whether a user has a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoFactor {
    /// Set up: every sign-in asks for it.
    On,
    /// Not set up.
    Off,
}

impl TwoFactor {
    const fn sentence(self) -> &'static str {
        match self {
            Self::On => "On. Signing in takes your password and a code.",
            Self::Off => "Off. Whoever learns your password can sign in as you.",
        }
    }

    const fn can_be_set_up(self) -> bool {
        matches!(self, Self::Off)
    }
}

/// Who you are, and where things are.
#[derive(Template)]
#[template(path = "page/home.html")]
pub struct Home {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields of the form that signs out.
    pub form: Form,
    /// Who is signed in.
    pub username: String,
    /// What protects them.
    pub two_factor: TwoFactor,
    /// The applications behind this door.
    pub apps: Vec<Link>,
}
