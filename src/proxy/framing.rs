//! Headers that concern one connection only, and the framing of messages: neither is passed on (RFC
//! 9110 §7.6.1, RFC 9112 §6).

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, MAX_FORWARDS,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{Method, Response, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use smallvec::SmallVec;

use crate::proxy::scan::InAnswer;
use crate::web::Present;

/// Whether `request` asks for a WebSocket (RFC 6455 §4.1), the only protocol that we switch to. Any
/// other `Upgrade` is removed, which a server may do (RFC 9110 §7.8). That includes an `Upgrade`
/// that `Connection` does not name, because a proxy in front of us did not understand it, and one
/// in HTTP/1.0.
pub(super) fn asks_for_websocket(request: &mut RequestHeader) -> bool {
    let mut wishes = request.headers.get_all(UPGRADE).iter();
    let one = wishes.next().is_some_and(|wish| wish.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let asks = one
        && wishes.next().is_none()
        && request.version == Version::HTTP_11
        && request.method == Method::GET
        && options(&request.headers).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if !asks {
        request.remove_header(&UPGRADE);
    }
    asks
}

/// Whether no other response follows this one: it is no interim response, or it begins a tunnel (RFC
/// 9110 §15.2).
pub(super) fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

/// How many bytes follow the head of a request over HTTP/1.1; `None` if it does not tell: chunks, or
/// another protocol. `present`: which headers it has.
pub(super) fn length_of_rest(request: &RequestHeader, present: Present) -> Option<u64> {
    if request.method == Method::CONNECT || present.upgrade || present.transfer_encoding {
        return None;
    }
    if !present.content_length {
        return Some(0);
    }
    request.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Removes `Expect`: in HTTP/1.0 nobody waits for an interim answer (RFC 9110 §10.1.1).
pub(super) fn expect_nothing(request: &mut RequestHeader) {
    request.remove_header(&EXPECT);
}

/// Removes headers that are only for us from a request that goes out over HTTP/2; over HTTP/1.1
/// Pingora has done so.
pub(super) fn end_request_here(request: &mut RequestHeader) {
    request.remove_header(&PROXY_AUTHORIZATION);
    // Trailers of requests are not passed on.
    request.remove_header(&TRAILER);
}

/// Decrements `Max-Forwards` of an OPTIONS request (RFC 9110 §7.6.2; TRACE is never passed on).
///
/// # Errors
/// The new number cannot be written.
pub(super) fn count_hop(request: &mut RequestHeader) -> Result<()> {
    match hops_left(&request.method, &request.headers) {
        Some(left) => request.insert_header(MAX_FORWARDS, left.saturating_sub(1).to_string()),
        None => Ok(()),
    }
}

/// Our answer to an OPTIONS request whose `Max-Forwards` is 0.
pub(super) fn answer_to_last_hop(method: &Method, headers: &HeaderMap) -> Option<Response<Bytes>> {
    (hops_left(method, headers) == Some(0)).then(|| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("OPTIONS"));
        response
    })
}

fn hops_left(method: &Method, headers: &HeaderMap) -> Option<u64> {
    if *method != Method::OPTIONS {
        return None;
    }
    headers.get(MAX_FORWARDS)?.to_str().ok()?.trim().parse().ok()
}

/// Checks that the end of an application's answer is unambiguous, and that it does not switch the
/// protocol unasked. `websocket` says whether a WebSocket was asked for.
///
/// # Errors
/// What is wrong. Such an answer must not be passed on.
pub(super) fn check(
    response: &ResponseHeader,
    there: InAnswer,
    websocket: impl FnOnce() -> bool,
) -> Result<()> {
    let why = if there.odd_coding {
        // A recipient that decodes only chunks would pass on the rest as if it were the content
        // (RFC 9112 §6.1).
        UNKNOWN_CODING
    } else if there.transfer_encoding && response.version == Version::HTTP_10 {
        OLD_CODING
    } else if response.status == StatusCode::SWITCHING_PROTOCOLS
        && !(websocket() && agrees_to_websocket(&response.headers))
    {
        UNASKED
    } else {
        return Ok(());
    };
    Error::e_explain(why, "response not forwarded").map_err(Error::into_up)
}

fn agrees_to_websocket(headers: &HeaderMap) -> bool {
    let mut agreed = headers.get_all(UPGRADE).iter();
    agreed.next().is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && agreed.next().is_none()
}

/// Removes from an answer the headers that concern the application's connection to us, and leaves
/// at most one `Content-Length`.
pub(super) fn end_answer_here(headers: &mut HeaderMap, status: StatusCode, there: InAnswer) {
    if there.hop_by_hop || status.is_informational() {
        let named: SmallVec<[HeaderName; 4]> = options(headers)
            .filter_map(|option| HeaderName::from_bytes(option).ok())
            .filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING)
            .collect();
        for name in named.iter().chain(&HOP_BY_HOP) {
            headers.remove(name);
        }
    }
    let bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
    if bodiless {
        // RFC 9110 §8.6, RFC 9112 §6.1.
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
    } else if there.odd_length {
        // Pingora has checked that all values are equal (RFC 9110 §8.6).
        let first = headers.get(CONTENT_LENGTH).and_then(|line| {
            let first = line.as_bytes().split(|&byte| byte == b',').next().unwrap_or_default();
            HeaderValue::from_bytes(first.trim_ascii()).ok()
        });
        if let Some(first) = first {
            headers.insert(CONTENT_LENGTH, first);
        }
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Removes trailers that have a meaning only before the content (RFC 9110 §6.5.1).
pub(super) fn check_trailers(trailers: &mut HeaderMap) {
    for name in HOP_BY_HOP.iter().chain(&BEFORE_THE_CONTENT) {
        trailers.remove(name);
    }
}

/// The options in all `Connection` headers.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CONNECTION).iter();
    lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    UPGRADE,
];
static BEFORE_THE_CONTENT: [HeaderName; 10] = [
    TRANSFER_ENCODING,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    CONTENT_TYPE,
    CACHE_CONTROL,
    HOST,
    LOCATION,
    SET_COOKIE,
    WWW_AUTHENTICATE,
];

/// The log's words for what is wrong with an answer.
const UNKNOWN_CODING: ErrorType = ErrorType::new("Transfer-Encoding other than chunked");
const OLD_CODING: ErrorType = ErrorType::new("Transfer-Encoding in HTTP/1.0");
const UNASKED: ErrorType = ErrorType::new("101 Switching Protocols for a request without Upgrade");
