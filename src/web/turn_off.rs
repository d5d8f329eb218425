//! Turning two-factor off.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::{problem, read_any};
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::{headers, security};
use crate::domain::demand::Demand;
use crate::domain::factor::Rejection;
use crate::flow::turn_off::{TurnOff, turn_off};

/// The field: an authenticator code or a recovery code.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    code: String,
}

pub(super) async fn show(State(state): State<AppState>, guest: Guest) -> Response {
    page(&state, &guest, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let again = |problem| page(&state, &guest, Some(problem));
    if let Some(problem) = form.doubt {
        return Ok(again(problem));
    }
    let Some(authenticated) = guest.authenticated.clone() else {
        return Ok(headers::see_other(&security::place().through("sign-in")));
    };
    let kinds = authenticated.user.user.kinds();
    let (kind, answer) = read_any(&kinds, &form.typed.code);
    let now = guest.caller.now;
    let Ok(answer) = answer else { return Ok(again(problem(Rejection::Wrong, kind, now))) };
    Ok(match turn_off(guest.acting(&state.env, &authenticated), &answer).await? {
        TurnOff::Off(given) => state.goes_on(&guest, &given, security::place().as_str()),
        TurnOff::Demanded(demand) => {
            let page = form_page(&state, &guest, Some(demand), None);
            state.page(StatusCode::FORBIDDEN, &page)
        }
        TurnOff::Rejected(Rejection::NotSetUp) => headers::see_other(security::place().as_str()),
        TurnOff::Rejected(rejection) => again(problem(rejection, kind, now)),
        TurnOff::Over => headers::see_other(&security::place().through("sign-in")),
    })
}

fn page(state: &AppState, guest: &Guest, problem: Option<Problem>) -> Response {
    let Some(authenticated) = &guest.authenticated else {
        return headers::see_other(&security::place().through("sign-in"));
    };
    if !authenticated.user.user.has_second_factor() {
        return headers::see_other(security::place().as_str());
    }
    let demand = state.env.demand_on(&authenticated.user.user, guest.caller.now);
    state.form_page(&form_page(state, guest, demand, problem), problem)
}

fn form_page(
    state: &AppState,
    guest: &Guest,
    demand: Option<Demand>,
    problem: Option<Problem>,
) -> pages::TurnOff {
    pages::TurnOff {
        frame: state.frame_for(guest),
        form: state.form(guest, &security::place()),
        demanded: demand.map(security::demanded),
        problem,
    }
}
