//! The sign-in page.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::domain::name::Login;
use crate::domain::password::Password;
use crate::flow::sign_in::{SignIn, sign_in};

/// What is typed into it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    username: String,
    password: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    // Whoever is signed in already goes on; what else is owed there, that place will ask.
    if guest.visit.is_some() {
        return headers::see_other(return_to.as_str());
    }
    page(&desk, &guest, &return_to, String::new(), None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed: Typed { username, password }, doubt, is_from_before, return_to } = form;
    // Signed in meanwhile, in another tab: what is typed here is not needed any more.
    if guest.visit.is_some() && is_from_before {
        return Ok(headers::see_other(return_to.as_str()));
    }
    let again = |username, problem| page(&desk, &guest, &return_to, username, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(username, problem));
    }
    let (login, password) = (Login::typed(&username), Password::typed(&password));
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { sign_in(&env, &caller, &login, password).await };
    Ok(match desk.outlive(deed).await? {
        SignIn::Begun(given) => desk.onward(&guest, &given, &return_to),
        SignIn::Refused => again(username, Problem::SignIn),
        SignIn::Waiting { until } => again(username, Problem::Wait(guest.caller.now.until(until))),
        SignIn::Busy => again(username, Problem::Busy),
    })
}

fn page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    username: String,
    problem: Option<Problem>,
) -> Response {
    let page = pages::SignIn {
        frame: desk.frame(),
        form: desk.form(guest, return_to),
        app: desk.app_at(return_to).map(|app| app.name.clone()),
        username,
        problem,
    };
    desk.form_page(&page, problem)
}
