//! Where a one-time link leads. Opening it does nothing but show a form: mail scanners and previews
//! open links, too.

use axum::extract::{Path, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::Desk;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use crate::domain::password::{Password, WeakPassword};
use crate::domain::secret::Token;
use crate::flow::link::{Addressee, PasswordSet, look, set_password};

/// What is typed into the form.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    password: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    Ok(match addressee(&desk, &guest, &token).await? {
        Some((_, addressee)) => page(&desk, &guest, &addressee, None),
        None => desk.notice(Notice::SpentLink, &headers),
    })
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Some((token, addressee)) = addressee(&desk, &guest, &token).await? else {
        return Ok(desk.notice(Notice::SpentLink, &headers));
    };
    let again = |problem| page(&desk, &guest, &addressee, Some(problem));
    if let Some(problem) = form.doubt {
        return Ok(again(problem));
    }
    let password = match chosen(&desk, &addressee, &form.typed.password) {
        Ok(password) => password,
        Err(weak) => return Ok(again(problem(weak))),
    };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { set_password(&env, &caller, &token, password).await };
    Ok(match desk.outlive(deed).await? {
        PasswordSet::Set(given) => desk.onward(&guest, &given, &form.return_to),
        PasswordSet::Dead => desk.notice(Notice::SpentLink, &headers),
        PasswordSet::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        PasswordSet::Busy => again(Problem::Busy),
    })
}

async fn addressee(
    desk: &Desk,
    guest: &Guest,
    token: &str,
) -> Result<Option<(Token, Addressee)>, Trouble> {
    let Some(token) = Token::parse(token) else { return Ok(None) };
    let addressee = look(&desk.env, &guest.caller, &token).await?;
    Ok(addressee.map(|addressee| (token, addressee)))
}

/// A password must not be the name of whom it is for, nor of what it opens.
fn chosen(desk: &Desk, addressee: &Addressee, typed: &str) -> Result<Password, WeakPassword> {
    let config = &desk.env.config;
    let mut known = vec![addressee.name.as_str(), config.portal.host()];
    known.extend(config.apps.iter().map(|app| app.name.as_str()));
    known.extend(addressee.email.as_deref());
    Password::chosen(typed, &known)
}

fn problem(weak: WeakPassword) -> Problem {
    match weak {
        WeakPassword::TooShort => Problem::TooShort(Password::AT_LEAST),
        WeakPassword::TooLong => Problem::TooLong(Password::AT_MOST),
        WeakPassword::Common => Problem::TooCommon,
        WeakPassword::Personal => Problem::TooPersonal,
        WeakPassword::Unusable => Problem::Untypable,
    }
}

fn page(desk: &Desk, guest: &Guest, addressee: &Addressee, problem: Option<Problem>) -> Response {
    let page = pages::SetPassword {
        frame: desk.frame(),
        form: desk.form(guest, &ReturnTo::root()),
        username: addressee.name.clone(),
        has_second_factor: addressee.has_second_factor,
        at_least: Password::AT_LEAST,
        problem,
    };
    desk.form_page(&page, problem)
}
