//! The target of a one-time link. Opening it only shows a form, because mail scanners and previews
//! open links, too.

use axum::extract::{Path, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::app_state::AppState;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use crate::domain::link::Purpose;
use crate::domain::password::Password;
use crate::domain::secret::Token;
use crate::flow::email::{Verified, verify_email};
use crate::flow::link::{Addressee, PasswordSet, look, set_password};
use crate::flow::not_me::not_me;

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    password: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    Ok(match addressee(&state, &guest, &token).await? {
        Some((_, addressee)) => page(&state, &guest, &addressee, None),
        None => state.notice(Notice::SpentLink, &headers),
    })
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Some((token, addressee)) = addressee(&state, &guest, &token).await? else {
        return Ok(state.notice(Notice::SpentLink, &headers));
    };
    if let Some(problem) = form.doubt {
        return Ok(page(&state, &guest, &addressee, Some(problem)));
    }
    match addressee.purpose {
        Purpose::SetPassword | Purpose::ResetPassword => {
            sets_a_password(&state, &guest, &addressee, token, &headers, &form).await
        }
        Purpose::VerifyEmail => verifies(&state, &guest, &addressee, token, &headers).await,
        Purpose::NotMe => says_not_me(&state, &guest, token, &headers).await,
    }
}

async fn addressee(
    state: &AppState,
    guest: &Guest,
    token: &str,
) -> Result<Option<(Token, Addressee)>, Trouble> {
    let Some(token) = Token::parse(token) else { return Ok(None) };
    let addressee = look(&state.env, &guest.caller, &token).await?;
    Ok(addressee.map(|addressee| (token, addressee)))
}

async fn sets_a_password(
    state: &AppState,
    guest: &Guest,
    addressee: &Addressee,
    token: Token,
    headers: &HeaderMap,
    form: &Form<Typed>,
) -> Result<Response, Trouble> {
    let again = |problem| page(state, guest, addressee, Some(problem));
    let password = match state.chosen(&addressee.identity, &form.typed.password) {
        Ok(password) => password,
        Err(problem) => return Ok(again(problem)),
    };
    Ok(match set_password(&state.env, &guest.caller, &token, password).await? {
        PasswordSet::Set(given) => state.onward(guest, &given, &form.return_to),
        PasswordSet::Dead => state.notice(Notice::SpentLink, headers),
        PasswordSet::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        PasswordSet::Busy => again(Problem::Busy),
    })
}

async fn verifies(
    state: &AppState,
    guest: &Guest,
    addressee: &Addressee,
    token: Token,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    Ok(match verify_email(&state.env, &guest.caller, &token).await? {
        Verified::Now => headers::see_other("/.doorward/security"),
        Verified::Dead => state.notice(Notice::SpentLink, headers),
        Verified::Taken => page(state, guest, addressee, Some(Problem::AddressTaken)),
    })
}

async fn says_not_me(
    state: &AppState,
    guest: &Guest,
    token: Token,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let frozen = not_me(&state.env, &guest.caller, &token).await?;
    Ok(state.notice(if frozen { Notice::Frozen } else { Notice::SpentLink }, headers))
}

/// The form posts to the URL of its page, so that the page does not contain the token.
fn page(
    state: &AppState,
    guest: &Guest,
    addressee: &Addressee,
    problem: Option<Problem>,
) -> Response {
    let form = state.form(guest, &ReturnTo::root());
    let question = |what: pages::Question| {
        let page = pages::Ask { frame: state.frame(), form: form.clone(), what, problem };
        state.form_page(&page, problem)
    };
    match addressee.purpose {
        Purpose::VerifyEmail => question(pages::Question::VerifyEmail {
            address: addressee.new_email.clone().unwrap_or_default(),
            username: addressee.identity.name.clone(),
        }),
        Purpose::NotMe => {
            question(pages::Question::NotMe { username: addressee.identity.name.clone() })
        }
        Purpose::SetPassword | Purpose::ResetPassword => {
            let page = pages::SetPassword {
                frame: state.frame(),
                form: form.clone(),
                username: addressee.identity.name.clone(),
                has_second_factor: addressee.has_second_factor,
                at_least: Password::AT_LEAST,
                problem,
            };
            state.form_page(&page, problem)
        }
    }
}
