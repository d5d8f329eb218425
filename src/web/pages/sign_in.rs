//! The pages around the password: sign in, confirm, choose one, sign out.

use std::time::Duration;

use askama::Template;

use super::words::in_words;
use super::{Form, Frame, Problem, problem};

/// Asks for user name and password.
#[derive(Template)]
#[template(path = "page/sign-in.html")]
pub struct SignIn {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The application that the visitor was going to, where they were going to one.
    pub app: Option<String>,
    /// What was typed before, so that it need not be typed again.
    pub username: String,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// Asks for the password again before a change of one's protection (S16).
#[derive(Template)]
#[template(path = "page/confirm.html")]
pub struct Confirm {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// For how long the password is not asked again.
    pub lasts: Duration,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

impl Confirm {
    fn span(&self) -> String {
        in_words(self.lasts)
    }
}

/// Where a one-time link leads: choose a password. The form goes to the page's own address, so
/// that the token stands nowhere in the page.
#[derive(Template)]
#[template(path = "page/set-password.html")]
pub struct SetPassword {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// Whether a code is asked for after the password.
    pub has_second_factor: bool,
    /// How many characters a password needs.
    pub at_least: usize,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}

/// One button that ends the visit.
#[derive(Template)]
#[template(path = "page/sign-out.html")]
pub struct SignOut {
    /// What stands around the page.
    pub frame: Frame,
    /// The hidden fields; whoever stays goes to its `return_to`.
    pub form: Form,
    /// Why the page comes back.
    pub problem: Option<Problem>,
}
