//! The sign-in page.

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
use crate::domain::name::Login;
use crate::domain::password::Password;
use crate::flow::sign_in::{SignIn, sign_in};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    username: String,
    password: String,
    /// What a passkey was asked, signed; empty if none was used.
    passkey: String,
    /// The answer of the passkey.
    code: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = PageQuery::of(query.as_deref());
    let return_to = asked.return_to(&state);
    // A signed-in user continues; their URL asks for anything else that is required.
    if guest.is_signed_in() {
        return headers::see_other(return_to.as_str());
    }
    if let Some(provider) = state.only_provider() {
        if asked.with != "password" {
            let page = format!("sign-in/provider/{}", provider.settings().name);
            return headers::see_other(&return_to.through(&page));
        }
        // The form may lead there.
        state.learn_origins(std::iter::once(provider), guest.caller.now).await;
    }
    page(&state, &guest, &return_to, String::new(), None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, is_from_before, return_to } = form;
    let Typed { username, password, passkey, code } = typed;
    // Signed in meanwhile in another tab: the input is not needed any more.
    if guest.is_signed_in() && is_from_before {
        return Ok(headers::see_other(return_to.as_str()));
    }
    let again = |username, problem| page(&state, &guest, &return_to, username, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(username, problem));
    }
    let by_passkey = !passkey.is_empty();
    let signed_in = if by_passkey {
        state.sign_in_by_passkey(&guest, &passkey, &code).await?
    } else {
        let (login, password) = (Login::typed(&username), Password::typed(&password));
        sign_in(&state.env, &guest.caller, &login, password).await?
    };
    Ok(match signed_in {
        SignIn::Begun(given) => state.onward(&guest, &given, &return_to),
        SignIn::Refused if by_passkey => again(username, Problem::Passkey),
        SignIn::Refused => again(username, Problem::SignIn),
        SignIn::Waiting { until } => again(username, Problem::Wait(guest.caller.now.until(until))),
        SignIn::MustChange => again(username, Problem::MustChange),
        SignIn::Busy => again(username, Problem::Busy),
    })
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    username: String,
    problem: Option<Problem>,
) -> Response {
    let page = pages::SignIn {
        frame: state.frame(),
        form: state.form(guest, return_to),
        app: state.app_at(return_to).map(|app| app.name.clone()),
        passkey: state.passkey_for_sign_in(guest),
        username,
        providers: state.providers(return_to),
        problem,
    };
    state.form_page(&page, problem)
}
