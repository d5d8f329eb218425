//! What every answer of ours says in its headers.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;

use super::pages;
use crate::config::{Config, Origin};

const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A page with this status. It is never stored, never framed, and runs nothing but our own script
/// (OWASP Secure Headers Project; CSP3).
pub(super) fn page(
    status: StatusCode,
    page: &impl askama::Template,
    origin: &Origin,
    config: &Config,
) -> Response {
    page_within(&ANCESTORS_NONE, status, page, origin, config)
}

/// The same for a page without form or secret that pages of this origin may frame.
pub(super) fn framed_page(
    status: StatusCode,
    page: &impl askama::Template,
    origin: &Origin,
    config: &Config,
) -> Response {
    page_within(&ANCESTORS_OWN, status, page, origin, config)
}

/// Who may show a page in a frame, as CSP says it, and as `X-Frame-Options` does.
struct Ancestors {
    policy: &'static str,
    option: HeaderValue,
}

const ANCESTORS_NONE: Ancestors =
    Ancestors { policy: "'none'", option: HeaderValue::from_static("DENY") };
const ANCESTORS_OWN: Ancestors =
    Ancestors { policy: "'self'", option: HeaderValue::from_static("SAMEORIGIN") };

fn page_within(
    ancestors: &Ancestors,
    status: StatusCode,
    page: &impl askama::Template,
    origin: &Origin,
    config: &Config,
) -> Response {
    let mut response = (status, pages::html(page)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    harden(headers);
    headers.insert(X_FRAME_OPTIONS, ancestors.option.clone());
    // Our own assets and nothing else: an application on this host may serve files that its users
    // have uploaded. Browsers hold `form-action` against the redirect after a post, too.
    let assets = format!("{origin}/.doorward/assets/");
    let policy = format!(
        "default-src 'none'; style-src {assets}; script-src {assets}; img-src {assets}; \
         form-action 'self' {}; frame-ancestors {}; base-uri 'none'",
        targets(config),
        ancestors.policy,
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Every configured origin: a form that is posted leads from the portal to any of them.
fn targets(config: &Config) -> String {
    let hosts = config.apps.iter().flat_map(|app| &app.hosts);
    let others = hosts.filter(|origin| **origin != config.portal);
    let all = std::iter::once(&config.portal).chain(others);
    all.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// JSON for a script, with this status.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = (status, value.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    harden(headers);
    response
}

/// See Other: whatever was asked, go there with a GET (RFC 9110 §15.4.4).
pub(super) fn see_other(location: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Locations are made of parsed URLs, which hold no control bytes.
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    harden(response.headers_mut());
    response
}

/// What holds for every answer, whatever its kind.
pub(super) fn harden(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(COOP, HeaderValue::from_static("same-origin"));
    headers.insert(CORP, HeaderValue::from_static("same-origin"));
}
