//! The headers of our own responses.

use std::borrow::Cow;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;

use super::pages::{self, Page};
use crate::config::Origin;

/// What our pages may use of the browser: security keys, and nothing else (W3C Permissions Policy).
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "publickey-credentials-create=(self), publickey-credentials-get=(self), camera=(), \
     geolocation=(), microphone=(), payment=(), usb=()",
);
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A page with this status. It is never stored, never framed, and runs nothing but our own script
/// (OWASP Secure Headers Project; CSP3).
pub(super) fn page(status: StatusCode, page: &impl Page, origin: &Origin) -> Response {
    page_within(&ANCESTORS_NONE, status, page, origin)
}

/// The same for a page without form or secret that pages of this origin may frame, and those of
/// `framing`.
pub(super) fn framed_page(
    status: StatusCode,
    page: &impl Page,
    origin: &Origin,
    framing: Option<&Origin>,
) -> Response {
    let Some(framing) = framing.filter(|framing| *framing != origin) else {
        return page_within(&ANCESTORS_OWN, status, page, origin);
    };
    let ancestors = Ancestors { policy: format!("'self' {framing}").into(), ..ANCESTORS_OWN };
    let mut response = page_within(&ancestors, status, page, origin);
    // It knows of no other origin, and browsers that know the policy do not look at it (CSP3
    // §6.4.2).
    response.headers_mut().remove(X_FRAME_OPTIONS);
    response
}

/// A page for an unknown host: it names no host of ours and contains its style sheet.
pub(super) fn nameless_page(status: StatusCode, page: &pages::NamelessPage) -> Response {
    let policy = format!(
        "default-src 'none'; style-src '{}'; form-action 'none'; frame-ancestors 'none'; \
         base-uri 'none'",
        pages::NamelessPage::style_digest(),
    );
    dressed(status, pages::html(page), &policy, &ANCESTORS_NONE)
}

/// Who may show a page in a frame, for CSP and for `X-Frame-Options`.
struct Ancestors {
    policy: Cow<'static, str>,
    option: HeaderValue,
}

const ANCESTORS_NONE: Ancestors =
    Ancestors { policy: Cow::Borrowed("'none'"), option: HeaderValue::from_static("DENY") };
const ANCESTORS_OWN: Ancestors =
    Ancestors { policy: Cow::Borrowed("'self'"), option: HeaderValue::from_static("SAMEORIGIN") };

fn page_within(
    ancestors: &Ancestors,
    status: StatusCode,
    page: &impl Page,
    origin: &Origin,
) -> Response {
    // Our own assets and nothing else: an application on this host may serve files that its users
    // have uploaded. Browsers hold `form-action` against the redirects after a post, too.
    let assets = format!("{origin}/.doorward/assets/");
    let mut pictures = assets.clone();
    for picture in page.pictures() {
        pictures.push(' ');
        pictures.push_str(picture);
    }
    let policy = format!(
        "default-src 'none'; style-src {assets}; script-src {assets}; img-src {pictures}; \
         form-action {}; frame-ancestors {}; base-uri 'none'",
        form_action(page.form()),
        ancestors.policy,
    );
    dressed(status, pages::html(page), &policy, ancestors)
}

fn dressed(status: StatusCode, html: String, policy: &str, ancestors: &Ancestors) -> Response {
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    harden(headers);
    headers.insert(X_FRAME_OPTIONS, ancestors.option.clone());
    headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Where the form of a page may lead: to its own host, and to the URL of its visitor. Other hosts
/// are not revealed.
fn form_action(form: Option<&pages::Form>) -> String {
    let Some(form) = form else { return "'none'".to_owned() };
    let mut sources = "'self'".to_owned();
    for origin in &form.leads_to {
        sources.push(' ');
        sources.push_str(origin);
    }
    sources
}

/// An empty response that any page of ours, on any host, may read.
pub(super) fn nothing() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    harden(headers);
    headers.insert(CORP, HeaderValue::from_static("cross-origin"));
    response
}

/// JSON for a script, with this status.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = (status, value.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    harden(headers);
    response
}

/// See Other: the browser continues there with a GET (RFC 9110 §15.4.4).
pub(super) fn see_other(location: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Locations are made from parsed URLs, which contain no control bytes.
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    harden(response.headers_mut());
    response
}

/// The headers of every response, whatever its kind.
pub(super) fn harden(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(COOP, HeaderValue::from_static("same-origin"));
    headers.insert(CORP, HeaderValue::from_static("same-origin"));
}
