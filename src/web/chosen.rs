//! Reading a password that somebody chooses.

use super::Desk;
use super::pages::Problem;
use crate::domain::password::{Password, WeakPassword};

impl Desk {
    /// The password, if it is none that is guessed first: one must not be the name of whom it is for
    /// (`about`), nor of what it opens.
    ///
    /// # Errors
    /// What is wrong with it, for the page to say.
    pub(super) fn chosen(&self, about: &[&str], typed: &str) -> Result<Password, Problem> {
        let config = &self.env.config;
        let mut known = about.to_vec();
        known.push(config.portal.host());
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
