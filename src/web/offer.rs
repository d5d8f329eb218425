//! The offer after a sign-in: set up two-factor, replace a lost authenticator, or create new
//! recovery codes. It can be declined, and the visitor continues to their URL either way.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::{chosen, words};
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use crate::flow::AuthenticatedRequest;
use crate::flow::next::{Offer, fits};
use crate::flow::offer::decline;

/// The form has only a button.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Pressed {
    not_now: String,
}

/// Pages about one's own protection: no offer is needed on the way to them.
const CARE: [&str; 3] = ["/.doorward/security", "/.doorward/set-up", "/.doorward/recovery-codes"];

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    page(&state, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let problem = doubt.or_else(|| typed.not_now.is_empty().then_some(Problem::Expired));
    if problem.is_some() {
        return Ok(page(&state, &guest, &return_to, problem));
    }
    if let Some(authenticated) = &guest.authenticated {
        decline(guest.acting(&state.env, authenticated)).await?;
    }
    Ok(headers::see_other(return_to.as_str()))
}

/// The offer that fits now; without one, the page redirects.
fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let authenticated = guest.authenticated.as_ref();
    let Some(offer) =
        authenticated.and_then(|authenticated| state.offer(guest, authenticated, return_to))
    else {
        return headers::see_other(return_to.as_str());
    };
    let operation = match offer {
        Offer::SetUp => "set-up",
        Offer::Replace { .. } => "security/replace",
        Offer::NewCodes { .. } => "security/recovery-codes/regenerate",
    };
    let page = pages::OfferPage {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        offer,
        url: return_to.through(operation),
        takes: words(chosen(&state.env.config, "")).takes,
        problem,
    };
    state.form_page(&page, problem)
}

impl AppState {
    /// What this guest is offered on the way to `place`; `None` if that page does the same.
    fn offer(
        &self,
        guest: &Guest,
        authenticated: &AuthenticatedRequest,
        place: &ReturnTo,
    ) -> Option<Offer> {
        let path = place.as_str().split('?').next().unwrap_or_default();
        if CARE.iter().any(|page| path.starts_with(page)) {
            return None;
        }
        let proofs = authenticated.visitor(&self.env, None, guest.caller.now).proofs;
        let offer = fits(&self.env, &authenticated.user.user, &proofs, guest.caller.now)?;
        let demanded = || self.demanded_by(guest, authenticated, place).is_some();
        (offer != Offer::SetUp || !demanded()).then_some(offer)
    }
}
