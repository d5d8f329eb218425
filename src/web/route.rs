//! One URL of our own: what it asks, on which hosts it is, and which handlers answer it.

use axum::routing::MethodRouter;

use super::app_state::AppState;
use crate::config::{Config, Site};
use crate::domain::assurance::Requirement;

/// One URL of ours.
#[derive(Debug)]
pub struct Route {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it asks of whoever opens it.
    pub asks: Asks,
    /// What it serves.
    pub serves: Serves,
    /// On which hosts it is.
    pub on: On,
    /// Whether something can be posted to it.
    pub takes_posts: bool,
    /// Whether its handlers run to their end even if the visitor closes the connection: what was
    /// charged before a password was hashed is then refunded all the same.
    pub(super) runs_to_its_end: bool,
    pub(super) answers: fn() -> MethodRouter<AppState>,
}

/// What a route asks; see "Own pages" in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// That the password was shown in this session.
    Step,
    /// A signed-in user, with a second factor if they have one.
    SignIn,
    /// What a change to one's own protection asks. No demand for a second factor keeps anybody
    /// out: it is met here.
    SetUp,
    /// What a change to one's own protection asks.
    Change,
    /// What a new password asks: the old one shown lately.
    Password,
}

/// On which hosts a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the portal; every other host leads there.
    Portal,
    /// On every host that is not the portal.
    Others,
    /// On every host.
    All,
}

impl On {
    pub(super) fn includes(self, site: &Site) -> bool {
        match self {
            Self::Portal => site.is_portal,
            Self::Others => !site.is_portal,
            Self::All => true,
        }
    }
}

/// What a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Pages with forms or secrets, for a person's window and nothing else.
    Page,
    /// What scripts and pages may load.
    Data,
}

impl Route {
    /// Whether this is the route at `path`.
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
    /// What that means in this configuration.
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
        runs_to_its_end: false,
        answers,
    }
}

pub(super) const fn form(
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route {
        path,
        asks,
        serves: Serves::Page,
        on: On::Portal,
        takes_posts: true,
        runs_to_its_end: true,
        answers,
    }
}

pub(super) const fn data(
    path: &'static str,
    asks: Asks,
    answers: fn() -> MethodRouter<AppState>,
) -> Route {
    Route {
        path,
        asks,
        serves: Serves::Data,
        on: On::All,
        takes_posts: false,
        runs_to_its_end: false,
        answers,
    }
}
