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
use crate::flow::passkey::confirm as confirm_by_passkey;
use crate::identity::Assertion;

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    password: String,
    /// Whether a passkey was used.
    passkey: String,
    /// The answer of the passkey.
    code: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    if state.owes_nothing(&guest, &return_to) {
        return Ok(headers::see_other(return_to.as_str()));
    }
    page(&state, &guest, &return_to, None).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed: Typed { password, passkey, code }, doubt, return_to, .. } = form;
    let again = |problem| page(&state, &guest, &return_to, Some(problem));
    if let Some(problem) = doubt {
        return again(problem).await;
    }
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let acting = guest.acting(&state.env, &authenticated);
    let by_passkey = !passkey.is_empty();
    let confirmed = if by_passkey {
        match Assertion::read(&code) {
            Some(sent) => confirm_by_passkey(acting, &sent).await?,
            None => Confirm::Refused,
        }
    } else {
        confirm(acting, Password::typed(&password)).await?
    };
    Ok(match confirmed {
        Confirm::Confirmed(given) => state.goes_on(&guest, &given, return_to.as_str()),
        Confirm::Refused if by_passkey => again(Problem::Passkey).await?,
        Confirm::Refused => again(Problem::Password).await?,
        Confirm::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))).await?,
        Confirm::MustChange => again(Problem::MustChange).await?,
        Confirm::Busy => again(Problem::Busy).await?,
        Confirm::Over => to_sign_in(),
    })
}

async fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user);
    let providers = match &guest.authenticated {
        Some(mine) => state.confirming(mine, return_to).await?,
        None => Vec::new(),
    };
    let page = pages::Confirm {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        username: user.map(|user| user.identity.name.clone()).unwrap_or_default(),
        has_password: user.is_none_or(|user| user.user.password().is_some()),
        providers,
        passkey: state.passkey_for_confirm(guest).await?,
        lasts: state.env.config.confirm_for,
        problem,
    };
    Ok(state.form_page(&page, problem))
}
