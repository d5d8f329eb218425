//! The filters that Pingora calls for each request, in the order in which it calls them.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, UPGRADE};
use http::{Response, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::answers;
use super::headers::{self, Stamp};
use super::house::{House, Place};
use super::intake::{self, Refusal};
use super::own::{self, Unread};
use super::serving::{self, Flight, Flights, Running};
use super::source;
use super::upstream::Length;
use crate::domain::assurance::Permit;
use crate::flow::Source;
use crate::policy::{OwnPage, Request};
use crate::web::Web;
use crate::web::pages::Notice;
use crate::web::refusal::beginning;

/// Stands between visitors and the applications.
pub struct Gateway {
    house: Arc<ArcSwap<House>>,
    flights: Flights,
}

/// One request on its way. It goes through the house in which it arrived, whatever is swapped
/// meanwhile.
pub struct Passage {
    _flight: Flight,
    place: Option<Arc<Place>>,
    forwarded_for: String,
    permit: Option<Permit>,
}

/// What is to be done with a request.
enum Onward {
    Upstream(Permit),
    Answered(Response<Bytes>),
    /// Nobody is there any more to be answered.
    Gone,
}

impl Gateway {
    /// A gateway to what stands in `house`; whoever swaps that swaps it for the next request.
    pub fn new(house: Arc<ArcSwap<House>>) -> Self {
        Self { house, flights: Flights::new() }
    }

    /// Serves on `sockets`, which are bound already. Call it within a runtime.
    ///
    /// # Errors
    /// If a socket has no address or cannot be made non-blocking.
    pub fn serve(self, sockets: Vec<TcpListener>) -> io::Result<Running> {
        let flights = self.flights.clone();
        serving::serve(self, flights, sockets)
    }

    async fn receive(&self, session: &mut Session, passage: &mut Passage, peer: IpAddr) -> Onward {
        let house = self.house.load_full();
        let headers = &session.req_header().headers;
        let (source, chain) = source::read(peer, headers, house.trusted_proxies());
        passage.forwarded_for = chain;
        let place = match take_in(session, &house) {
            Ok(place) => place,
            Err(refusal) => {
                return Onward::Answered(refuse(&house, session, refusal, source).await);
            }
        };
        let place = &*passage.place.insert(place);
        let web = &place.web;
        let request = match Request::read(session.req_header().raw_path()) {
            Ok(request) => request,
            Err(why) => return misread(web, session, &why.to_string()).await,
        };
        match request.own_page() {
            OwnPage::Odd => misread(web, session, "an own page in a spelling of its own").await,
            OwnPage::Page(_) => own_page(web, session, source).await,
            // Our own pages share this host: see `asks_for_service_worker`.
            OwnPage::No
                if web.site().is_portal
                    && headers::asks_for_service_worker(session.req_header()) =>
            {
                misread(web, session, "a service worker next to our own pages").await
            }
            OwnPage::No => match web.admit(&request, session.req_header(), source).await {
                Ok(permit) => Onward::Upstream(permit),
                Err(response) => Onward::Answered(response),
            },
        }
    }
}

fn take_in(session: &mut Session, house: &House) -> Result<Arc<Place>, Refusal> {
    let raw = session.as_http1().map(HttpSession::get_headers_raw_bytes).unwrap_or_default();
    intake::read(session.req_header_mut(), &raw, |host| house.find(host))
}

async fn refuse(
    house: &House,
    session: &Session,
    refusal: Refusal,
    source: Source,
) -> Response<Bytes> {
    let headers = &session.req_header().headers;
    let web = &house.portal().web;
    match refusal {
        Refusal::Misdirected => web.misdirected(headers, source).await,
        Refusal::Method => web.notice(Notice::NotAllowed, headers).await,
        Refusal::Host | Refusal::Target | Refusal::Framing => {
            web.misread(&refusal.to_string(), headers).await
        }
    }
}

async fn own_page(web: &Web, session: &mut Session, source: Source) -> Onward {
    match own::take_request(session).await {
        Ok(request) => Onward::Answered(web.answer(request, source).await),
        Err(Unread::TooLarge) => {
            let headers = &session.req_header().headers;
            Onward::Answered(web.notice(Notice::TooLarge, headers).await)
        }
        Err(Unread::Broken) => Onward::Gone,
    }
}

async fn misread(web: &Web, session: &Session, why: &str) -> Onward {
    Onward::Answered(web.misread(why, &session.req_header().headers).await)
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage {
            _flight: self.flights.begin(),
            place: None,
            forwarded_for: String::new(),
            permit: None,
        }
    }

    /// None: what an application says is not touched beyond what this module does.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> Result<bool> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(IDLE.as_secs()));
        }
        session.set_write_timeout(Some(STALLED));
        let peer = session.client_addr().and_then(|address| address.as_inet());
        let Some(peer) = peer.map(|address| address.ip().to_canonical()) else {
            return Error::e_explain(ErrorType::InternalError, "a visitor without an address");
        };
        match self.receive(session, passage, peer).await {
            Onward::Upstream(permit) => {
                passage.permit = Some(permit);
                Ok(false)
            }
            Onward::Answered(response) => {
                own::answer(session, response).await.map_err(Error::into_down)?;
                Ok(true)
            }
            Onward::Gone => {
                session.set_keepalive(None);
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        passage: &mut Passage,
    ) -> Result<Box<HttpPeer>> {
        let upstream = passage.place.as_ref().and_then(|place| place.upstream.as_ref());
        upstream.and_then(|known| known.peer(length(session.req_header()))).ok_or_else(|| {
            Error::explain(ErrorType::ConnectError, "the application's address is not known")
                .into_up()
        })
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        let (Some(permit), Some(place)) = (&passage.permit, &passage.place) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a permit");
        };
        let Some(app) = &place.web.site().app else {
            return Error::e_explain(ErrorType::InternalError, "a request to no application");
        };
        let forwarded_for = &passage.forwarded_for;
        headers::stamp(request, &Stamp { permit, forwarded_for, site: &place.address, app })
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // A quiet WebSocket is not broken.
            session.set_read_timeout(None);
        }
        answers::drop_our_cookies(response)?;
        // Wherever anything is asked, the request goes in somebody's name; and where nothing is
        // asked, an answer to somebody may still be about them.
        if passage.permit.as_ref().is_none_or(|permit| permit.identity().is_some()) {
            answers::make_private(response)?;
        }
        Ok(())
    }

    /// What goes wrong on the way is told in our words, in [`ProxyHttp::fail_to_proxy`]: Pingora's
    /// own hold what visitors sent.
    fn suppress_error_log(&self, _: &Session, _: &Passage, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Passage,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        passage: &mut Passage,
    ) -> FailToProxy {
        let house = self.house.load();
        let place = passage.place.as_ref().unwrap_or(house.portal());
        let web = &place.web;
        let app = web.site().app.as_ref().map(|app| app.name.clone()).unwrap_or_default();
        let headers = &session.req_header().headers;
        let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
        let failure = failure(error);
        match failure {
            Failure::Unreachable | Failure::Unreadable | Failure::Late => {
                let head = session.req_header();
                let (method, path) = (head.method.as_str(), beginning(head.uri.path()));
                let kind = error.etype().as_str();
                tracing::warn!(app, method, path, kind, "{}", what_happened(error.etype()));
            }
            Failure::Ours => {
                tracing::error!(why = error.etype().as_str(), "a request was given up");
            }
            Failure::VisitorGone | Failure::Misread => {
                tracing::debug!(why = error.etype().as_str(), "a visitor's request broke off");
            }
        }
        let response = match failure {
            _ if begun => None,
            Failure::VisitorGone => None,
            Failure::Unreachable => Some(web.notice(Notice::Unreachable { app }, headers).await),
            Failure::Unreadable => Some(web.notice(Notice::Unreadable { app }, headers).await),
            Failure::Late => Some(web.notice(Notice::Late { app }, headers).await),
            Failure::Misread => Some(web.misread(error.etype().as_str(), headers).await),
            Failure::Ours => Some(web.notice(Notice::Unavailable, headers).await),
        };
        session.set_keepalive(None);
        let error_code = response.as_ref().map_or(0, |response| response.status().as_u16());
        if let Some(response) = response
            && let Err(error) = own::answer(session, response).await
        {
            tracing::debug!(why = error.etype().as_str(), "nobody was there to be told");
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }
}

/// What went wrong on the way, as the visitor needs to know it.
enum Failure {
    VisitorGone,
    Misread,
    Unreachable,
    Unreadable,
    Late,
    Ours,
}

fn failure(error: &Error) -> Failure {
    let kind = error.etype();
    match error.esource() {
        ErrorSource::Upstream => match kind {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Failure::Late
            }
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error => Failure::Unreadable,
            _ => Failure::Unreachable,
        },
        ErrorSource::Downstream => match kind {
            ErrorType::InvalidHTTPHeader => Failure::Misread,
            _ => Failure::VisitorGone,
        },
        ErrorSource::Internal | ErrorSource::Unset => Failure::Ours,
    }
}

/// What an application did instead of answering, in words for the log.
fn what_happened(kind: &ErrorType) -> &'static str {
    match kind {
        ErrorType::ConnectRefused => "the application refused the connection",
        ErrorType::ConnectTimedout => "the application did not take the connection in time",
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            "the application took the request and did not answer in time"
        }
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            "the application broke off the connection"
        }
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => {
            "the application answered with something that is not HTTP"
        }
        _ => "the application cannot be reached",
    }
}

/// What a request asks for: an answer, or a connection that stays.
fn length(request: &RequestHeader) -> Length {
    let events = request.headers.get_all(ACCEPT).iter().any(|accepted| {
        accepted.to_str().is_ok_and(|accepted| accepted.contains("text/event-stream"))
    });
    if request.headers.contains_key(UPGRADE) {
        Length::Tunnel
    } else if events {
        Length::Lasting
    } else {
        Length::Ordinary
    }
}

/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_mins(1);
/// How long a visitor may take nothing of what is sent.
const STALLED: Duration = Duration::from_mins(1);
