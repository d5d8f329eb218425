//! Signing out: a page with one button, for a link must not do it.
//!
//! Browsers keep pages and show them on Back without asking anybody. What they have of this host is
//! cleared by the answer that ends the session (Clear Site Data §3.1). Each other host on which the
//! person was has to say so itself: the page that follows loads a picture from there, which is none.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::app_state::AppState;
use super::asked::Asked;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::headers;
use super::pages::{self, Notice, Problem};
use super::return_to::{ReturnTo, escaped};
use crate::domain::signed::Kind;
use crate::flow::sign_out::sign_out;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What a host answers to the page of another one on which somebody has signed out.
const PICTURE: &str = "/.doorward/signed-out";

/// Where somebody was who has signed out here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Left {
    /// The names of the hosts, with commas between them.
    left: String,
    /// That we have said so: others are not told which hosts there are.
    proof: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
    request: HeaderMap,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&state);
    if guest.visit.is_none() {
        let left = serde_html_form::from_str(query.as_deref().unwrap_or_default());
        return signed_out(&state, &return_to, &left.unwrap_or_default(), &request);
    }
    page(&state, &guest, &return_to, None)
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    request: HeaderMap,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let Some(visit) = &guest.visit else {
        return Ok(signed_out(&state, &form.return_to, &Left::default(), &request));
    };
    if let Some(problem) = form.doubt {
        return Ok(page(&state, &guest, &form.return_to, Some(problem)));
    }
    let hosts = sign_out(&state.env, &guest.caller, visit).await?;
    Ok(leaves(&state, &hosts, &form.return_to))
}

/// Nothing, but the browser forgets what it has kept of this host. It needs no cookie, tells nothing,
/// and may be asked for from anywhere: what is lost is loaded again.
pub(super) async fn clear() -> Response {
    let mut response = headers::nothing();
    forget(&mut response);
    response
}

/// The session is gone; its cookie, worth nothing now, ends with the browser. `hosts`: on which others
/// it was.
pub(super) fn leaves(state: &AppState, hosts: &[String], return_to: &ReturnTo) -> Response {
    let mut url = return_to.through("sign-out");
    let hosts = hosts.join(",");
    if !hosts.is_empty() {
        let proof = state.env.signer.sign(Kind::Left, state.site.origin.host(), &digest(&hosts));
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("left={}&proof={proof}", escaped(&hosts)));
    }
    let mut response = headers::see_other(&url);
    forget(&mut response);
    response
}

/// Has the browser forget what it has kept of this host.
pub(super) fn forget(response: &mut Response) {
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
}

fn signed_out(
    state: &AppState,
    return_to: &ReturnTo,
    left: &Left,
    request: &HeaderMap,
) -> Response {
    let url = return_to.as_str().to_owned();
    state.notice(Notice::SignedOut { url, clears: pictures(state, left) }, request)
}

/// The picture of every host on which the person was, and of the portal, but not of this host.
fn pictures(state: &AppState, left: &Left) -> Vec<String> {
    let proven = state.env.signer.open(Kind::Left, state.site.origin.host(), &left.proof);
    if left.left.is_empty() || proven != Some(digest(&left.left)) {
        return Vec::new();
    }
    let was = |host: &str| left.left.split(',').any(|name| name == host);
    let elsewhere = state.env.config.sites().filter(|site| site.origin != state.site.origin);
    elsewhere
        .filter(|site| site.is_portal || was(site.origin.host()))
        .map(|site| format!("{}{PICTURE}", site.origin))
        .collect()
}

fn digest(hosts: &str) -> [u8; 32] {
    Sha256::digest(hosts).into()
}

fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let page = pages::SignOut {
        frame: state.frame_for(guest),
        form: state.form(guest, return_to),
        problem,
    };
    state.form_page(&page, problem)
}
