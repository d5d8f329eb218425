//! What is served in the place of an application's service worker on the host of our own pages.
//!
//! One could answer there in our place and read what is typed. So a script of ours is served under its
//! address: it refuses to be installed, says why in the browser's console, and removes one that was
//! installed before (Service Workers §4.3: an installed one is updated from there).

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
