//! Signing out: a page with one button, for a link must not do it.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::form::{Asked, Form, Pressed, Trouble};
use super::guard::Guest;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::flow::sign_out::sign_out;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
    request: HeaderMap,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    if guest.visit.is_none() {
        return signed_out(&desk, &return_to, &request);
    }
    page(&desk, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    request: HeaderMap,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let Some(visit) = &guest.visit else {
        return Ok(signed_out(&desk, &form.return_to, &request));
    };
    if let Some(problem) = form.doubt {
        return Ok(page(&desk, &guest, &form.return_to, Some(problem)));
    }
    sign_out(&desk.env, &guest.caller, visit).await?;
    Ok(leaves(&form.return_to))
}

/// The session is gone; its cookie, worth nothing now, ends with the browser.
pub(super) fn leaves(return_to: &ReturnTo) -> Response {
    let mut response = headers::see_other(&return_to.through("sign-out"));
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    response
}

fn signed_out(desk: &Desk, return_to: &ReturnTo, request: &HeaderMap) -> Response {
    desk.notice(Notice::SignedOut { url: return_to.as_str().to_owned() }, request)
}

fn page(desk: &Desk, guest: &Guest, return_to: &ReturnTo, problem: Option<Problem>) -> Response {
    let page =
        pages::SignOut { frame: desk.frame_for(guest), form: desk.form(guest, return_to), problem };
    desk.form_page(&page, problem)
}
