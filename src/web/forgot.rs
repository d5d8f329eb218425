//! Asking for a link to set a new password. Whoever asks learns nothing of who there is.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::Desk;
use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use crate::domain::name::Login;
use crate::flow::forgot::forgot;

/// What is typed into it: an address, or a user name.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    email: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    page(&desk, &guest, &return_to, false, None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let return_to = &form.return_to;
    if let Some(problem) = form.doubt {
        return Ok(page(&desk, &guest, return_to, false, Some(problem)));
    }
    if desk.env.config.mail.is_none() {
        return Ok(page(&desk, &guest, return_to, false, None));
    }
    Ok(match forgot(&desk.env, &guest.caller, Login::typed(&form.typed.email)) {
        Ok(()) => page(&desk, &guest, return_to, true, None),
        Err(until) => {
            let wait = Problem::Wait(guest.caller.now.until(until));
            page(&desk, &guest, return_to, false, Some(wait))
        }
    })
}

fn page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    asked: bool,
    problem: Option<Problem>,
) -> Response {
    let page = pages::Forgot {
        frame: desk.frame(),
        form: desk.form(guest, return_to),
        mails: desk.env.config.mail.is_some(),
        asked,
        problem,
    };
    desk.form_page(&page, problem)
}
