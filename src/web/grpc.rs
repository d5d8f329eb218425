//! Refusals for gRPC: a gRPC status beside the HTTP status, which is always 200 (gRPC over HTTP/2,
//! "Responses").

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, HeaderValue, StatusCode};

/// Whether the request is a gRPC call.
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to the call with these headers that would get `status` in HTTP. `message`: ASCII without
/// `%`.
pub(super) fn refusal(status: StatusCode, message: &'static str, call: &HeaderMap) -> Response {
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
    // A client of gRPC-Web accepts its own type only ("gRPC Web", "Protocol differences").
    let kind = call.get(CONTENT_TYPE).cloned();
    [
        (CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/grpc"))),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (grpc("grpc-status"), HeaderValue::from_static(code)),
        (grpc("grpc-message"), HeaderValue::from_static(message)),
    ]
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_refused_in_the_type_that_its_client_accepts() {
        for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web-text"] {
            let call = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert!(is_spoken(&call));
            let refusal = refusal(StatusCode::UNAUTHORIZED, "sign in", &call);
            assert_eq!(refusal.headers()[CONTENT_TYPE], kind);
            assert_eq!(refusal.headers()["grpc-status"], "16");
        }
    }
}
