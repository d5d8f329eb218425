//! One of our own URLs: what it requires, on which hosts it exists, and its handlers.

use axum::routing::MethodRouter;

use super::app_state::AppState;
use crate::config::{Config, Host};
use crate::domain::assurance::Requirement;

/// One of our own URLs.
#[derive(Debug)]
pub struct Route {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it requires.
    pub asks: Asks,
    /// What it serves.
    pub serves: Serves,
    /// On which hosts it exists.
    pub on: On,
    /// Whether it accepts a POST.
    pub takes_posts: bool,
    /// The page with its form, if it has no page of its own.
    pub shown_on: Option<&'static str>,
    /// Whether its handlers run to the end even if the visitor closes the connection, so that what
    /// was charged before hashing a password is still given back.
    pub(super) runs_to_its_end: bool,
    pub(super) answers: fn() -> MethodRouter<AppState>,
}

/// What a route requires; see "Own pages" in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// The password was shown in this session.
    Step,
    /// A signed-in user, with a second factor if they have one.
    SignIn,
    /// What a change of one's own protection requires. A demand for a second factor refuses nobody:
    /// it is met here.
    SetUp,
    /// What a change of one's own protection requires.
    Change,
    /// What a new password requires: the old one, shown lately.
    Password,
}

/// On which hosts a route exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the portal; every other host redirects there.
    Portal,
    /// On every host but the portal.
    Others,
    /// On every host.
    All,
}

impl On {
    pub(super) fn includes(self, host: &Host) -> bool {
        match self {
            Self::Portal => host.is_portal,
            Self::Others => !host.is_portal,
            Self::All => true,
        }
    }
}

/// What a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Pages with forms or secrets, for a window only.
    Page,
    /// What scripts and pages may load.
    Data,
}

impl Route {
    /// Whether this is the route for `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(part), Some(theirs)) if part == theirs || part.starts_with('{') => {}
                _ => return false,
            }
        }
    }
}

impl Asks {
    /// The requirement in this configuration.
    pub fn requirement(self, config: &Config) -> Requirement {
        match self {
            Self::Nothing => Requirement::nothing(),
            Self::Step => Requirement::step(),
            Self::SignIn => Requirement::sign_in(),
            Self::SetUp | Self::Change => Requirement::change(config.confirm_for),
            Self::Password => Requirement::password(config.confirm_for),
        }
    }
}

pub(super) const fn page(
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route {
        path,
        asks,
        serves: Serves::Page,
        on: On::Portal,
        takes_posts: false,
        shown_on: None,
        runs_to_its_end: false,
        answers,
    }
}

pub(super) const fn form(
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route { takes_posts: true, runs_to_its_end: true, ..page(path, asks, answers) }
}

/// What the forms of another page are sent to.
pub(super) const fn form_on(
    shown_on: &'static str,
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route { shown_on: Some(shown_on), ..form(path, asks, answers) }
}

pub(super) const fn data(
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route { serves: Serves::Data, on: On::All, ..page(path, asks, answers) }
}
