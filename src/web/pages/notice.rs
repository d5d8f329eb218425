//! Pages that only say something: what happened, and what to do next.

use std::sync::LazyLock;

use askama::Template;
use data_encoding::BASE64;
use http::StatusCode;
use sha2::{Digest, Sha256};

use super::Frame;

/// What a visitor still owes before a request of theirs would have been let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// To sign in.
    SignIn,
    /// The second factor.
    Challenge,
    /// The password again.
    Confirm,
    /// To set up a second factor.
    SetUp,
}

/// What is said.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Nobody may do this, or not this visitor.
    Refused {
        /// By which an operator finds out why.
        reference: String,
    },
    /// The request has no single meaning.
    BadRequest {
        /// By which an operator finds out why.
        reference: String,
    },
    /// Nothing of ours is at this address.
    NotFound,
    /// The address does not take this method.
    NotAllowed,
    /// A form was sent to an application, and something is owed first. It was not passed on.
    Unsent {
        /// Which step is owed.
        owed: Owed,
        /// The address of that step.
        url: String,
    },
    /// A step is owed, but this is a frame of another page, where we ask for nothing.
    Framed {
        /// The address to open in the whole window.
        url: String,
    },
    /// The application could not be reached, or broke off.
    Unreachable {
        /// The application's name.
        app: String,
    },
    /// The application answered, but not as HTTP wants it.
    Unreadable {
        /// The application's name.
        app: String,
    },
    /// The application took too long.
    Late {
        /// The application's name.
        app: String,
    },
    /// We cannot decide or remember anything just now.
    Unavailable,
    /// Nothing is served under this host name.
    WrongHost,
    /// More was sent than one of our forms can hold.
    TooLarge,
    /// The head of the request, its cookies above all, is longer than is read.
    HeadTooLarge,
    /// A one-time link that was used, replaced or has run out, or never was one.
    SpentLink,
    /// A ticket that was used, is too late, or belongs to another browser or host.
    SpentTicket {
        /// Where they were going.
        url: String,
    },
    /// The session cookie is there twice, so that neither is believed.
    DoubledCookie {
        /// Where they were going.
        url: String,
    },
    /// The authenticator is the visitor's only one, so that removing it would turn two-factor off.
    OnlyAuthenticator,
    /// The visitor said that a second factor is not theirs; nobody gets in with it.
    Frozen,
    /// The visit is over.
    SignedOut {
        /// Where to sign in again.
        url: String,
        /// What the page loads so that the browser forgets what it has kept of other hosts.
        clears: Vec<String>,
    },
}

/// A button under a notice.
struct Way {
    url: String,
    label: &'static str,
    /// The `target` attribute.
    target: Option<&'static str>,
}

impl Notice {
    /// The status that belongs to it.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Refused { .. } => StatusCode::FORBIDDEN,
            Self::BadRequest { .. } | Self::DoubledCookie { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unsent { .. } | Self::Framed { .. } => StatusCode::UNAUTHORIZED,
            Self::Unreachable { .. } | Self::Unreadable { .. } => StatusCode::BAD_GATEWAY,
            Self::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::OnlyAuthenticator => StatusCode::CONFLICT,
            Self::SpentLink | Self::SpentTicket { .. } => StatusCode::GONE,
            Self::Frozen | Self::SignedOut { .. } => StatusCode::OK,
        }
    }

    fn heading(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "You cannot open this",
            Self::BadRequest { .. } => "This address was not understood",
            Self::NotFound => "There is nothing here",
            Self::NotAllowed => "This cannot be done here",
            Self::Unsent { .. } => "Nothing was sent",
            Self::Framed { .. } => "Please open this in the whole window",
            Self::Unreachable { .. } | Self::Late { .. } => "The application does not answer",
            Self::Unreadable { .. } => "The application's answer cannot be read",
            Self::Unavailable => "Please come back in a moment",
            Self::WrongHost => "Nothing is served under this name",
            Self::TooLarge | Self::HeadTooLarge => "That was too long",
            Self::SpentLink => "This link does not work any more",
            Self::SpentTicket { .. } => "Please come in again",
            Self::DoubledCookie { .. } => "Your browser is not sure who you are",
            Self::OnlyAuthenticator => "This is your only authenticator",
            Self::Frozen => "Nobody gets in with it any longer",
            Self::SignedOut { .. } => "You are signed out",
        }
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::Refused { .. } => {
                said(&["This part is not open to you. If you need it, ask whoever looks after it."])
            }
            Self::BadRequest { .. } => said(&["It can be read in more than one way, or in none. \
                 Go back and follow the link again, or type the address by hand."]),
            Self::NotFound => said(&["The address may be mistyped, or the page has moved. \
                 Everything that you can do here starts on one page."]),
            Self::NotAllowed => {
                said(&["Go back to the page that you came from and start from there."])
            }
            Self::Unsent { owed, .. } => said(&[
                owed.reason(),
                "The button opens a new tab. Come back to this one afterwards and reload it: your \
                 browser offers to send everything again.",
            ]),
            Self::Framed { .. } => said(&["This part of the page needs you to sign in, \
                 and nobody should type a password into a page within a page."]),
            Self::Unreachable { app } => vec![format!(
                "You are through the door, but {app} behind it cannot be reached just now. \
                 Reload this page in a minute. If it stays like this, tell whoever looks after it."
            )],
            Self::Unreadable { app } => vec![format!(
                "You are through the door, but what {app} behind it answered makes no sense. \
                 What you sent has arrived: look before you send it again. If it stays like this, \
                 tell whoever looks after it."
            )],
            Self::Late { app } => vec![format!(
                "You are through the door, but {app} behind it took too long. \
                 What you sent may have arrived all the same: look before you send it again."
            )],
            Self::Unavailable => said(&["Nobody can be let in safely just now, so nobody is. \
                 Reload this page in a minute."]),
            Self::WrongHost => said(&["Check the address that you typed or the link that you \
                 followed."]),
            Self::TooLarge => said(&["What was sent is longer than any form here needs. \
                 Go back and shorten it."]),
            Self::HeadTooLarge => {
                said(&["Your browser sent more than is read before a page, most \
                 often because an application has left many cookies with it. Remove the cookies of \
                 this site and try again."])
            }
            Self::SpentLink => said(&["Each link works once, and only for a while. \
                 If you have used it, sign in as usual; otherwise ask for a new one."]),
            Self::SpentTicket { .. } => {
                said(&["The way in here from the sign-in page took too long, was \
                 taken before, or began in another browser. One more click starts it anew."])
            }
            Self::DoubledCookie { .. } => {
                said(&["It sends two sign-ins for this site, so neither is \
                 believed: one of them may have been put there by another site. Remove the \
                 cookies of this site, then come in again."])
            }
            Self::OnlyAuthenticator => said(&["Without it, two-factor would be off. If that is \
                 what you want, turn it off. If the phone is lost or new, replace the \
                 authenticator on your security page instead."]),
            Self::Frozen => said(&[
                "The second factor that somebody else has set up opens nothing from now on, and every \
                 session is over. Your password is known to them, so do not use it elsewhere.",
                "Ask whoever looks after this site for a link: with it you choose a new password and \
                 set up two-factor yourself.",
            ]),
            Self::SignedOut { .. } => said(&["This browser was told to forget the pages that it \
                 kept. Other open tabs, files that you saved and what an application stores in the \
                 browser stay. Close the browser as well if others use this computer."]),
        }
    }

    fn way_on(&self) -> Option<Way> {
        let way = |url: &str, label, target| Some(Way { url: url.to_owned(), label, target });
        match self {
            Self::NotFound | Self::NotAllowed => way("/.doorward/", "To the first page", None),
            Self::Unsent { owed, url } => way(url, owed.label(), Some("_blank")),
            Self::Framed { url } => way(url, "Open it there", Some("_top")),
            Self::OnlyAuthenticator => {
                way("/.doorward/security/turn-off", "Turn two-factor off", None)
            }
            Self::SpentLink => way("/.doorward/sign-in", "Sign in", None),
            Self::SpentTicket { url } | Self::DoubledCookie { url } => way(url, "Come in", None),
            Self::SignedOut { url, .. } => way(url, "Sign in again", None),
            _ => None,
        }
    }

    /// Pictures that nobody sees.
    pub(super) fn clears(&self) -> &[String] {
        match self {
            Self::SignedOut { clears, .. } => clears,
            _ => &[],
        }
    }

    fn reference(&self) -> Option<&str> {
        match self {
            Self::Refused { reference } | Self::BadRequest { reference } => Some(reference),
            _ => None,
        }
    }
}

impl Owed {
    const fn reason(self) -> &'static str {
        match self {
            Self::SignIn => {
                "You are no longer signed in, so what you sent was stopped at the door."
            }
            Self::Challenge => {
                "Your second factor is asked for first, so what you sent was stopped at the door."
            }
            Self::Confirm => {
                "Your password is asked for again first, so what you sent was stopped at the door."
            }
            Self::SetUp => {
                "Two-factor has to be set up first, so what you sent was stopped at the door."
            }
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in, in a new tab",
            Self::Challenge => "Enter the code, in a new tab",
            Self::Confirm => "Confirm, in a new tab",
            Self::SetUp => "Set up two-factor, in a new tab",
        }
    }
}

fn said(sentences: &[&str]) -> Vec<String> {
    sentences.iter().map(|&sentence| sentence.to_owned()).collect()
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "page/notice.html")]
pub struct NoticePage {
    /// What stands around the page.
    pub frame: Frame,
    /// What is said.
    pub notice: Notice,
}

/// The same for somebody who has named no host of ours: it names none either, nor whoever runs this.
#[derive(Template)]
#[template(path = "page/nameless.html")]
pub struct NamelessPage {
    /// What is said.
    pub notice: Notice,
}

impl NamelessPage {
    const STYLE: &str = include_str!("../../../templates/nameless.css");

    /// What a content security policy calls the style within the page (CSP3 §2.3.1).
    pub fn style_digest() -> &'static str {
        static DIGEST: LazyLock<String> = LazyLock::new(|| {
            format!("sha256-{}", BASE64.encode(&Sha256::digest(NamelessPage::STYLE)))
        });
        &DIGEST
    }
}
