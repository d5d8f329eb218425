//! Signing out: a page with one button, because a link must not sign anybody out.
//!
//! Browsers keep pages and show them on Back without a request. The response that ends the session
//! clears them for this host (Clear Site Data §3.1). Each other host where the user was signed in
//! must do so itself: the page that follows loads an empty picture from there.
//!
//! Where the operator wants it, the browser goes to the identity provider first, to sign out there, and
//! comes back to that page on the portal.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::app_state::AppState;
use super::form::{Form, Pressed, Trouble};
use super::guard::Guest;
use super::headers;
use super::page_query::PageQuery;
use super::pages::{self, Notice, Problem};
use super::return_to::{ReturnTo, escaped};
use crate::domain::signed::Kind;
use crate::flow::sign_out::{SignedOut, sign_out};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The URL that clears this host's data, loaded by the page of another host.
const PICTURE: &str = "/.doorward/signed-out";

/// The longest place, in bytes, that goes past an identity provider: its servers limit a URL.
const LONGEST_PLACE: usize = 1024;

/// Where a user who signed out here had sessions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct LeftHosts {
    /// The host names, separated by commas.
    left: String,
    /// Our signature: it keeps others from learning which hosts exist.
    proof: String,
    /// The host names and where the user was, sealed, as they come back from an identity provider.
    state: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    guest: Guest,
    RawQuery(query): RawQuery,
    request: HeaderMap,
) -> Response {
    let return_to = PageQuery::of(query.as_deref()).return_to(&state);
    if guest.authenticated.is_none() {
        let left = serde_html_form::from_str::<LeftHosts>(query.as_deref().unwrap_or_default());
        return signed_out(&state, &return_to, left.unwrap_or_default(), &request);
    }
    page(&state, &guest, &return_to, None).await
}

pub(super) async fn submit(
    State(state): State<AppState>,
    guest: Guest,
    request: HeaderMap,
    form: Form<Pressed>,
) -> Result<Response, Trouble> {
    let Some(authenticated) = &guest.authenticated else {
        return Ok(signed_out(&state, &form.return_to, LeftHosts::default(), &request));
    };
    if let Some(problem) = form.doubt {
        return Ok(page(&state, &guest, &form.return_to, Some(problem)).await);
    }
    let over = sign_out(guest.acting(&state.env, authenticated)).await?;
    Ok(leaves(&state, &guest, &over, &form.return_to).await)
}

impl LeftHosts {
    /// The host names, if we have written them, and where the user was, if it is there.
    fn proven(self, state: &AppState) -> Option<(String, Option<String>)> {
        let (signer, host) = (&state.env.signer, state.host.origin.host());
        if !self.state.is_empty() {
            let opened = signer.open_left(host, &self.state)?;
            return Some(match opened.split_once('\n') {
                Some((hosts, place)) => (hosts.to_owned(), Some(place.to_owned())),
                None => (opened, None),
            });
        }
        let proof = signer.open(Kind::Left, host, &self.proof);
        (proof == Some(digest(&self.left))).then_some((self.left, None))
    }
}

/// An empty response that makes the browser clear this host's cache. It needs no cookie, reveals
/// nothing, and may be loaded from anywhere: lost data is loaded again.
pub(super) async fn clear() -> Response {
    let mut response = headers::nothing();
    forget(&mut response);
    response
}

/// The session has ended, and its cookie is removed.
pub(super) async fn leaves(
    state: &AppState,
    guest: &Guest,
    over: &SignedOut,
    return_to: &ReturnTo,
) -> Response {
    let hosts = over.hosts.join(",");
    if let Some(url) = at_the_provider(state, guest, over, &hosts, return_to).await {
        let mut response = headers::see_other(&url);
        forget(&mut response);
        return response;
    }
    let mut url = return_to.through("sign-out");
    if !hosts.is_empty() {
        let proof = state.env.signer.sign(Kind::Left, state.host.origin.host(), &digest(&hosts));
        url.push(if url.contains('?') { '&' } else { '?' });
        let hosts = escaped(&hosts);
        url.extend(["left=", &hosts, "&proof=", &proof]);
    }
    let mut response = headers::see_other(&url);
    forget(&mut response);
    response
}

/// Where the browser signs out at the provider, too. It comes back to the portal.
async fn at_the_provider(
    state: &AppState,
    guest: &Guest,
    over: &SignedOut,
    hosts: &str,
    return_to: &ReturnTo,
) -> Option<String> {
    let account = &over.at_provider.as_ref()?.account;
    let provider = state.env.providers.of_issuer(account.issuer())?;
    let portal = &state.env.config.portal;
    let signer = &state.env.signer;
    let origin = if state.host.is_portal { String::new() } else { state.host.origin.to_string() };
    let place = format!("{origin}{}", return_to.as_str());
    let carried = match place.len() {
        0..=LONGEST_PLACE => format!("{hosts}\n{place}"),
        _ => hosts.to_owned(),
    };
    let left = state.env.rng.draw(|rng| signer.seal_left(rng, portal.host(), &carried)).ok()?;
    let back = format!("{portal}/.doorward/sign-out");
    provider.sign_out_url(&back, &left, guest.caller.now).await
}

/// Makes the browser clear what it has kept of this host.
pub(super) fn forget(response: &mut Response) {
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
}

fn signed_out(
    state: &AppState,
    return_to: &ReturnTo,
    left: LeftHosts,
    request: &HeaderMap,
) -> Response {
    let (left, place) = left.proven(state).unwrap_or_default();
    let url = place.unwrap_or_else(|| return_to.as_str().to_owned());
    state.notice(Notice::SignedOut { url, clears: pictures(state, &left) }, request)
}

/// The pictures of every other host where the user was signed in, and of the portal.
fn pictures(state: &AppState, left: &str) -> Vec<String> {
    if left.is_empty() {
        return Vec::new();
    }
    let was = |host: &str| left.split(',').any(|name| name == host);
    let elsewhere = state.env.config.hosts().filter(|host| host.origin != state.host.origin);
    elsewhere
        .filter(|host| host.is_portal || was(host.origin.host()))
        .map(|host| format!("{}{PICTURE}", host.origin))
        .collect()
}

fn digest(hosts: &str) -> [u8; 32] {
    Sha256::digest(hosts).into()
}

async fn page(
    state: &AppState,
    guest: &Guest,
    return_to: &ReturnTo,
    problem: Option<Problem>,
) -> Response {
    let mut form = state.form(guest, return_to);
    // The form may lead to a provider.
    let everywhere = || state.env.providers.iter().filter(|one| one.settings().sign_out_everywhere);
    state.learn_origins(everywhere(), guest.caller.now).await;
    form.leads_to.extend(everywhere().flat_map(|provider| provider.origins()));
    let page = pages::SignOut { frame: state.frame_for(guest), form, problem };
    state.form_page(&page, problem)
}
