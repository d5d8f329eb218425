//! The filters that Pingora calls for each request, in the order in which it calls them.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

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
use super::intake::{self, Refusal, Site};
use super::own::{self, Unread};
use super::serving::{self, Flight, Flights, Running};
use super::upstream::{Length, Upstream};
use crate::config::Origin;
use crate::domain::assurance::Permit;
use crate::policy::{OwnPage, Request};
use crate::web::Web;
use crate::web::pages::Notice;
use crate::web::refusal::beginning;

/// Stands between visitors and one application.
pub struct Gateway {
    web: Web,
    app: String,
    site: Site,
    upstream: Arc<Upstream>,
    flights: Flights,
}

/// One request on its way.
pub struct Passage {
    _flight: Flight,
    from: Option<IpAddr>,
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
    /// A gateway to the application called `app`, which is at `upstream` and which visitors
    /// find at `origin`.
    pub fn new(web: Web, app: &str, origin: &Origin, upstream: Arc<Upstream>) -> Self {
        let site = Site::of(origin);
        Self { web, app: app.to_owned(), site, upstream, flights: Flights::new() }
    }

    /// Serves on `sockets`, which are bound already. Call it within a runtime.
    ///
    /// # Errors
    /// If a socket has no address or cannot be made non-blocking.
    pub fn serve(self, sockets: Vec<TcpListener>) -> io::Result<Running> {
        let flights = self.flights.clone();
        serving::serve(self, flights, sockets)
    }

    async fn receive(&self, session: &mut Session, from: IpAddr) -> Onward {
        if let Err(refusal) = self.take_in(session) {
            return Onward::Answered(self.refuse(session, refusal, from).await);
        }
        let request = match Request::read(session.req_header().raw_path()) {
            Ok(request) => request,
            Err(why) => return self.misread(session, &why.to_string()).await,
        };
        match request.own_page() {
            OwnPage::Odd => self.misread(session, "an own page in a spelling of its own").await,
            OwnPage::Page(_) => self.own_page(session, from).await,
            // Our own pages share this host: see `asks_for_service_worker`.
            OwnPage::No if headers::asks_for_service_worker(session.req_header()) => {
                self.misread(session, "a service worker next to our own pages").await
            }
            OwnPage::No => match self.web.admit(&request, session.req_header(), from).await {
                Ok(permit) => Onward::Upstream(permit),
                Err(response) => Onward::Answered(response),
            },
        }
    }

    fn take_in(&self, session: &mut Session) -> Result<(), Refusal> {
        let raw = session.as_http1().map(HttpSession::get_headers_raw_bytes).unwrap_or_default();
        intake::read(session.req_header_mut(), &raw, &self.site)
    }

    async fn refuse(&self, session: &Session, refusal: Refusal, from: IpAddr) -> Response<Bytes> {
        let headers = &session.req_header().headers;
        match refusal {
            Refusal::Misdirected => self.web.misdirected(headers, from).await,
            Refusal::Method => self.web.notice(Notice::NotAllowed, headers).await,
            Refusal::Host | Refusal::Target | Refusal::Framing => {
                self.web.misread(&refusal.to_string(), headers).await
            }
        }
    }

    async fn own_page(&self, session: &mut Session, from: IpAddr) -> Onward {
        match own::take_request(session).await {
            Ok(request) => Onward::Answered(self.web.answer(request, from).await),
            Err(Unread::TooLarge) => self.says(session, Notice::TooLarge).await,
            Err(Unread::Broken) => Onward::Gone,
        }
    }

    async fn misread(&self, session: &Session, why: &str) -> Onward {
        Onward::Answered(self.web.misread(why, &session.req_header().headers).await)
    }

    async fn says(&self, session: &Session, notice: Notice) -> Onward {
        Onward::Answered(self.web.notice(notice, &session.req_header().headers).await)
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage { _flight: self.flights.begin(), from: None, permit: None }
    }

    /// None: what an application says is not touched beyond what this module does.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> Result<bool> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(IDLE.as_secs()));
        }
        session.set_write_timeout(Some(STALLED));
        passage.from = session
            .client_addr()
            .and_then(|address| address.as_inet())
            .map(|address| address.ip().to_canonical());
        let Some(from) = passage.from else {
            return Error::e_explain(ErrorType::InternalError, "a visitor without an address");
        };
        match self.receive(session, from).await {
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

    async fn upstream_peer(&self, session: &mut Session, _: &mut Passage) -> Result<Box<HttpPeer>> {
        self.upstream.peer(length(session.req_header())).ok_or_else(|| {
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
        let (Some(permit), Some(peer)) = (&passage.permit, passage.from) else {
            return Error::e_explain(ErrorType::InternalError, "a request without a permit");
        };
        headers::stamp(request, &Stamp { permit, peer, site: &self.site })
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
        _: &mut Passage,
    ) -> FailToProxy {
        let app = self.app.clone();
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
            Failure::Unreachable => {
                Some(self.web.notice(Notice::Unreachable { app }, headers).await)
            }
            Failure::Unreadable => Some(self.web.notice(Notice::Unreadable { app }, headers).await),
            Failure::Late => Some(self.web.notice(Notice::Late { app }, headers).await),
            Failure::Misread => Some(self.web.misread(error.etype().as_str(), headers).await),
            Failure::Ours => Some(self.web.notice(Notice::Unavailable, headers).await),
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
