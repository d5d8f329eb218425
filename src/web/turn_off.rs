//! Turning two-factor off.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::challenge::problem;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Kind, Problem};
use super::{Desk, headers, security};
use crate::domain::factor::{Answer, Rejection};
use crate::flow::turn_off::{TurnOff, turn_off};

/// What is typed into it: a code of the app, or a recovery code.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    code: String,
}

pub(super) async fn show(State(desk): State<Desk>, guest: Guest) -> Response {
    page(&desk, &guest, None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let again = |problem| page(&desk, &guest, Some(problem));
    if let Some(problem) = form.doubt {
        return Ok(again(problem));
    }
    let Some(visit) = guest.visit.clone() else {
        return Ok(headers::see_other(&security::place().through("sign-in")));
    };
    let Ok((answer, kind)) = read(&form.typed.code) else {
        return Ok(again(problem(Rejection::Wrong, Kind::Totp, guest.caller.now)));
    };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { turn_off(&env, &caller, &visit, &answer).await };
    Ok(match desk.outlive(deed).await? {
        TurnOff::Off(given) => desk.goes_on(&guest, &given, security::place().as_str()),
        TurnOff::Demanded => page(&desk, &guest, None),
        TurnOff::Rejected(Rejection::NotSetUp) => headers::see_other(security::place().as_str()),
        TurnOff::Rejected(rejection) => again(problem(rejection, kind, guest.caller.now)),
        TurnOff::Over => headers::see_other(&security::place().through("sign-in")),
    })
}

/// Six digits are a code of the app; whatever else has the shape of one is a recovery code.
fn read(typed: &str) -> Result<(Answer, Kind), Rejection> {
    if let Ok(code) = typed.parse() {
        return Ok((Answer::Totp(code), Kind::Totp));
    }
    typed.parse().map(|code| (Answer::RecoveryCode(code), Kind::RecoveryCode))
}

fn page(desk: &Desk, guest: &Guest, problem: Option<Problem>) -> Response {
    let Some(visit) = &guest.visit else {
        return headers::see_other(&security::place().through("sign-in"));
    };
    if !visit.user.user.has_second_factor() {
        return headers::see_other(security::place().as_str());
    }
    let page = pages::TurnOff {
        frame: desk.frame_for(guest),
        form: desk.form(guest, &security::place()),
        demanded: desk.env.config.demands.on(&visit.user.identity).is_some(),
        problem,
    };
    desk.form_page(&page, problem)
}
