//! What a visitor sees: each page a struct of plain words, and the template that shows them.
//!
//! The sentences live here and in `templates/`, so that a handler only names the case. Nothing here
//! decides, and nothing is read from anywhere: a page is made of its fields alone.

mod access;
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

pub use access::{Ask, ChangeEmail, ChangePassword, Forgot, Mailed, Question};
pub use happened::Happened;
pub use home::{Home, TwoFactor};
pub use notice::{NamelessPage, Notice, NoticePage, Owed};
pub use offer::OfferPage;
pub use problem::Problem;
pub use second_factor::{
    Challenge, Kind, Later, NewAuthenticator, NewPlace, ProveFirst, RecoveryCodes, Rename, Scan,
    SetUp, Standing, Trust, TurnOff, recovery_codes_file,
};
pub use security::{
    Authenticator, CodesLeft, Demanded, Device, Protection, Row, Security, Session,
};
pub use sign_in::{Confirm, SetPassword, SignIn, SignOut};

/// What stands around every page.
#[derive(Clone, Default)]
pub struct Frame {
    /// Whose door this is: the name of the application, or of the portal.
    pub site: String,
    /// Whom to ask for help, as the operator wrote it: a mail address, an `https://` page, or words.
    pub support: Option<String>,
    /// The name of the user, where the visitor is signed in.
    pub user: Option<String>,
}

impl Frame {
    /// Where a click on [`Frame::support`] leads: mail for an address, the page for an `https://`
    /// URL, nowhere for words.
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

/// The hidden fields that every form of ours carries.
#[derive(Clone, Default)]
pub struct Form {
    /// The signed token that binds the form to the browser or the session.
    pub csrf: String,
    /// Where the visitor was going. Checked already: a URL of a configured origin, or a path.
    pub return_to: String,
    /// By which method they asked for it, where that was no GET: a word in upper case.
    pub method: Option<String>,
    /// The origins, besides this host's, to which the form leads in the end.
    pub leads_to: Vec<String>,
}

impl Form {
    /// Whether the way on is too long to be sent twice: the page's own address has it, too.
    fn is_long(&self) -> bool {
        self.return_to.len() > LONG
    }

    /// The same for a link to another page on the way: the parameters that say where it leads.
    fn query(&self) -> String {
        let return_to = escaped(&self.return_to);
        match &self.method {
            Some(method) => format!("return_to={return_to}&method={method}"),
            None => format!("return_to={return_to}"),
        }
    }
}

/// Up to here, in bytes, a form carries where its visitor was going.
const LONG: usize = 2048;

/// A page of ours: what it says, and the form that its visitor may send.
pub trait Page: Template {
    /// The hidden fields of its forms; `None`: it has no form.
    fn form(&self) -> Option<&Form>;

    /// Pictures that it loads besides our own, by their addresses.
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
    NewAuthenticator,
    OfferPage,
    ProveFirst,
    RecoveryCodes,
    Rename,
    Security,
    SetPassword,
    SetUp,
    SignIn,
    SignOut,
    TurnOff,
);

impl Page for NoticePage {
    fn form(&self) -> Option<&Form> {
        None
    }

    fn pictures(&self) -> &[String] {
        self.notice.clears()
    }
}

/// A place that a page points to.
#[derive(Clone)]
pub struct Link {
    /// What the visitor reads.
    pub name: String,
    /// Where it leads. Checked already.
    pub url: String,
}

/// A moment, in UTC.
#[derive(Clone)]
pub struct Moment {
    /// As `<time datetime>` wants it.
    pub machine: String,
    /// As people read it.
    pub words: String,
}

/// The page as HTML.
///
/// Rendering writes to memory and cannot fail in practice; should it fail all the same, that is
/// logged, and the visitor is told in one plain line.
pub fn html(page: &impl Template) -> String {
    page.render().unwrap_or_else(|why| {
        error!(%why, "cannot render a page");
        String::from(BROKEN)
    })
}

const BROKEN: &str = "<!doctype html><html lang=\"en\"><title>Please try again</title>\
    <h1>Please try again</h1><p>This page could not be shown. Please reload it in a moment.</html>";
