//! Turning two-factor off.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::app_state::AppState;
use super::factor::sms::{TURN_OFF, at_challenge};
use super::factor::{options, or_used_up, part, problem, read_any};
use super::form::{Form, Trouble};
use super::guard::Guest;
use super::page_query::PageQuery;
use super::pages::{self, Problem};
use super::texted::or_not_sent;
use super::{headers, security};
use crate::domain::ceremony::Purpose;
use crate::domain::factor::{Kind, Rejection};
use crate::domain::user::User;
use crate::flow::turn_off::{TurnOff, ask, turn_off};

/// The fields: a code, or the answer of a key and its kind.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    kind: String,
    code: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    page(&state, &guest, &PageQuery::of(query.as_deref()).kind, None).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let typed = form.typed;
    let again = |problem| page(&state, &guest, &typed.kind, Some(problem));
    if let Some(problem) = form.doubt {
        return again(problem).await;
    }
    let Some(authenticated) = guest.authenticated.clone() else {
        return Ok(headers::see_other(&security::place().through("sign-in")));
    };
    let (kind, answer) = match signed(&authenticated.user.user, &typed.kind) {
        Some(kind) => (kind, (part(kind).read)(&typed.code)),
        None => read_any(&typed_kinds(&authenticated.user.user), &typed.code),
    };
    let now = guest.caller.now;
    let Ok(answer) = answer else { return again(problem(Rejection::Wrong, kind, now)).await };
    Ok(match turn_off(guest.acting(&state.env, &authenticated), &answer).await? {
        TurnOff::Off(given) => state.goes_on(&guest, &given, security::place().as_str()),
        TurnOff::Demanded(demand) => {
            let page = pages::TurnOff {
                frame: state.frame_for(&guest),
                form: state.form(&guest, &security::place()),
                demanded: Some(security::demanded(demand)),
                part: None,
                options: None,
                texted: None,
                others: Vec::new(),
                problem: None,
            };
            state.page(StatusCode::FORBIDDEN, &page)
        }
        TurnOff::Rejected(Rejection::NotSetUp) => headers::see_other(security::place().as_str()),
        TurnOff::Rejected(rejection) => {
            // A wrong code may have been the last one for what was sent.
            let guest = guest.reloaded(&state.env).await?;
            page(&state, &guest, &typed.kind, Some(problem(rejection, kind, now))).await?
        }
        TurnOff::Over => headers::see_other(&security::place().through("sign-in")),
    })
}

/// The kind of this word, if something must be asked or sent first and the user has it. Without a word, the
/// user's last kind.
fn signed(user: &User, word: &str) -> Option<Kind> {
    let kinds = user.kinds();
    let chosen = Kind::of_word(word).filter(|kind| kinds.contains(kind));
    chosen.or_else(|| kinds.first().copied()).filter(|kind| !is_typed(*kind))
}

/// The kinds whose answers are typed in one field.
fn typed_kinds(user: &User) -> Vec<Kind> {
    user.kinds().into_iter().filter(|kind| is_typed(*kind)).collect()
}

/// Whether an answer needs nothing that must be asked or sent first.
fn is_typed(kind: Kind) -> bool {
    matches!(kind, Kind::Totp | Kind::RecoveryCode)
}

pub(super) async fn page(
    state: &AppState,
    guest: &Guest,
    chosen: &str,
    problem: Option<Problem>,
) -> Result<Response, Trouble> {
    let Some(authenticated) = &guest.authenticated else {
        return Ok(headers::see_other(&security::place().through("sign-in")));
    };
    let user = &authenticated.user.user;
    if !user.has_second_factor() {
        return Ok(headers::see_other(security::place().as_str()));
    }
    let demanded = state.env.demand_on(user, guest.caller.now).map(security::demanded);
    let signed = signed(user, chosen);
    let begun = match signed {
        // A page without a form asks nothing.
        Some(kind) if demanded.is_none() => {
            ask(guest.acting(&state.env, authenticated), kind).await?
        }
        _ => None,
    };
    let others = user.kinds().into_iter().filter(|kind| match signed {
        Some(shown) => *kind != shown,
        None => !is_typed(*kind),
    });
    let texted = at_challenge(authenticated, Purpose::TurnOff, guest.caller.now)
        .filter(|_| signed == Some(Kind::Sms));
    let kind = signed.unwrap_or(Kind::Totp);
    let is_waiting = texted.as_ref().is_none_or(|texted| texted.is_waiting);
    let shown = or_not_sent(state, guest, kind, or_used_up(problem, kind, is_waiting)).await?;
    let page = pages::TurnOff {
        frame: state.frame_for(guest),
        form: state.form(guest, &security::place()),
        demanded,
        part: signed.map(part),
        options: options(&state.env.config, &authenticated.user, begun.as_ref()),
        texted: texted.map(|texted| pages::Texted { back: Some(TURN_OFF), ..texted }),
        others: others.map(|kind| (kind.word(), part(kind).instead)).collect(),
        problem: shown,
    };
    Ok(state.form_page(&page, problem))
}
