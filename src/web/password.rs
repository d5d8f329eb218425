//! Changing one's own password.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::domain::password::Password;
use crate::flow::password::{Changed, change_password};

/// What is typed into it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    new_password: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to_or(&desk, SECURITY);
    page(&desk, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let again = |problem| page(&desk, &guest, &return_to, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(problem));
    }
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(visit) = guest.visit.clone() else { return Ok(to_sign_in()) };
    let password = match desk.chosen(&visit.user.identity, &typed.new_password) {
        Ok(password) => password,
        Err(problem) => return Ok(again(problem)),
    };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { change_password(&env, &caller, &visit, password).await };
    Ok(match desk.outlive(deed).await? {
        Changed::Now(given) => desk.goes_on(&guest, &given, return_to.as_str()),
        Changed::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        Changed::Busy => again(Problem::Busy),
        Changed::Over => to_sign_in(),
    })
}

fn page(desk: &Desk, guest: &Guest, return_to: &ReturnTo, problem: Option<Problem>) -> Response {
    let visit = guest.visit.as_ref();
    let page = pages::ChangePassword {
        frame: desk.frame_for(guest),
        form: desk.form(guest, return_to),
        username: visit.map(|visit| visit.user.identity.name.clone()).unwrap_or_default(),
        at_least: Password::AT_LEAST,
        problem,
    };
    desk.form_page(&page, problem)
}

/// Where deeds of the security page lead back to.
pub(super) const SECURITY: &str = "/.doorward/security";
