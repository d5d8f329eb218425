//! The challenge: an authenticator code or, with a visible switch, a recovery code.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Deserialize;

use super::app_state::AppState;
use super::asked::Asked;
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::headers;
use super::pages::{self, Kind, Problem, Standing};
use super::return_to::ReturnTo;
use crate::domain::factor::{Answer, Rejection};
use crate::domain::time::Timestamp;
use crate::flow::AuthenticatedRequest;
use crate::flow::challenge::{Challenge, answer};

/// The fields.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    kind: String,
    code: String,
    trust_device: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::of(query.as_deref());
    let return_to = asked.return_to(&state);
    let Some(authenticated) = &guest.authenticated else {
        return headers::see_other(&return_to.through("sign-in"));
    };
    let user = &authenticated.user.user;
    if !user.has_second_factor() {
        return headers::see_other(&return_to.through("set-up"));
    }
    let kind = kind_of(&asked.kind);
    // Shown meanwhile in another tab.
    if state.owes_nothing(&guest, &return_to) {
        return headers::see_other(return_to.as_str());
    }
    let closed = user.answers_closed(guest.caller.known_to(user), guest.caller.now);
    // Recovery codes are accepted even during a wait or a lock.
    let closed = closed.filter(|why| kind == Kind::Totp || *why == Rejection::Frozen);
    let problem = closed.map(|rejection| problem(rejection, kind, guest.caller.now));
    page(&state, &guest, &return_to, kind, false, problem)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed, doubt, return_to, .. } = form;
    let to_sign_in = || headers::see_other(&return_to.through("sign-in"));
    let Some(authenticated) = guest.authenticated.clone() else { return Ok(to_sign_in()) };
    let kind = kind_of(&typed.kind);
    let trust = !typed.trust_device.is_empty();
    let again = |problem| page(&state, &guest, &return_to, kind, trust, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(problem));
    }
    let Ok(typed) = read(kind, &typed.code) else {
        return Ok(again(problem(Rejection::Wrong, kind, guest.caller.now)));
    };
    Ok(match answered(&state, &guest, authenticated, typed, trust).await? {
        Challenge::Proven(given) => state.onward(&guest, &given, &return_to),
        Challenge::Rejected(Rejection::Used) if state.owes_nothing(&guest, &return_to) => {
            headers::see_other(return_to.as_str())
        }
        Challenge::Rejected(Rejection::NotSetUp) => {
            headers::see_other(&return_to.through("set-up"))
        }
        Challenge::Rejected(rejection) => again(problem(rejection, kind, guest.caller.now)),
        Challenge::Over => to_sign_in(),
    })
}

async fn answered(
    state: &AppState,
    guest: &Guest,
    authenticated: AuthenticatedRequest,
    typed: Answer,
    trust: bool,
) -> Result<Challenge, Trouble> {
    Ok(answer(&state.env, &guest.caller, &authenticated, &typed, trust).await?)
}

/// Input that does not have the form of a code is not counted as a guess.
fn read(kind: Kind, code: &str) -> Result<Answer, Rejection> {
    match kind {
        Kind::Totp => code.parse().map(Answer::Totp),
        Kind::RecoveryCode => code.parse().map(Answer::RecoveryCode),
    }
}

fn kind_of(text: &str) -> Kind {
    if text == Kind::RecoveryCode.value() { Kind::RecoveryCode } else { Kind::Totp }
}

pub(super) fn problem(rejection: Rejection, kind: Kind, now: Timestamp) -> Problem {
    match (rejection, kind) {
        (Rejection::Wrong | Rejection::NotSetUp, Kind::Totp) => Problem::Code,
        (Rejection::Wrong | Rejection::NotSetUp, Kind::RecoveryCode) => Problem::RecoveryCode,
        (Rejection::Used, Kind::Totp) => Problem::CodeUsed,
        (Rejection::Used, Kind::RecoveryCode) => Problem::RecoveryCodeUsed,
        (Rejection::Waiting { until }, Kind::Totp) => Problem::WaitOrRecoveryCode(now.until(until)),
        // Recovery codes are accepted during a wait, so the code was wrong.
        (Rejection::Waiting { .. } | Rejection::Locked, Kind::RecoveryCode) => {
            Problem::RecoveryCode
        }
        (Rejection::Locked, Kind::Totp) => Problem::Locked,
        (Rejection::Frozen, _) => Problem::Frozen,
    }
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    kind: Kind,
    trust: bool,
    problem: Option<Problem>,
) -> Response {
    let standing = state.standing(guest, return_to);
    let takes_recovery_codes = state.takes_recovery_codes(guest, return_to);
    let page = pages::Challenge {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        // It signs the visitor in, even if it does not open that URL.
        kind: if takes_recovery_codes || standing == Standing::Outside { kind } else { Kind::Totp },
        standing,
        trust: state.offer_of_trust(guest, return_to, trust),
        takes_recovery_codes,
        problem: problem.map(|problem| match problem {
            Problem::WaitOrRecoveryCode(span) if !takes_recovery_codes => Problem::Wait(span),
            problem => problem,
        }),
    };
    state.form_page(&page, problem)
}
