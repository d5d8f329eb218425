//! A request that failed: what the log says of it, and what its visitor is told.

use bytes::Bytes;
use http::Response;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use crate::domain::assurance::Permit;
use crate::proxy::downstream::unsent_room;
use crate::proxy::framing;
use crate::proxy::overload;
use crate::proxy::passage::Passage;
use crate::proxy::response::local_reply;
use crate::proxy::sites::Sites;
use crate::proxy::upstream::{self, Length};
use crate::unavailable::Unavailable;
use crate::web::pages::Notice;
use crate::web::refusal::beginning;
use crate::web::{Asked, Web};

/// Logs and counts `error`. Returns the answer to the visitor, if there is still one to be made.
pub(super) async fn answer(
    session: &Session,
    error: &Error,
    passage: &Passage,
    sites: &Sites,
) -> Option<Response<Bytes>> {
    let web = &passage.virtual_host.as_ref().unwrap_or(sites.portal()).web;
    let is_named = passage.virtual_host.is_some();
    let app = web.host().app.as_ref().map(|app| app.name.clone()).unwrap_or_default();
    let headers = &session.req_header().headers;
    let begun = session.response_written().is_some_and(|head| framing::is_final(head.status));
    let in_vain = passage.connection.as_ref().is_some_and(|connection| {
        // The request is told now; the watchdog need not tell it again.
        connection.watchdog().end();
        connection.watchdog().is_in_vain()
    });
    let kind = if in_vain { &ErrorType::ReadTimedout } else { error.etype() };
    let failure = if in_vain { Failure::Late } else { failure(error) };
    match failure {
        Failure::Unreachable | Failure::Unreadable | Failure::Late => {
            let head = session.req_header();
            let (method, path) = (head.method.as_str(), &*beginning(head.uri.path()));
            let mut what = upstream::reason(kind, error, sites.env().config.upstream_timeouts);
            let speaks_http2 = web.host().app.as_ref().is_some_and(|app| app.reach.http2);
            if passage.length == Length::Tunnel && speaks_http2 {
                what.push_str("; a WebSocket needs HTTP/1.1, and `upstream_http2` is set");
            }
            tracing::warn!(app, method, path, kind = kind.as_str(), "{what}");
            sites.metrics().upstream_failed(&app, failure.name());
            remember(&what, session, passage, web);
        }
        Failure::Ours => {
            let shortage = upstream::shortage(error);
            let why = shortage.as_deref().unwrap_or(error.etype().as_str());
            tracing::error!(why, "request failed");
            remember(&format!("Doorward could not pass it on: {why}"), session, passage, web);
        }
        Failure::UsedUp => tracing::debug!(app, "connection closed: {}", kind.as_str()),
        // [`overload::busy`] tells.
        Failure::NoRoom(_) => {}
        Failure::VisitorGone | Failure::Misread => {
            if let Some(connection) = &passage.connection {
                connection.give_up();
            }
            if matches!(failure, Failure::VisitorGone) {
                tracing::debug!(
                    why = error.etype().as_str(),
                    "visitor closed the connection during a request"
                );
            }
        }
    }
    match failure {
        _ if begun => None,
        Failure::NoRoom(limit) => {
            passage.connection.as_ref().map(|connection| overload::busy(sites, connection, limit))
        }
        Failure::VisitorGone | Failure::UsedUp => None,
        _ if !is_named => Some(Web::nameless_notice(Notice::Unavailable, headers).await),
        Failure::Unreachable => Some(web.notice(Notice::Unreachable { app }, headers).await),
        Failure::Unreadable => Some(web.notice(Notice::Unreadable { app }, headers).await),
        Failure::Late => Some(web.notice(Notice::Late { app }, headers).await),
        Failure::Misread => match passage.client {
            Some(client) => {
                let asked = Asked::of(session.req_header(), client);
                Some(web.misread(misread(error), &asked).await)
            }
            None => Some(web.notice(Notice::Unavailable, headers).await),
        },
        Failure::Ours => Some(web.notice(Notice::Unavailable, headers).await),
    }
}

/// Logs that one upstream of an application cannot be reached, and that the request goes to another.
pub(super) fn another_is_tried(error: &Error, passage: &Passage, sites: &Sites) {
    let Some(virtual_host) = &passage.virtual_host else { return };
    let app = virtual_host.web.host().app.as_ref().map(|app| app.name.as_str());
    let application = virtual_host.application.as_ref();
    let upstream = application.and_then(|known| known.address_of(&passage.tried));
    let kind = error.etype();
    let what = upstream::reason(kind, error, sites.env().config.upstream_timeouts);
    tracing::warn!(app, upstream, kind = kind.as_str(), "{what}; another upstream is tried");
}

/// Notes for `doorward why` what failed.
fn remember(what: &str, session: &Session, passage: &Passage, web: &Web) {
    if let Some(client) = passage.client {
        let user = passage.permit.as_ref().and_then(Permit::identity);
        web.failed(what, &Asked::of(session.req_header(), client), user.map(|user| &**user));
    }
}

/// The answer to a request that cannot be judged, because something is broken here.
pub(super) async fn unavailable(
    why: Unavailable,
    session: &Session,
    passage: &Passage,
    sites: &Sites,
) -> Response<Bytes> {
    sites.env().report(&why, "request refused");
    let headers = &session.req_header().headers;
    match &passage.virtual_host {
        Some(virtual_host) => {
            remember(&why.told(), session, passage, &virtual_host.web);
            virtual_host.web.notice(Notice::Unavailable, headers).await
        }
        None => Web::nameless_notice(Notice::Unavailable, headers).await,
    }
}

/// What failed, as far as the visitor needs to know.
enum Failure {
    /// Nothing failed.
    UsedUp,
    /// Because of this limit, there is no room for the response.
    NoRoom(&'static str),
    VisitorGone,
    Misread,
    Unreachable,
    Unreadable,
    Late,
    Ours,
}

impl Failure {
    /// The label in metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::UsedUp => "used-up",
            Self::NoRoom(_) => "no-room",
            Self::VisitorGone => "visitor-gone",
            Self::Misread => "misread",
            Self::Unreachable => "unreachable",
            Self::Unreadable => "unreadable",
            Self::Late => "late",
            Self::Ours => "ours",
        }
    }
}

fn failure(error: &Error) -> Failure {
    let kind = error.etype();
    if *kind == USED_UP {
        return Failure::UsedUp;
    }
    if let ErrorType::Custom(limit @ (unsent_room::IN_ALL | unsent_room::OF_ADDRESS)) = kind {
        return Failure::NoRoom(limit);
    }
    match error.esource() {
        ErrorSource::Upstream => match kind {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Failure::Late
            }
            ErrorType::InvalidHTTPHeader
            | ErrorType::H1Error
            | ErrorType::H2Error
            | ErrorType::InvalidH2
            | ErrorType::H2Downgrade
            | ErrorType::Custom(_) => Failure::Unreadable,
            _ => Failure::Unreachable,
        },
        ErrorSource::Downstream => match kind {
            ErrorType::InvalidHTTPHeader | &local_reply::INVALID_CHUNK => Failure::Misread,
            _ => Failure::VisitorGone,
        },
        ErrorSource::Internal | ErrorSource::Unset => Failure::Ours,
    }
}

/// Why the request cannot be read, in words for the log.
fn misread(error: &Error) -> &str {
    match error.etype() {
        &local_reply::INVALID_CHUNK => local_reply::BAD_CHUNK,
        kind => upstream::fixed_words(error).unwrap_or(kind.as_str()),
    }
}

/// An answer was passed on, and its connection must not be used again.
pub(super) const USED_UP: ErrorType =
    ErrorType::new("a body was announced for a response without one");
