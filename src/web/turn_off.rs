//! Turning two-factor off.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::challenge::problem;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Kind, Problem};
use super::{Desk, headers, security};
use crate::domain::demand::Demand;
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
    let (answer, kind) = read(&form.typed.code);
    let now = guest.caller.now;
    let Ok(answer) = answer else { return Ok(again(problem(Rejection::Wrong, kind, now))) };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { turn_off(&env, &caller, &visit, &answer).await };
    Ok(match desk.outlive(deed).await? {
        TurnOff::Off(given) => desk.goes_on(&guest, &given, security::place().as_str()),
        TurnOff::Demanded(demand) => {
            let page = form_page(&desk, &guest, Some(demand), None);
            desk.page(StatusCode::FORBIDDEN, &page)
        }
        TurnOff::Rejected(Rejection::NotSetUp) => headers::see_other(security::place().as_str()),
        TurnOff::Rejected(rejection) => again(problem(rejection, kind, now)),
        TurnOff::Over => headers::see_other(&security::place().through("sign-in")),
    })
}

/// Digits alone are a code of the app; whatever else is typed is a recovery code.
fn read(typed: &str) -> (Result<Answer, Rejection>, Kind) {
    if typed.chars().all(|c| c.is_ascii_digit() || c.is_whitespace()) {
        return (typed.parse().map(Answer::Totp), Kind::Totp);
    }
    (typed.parse().map(Answer::RecoveryCode), Kind::RecoveryCode)
}

fn page(desk: &Desk, guest: &Guest, problem: Option<Problem>) -> Response {
    let Some(visit) = &guest.visit else {
        return headers::see_other(&security::place().through("sign-in"));
    };
    if !visit.user.user.has_second_factor() {
        return headers::see_other(security::place().as_str());
    }
    let demand = desk.env.demand_on(&visit.user.user, guest.caller.now);
    desk.form_page(&form_page(desk, guest, demand, problem), problem)
}

fn form_page(
    desk: &Desk,
    guest: &Guest,
    demand: Option<Demand>,
    problem: Option<Problem>,
) -> pages::TurnOff {
    pages::TurnOff {
        frame: desk.frame_for(guest),
        form: desk.form(guest, &security::place()),
        demanded: demand.map(security::demanded),
        problem,
    }
}
