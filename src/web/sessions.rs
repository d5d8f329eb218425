//! The forms of the security page about sessions.

use axum::extract::{Path, State};
use axum::response::Response;

use super::app_state::AppState;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::return_to::ReturnTo;
use super::{headers, security, sign_out};
use crate::domain::user_session::UserSessionId;
use crate::flow::sessions::{self, Ended};

/// The URL of the list of sessions.
const BACK: &str = "/.doorward/security#sessions";

pub(super) async fn end(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&state, &guest, form.doubt).await;
    }
    let (Some(authenticated), Some(id)) = (&guest.authenticated, UserSessionId::parse(&id)) else {
        return Ok(headers::see_other(BACK));
    };
    let ended = sessions::end(guest.acting(&state.env, authenticated), id).await?;
    Ok(done(&state, &guest, ended).await)
}

pub(super) async fn end_others(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&state, &guest, form.doubt).await;
    }
    let Some(authenticated) = guest.authenticated.clone() else {
        return Ok(headers::see_other(BACK));
    };
    let ended = sessions::end_others(guest.acting(&state.env, &authenticated)).await?;
    Ok(done(&state, &guest, ended).await)
}

async fn done(state: &AppState, guest: &Guest, ended: Ended) -> Response {
    match ended {
        Ended::Others(given) => state.goes_on(guest, &given, BACK),
        Ended::This(over) => sign_out::leaves(state, guest, &over, &ReturnTo::root()).await,
        Ended::Over => headers::see_other(&security::place().through("sign-in")),
    }
}
