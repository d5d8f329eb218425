//! Requesting a link to set a new password. The answer does not reveal which users exist.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use crate::domain::name::Login;
use crate::flow::forgot::forgot;

/// The field: an e-mail address or a user name.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    email: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    page(&state, &guest, &return_to, false, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let return_to = &form.return_to;
    if let Some(problem) = form.doubt {
        return Ok(page(&state, &guest, return_to, false, Some(problem)));
    }
    if state.env.config.mail.is_none() {
        return Ok(page(&state, &guest, return_to, false, None));
    }
    Ok(match forgot(&state.env, &guest.caller, Login::typed(&form.typed.email)) {
        Ok(()) => page(&state, &guest, return_to, true, None),
        Err(until) => {
            let wait = Problem::Wait(guest.caller.now.until(until));
            page(&state, &guest, return_to, false, Some(wait))
        }
    })
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    asked: bool,
    problem: Option<Problem>,
) -> Response {
    let page = pages::Forgot {
        frame: state.frame(),
        form: state.form(guest, return_to),
        mails: state.env.config.mail.is_some(),
        asked,
        problem,
    };
    state.form_page(&page, problem)
}
