//! What happens to a request: it goes to the application with a permit, or is answered here.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use pingora::protocols::http::v1::server::HttpSession;
use pingora::proxy::Session;

use crate::domain::assurance::Permit;
use crate::flow::{ClientAddress, Line};
use crate::policy::OwnPage;
use crate::proxy::authorization::Authorization;
use crate::proxy::downstream::connection::Connection;
use crate::proxy::framing;
use crate::proxy::overload::{self, SharedLimits};
use crate::proxy::passage::Passage;
use crate::proxy::request::client_address;
use crate::proxy::request::intake::{self, Refusal};
use crate::proxy::request_limit::Slot;
use crate::proxy::response::local_reply::{self, Unread};
use crate::proxy::sites::{Sites, VirtualHost};
use crate::proxy::upstream::{Length, connection_auth};
use crate::web::pages::Notice;
use crate::web::{Admitted, Asked, Present, Web};

/// What to do with a request.
pub(super) enum Onward {
    Upstream(Permit),
    Answered(Response<Bytes>),
    /// The visitor has disconnected, so there is nobody to answer.
    Gone,
}

/// Reads the request, and decides about it. Notes in `passage` what later filters need.
pub(super) async fn receive(
    limits: &SharedLimits,
    sites: &Sites,
    session: &mut Session,
    passage: &mut Passage,
    connection: &Connection,
) -> Onward {
    let peer: IpAddr = connection.peer();
    let headers = &session.req_header().headers;
    let (client, chain) = client_address::read(peer, headers, sites.trusted_proxies());
    passage.client = Some(client);
    passage.forwarded_for = chain.map(|chain| {
        // A list of addresses is always a valid header value.
        HeaderValue::try_from(chain).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    });
    let (virtual_host, present) = match take_in(session, sites, connection) {
        Ok(taken) => taken,
        Err(refusal) => {
            match limits.at_address(sites, connection, false).await {
                Ok(slot) => passage.slots.extend(slot),
                Err(full) => return Onward::Answered(full),
            }
            let refused = refuse(sites, session, connection, refusal, client);
            return Onward::Answered(Box::pin(refused).await);
        }
    };
    let virtual_host = &*passage.virtual_host.insert(virtual_host);
    let web = &virtual_host.web;
    let dropped_keys = web.dropped_keys();
    // Only visitors who have signed in have such a cookie, even if their session has ended.
    let named = present
        .cookie
        .then(|| connection.memo().session(virtual_host, &session.req_header().headers));
    let named = named.flatten();
    let has_signed_in = named.is_some();
    match limits.at_address(sites, connection, has_signed_in).await {
        Ok(slot) => passage.slots.extend(slot),
        Err(full) => return Onward::Answered(full),
    }
    let host = virtual_host.address.authority.as_str();
    let asked = intake::asked(session.req_header(), host, client);
    let request = match asked.read(present, &web.host().origin) {
        Ok(request) => request,
        Err(why) => return Onward::Answered(Box::pin(web.misread(&why.to_string(), &asked)).await),
    };
    if let Some(record) = &mut passage.record {
        record.is_of(&request.own_page());
    }
    match request.own_page() {
        _ if connection.entrance().redirect => {
            Onward::Answered(redirect(virtual_host, asked.target))
        }
        OwnPage::Odd => {
            let why = "unusual spelling of the path of Doorward's own pages";
            Onward::Answered(Box::pin(web.misread(why, &asked)).await)
        }
        // Boxed, like everything that is not on the path to an application: otherwise its state
        // would enlarge the future of every request.
        OwnPage::Page(_) => {
            if !session.is_body_empty() {
                connection.await_body();
            }
            let answering = own_page(limits, sites, web, session, client, connection);
            let (onward, page) = Box::pin(answering).await;
            connection.await_nothing();
            passage.slots.extend(page);
            onward
        }
        // Our own pages share this host.
        OwnPage::No if present.service_worker && web.host().is_portal => {
            tracing::debug!("service worker blocked on the portal's host");
            Onward::Answered(Box::pin(Web::service_worker()).await)
        }
        OwnPage::No => match web.admit(request, &asked, named).await {
            Ok(Admitted { permit, allowed, decision }) => {
                if let Some(record) = &mut passage.record {
                    record.decided(decision);
                }
                if let Some(answer) = framing::answer_to_last_hop(asked.method, asked.headers) {
                    return Onward::Answered(answer);
                }
                match limits.at_application(sites, virtual_host, connection, has_signed_in).await {
                    Ok(slots) => passage.slots.extend(slots),
                    Err(limit) => {
                        overload::tell_busy(sites, connection, limit);
                        let notice = web.notice(Notice::Unavailable, asked.headers);
                        return Onward::Answered(overload::later(Box::pin(notice).await));
                    }
                }
                connection.authorize(
                    allowed.map(|allowed| Authorization::of(virtual_host, allowed, dropped_keys)),
                );
                if present.authorization && connection_auth::binds(asked.headers) {
                    connection.bind();
                }
                passage.length = Length::of(present);
                passage.has_body = present.content_length || present.transfer_encoding;
                Onward::Upstream(permit)
            }
            Err(response) => Onward::Answered(response),
        },
    }
}

/// The answer of one of our own pages, and its slot among the pages that are not sent yet. The
/// page is made only once it has a slot.
async fn own_page(
    limits: &SharedLimits,
    sites: &Sites,
    web: &Web,
    session: &mut Session,
    client: ClientAddress,
    connection: &Connection,
) -> (Onward, Option<Slot>) {
    let request = match local_reply::take_request(session, sites.deadlines().form).await {
        Ok(request) => request,
        Err(Unread::TooLarge) => {
            let headers = &session.req_header().headers;
            return (Onward::Answered(web.notice(Notice::TooLarge, headers).await), None);
        }
        Err(Unread::Malformed) => {
            let asked = Asked::of(session.req_header(), client);
            let answer = web.misread(local_reply::BAD_CHUNK, &asked).await;
            return (Onward::Answered(answer), None);
        }
        Err(Unread::Broken) => return (Onward::Gone, None),
    };
    connection.await_nothing();
    match limits.at_own_pages(sites, connection).await {
        Ok(slot) => (Onward::Answered(web.answer(request, client).await), Some(slot)),
        Err(full) => (Onward::Answered(full), None),
    }
}

/// Reads the head, and notes on `connection` how much follows it.
fn take_in(
    session: &mut Session,
    sites: &Sites,
    connection: &Connection,
) -> Result<(Arc<VirtualHost>, Present), Refusal> {
    let raw = session.as_http1().map(HttpSession::get_headers_raw_bytes).unwrap_or_default();
    let taken = intake::read(session.req_header_mut(), &raw, sites.limits(), |host| {
        find(sites, connection, host)
    });
    if connection.is_head_whole() {
        let head = session.req_header();
        let present = match &taken {
            Ok((_, present)) => *present,
            Err(_) => Present::in_request(&head.headers),
        };
        if let Some(bytes) = framing::length_of_rest(head, present) {
            connection.expects(bytes);
        }
    }
    taken
}

/// The virtual host that `host` names on this `connection`.
fn find(sites: &Sites, connection: &Connection, host: &str) -> Option<Arc<VirtualHost>> {
    let entered = connection.entrance();
    let virtual_host = if entered.redirect {
        sites.find_under_https(host)
    } else {
        // Some proxies pass on `Host` without its port (`$host` of nginx).
        let from_proxy =
            || sites.trusts(connection.peer()).then(|| sites.find_by_name(host)).flatten();
        sites.find(host).or_else(from_proxy)
    }?;
    let as_let_in =
        connection.only_for().is_none_or(|only| only == virtual_host.web.host().origin.host());
    // A visitor who came over TLS does not mean a plain HTTP host.
    let as_encrypted = !entered.secure || virtual_host.web.host().origin.is_secure();
    (sites.lets_in(entered) && as_let_in && as_encrypted).then_some(virtual_host)
}

/// Redirects to the same URL under https, with a status that keeps the method (RFC 9110 §15.4.9).
fn redirect(virtual_host: &VirtualHost, target: &[u8]) -> Response<Bytes> {
    let mut to = virtual_host.web.host().origin.to_string().into_bytes();
    to.extend_from_slice(target);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    match HeaderValue::from_bytes(&to) {
        Ok(to) => {
            response.headers_mut().insert(LOCATION, to);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// Says what is wrong: on a page of the host that was named, or on a page without a name if that
/// host is not ours.
async fn refuse(
    sites: &Sites,
    session: &mut Session,
    connection: &Connection,
    refusal: Refusal,
    client: ClientAddress,
) -> Response<Bytes> {
    if refusal == Refusal::Method {
        // What follows a CONNECT is not a request (RFC 9110 §9.3.6).
        session.set_keepalive(None);
    }
    let head = session.req_header();
    let headers = &head.headers;
    let notice = match refusal {
        Refusal::Misdirected => return sites.portal().web.misdirected(headers, client).await,
        Refusal::TooLarge => Some(Notice::HeadTooLarge),
        Refusal::Method => Some(Notice::NotAllowed),
        Refusal::Host | Refusal::Target | Refusal::Framing => None,
    };
    let virtual_host = intake::host(head).and_then(|host| find(sites, connection, host));
    let asked = Asked { target: head.raw_path(), ..Asked::of(head, client) };
    let env = sites.env();
    if notice.is_some()
        && let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::Refused, now)
    {
        let address = client.address();
        tracing::info!(%address, why = refusal.to_string(), left_out, "request refused");
    }
    match (notice, virtual_host) {
        (Some(notice), Some(virtual_host)) => virtual_host.web.notice(notice, headers).await,
        (Some(notice), None) => Web::nameless_notice(notice, headers).await,
        (None, Some(virtual_host)) => virtual_host.web.misread(&refusal.to_string(), &asked).await,
        (None, None) => {
            let web = &sites.portal().web;
            web.misread_nameless(&refusal.to_string(), &asked).await
        }
    }
}
