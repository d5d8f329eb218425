//! Changing one's own password.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use crate::domain::password::Password;
use crate::flow::password::{Changed, change_password};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    new_password: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    if user.is_some_and(|user| user.password().is_none()) {
        return state.notice(Notice::NoPassword, &headers);
    }
    let return_to = PageQuery::of(query.as_deref()).return_to_or(&state, SECURITY);
    page(&state, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    headers: HeaderMap,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let again = |problem| page(&state, &guest, &return_to, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(problem));
    }
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let password = match state.chosen(&authenticated.user.identity, &typed.new_password) {
        Ok(password) => password,
        Err(problem) => return Ok(again(problem)),
    };
    Ok(match change_password(guest.acting(&state.env, &authenticated), password).await? {
        Changed::Now(given) => state.goes_on(&guest, &given, return_to.as_str()),
        Changed::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        Changed::Busy => again(Problem::Busy),
        Changed::None => state.notice(Notice::NoPassword, &headers),
        Changed::Over => to_sign_in(),
    })
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let authenticated = guest.authenticated.as_ref();
    let page = pages::ChangePassword {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        username: authenticated
            .map(|authenticated| authenticated.user.identity.name.clone())
            .unwrap_or_default(),
        at_least: Password::AT_LEAST,
        problem,
    };
    state.form_page(&page, problem)
}

/// Where the forms of the security page lead back to.
pub(super) const SECURITY: &str = "/.doorward/security";
