//! The id of a request in its headers, in both directions.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::request_id::RequestId;

pub(in crate::proxy) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that a trusted proxy has given the request; `None` if it has given none, several, or one
/// that is not plain.
pub(in crate::proxy) fn given(headers: &HeaderMap) -> Option<RequestId> {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    let id = given.next().and_then(|id| RequestId::parse(id.as_bytes()))?;
    given.next().is_none().then_some(id)
}

/// The value of the header.
pub(in crate::proxy) fn value(id: &RequestId) -> HeaderValue {
    // An id is always a valid header value.
    HeaderValue::from_bytes(id.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
