//! Answers of our own: pages and refusals, made in this process and written to the visitor.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::common::is_expect_continue_req;
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr, Result};

/// Why a form was not read.
pub(in crate::proxy) enum Unread {
    /// It is longer than any of our forms: 413.
    TooLarge,
    /// It did not arrive whole, or not in time. Nobody waits for an answer to it.
    Broken,
}

/// The request as our pages read it, its body whole.
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
        // Pingora takes any answer before the end of the body for the last on this connection.
        let keepalive = session.get_keepalive();
        session.write_continue_response().await.map_err(|_| Unread::Broken)?;
        session.set_keepalive(keepalive);
    }
    let mut body = BytesMut::new();
    while let Some(part) = session.read_request_body().await.map_err(|_| Unread::Broken)? {
        if body.len() + part.len() > LONGEST_FORM {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// Writes `response`, and leaves the connection either clean or closed.
///
/// # Errors
/// If the visitor is gone.
pub(in crate::proxy) async fn answer(
    session: &mut Session,
    response: Response<Bytes>,
) -> Result<()> {
    let (parts, body) = response.into_parts();
    let bodiless = session.req_header().method == Method::HEAD
        || parts.status.is_informational()
        || [204, 304].contains(&parts.status.as_u16());
    let mut head = ResponseHeader::from(parts);
    head.remove_header(&TRANSFER_ENCODING);
    if head.status.as_u16() != 204 {
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
    linger(session).await;
    Ok(())
}

/// Writes an answer that is nothing but its head.
///
/// # Errors
/// If the visitor is gone.
pub(in crate::proxy) async fn write_head_alone(
    session: &mut Session,
    head: ResponseHeader,
) -> Result<()> {
    if let ServerSession::H2(stream) = session.as_mut() {
        // Pingora would end it with an empty frame behind the head, and what is said in the words of
        // gRPC would not be understood: such a head is all there is ("Trailers-Only").
        return stream.write_response_header(Box::new(head), true);
    }
    session.write_response_header(Box::new(head), true).await?;
    session.write_response_body(None, true).await
}

/// A short body that is under way is taken in, so that the connection can go on. What stays
/// unread makes Pingora close the connection: nothing of it is ever read as the next request.
async fn swallow_small_body(session: &mut Session) {
    if session.is_http2() {
        // What stays unread of a stream concerns no other.
        return;
    }
    let small = announced(session).is_some_and(|length| length <= SWALLOWED);
    if small && !waits_to_be_told(session) {
        session.set_total_drain_timeout(Some(LINGER));
        let _ = session.drain_request_body().await;
    }
}

/// Reads on for a moment after an early answer: to close at once would make the visitor's system
/// throw the answer away with the connection (RFC 9112 §9.6).
async fn linger(session: &mut Session) {
    if !session.is_http2() && !session.as_mut().is_body_done() && !waits_to_be_told(session) {
        session.set_total_drain_timeout(Some(LINGER));
        let _ = session.drain_request_body().await;
    }
}

fn announced(session: &Session) -> Option<usize> {
    session.req_header().headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn waits_to_be_told(session: &Session) -> bool {
    is_expect_continue_req(session.req_header())
}

/// A form of ours, with room.
const LONGEST_FORM: usize = 16 * 1024;
const SWALLOWED: usize = 64 * 1024;
const LINGER: Duration = Duration::from_secs(2);
