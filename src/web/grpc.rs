//! Refusals for gRPC: a gRPC status beside the HTTP status, which is always 200 (gRPC over HTTP/2,
//! "Responses").

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, StatusCode};

/// Whether the request is a gRPC call.
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to a call that would get `status` in HTTP. `message`: ASCII without `%`.
pub(super) fn refusal(status: StatusCode, message: &'static str) -> Response {
    // The status codes of gRPC ("Status codes and their use in gRPC").
    let code = match status.as_u16() {
        401 => "16",
        403 => "7",
        404 | 405 | 421 => "12",
        413 | 429 | 431 => "8",
        502..=504 => "14",
        400..=499 => "3",
        _ => "13",
    };
    let grpc = |name| HeaderName::from_static(name);
    [
        (CONTENT_TYPE, "application/grpc"),
        (CACHE_CONTROL, "no-store"),
        (grpc("grpc-status"), code),
        (grpc("grpc-message"), message),
    ]
    .into_response()
}
