//! Reading a new password.

use super::app_state::AppState;
use super::pages::Problem;
use crate::domain::identity::Identity;
use crate::domain::password::{Password, WeakPassword};

impl AppState {
    /// The password, unless it is easy to guess: it must not be made of what is known about its
    /// user or about this site.
    ///
    /// # Errors
    /// The problem that the page shows.
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
