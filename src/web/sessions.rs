//! The deeds of the security page that concern sessions.

use axum::extract::{Path, State};
use axum::response::Response;

use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::return_to::ReturnTo;
use super::{Desk, headers, security, sign_out};
use crate::domain::stay::StayId;
use crate::flow::sessions::{self, Ended};

/// Where the list of sessions is.
const BACK: &str = "/.doorward/security#sessions";

pub(super) async fn end(
    State(desk): State<Desk>,
    guest: Guest,
    Path(id): Path<String>,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&desk, &guest, form.doubt).await;
    }
    let (Some(visit), Some(id)) = (&guest.visit, StayId::parse(&id)) else {
        return Ok(headers::see_other(BACK));
    };
    Ok(done(&desk, &guest, sessions::end(&desk.env, &guest.caller, visit, id).await?))
}

pub(super) async fn end_others(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    if form.doubt.is_some() {
        return security::page(&desk, &guest, form.doubt).await;
    }
    let Some(visit) = guest.visit.clone() else { return Ok(headers::see_other(BACK)) };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { sessions::end_others(&env, &caller, &visit).await };
    Ok(done(&desk, &guest, desk.outlive(deed).await?))
}

fn done(desk: &Desk, guest: &Guest, ended: Ended) -> Response {
    match ended {
        Ended::Others(given) => desk.goes_on(guest, &given, BACK),
        Ended::This { hosts } => sign_out::leaves(desk, &hosts, &ReturnTo::root()),
        Ended::Over => headers::see_other(&security::place().through("sign-in")),
    }
}
