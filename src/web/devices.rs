//! The forms of the security page about trusted devices.

use axum::extract::{Path, State};
use axum::response::Response;

use super::app_state::AppState;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::{headers, security};
use crate::domain::device::DeviceId;
use crate::flow::devices::{self, Revoked};

pub(super) async fn revoke(
    State(state): State<AppState>,
    guest: Guest,
    Path(id): Path<String>,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&state, &guest, form.doubt).await;
    }
    let (Some(authenticated), Some(id)) = (&guest.authenticated, DeviceId::parse(&id)) else {
        return Ok(back());
    };
    Ok(done(devices::revoke(guest.acting(&state.env, authenticated), id).await?))
}

pub(super) async fn revoke_all(
    State(state): State<AppState>,
    guest: Guest,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&state, &guest, form.doubt).await;
    }
    let Some(authenticated) = &guest.authenticated else { return Ok(back()) };
    Ok(done(devices::revoke_all(guest.acting(&state.env, authenticated)).await?))
}

fn done(revoked: Revoked) -> Response {
    match revoked {
        Revoked::Done => back(),
        Revoked::Over => headers::see_other(&security::place().through("sign-in")),
    }
}

fn back() -> Response {
    headers::see_other("/.doorward/security#devices")
}
