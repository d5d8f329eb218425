//! Reading a password that somebody chooses.

use super::app_state::AppState;
use super::pages::Problem;
use crate::domain::identity::Identity;
use crate::domain::password::{Password, WeakPassword};

impl AppState {
    /// The password, if it is none that is guessed first: one must be made neither of what is known
    /// of whom it is for, nor of what it opens.
    ///
    /// # Errors
    /// What is wrong with it, for the page to say.
    pub(super) fn chosen(&self, whom: &Identity, typed: &str) -> Result<Password, Problem> {
        let config = &self.env.config;
        let mut known = vec![whom.name.as_str(), config.portal.host()];
        known.extend(whom.full_name.as_deref());
        known.extend(whom.email.as_deref());
        known.extend(config.apps.iter().map(|app| app.name.as_str()));
        Password::chosen(typed, &known).map_err(problem)
    }
}

fn problem(weak: WeakPassword) -> Problem {
    match weak {
        WeakPassword::TooShort => Problem::TooShort(Password::AT_LEAST),
        WeakPassword::TooLong => Problem::TooLong(Password::AT_MOST),
        WeakPassword::Common => Problem::TooCommon,
        WeakPassword::Personal => Problem::TooPersonal,
        WeakPassword::Unusable => Problem::Untypable,
    }
}
