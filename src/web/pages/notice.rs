//! Pages that only show a message: what happened, and what to do next.

use std::sync::LazyLock;

use askama::Template;
use data_encoding::BASE64;
use http::StatusCode;
use sha2::{Digest, Sha256};

use super::Frame;
use super::words::in_words;
use crate::domain::provider::Purpose;
use crate::flow::provider::Stop;

/// What a visitor must show before a request can pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// Sign in.
    SignIn,
    /// The second factor.
    Challenge,
    /// The password again.
    Confirm,
    /// Set up a second factor.
    SetUp,
}

/// The message.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Nobody may do this, or this visitor may not.
    Refused {
        /// The reference with which an operator finds the reason.
        reference: String,
    },
    /// The request is malformed or ambiguous.
    BadRequest {
        /// The reference with which an operator finds the reason.
        reference: String,
    },
    /// There is no page at this URL.
    NotFound,
    /// The URL does not support this method.
    NotAllowed,
    /// A form was sent, but something is required first. It was not passed on.
    Unsent {
        /// The required step.
        owed: Owed,
        /// The URL of that step.
        url: String,
        /// Whether it was sent to us, and not to an application.
        is_ours: bool,
    },
    /// Something is required, but this is a frame, where we do not ask for it.
    Framed {
        /// The URL to open in the whole window.
        url: String,
    },
    /// The application could not be reached, or closed the connection.
    Unreachable {
        /// The application's name.
        app: String,
    },
    /// The application's response is not valid HTTP.
    Unreadable {
        /// The application's name.
        app: String,
    },
    /// The application did not answer in time.
    Late {
        /// The application's name.
        app: String,
    },
    /// Something on our side is broken.
    Unavailable,
    /// The host is unknown.
    WrongHost,
    /// The body is larger than any of our forms.
    TooLarge,
    /// The head of the request is too large, most often because of its cookies.
    HeadTooLarge,
    /// A one-time link that was used, replaced, has expired, or never existed.
    SpentLink,
    /// A ticket that was used, has expired, or is for another browser or host.
    SpentTicket {
        /// The URL that they wanted.
        url: String,
    },
    /// The session cookie was sent twice, so neither counts.
    DoubledCookie {
        /// The URL that they wanted.
        url: String,
    },
    /// The authenticator is the only one: removing it would turn two-factor off.
    OnlyAuthenticator,
    /// The user reported the second factor as not theirs; it is frozen.
    Frozen,
    /// An identity provider was asked in vain.
    NotSignedIn {
        /// The provider's name on pages.
        provider: String,
        /// What it was asked for.
        purpose: Purpose,
        /// Why.
        stop: Stop,
        /// Where to try again.
        url: String,
    },
    /// The user has no password, so there is none to change.
    NoPassword,
    /// The address is kept by the provider that answers for the user.
    AddressKeptElsewhere,
    /// The session has ended.
    SignedOut {
        /// Where to sign in again.
        url: String,
        /// Pictures that make the browser clear what it has kept of other hosts.
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
    /// The HTTP status.
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
            Self::NotSignedIn { stop, .. } => status_of(*stop),
            Self::OnlyAuthenticator | Self::NoPassword | Self::AddressKeptElsewhere => {
                StatusCode::CONFLICT
            }
            Self::SpentLink | Self::SpentTicket { .. } => StatusCode::GONE,
            Self::Frozen | Self::SignedOut { .. } => StatusCode::OK,
        }
    }

    fn heading(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "You cannot open this",
            Self::BadRequest { .. } => "This address is not valid",
            Self::NotFound => "Page not found",
            Self::NotAllowed => "This cannot be done here",
            Self::Unsent { is_ours: true, .. } => "Nothing was changed",
            Self::Unsent { is_ours: false, .. } => "Your data was not sent",
            Self::Framed { .. } => "Please open this in a full window",
            Self::Unreachable { .. } | Self::Late { .. } => "The application does not answer",
            Self::Unreadable { .. } => "The application sent an invalid answer",
            Self::Unavailable => "Please try again in a moment",
            Self::WrongHost => "There is no site at this address",
            Self::TooLarge | Self::HeadTooLarge => "That was too long",
            Self::SpentLink => "This link no longer works",
            Self::SpentTicket { .. } => "Please try again",
            Self::DoubledCookie { .. } => "Your browser sent two sign-in cookies",
            Self::OnlyAuthenticator => "This is your only second factor",
            Self::NotSignedIn { stop, purpose, .. } => heading_of(*stop, *purpose),
            Self::NoPassword => "You have no password here",
            Self::AddressKeptElsewhere => "You cannot change your address here",
            Self::Frozen => "Two-factor is frozen",
            Self::SignedOut { .. } => "You are signed out",
        }
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::Refused { .. } => said(&[
                "You do not have access to this page. If you need it, ask the administrator.",
            ]),
            Self::BadRequest { .. } => said(&[
                "It has a mistake, or can be read in several ways. Go back and follow the link again, \
                 or type the address.",
            ]),
            Self::NotFound => said(&[
                "The address may be wrong, or the page has moved. You can begin at the start \
                 page.",
            ]),
            Self::NotAllowed => said(&["Go back to the previous page and try from there."]),
            Self::Unsent { owed, is_ours: true, .. } => vec![
                format!("{}, so nothing was changed.", owed.reason()),
                "Afterwards you come back to the page of the form.".to_owned(),
            ],
            Self::Unsent { owed, is_ours: false, .. } => vec![
                format!("{}, so the application did not get your data.", owed.reason()),
                "The button opens a new tab. Afterwards, come back to this tab and reload it. \
                 Your browser offers to send everything again."
                    .to_owned(),
            ],
            Self::Framed { .. } => said(&[
                "You must sign in to see this part of the page. Never type a password into a page \
                 that is inside another page.",
            ]),
            Self::Unreachable { app } => vec![format!(
                "You have access, but {app} cannot be reached at the moment. Reload this page \
                 in a minute. If this continues, tell the administrator."
            )],
            Self::Unreadable { app } => vec![format!(
                "You have access, but {app} sent an invalid answer. If you sent something, it may \
                 have arrived: check before you send it again. If this continues, tell the \
                 administrator."
            )],
            Self::Late { app } => vec![format!(
                "You have access, but {app} took too long to answer. If you sent something, it may \
                 have arrived: check before you send it again."
            )],
            Self::Unavailable => said(&[
                "The site is busy, or cannot check your access at the moment. Reload this page in a \
                 minute.",
            ]),
            Self::WrongHost => said(&["Check the address that you typed or the link that you \
                 followed."]),
            Self::TooLarge => {
                said(&["You sent more than this form accepts. Go back and shorten it."])
            }
            Self::HeadTooLarge => {
                said(&["Your browser sent too much data with this request, most often because an \
                 application stored many cookies. Delete the cookies of this site and try again."])
            }
            Self::SpentLink => said(&[
                "Each link works once and for a limited time. If you have used it, sign in as \
                 usual. Otherwise ask for a new link.",
            ]),
            Self::SpentTicket { .. } => said(&[
                "The last step of your sign-in took too long, was used before, or began in \
                 another browser. Press the button to repeat it.",
            ]),
            Self::DoubledCookie { .. } => said(&[
                "One of the two sign-in cookies for this site may come from another site, so \
                 neither is accepted. Delete the cookies of this site, then continue.",
            ]),
            Self::OnlyAuthenticator => said(&[
                "Without it, two-factor would be off. If you want that, turn two-factor off. If \
                 you lost it or have a new one, replace it on your security page instead.",
            ]),
            Self::NotSignedIn { provider, purpose, stop, .. } => {
                vec![sentence_of(*stop, *purpose, provider)]
            }
            Self::NoPassword => said(&[
                "You sign in with an identity provider. If somebody else may know your password, change \
                 it there. If you need one here, too, ask the administrator for a link.",
            ]),
            Self::AddressKeptElsewhere => said(&[
                "Your address comes from your identity provider. Change it there; it is changed here at \
                 your next sign-in.",
            ]),
            Self::Frozen => said(&[
                "Nobody can sign in with the second factor that somebody else set up, and all \
                 your sessions have ended. That person knows your password, so do not use it \
                 anywhere else.",
                "Ask the administrator for a link. With it, you choose a new password and set up \
                 two-factor yourself.",
            ]),
            Self::SignedOut { .. } => said(&[
                "This browser was told to delete the pages that it stored. Other open tabs, saved \
                 files and data that an application stores in the browser remain. If others use \
                 this computer, close the browser, too.",
            ]),
        }
    }

    fn way_on(&self) -> Option<Way> {
        let way = |url: &str, label, target| Some(Way { url: url.to_owned(), label, target });
        match self {
            Self::NotFound | Self::NotAllowed | Self::Refused { .. } => {
                way("/.doorward/", "Go to the start page", None)
            }
            Self::Unsent { owed, url, is_ours: true } => way(url, owed.label(), None),
            Self::Unsent { owed, url, is_ours: false } => {
                way(url, owed.label_of_new_tab(), Some("_blank"))
            }
            Self::Framed { url } => way(url, "Open in a full window", Some("_top")),
            Self::OnlyAuthenticator => {
                way("/.doorward/security/turn-off", "Turn two-factor off", None)
            }
            Self::SpentLink => way("/.doorward/sign-in", "Sign in", None),
            Self::SpentTicket { url } | Self::DoubledCookie { url } => way(url, "Continue", None),
            Self::SignedOut { url, .. } => way(url, "Sign in again", None),
            Self::NotSignedIn { url, purpose: Purpose::Connect { .. }, .. } => {
                way(url, "Back to your accounts", None)
            }
            Self::NotSignedIn { url, .. } => way(url, "Try again", None),
            Self::NoPassword | Self::AddressKeptElsewhere => {
                way("/.doorward/security", "Back to the security page", None)
            }
            _ => None,
        }
    }

    /// Invisible pictures.
    pub(super) fn clears(&self) -> &[String] {
        match self {
            Self::SignedOut { clears, .. } => clears,
            _ => &[],
        }
    }

    /// The reference with which an operator finds the reason of a refusal.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Refused { reference } | Self::BadRequest { reference } => Some(reference),
            _ => None,
        }
    }
}

const fn status_of(stop: Stop) -> StatusCode {
    match stop {
        Stop::Spent => StatusCode::GONE,
        Stop::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Stop::Refused => StatusCode::BAD_GATEWAY,
        Stop::NameTaken | Stop::CannotConfirm | Stop::AccountTaken | Stop::TooMany => {
            StatusCode::CONFLICT
        }
        Stop::Waiting { .. } => StatusCode::TOO_MANY_REQUESTS,
        Stop::Denied | Stop::NotAdmitted | Stop::NoName | Stop::SomebodyElse | Stop::NotAgain => {
            StatusCode::FORBIDDEN
        }
    }
}

const fn heading_of(stop: Stop, purpose: Purpose) -> &'static str {
    match (purpose, stop) {
        (Purpose::SignIn, Stop::Spent) => "Please sign in once more",
        (Purpose::SignIn, _) => "You were not signed in",
        (Purpose::Confirm { .. }, _) => "Not confirmed",
        (Purpose::Connect { .. }, _) => "Not connected",
    }
}

fn sentence_of(stop: Stop, purpose: Purpose, provider: &str) -> String {
    match stop {
        Stop::Spent => format!(
            "The sign-in at {provider} took longer than ten minutes, was already finished, or was \
             started in another browser. Please try again."
        ),
        Stop::Denied => match purpose {
            Purpose::SignIn => format!("{provider} did not sign you in, or you cancelled."),
            Purpose::Confirm { .. } => {
                format!("{provider} did not confirm that it is you, or you cancelled.")
            }
            Purpose::Connect { .. } => {
                format!("{provider} did not confirm the account, or you cancelled.")
            }
        },
        Stop::Unavailable => {
            format!("{provider} does not answer at the moment. Please try again in a minute.")
        }
        Stop::Refused => format!(
            "The answer of {provider} was not accepted. Please try again. If this happens again, \
             tell the administrator."
        ),
        Stop::NotAdmitted => format!(
            "{provider} knows you, but your account there does not open this site. Use another \
             account, or ask the administrator."
        ),
        Stop::NameTaken => format!(
            "Somebody else here already has the name or address that you have at {provider}. If \
             that is you, ask the administrator to connect your account."
        ),
        Stop::NoName => format!(
            "{provider} did not tell us a name or a verified e-mail address. Allow that there, \
             or ask the administrator."
        ),
        Stop::SomebodyElse => format!(
            "This {provider} account cannot confirm that it is you. Use the account with which you \
             sign in here."
        ),
        Stop::AccountTaken => format!(
            "This {provider} account is connected to another user. Sign in at {provider} with \
             another account, or ask the administrator."
        ),
        Stop::TooMany => "You already have the maximum number of connected accounts. Disconnect \
                          one, then connect this one."
            .to_owned(),
        Stop::NotAgain => {
            format!("{provider} did not ask you to sign in again. Sign out there, then try again.")
        }
        Stop::CannotConfirm => {
            format!("{provider} cannot confirm that it is you. Sign out here and sign in again.")
        }
        Stop::Waiting { wait } => {
            format!("There were too many attempts. You can try again in {}.", in_words(wait))
        }
    }
}

impl Owed {
    const fn reason(self) -> &'static str {
        match self {
            Self::SignIn => "You are not signed in",
            Self::Challenge => "You must use your second factor first",
            Self::Confirm => "You must first confirm that it is you",
            Self::SetUp => "You must set up two-factor first",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in",
            Self::Challenge => "Use your second factor",
            Self::Confirm => "Confirm",
            Self::SetUp => "Set up two-factor",
        }
    }

    const fn label_of_new_tab(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in (new tab)",
            Self::Challenge => "Use your second factor (new tab)",
            Self::Confirm => "Confirm (new tab)",
            Self::SetUp => "Set up two-factor (new tab)",
        }
    }
}

fn said(sentences: &[&str]) -> Vec<String> {
    sentences.iter().map(|&sentence| sentence.to_owned()).collect()
}

/// A page that only shows a message.
#[derive(Template)]
#[template(path = "page/notice.html")]
pub struct NoticePage {
    /// The frame of the page.
    pub frame: Frame,
    /// How the user signs out, if the frame names one.
    pub leave: Leave,
    /// What is said.
    pub notice: Notice,
    /// The reference with which an operator finds the reason, if there may be one to find.
    pub reference: Option<String>,
}

/// How a user signs out and comes back, perhaps as somebody else.
#[derive(Clone, Debug, Default)]
pub struct Leave {
    /// Whether they are signed in, and not only about to be.
    pub is_signed_in: bool,
    /// The URL of the page.
    pub url: String,
}

/// The same for an unknown host: it names neither hosts nor the operator.
#[derive(Template)]
#[template(path = "page/nameless.html")]
pub struct NamelessPage {
    /// What is said.
    pub notice: Notice,
    /// As in [`NoticePage`].
    pub reference: Option<String>,
}

impl NamelessPage {
    const STYLE: &str = include_str!("../../../templates/nameless.css");

    /// The hash of the inline style for the content security policy (CSP3 §2.3.1).
    pub fn style_digest() -> &'static str {
        static DIGEST: LazyLock<String> = LazyLock::new(|| {
            format!("sha256-{}", BASE64.encode(&Sha256::digest(NamelessPage::STYLE)))
        });
        &DIGEST
    }
}
