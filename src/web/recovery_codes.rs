//! The recovery codes: saving new ones, viewing them again, creating new ones.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use super::{headers, refusal, security};
use crate::domain::factor::recovery::{self, RecoveryCodes};
use crate::domain::user::User;
use crate::flow::recovery_codes::{look, renew};
use crate::flow::set_up::save_codes;

/// The fields of the page with the codes.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Saved {
    saved: String,
}

pub(super) async fn show_codes(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    codes_page(&state, &guest, &return_to, None)
}

pub(super) async fn submit_codes(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Saved>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let problem = doubt.or_else(|| typed.saved.is_empty().then_some(Problem::Expired));
    if problem.is_some() {
        return Ok(codes_page(&state, &guest, &return_to, problem));
    }
    if let Some(authenticated) = &guest.authenticated {
        save_codes(guest.acting(&state.env, authenticated)).await?;
    }
    Ok(headers::see_other(return_to.as_str()))
}

fn codes_page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let Some(authenticated) = &guest.authenticated else {
        return headers::see_other(return_to.as_str());
    };
    let unsaved = authenticated.user.user.recovery_codes().filter(|codes| !codes.are_saved());
    let Some(codes) = unsaved else { return headers::see_other(return_to.as_str()) };
    let page = pages::RecoveryCodes {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        codes: grouped(codes),
        issuer: state.env.config.issuer.clone(),
        username: authenticated.user.identity.name.clone(),
        to_be_saved: true,
        problem,
    };
    state.form_page(&page, problem)
}

fn grouped(codes: &RecoveryCodes) -> Vec<String> {
    codes.unused().map(recovery::Code::expose_grouped).collect()
}

/// The unused codes as a text file.
pub(super) async fn codes_file(
    State(state): State<AppState>,
    guest: Guest,
) -> Result<Response, Trouble> {
    let back = || headers::see_other(security::place().as_str());
    let Some(authenticated) = &guest.authenticated else { return Ok(back()) };
    let Some(codes) = look(guest.acting(&state.env, authenticated)).await? else {
        return Ok(back());
    };
    let (issuer, name) = (&state.env.config.issuer, &authenticated.user.identity.name);
    let text = pages::recovery_codes_file(issuer, name, &grouped(&codes));
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers::harden(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let host = state.env.config.portal.host();
    let disposition = format!("attachment; filename=\"recovery-codes-{host}.txt\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// The unused codes again.
pub(super) async fn view(State(state): State<AppState>, guest: Guest) -> Result<Response, Trouble> {
    let back = || headers::see_other(security::place().as_str());
    let Some(authenticated) = &guest.authenticated else { return Ok(back()) };
    let Some(codes) = look(guest.acting(&state.env, authenticated)).await? else {
        return Ok(back());
    };
    if !codes.are_saved() {
        return Ok(headers::see_other(&security::place().through(refusal::SAVE_CODES)));
    }
    let page = pages::RecoveryCodes {
        frame: state.frame_for(&guest),
        form: state.form(&guest, &security::place()),
        codes: grouped(&codes),
        issuer: state.env.config.issuer.clone(),
        username: authenticated.user.identity.name.clone(),
        to_be_saved: false,
        problem: None,
    };
    Ok(state.page(StatusCode::OK, &page))
}

pub(super) async fn ask_for_new(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to =
        PageQuery::of(query.as_deref()).return_to_or(&state, security::place().as_str());
    new_page(&state, &guest, &return_to, None)
}

pub(super) async fn make_new(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let Form { doubt, return_to, .. } = form;
    let Some(authenticated) = guest.authenticated.clone().filter(|_| doubt.is_none()) else {
        return Ok(new_page(&state, &guest, &return_to, doubt));
    };
    let renewed = renew(guest.acting(&state.env, &authenticated)).await?;
    let to = return_to.through(refusal::SAVE_CODES);
    Ok(headers::see_other(if renewed { &to } else { return_to.as_str() }))
}

fn new_page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let user = guest.authenticated.as_ref().map(|authenticated| &authenticated.user.user);
    let Some(left) = user.and_then(User::recovery_codes_left) else {
        return headers::see_other(return_to.as_str());
    };
    let what = pages::Question::NewRecoveryCodes { left };
    state.question_page(guest, return_to, what, problem)
}
