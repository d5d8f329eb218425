//! What a visitor sees: each page is a struct of plain values with a template.
//!
//! The sentences are here and in `templates/`, so that a handler only names the case. Nothing here
//! makes decisions or reads data: a page depends on its fields only.

mod access;
mod factor;
mod happened;
mod home;
mod notice;
mod offer;
mod problem;
mod second_factor;
mod security;
mod sign_in;
mod words;

use askama::Template;
use tracing::error;

use super::return_to::escaped;

pub use access::{
    Ask, ChangeEmail, ChangePassword, Connected, Forgot, Mailed, Providers, Question,
};
pub use factor::{Inputs, NewPlace, Part, Said, SetUpWords, Step, Steps, Texted};
pub use happened::Happened;
pub use home::{Home, TwoFactor};
pub use notice::{Leave, NamelessPage, Notice, NoticePage, Owed};
pub use offer::OfferPage;
pub use problem::{Problem, described};
pub use second_factor::{
    Challenge, Later, NewFactor, NotYet, ProveFirst, Proving, RecoveryCodes, Rename,
    SecurityKeyHelp, SetUp, Standing, Trust, TurnOff, recovery_codes_file,
};
pub use security::{
    Accounts, CodesLeft, Demanded, Device, Factor, Protection, Row, Security, Session,
};
pub use sign_in::{Confirm, Passkey, SetPassword, SignIn, SignOut};

/// The frame of every page.
#[derive(Clone, Default)]
pub struct Frame {
    /// The name of the application or of the portal.
    pub site: String,
    /// Whom to ask for help, as configured: an e-mail address, an `https://` page, or text.
    pub support: Option<String>,
    /// The name of the user, if the visitor is signed in.
    pub user: Option<String>,
}

impl Frame {
    /// The target of [`Frame::support`]: `mailto:` for an address, the page for an `https://` URL,
    /// none for text.
    pub fn support_href(&self) -> Option<String> {
        let support = self.support.as_deref()?;
        let one_word = !support.contains(char::is_whitespace);
        if one_word && support.starts_with("https://") {
            Some(support.to_owned())
        } else if one_word && support.contains('@') {
            Some(format!("mailto:{support}"))
        } else {
            None
        }
    }
}

/// The hidden fields of every form.
#[derive(Clone, Default)]
pub struct Form {
    /// The signed token that binds the form to the browser or the session.
    pub csrf: String,
    /// Where the visitor was going. Already checked: a URL of a configured origin, or a path.
    pub return_to: String,
    /// The method of that request if it was not GET: a word in upper case.
    pub method: Option<String>,
    /// The origins, besides this host, where the form may lead.
    pub leads_to: Vec<String>,
}

impl Form {
    /// Whether that URL is too long to be sent twice: the URL of the page has it, too.
    fn is_long(&self) -> bool {
        self.return_to.len() > LONG
    }

    /// The same for a link to another page on the way, as parameters.
    fn query(&self) -> String {
        let return_to = escaped(&self.return_to);
        match &self.method {
            Some(method) => format!("return_to={return_to}&method={method}"),
            None => format!("return_to={return_to}"),
        }
    }
}

/// Up to this length, in bytes, a form repeats where its visitor was going.
const LONG: usize = 2048;

/// One of our own pages: its content and its form.
pub trait Page: Template {
    /// The hidden fields of its forms; `None`: it has no form.
    fn form(&self) -> Option<&Form>;

    /// The URLs of pictures that it loads besides our own.
    fn pictures(&self) -> &[String] {
        &[]
    }
}

macro_rules! pages_with_a_form {
    ($($page:ty),* $(,)?) => {
        $(impl Page for $page {
            fn form(&self) -> Option<&Form> {
                Some(&self.form)
            }
        })*
    };
}

pages_with_a_form!(
    Ask,
    Challenge,
    ChangeEmail,
    ChangePassword,
    Confirm,
    Forgot,
    Home,
    NewFactor,
    OfferPage,
    ProveFirst,
    Providers,
    RecoveryCodes,
    Rename,
    Security,
    SetPassword,
    SetUp,
    SignIn,
    SignOut,
    TurnOff,
);

impl Page for NotYet {
    fn form(&self) -> Option<&Form> {
        None
    }
}

impl Page for SecurityKeyHelp {
    fn form(&self) -> Option<&Form> {
        None
    }
}

impl Page for NoticePage {
    fn form(&self) -> Option<&Form> {
        None
    }

    fn pictures(&self) -> &[String] {
        self.notice.clears()
    }
}

/// A link on a page.
#[derive(Clone)]
pub struct Link {
    /// Its text.
    pub name: String,
    /// Its target. Already checked.
    pub url: String,
}

/// A moment, in UTC.
#[derive(Clone)]
pub struct Moment {
    /// For `<time datetime>`.
    pub machine: String,
    /// For people.
    pub words: String,
}

/// The page as HTML.
///
/// Rendering writes to memory and does not fail in practice. If it fails, that is logged, and the
/// visitor gets one plain line.
pub fn html(page: &impl Template) -> String {
    page.render().unwrap_or_else(|why| {
        error!(%why, "cannot render a page");
        String::from(BROKEN)
    })
}

const BROKEN: &str = "<!doctype html><html lang=\"en\"><title>Please try again</title>\
    <h1>Please try again</h1><p>This page could not be shown. Please reload it in a moment.</html>";
