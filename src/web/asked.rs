//! The query of our own pages: where the visitor was going, and what was chosen on the page.

use serde::Deserialize;

use super::app_state::AppState;
use super::return_to::ReturnTo;
use crate::policy::request::OWN;

/// The query of a page: where the visitor was going, and which way of the page is meant.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    return_to: String,
    /// By which method that was asked for; empty for a GET.
    method: String,
    /// Which kind of answer the challenge asks for.
    pub(super) kind: String,
}

impl Asked {
    /// Reads the query; what cannot be read counts as absent.
    pub(super) fn of(query: Option<&str>) -> Self {
        serde_html_form::from_str(query.unwrap_or_default()).unwrap_or_default()
    }

    /// Where the visitor was going, or, if nowhere, `home`.
    pub(super) fn return_to_or(&self, state: &AppState, home: &str) -> ReturnTo {
        let return_to = if self.return_to.is_empty() { home } else { &self.return_to };
        state.return_to(return_to).by(&self.method)
    }

    pub(super) fn return_to(&self, state: &AppState) -> ReturnTo {
        state.return_to(&self.return_to).by(&self.method)
    }
}

impl AppState {
    pub(super) fn return_to(&self, text: &str) -> ReturnTo {
        let place = ReturnTo::read(text, &self.site.origin);
        self.past_step(&place).unwrap_or(place)
    }

    /// Where a page leads on which something is shown, if `place` is one: nobody is going there for its
    /// own sake, and whoever has shown what is owed is not asked for it again.
    pub(super) fn past_step(&self, place: &ReturnTo) -> Option<ReturnTo> {
        let (path, query) = place.as_str().split_once('?').unwrap_or((place.as_str(), ""));
        let page = path.strip_prefix(OWN)?;
        ["sign-in", "challenge", "confirm"]
            .contains(&page)
            .then(|| Asked::of(Some(query)).return_to(self))
    }
}
