//! The page that asks for the password again.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use crate::domain::password::Password;
use crate::flow::confirm::{Confirm, confirm};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    password: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    if state.owes_nothing(&guest, &return_to) {
        return headers::see_other(return_to.as_str());
    }
    page(&state, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed: Typed { password }, doubt, return_to, .. } = form;
    let again = |problem| page(&state, &guest, &return_to, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(problem));
    }
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let password = Password::typed(&password);
    Ok(match confirm(guest.acting(&state.env, &authenticated), password).await? {
        Confirm::Confirmed(given) => state.goes_on(&guest, &given, return_to.as_str()),
        Confirm::Refused => again(Problem::Password),
        Confirm::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        Confirm::MustChange => again(Problem::MustChange),
        Confirm::Busy => again(Problem::Busy),
        Confirm::Over => to_sign_in(),
    })
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user);
    let page = pages::Confirm {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        username: user.map(|user| user.identity.name.clone()).unwrap_or_default(),
        has_password: user.is_none_or(|user| user.user.password().is_some()),
        providers: user.map(|user| state.confirming(&user.user, return_to)).unwrap_or_default(),
        lasts: state.env.config.confirm_for,
        problem,
    };
    state.form_page(&page, problem)
}
