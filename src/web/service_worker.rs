//! What is served instead of an application's service worker on the portal's host.
//!
//! A service worker there could answer instead of our pages and read what is typed. So its URL
//! serves a script of ours, which refuses to be installed, says why in the browser's console, and
//! removes a worker that was installed before (Service Workers §4.3: an installed one is updated
//! from there).

use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::headers;

pub(super) fn answer() -> Response {
    let mut response = Response::new(SCRIPT.into());
    let headers = response.headers_mut();
    headers::harden(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    response
}

const SCRIPT: &str = include_str!("../../templates/service-worker.js");
