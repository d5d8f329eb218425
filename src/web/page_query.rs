//! The query of our own pages: where the visitor was going, and what they chose on the page.

use serde::Deserialize;

use super::app_state::AppState;
use super::return_to::ReturnTo;
use crate::config::Origin;
use crate::policy::OWN;

/// The query of a page: where the visitor was going, and the chosen variant of the page.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PageQuery {
    return_to: String,
    /// The method of the original request; empty for GET.
    method: String,
    /// The kind of answer that the challenge asks for.
    pub(super) kind: String,
    /// `password`: the sign-in page itself is wanted, even if it leads to a provider at once.
    pub(super) with: String,
    /// `confirm`: a provider is to ask for the first factor again.
    #[serde(rename = "for")]
    pub(super) purpose: String,
}

impl PageQuery {
    /// Reads the query; unreadable parameters count as absent.
    pub(super) fn of(query: Option<&str>) -> Self {
        serde_html_form::from_str(query.unwrap_or_default()).unwrap_or_default()
    }

    /// Where the visitor was going, or else `home`.
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
        let place = ReturnTo::read(text, &self.host.origin);
        self.past_step(&place).unwrap_or(place)
    }

    /// Where the page at `place` leads, if it is a page that only asks for something: nobody wants
    /// to go there, and users who have shown what is required are not asked again.
    pub(super) fn past_step(&self, place: &ReturnTo) -> Option<ReturnTo> {
        past_step(place, &self.host.origin)
    }
}

/// Skips one such page, and uses the home page if another follows: our pages never lead from one
/// such page to another. Skipping a thousand nested ones would mean parsing each.
fn past_step(place: &ReturnTo, origin: &Origin) -> Option<ReturnTo> {
    let PageQuery { return_to, method, .. } = PageQuery::of(Some(query_of_step(place)?));
    let behind = ReturnTo::read(&return_to, origin).by(&method);
    Some(if query_of_step(&behind).is_some() { ReturnTo::root() } else { behind })
}

/// The query of the page at `place`, if it is a page that only asks for something.
fn query_of_step(place: &ReturnTo) -> Option<&str> {
    let (path, query) = place.as_str().split_once('?').unwrap_or((place.as_str(), ""));
    let page = path.strip_prefix(OWN)?;
    ["sign-in", "challenge", "confirm"].contains(&page).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::super::return_to::READ;
    use super::*;

    #[test]
    fn a_step_leads_to_what_stands_behind_it_and_many_are_not_gone_through() {
        let origin = "https://crm.example.com".parse().unwrap();
        let past = |text: &str| {
            let behind = past_step(&ReturnTo::read(text, &origin), &origin);
            behind.map(|place| place.as_str().to_owned())
        };
        let step = "/.doorward/sign-in?return_to=";
        assert_eq!(past("/a"), None);
        assert_eq!(past("/.doorward/sign-in").as_deref(), Some("/"));
        assert_eq!(past(&format!("{step}/a?b=c")).as_deref(), Some("/a?b=c"));
        assert_eq!(past(&format!("{step}{step}/a")).as_deref(), Some("/"));
        let nested = format!("{}/a", step.repeat(2_000));
        READ.set(0);
        assert_eq!(past(&nested).as_deref(), Some("/"));
        assert!(READ.get() <= 2 * nested.len(), "{} of {}", READ.get(), nested.len());
    }
}
