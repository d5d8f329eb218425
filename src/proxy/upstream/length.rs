//! How long a request to an application will take.

use http::StatusCode;
use pingora::http::ResponseHeader;

use crate::proxy::scan::InAnswer;
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
    pub(in crate::proxy) fn of(present: Present) -> Self {
        if present.upgrade {
            Self::Tunnel
        } else if present.event_stream {
            Self::Lasting
        } else {
            Self::Ordinary
        }
    }
}

/// Whether the response is a tunnel or a stream of events, which end only when one side closes
/// them.
pub(in crate::proxy) fn is_endless(response: &ResponseHeader, there: InAnswer) -> bool {
    response.status == StatusCode::SWITCHING_PROTOCOLS || there.event_stream
}
