//! What is offered after a sign-in.

use askama::Template;

use super::words::counted;
use super::{Form, Frame, Problem};

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// To set up two-factor (S37).
    SetUp,
    /// To replace the authenticator: a recovery code was used instead (S23).
    Replace {
        /// How many recovery codes are left.
        codes_left: usize,
    },
    /// To make new recovery codes (S22).
    NewCodes {
        /// How many are left.
        codes_left: usize,
    },
}

impl Offer {
    const fn heading(self) -> &'static str {
        match self {
            Self::SetUp => "Protect your sign-in",
            Self::Replace { .. } => "Lost your phone?",
            Self::NewCodes { .. } => "Few recovery codes are left",
        }
    }

    const fn deed(self) -> &'static str {
        match self {
            Self::SetUp => "Set up two-factor",
            Self::Replace { .. } => "Replace the authenticator",
            Self::NewCodes { .. } => "Make new recovery codes",
        }
    }

    /// How many recovery codes are left, in words.
    fn left(self) -> String {
        match self {
            Self::SetUp => String::new(),
            Self::Replace { codes_left: 0 } | Self::NewCodes { codes_left: 0 } => {
                "no recovery code".to_owned()
            }
            Self::Replace { codes_left } | Self::NewCodes { codes_left } => {
                counted(codes_left as u64, "recovery code")
            }
        }
    }

    const fn decline(self) -> &'static str {
        match self {
            Self::SetUp | Self::NewCodes { .. } => "Not now",
            Self::Replace { .. } => "I still have it",
        }
    }
}

/// One offer, and the way past it.
#[derive(Template)]
#[template(path = "page/offer.html")]
pub struct OfferPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields of the form that declines.
    pub form: Form,
    /// What is offered.
    pub offer: Offer,
    /// Where it is taken up.
    pub url: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}
