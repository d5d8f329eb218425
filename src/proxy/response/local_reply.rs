//! Local replies: our own pages and refusals, written to the visitor.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::common::is_expect_continue_req;
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr, Result};

use crate::proxy::downstream::connection::Connection;

/// Why a form was not read.
pub(in crate::proxy) enum Unread {
    /// It is longer than any of our forms: 413.
    TooLarge,
    /// It did not arrive completely, or not in time. No answer is sent.
    Broken,
    /// Its chunks cannot be read (RFC 9112 §7.1).
    Malformed,
}

/// The request for one of our own pages, with its complete body.
///
/// # Errors
/// [`Unread`] if the body is too large or does not arrive.
pub(in crate::proxy) async fn take_request(
    session: &mut Session,
    within: Duration,
) -> Result<Request<Bytes>, Unread> {
    if announced(session).is_some_and(|length| length > LONGEST_FORM) {
        return Err(Unread::TooLarge);
    }
    let body =
        tokio::time::timeout(within, read_body(session)).await.map_err(|_| Unread::Broken)??;
    let head = session.req_header();
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    Ok(request)
}

async fn read_body(session: &mut Session) -> Result<Bytes, Unread> {
    if waits_to_be_told(session) {
        // After any answer before the end of the body, Pingora would close the connection.
        let keepalive = session.get_keepalive();
        session.write_continue_response().await.map_err(|_| Unread::Broken)?;
        session.set_keepalive(keepalive);
    }
    let mut body = BytesMut::new();
    loop {
        let part = match session.read_request_body().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) if *error.etype() == INVALID_CHUNK => {
                // Pingora takes the body to be at its end. What follows must not be read as a
                // request (RFC 9112 §11.2).
                session.set_keepalive(None);
                return Err(Unread::Malformed);
            }
            Err(_) => return Err(Unread::Broken),
        };
        if body.len() + part.len() > LONGEST_FORM {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// Writes `response`, and leaves the connection reusable or closed. If the visitor is still sending,
/// [`linger`] must follow.
///
/// # Errors
/// The visitor has disconnected.
pub(in crate::proxy) async fn answer(
    session: &mut Session,
    response: Response<Bytes>,
) -> Result<()> {
    let (parts, body) = response.into_parts();
    let is_head = session.req_header().method == Method::HEAD;
    let bodiless =
        is_head || parts.status.is_informational() || [204, 304].contains(&parts.status.as_u16());
    let mut head = ResponseHeader::from(parts);
    head.remove_header(&TRANSFER_ENCODING);
    // Without its body, an answer to HEAD already tells the length of what GET gets (RFC 9110 §8.6).
    if head.status.as_u16() != 204 && !(is_head && body.is_empty()) {
        head.insert_header(CONTENT_LENGTH, body.len())?;
    }
    swallow_small_body(session).await;
    if bodiless || body.is_empty() {
        write_head_alone(session, head).await?;
    } else {
        session.write_response_header(Box::new(head), false).await?;
        session
            .write_response_body(Some(body), true)
            .await
            .or_err(ErrorType::WriteError, "while answering")?;
    }
    Ok(())
}

/// Writes an answer without a body.
///
/// # Errors
/// The visitor has disconnected.
pub(in crate::proxy) async fn write_head_alone(
    session: &mut Session,
    head: ResponseHeader,
) -> Result<()> {
    if let ServerSession::H2(stream) = session.as_mut() {
        // Pingora would end the stream with an empty DATA frame after the head. A gRPC client does
        // not accept that: it expects the head to end the stream ("Trailers-Only").
        return stream.write_response_header(Box::new(head), true);
    }
    session.write_response_header(Box::new(head), true).await?;
    session.write_response_body(None, true).await
}

/// Reads a short body to its end, so that the connection can be reused. If a body is not read,
/// Pingora closes the connection: a body is never read as the next request.
async fn swallow_small_body(session: &mut Session) {
    if session.is_http2() {
        // The unread rest of a stream does not affect other streams.
        return;
    }
    let small = announced(session).is_some_and(|length| length <= SWALLOWED);
    if small && !waits_to_be_told(session) {
        session.set_total_drain_timeout(Some(LINGER));
        let _ = session.drain_request_body().await;
    }
}

/// Keeps reading for a moment after an early answer: closing at once would reset the connection,
/// and the visitor's kernel would discard the answer (RFC 9112 §9.6). Over HTTP/2, the stream would be
/// reset at once (RFC 9113 §8.1), and curl 7.88 discards an answer that a reset follows closely.
///
/// Meanwhile the request keeps its slots, and the connection may be closed if others need the room.
/// A stream without a slot ends at once: nothing would limit how many there are.
pub(in crate::proxy) async fn linger(
    session: &mut Session,
    connection: &Connection,
    has_slot: bool,
) {
    let may_linger = if session.is_http2() {
        has_slot || connection.address_limits().is_none()
    } else {
        !waits_to_be_told(session)
    };
    if may_linger && !session.as_mut().is_body_done() {
        connection.await_rest();
        session.set_total_drain_timeout(Some(LINGER));
        let _ = session.drain_request_body().await;
        connection.await_nothing();
    }
}

fn announced(session: &Session) -> Option<usize> {
    session.req_header().headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn waits_to_be_told(session: &Session) -> bool {
    is_expect_continue_req(session.req_header())
}

/// The error of Pingora for a body whose chunks it cannot read.
pub(in crate::proxy) const INVALID_CHUNK: ErrorType = ErrorType::Custom("InvalidChunk");
pub(in crate::proxy) const BAD_CHUNK: &str = "a chunk of the body is not valid";
/// More than any of our forms needs.
const LONGEST_FORM: usize = 16 * 1024;
const SWALLOWED: usize = 64 * 1024;
const LINGER: Duration = Duration::from_secs(2);
