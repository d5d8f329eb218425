//! How long a request to an application will take.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use crate::web::Present;

/// How long a request will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Length {
    /// It ends with its answer.
    Ordinary,
    /// It stays open: an event stream.
    Lasting,
    /// It may become a tunnel: a WebSocket.
    Tunnel,
}

impl Length {
    /// What a request asks for: an ordinary answer, or a connection that stays open.
    pub(in crate::proxy) fn of(headers: &HeaderMap, present: Present) -> Self {
        let events = |accepted: &HeaderValue| {
            accepted.to_str().is_ok_and(|accepted| accepted.contains(EVENTS))
        };
        if present.upgrade {
            Self::Tunnel
        } else if present.accept && headers.get_all(ACCEPT).iter().any(events) {
            Self::Lasting
        } else {
            Self::Ordinary
        }
    }
}

/// Whether the response is a tunnel or a stream of events, which end only when one side closes
/// them.
pub(in crate::proxy) fn is_endless(response: &ResponseHeader) -> bool {
    let is_events = |kind: &HeaderValue| {
        kind.as_bytes()
            .get(..EVENTS.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(EVENTS.as_bytes()))
    };
    response.status == StatusCode::SWITCHING_PROTOCOLS
        || response.headers.get(CONTENT_TYPE).is_some_and(is_events)
}

/// The media type of a stream of events.
const EVENTS: &str = "text/event-stream";
