//! The form at the challenge that sends a code.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::sms;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::texted::problem;
use super::{challenge, headers, turn_off};
use crate::domain::ceremony::Purpose;
use crate::domain::factor::Kind;
use crate::flow::texts::send;

/// The fields of the form at the challenge.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    /// The page that the form is on; empty for the challenge.
    back: String,
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&return_to.through("sign-in")));
    };
    let turns_off = typed.back == sms::TURN_OFF;
    let purpose = if turns_off { Purpose::TurnOff } else { Purpose::Challenge };
    let why = if doubt.is_some() {
        doubt
    } else {
        let acting = guest.acting(&state.env, authenticated);
        problem(&send(acting, purpose, None).await?, guest.caller.now)
    };
    match (why, turns_off) {
        (Some(_), true) => turn_off::page(&state, &guest, Kind::Sms.word(), why).await,
        (Some(_), false) => {
            challenge::page(&state, &guest, &return_to, Kind::Sms, false, why).await
        }
        (None, true) => Ok(headers::see_other("/.doorward/security/turn-off?kind=sms")),
        (None, false) => {
            Ok(headers::see_other(&return_to.through_by("challenge", Kind::Sms.word())))
        }
    }
}
