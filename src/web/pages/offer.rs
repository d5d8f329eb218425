//! The offer after a sign-in.

use askama::Template;

use super::words::counted;
use super::{Form, Frame, Problem};
use crate::flow::next::Offer;

/// One offer, and the form to decline it.
#[derive(Template)]
#[template(path = "page/offer.html")]
pub struct OfferPage {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields of the form that declines.
    pub form: Form,
    /// The offer.
    pub offer: Offer,
    /// The URL to accept it.
    pub url: String,
    /// What setting up the kind of factor takes that is offered first.
    pub takes: &'static str,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl OfferPage {
    const fn heading(&self) -> &'static str {
        match self.offer {
            Offer::SetUp => "Protect your sign-in",
            Offer::Replace { .. } => "Did you lose your second factor?",
            Offer::NewCodes { .. } => "Few recovery codes are left",
        }
    }

    const fn operation(&self) -> &'static str {
        match self.offer {
            Offer::SetUp => "Set up two-factor",
            Offer::Replace { .. } => "Replace it",
            Offer::NewCodes { .. } => "Make new recovery codes",
        }
    }

    /// How many recovery codes are left, in words.
    fn left(&self) -> String {
        match self.offer {
            Offer::SetUp => String::new(),
            Offer::Replace { codes_left: 0 } | Offer::NewCodes { codes_left: 0 } => {
                "no recovery code".to_owned()
            }
            Offer::Replace { codes_left } | Offer::NewCodes { codes_left } => {
                counted(codes_left as u64, "recovery code")
            }
        }
    }

    const fn decline(&self) -> &'static str {
        match self.offer {
            Offer::SetUp | Offer::NewCodes { .. } => "Not now",
            Offer::Replace { .. } => "I still have it",
        }
    }
}
