//! The form at the challenge that sends a code.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::sms;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::texted::{problem, problem_of_mail};
use super::{challenge, headers, turn_off};
use crate::domain::ceremony::Purpose;
use crate::domain::factor::Kind;
use crate::flow::{emailed, texts};

/// The fields of the form at the challenge.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    /// The page that the form is on; empty for the challenge.
    back: String,
    /// The word of the kind; text messages if it is another.
    kind: String,
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
    // Nothing but a challenge takes a code by e-mail.
    let by_mail = typed.kind == Kind::Email.word() && !turns_off;
    let kind = if by_mail { Kind::Email } else { Kind::Sms };
    let purpose = if turns_off { Purpose::TurnOff } else { Purpose::Challenge };
    let why = if doubt.is_some() {
        doubt
    } else {
        let (acting, now) = (guest.acting(&state.env, authenticated), guest.caller.now);
        match kind {
            Kind::Email => problem_of_mail(emailed::send(acting, purpose).await?, now),
            _ => problem(&texts::send(acting, purpose, None).await?, now),
        }
    };
    match (why, turns_off) {
        (Some(_), true) => turn_off::page(&state, &guest, Kind::Sms.word(), why).await,
        (Some(_), false) => challenge::page(&state, &guest, &return_to, kind, false, why).await,
        (None, true) => Ok(headers::see_other("/.doorward/security/turn-off?kind=sms")),
        (None, false) => Ok(headers::see_other(&return_to.through_by("challenge", kind.word()))),
    }
}
