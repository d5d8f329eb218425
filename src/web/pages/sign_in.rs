//! The pages around the password: sign in, confirm, choose one, sign out.

use std::time::Duration;

use askama::Template;

use super::words::in_words;
use super::{Form, Frame, Link, Problem, problem};

/// A form that asks for a passkey.
#[derive(Clone, Default)]
pub struct Passkey {
    /// Its fields, as HTML.
    pub fields: String,
    /// The signed value that says what was asked; empty if the session knows it.
    pub token: String,
}

/// Asks for user name and password.
#[derive(Template)]
#[template(path = "page/sign-in.html")]
pub struct SignIn {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The application that the visitor was going to, if there is one.
    pub app: Option<String>,
    /// The form for a passkey, if passkeys sign in here.
    pub passkey: Option<Passkey>,
    /// The previous input, so that it need not be typed again.
    pub username: String,
    /// The identity providers with which one can sign in instead.
    pub providers: Vec<Link>,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// Asks for the first factor again before a change of one's own protection (S16).
#[derive(Template)]
#[template(path = "page/confirm.html")]
pub struct Confirm {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// Whether the user has a password.
    pub has_password: bool,
    /// The identity providers where the user can sign in again instead.
    pub providers: Vec<Link>,
    /// The form for a passkey, if the user has one.
    pub passkey: Option<Passkey>,
    /// For how long the password is not asked for again.
    pub lasts: Duration,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

impl Confirm {
    fn span(&self) -> String {
        in_words(self.lasts)
    }
}

/// The target of a one-time link: choose a password. The form posts to the URL of its page, so that
/// the page does not contain the token.
#[derive(Template)]
#[template(path = "page/set-password.html")]
pub struct SetPassword {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields.
    pub form: Form,
    /// The name of the user, for the browser's password manager.
    pub username: String,
    /// Whether a code is asked for after the password.
    pub has_second_factor: bool,
    /// How many characters a password needs.
    pub at_least: usize,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}

/// One button to sign out.
#[derive(Template)]
#[template(path = "page/sign-out.html")]
pub struct SignOut {
    /// The frame of the page.
    pub frame: Frame,
    /// The hidden fields; a visitor who does not sign out goes to its `return_to`.
    pub form: Form,
    /// The problem, if the form is shown again.
    pub problem: Option<Problem>,
}
