//! The filters that Pingora calls for each request, in the order of the calls.

use std::io;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};

use crate::flow;
use crate::proxy::access::Recorder;
use crate::proxy::downstream::connection::{Connection, Phase, STALLED};
use crate::proxy::downstream::table::ConnectionTable;
use crate::proxy::downstream::unsent_limits;
use crate::proxy::downstream::unsent_room;
use crate::proxy::drain::InFlight;
use crate::proxy::failure;
use crate::proxy::framing;
use crate::proxy::overload::SharedLimits;
use crate::proxy::passage::Passage;
use crate::proxy::receive::{self, Onward};
use crate::proxy::request::identity_headers::Proxies;
use crate::proxy::request::request_id;
use crate::proxy::request::title_case;
use crate::proxy::response::bodiless;
use crate::proxy::response::local_reply;
use crate::proxy::response::location;
use crate::proxy::response::rewrite;
use crate::proxy::scan::InAnswer;
use crate::proxy::server::{self, Running};
use crate::proxy::sites::Sites;
use crate::proxy::upstream::{self, Length, connection_auth};
use crate::unavailable::Unavailable;
use crate::web::Decision;

/// The proxy between visitors and the applications.
pub struct Gateway {
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
    in_flight: InFlight,
    limits: SharedLimits,
    recorder: Arc<Recorder>,
}

impl Gateway {
    /// A gateway to `sites`. When they are swapped, the next request uses the new ones.
    pub fn new(sites: Arc<ArcSwap<Sites>>) -> Self {
        let (connections, in_flight) = <(Arc<ConnectionTable>, InFlight)>::default();
        let limits = SharedLimits::new(Arc::clone(&connections));
        let recorder = Recorder::of(sites.load().env());
        Self { sites, connections, in_flight, limits, recorder }
    }

    /// Serves on `sockets`, which are bound already. Call it within a runtime.
    ///
    /// # Errors
    /// A socket has no address or cannot be made non-blocking.
    pub fn serve(self, sockets: Vec<TcpListener>) -> io::Result<Running> {
        let (sites, connections) = (Arc::clone(&self.sites), Arc::clone(&self.connections));
        let in_flight = self.in_flight.clone();
        server::serve(self, sites, connections, in_flight, sockets)
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Passage>;

    /// Boxed: Pingora moves it from future to future, and keeps room for it in each.
    fn new_ctx(&self) -> Box<Passage> {
        let connection = Connection::current();
        if let Some(connection) = &connection {
            connection.enter(Phase::Busy, self.connections.now());
        }
        Box::new(Passage::new(self.in_flight.begin(), connection))
    }

    /// No modules: we change an application's answer only in this file's filters.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        passage: &mut Box<Passage>,
    ) -> Result<bool> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(IDLE.as_secs()));
        }
        session.set_write_timeout(Some(STALLED));
        if session.req_header().version == Version::HTTP_10 {
            // HTTP/1.0 has no interim answers (RFC 9110 §15.2).
            session.set_ignore_info_resp(true);
        }
        passage.record = self.recorder.begin(session.req_header());
        let Some(connection) = passage.connection.take() else {
            return Error::e_explain(ErrorType::InternalError, "request without a connection");
        };
        let sites = self.sites.load();
        let is_told = sites.trusts(connection.peer());
        let given = is_told.then(|| request_id::given(&session.req_header().headers)).flatten();
        let id = *passage.id.insert(given.unwrap_or_else(|| sites.env().request_id()));
        let received = receive::receive(&self.limits, &sites, session, passage, &connection);
        // What a decision shares with others has no state that a panic could leave half changed.
        let received = AssertUnwindSafe(received).catch_unwind();
        let onward = match flow::request_id::within(id, received).await {
            Ok(onward) => onward,
            Err(panic) => {
                let why = Unavailable::panicked(&*panic);
                let answering = failure::unavailable(why, session, passage, &sites);
                Onward::Answered(Box::pin(flow::request_id::within(id, answering)).await)
            }
        };
        let connection = passage.connection.insert(connection);
        match onward {
            Onward::Upstream(permit) => {
                passage.permit = Some(permit);
                Ok(false)
            }
            Onward::Answered(mut response) => {
                if let Some(record) = &mut passage.record {
                    let decision = response.extensions_mut().remove::<Decision>();
                    record.decided(decision.unwrap_or_default());
                    record.replies(response.status());
                }
                let connection = Arc::clone(connection);
                let promises = !connection.entrance().redirect;
                passage.complete(response.headers_mut(), promises);
                let has_slot = !passage.slots.is_empty();
                // Over HTTP/2, the library holds what the visitor does not take, and the slots for
                // as long.
                let slots = session.is_http2().then(|| passage.take_slots());
                let of_address = slots.as_ref().and_then(|(of_address, _)| of_address.clone());
                let response =
                    response.map(|body| unsent_limits::counted(body, &connection, slots));
                connection.writes_since(Some(self.connections.now()));
                let answered = Box::pin(local_reply::answer(session, response)).await;
                connection.writes_since(None);
                answered.map_err(Error::into_down)?;
                passage.is_answered();
                Box::pin(local_reply::linger(session, &connection, has_slot)).await;
                drop(of_address);
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
        passage: &mut Box<Passage>,
    ) -> Result<Box<HttpPeer>> {
        if let Some(record) = &mut passage.record {
            record.asks();
        }
        let alone = passage.alone();
        let Passage { virtual_host, connection, length, has_body, silent_ticks, tried, .. } =
            &mut **passage;
        let application =
            virtual_host.as_ref().and_then(|virtual_host| virtual_host.application.as_ref());
        // The watchdog can report to a request only through `VisitorStream`, while the request
        // reads from its visitor. That excludes HTTP/2 streams, and requests whose body the
        // application has not taken yet.
        *silent_ticks = application
            .filter(|_| session.as_http1().is_some() && !*has_body)
            .and_then(|known| known.silent_ticks());
        if let Some(connection) = connection {
            connection.watchdog().end();
        }
        let peer =
            application.and_then(|known| known.peer(*length, silent_ticks.is_some(), alone, tried));
        peer.ok_or_else(|| {
            Error::explain(ErrorType::ConnectError, "its name cannot be resolved").into_up()
        })
    }

    /// No connection was made, so nothing was sent: another endpoint may be tried.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        passage: &mut Box<Passage>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if upstream::shortage(&error).is_some() {
            return error;
        }
        let application = passage
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.application.as_ref());
        // Pingora calls it ours if we may not open a socket file.
        error.as_up();
        let failed = application.map(|known| known.failed(&passage.tried)).unwrap_or_default();
        if failed.is_another_left && failed.is_new {
            failure::another_is_tried(&error, passage, &self.sites.load());
        }
        error.set_retry(failed.is_another_left);
        error
    }

    /// What the visitor sends counts as use of the user session.
    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Box<Passage>,
    ) -> Result<()> {
        // An HTTP/2 body often ends with an empty DATA frame. Pingora would write it as a chunk of
        // length zero, which is the last chunk, and then write the last chunk again (its issue
        // 935): the application would read the second one as the start of the next visitor's
        // request.
        if is_last && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        let Some(connection) = &passage.connection else { return Ok(()) };
        if let Some(body) = body.as_ref().filter(|body| !body.is_empty()) {
            connection.has_body(body.len());
            if !is_pong(body) {
                connection.use_now();
            }
        }
        if is_last {
            connection.await_nothing();
        }
        Ok(())
    }

    /// If the configuration names the application's certificate, it must show that one before we
    /// send anything.
    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        peer: &HttpPeer,
        _: std::os::unix::io::RawFd,
        digest: Option<&Digest>,
        passage: &mut Box<Passage>,
    ) -> Result<()> {
        let application = passage
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.application.as_ref());
        let shown = digest.and_then(|digest| digest.ssl_digest.as_deref());
        let shown = shown.map(|tls| tls.cert_digest.as_slice());
        // We opened a tunnel's TLS ourselves, and checked its certificate then.
        if peer.is_tls() && application.is_some_and(|known| !known.knows(&passage.tried, shown)) {
            let why = "ApplicationVerificationFailure";
            return Error::e_explain(ErrorType::InvalidCert, why).map_err(Error::into_up);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Box<Passage>,
    ) -> Result<()> {
        let (Some(permit), Some(virtual_host), Some(connection)) =
            (&passage.permit, &passage.virtual_host, &passage.connection)
        else {
            return Error::e_explain(ErrorType::InternalError, "request without a permit");
        };
        let (Some(app), Some(stamp)) = (&virtual_host.web.host().app, &virtual_host.stamp) else {
            return Error::e_explain(ErrorType::InternalError, "request without an application");
        };
        let heard = passage.forwarded_for.as_ref();
        // `forwarded_for` is set only if a trusted proxy has sent the request.
        let (forwarded_for, from_trusted_proxy) =
            (heard.unwrap_or(connection.peer_told()), heard.is_some());
        connection.memo().introduce(virtual_host, stamp, permit, |introduction, cookies| {
            let proxies = Proxies { forwarded_for, from_trusted_proxy };
            stamp.put(request, introduction, cookies, &proxies, passage.id.as_ref())
        })?;
        if let Some(host) = &app.reach.host {
            request.insert_header("Host", host.clone())?;
            if request.uri.authority().is_some() {
                // HTTP/2 would take the host from here. In HTTP/1.1 there is no authority, and the
                // target stays unchanged.
                let uri = in_origin_form(&request.uri);
                request.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "no path")?);
            }
        }
        if !app.reach.slow_bodies && !session.is_body_empty() {
            connection.await_body();
        }
        let at_most = passage.silent_ticks;
        framing::count_hop(request)?;
        if request.version == Version::HTTP_2 {
            framing::end_request_here(request);
        }
        if passage.ends_with(session, request) {
            request.insert_header(CONNECTION, HeaderValue::from_static("close"))?;
        }
        if let Some(app) = passage
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.web.host().app.as_ref())
            && app.reach.titled
            && !app.reach.http2
        {
            title_case::request(request)?;
        }
        if let (Some(at_most), Some(connection)) = (at_most, &passage.connection) {
            connection.watchdog().begin(at_most);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        passage: &mut Box<Passage>,
    ) -> Result<()> {
        if let Some(record) = &mut passage.record {
            record.answered(response.status);
        }
        let there = InAnswer::of(&response.headers);
        if let Some(connection) = &passage.connection
            && !response.status.is_informational()
        {
            // The application has answered, so it no longer needs the body.
            connection.await_nothing();
        }
        if framing::is_final(response.status)
            && passage.length != Length::Ordinary
            && let Some(connection) = &passage.connection
        {
            // From now on it may be silent for as long as it likes.
            connection.watchdog().end();
        }
        if let Some(known) =
            passage.virtual_host.as_ref().and_then(|virtual_host| virtual_host.application.as_ref())
        {
            known.answered(&passage.tried);
            if there.binding && connection_auth::is_offered_by(&response.headers) {
                known.asks_to_sign_in_connections();
            }
        }
        if there.binding
            && passage.alone().is_none()
            && connection_auth::is_bound_by(&response.headers)
        {
            return Error::e_explain(
                ErrorType::InvalidHTTPHeader,
                "the application authenticates the connection (NTLM, Negotiate), but it is shared",
            )
            .map_err(Error::into_up);
        }
        let request = session.req_header();
        framing::check(response, there, || request.headers.contains_key(UPGRADE))?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // A WebSocket may be idle for a long time.
            session.set_read_timeout(None);
        }
        if let Some(connection) = &passage.connection {
            if upstream::is_endless(response, there) {
                connection.has_no_end();
            } else if !response.status.is_informational() && unsent_room::may_be_large(there) {
                let is_signed_in = passage.user().is_some();
                let sites = self.sites.load();
                let lack = unsent_room::lacking(connection, sites.limits(), is_signed_in);
                if let Some(limit) = lack {
                    return Error::e_explain(ErrorType::new(limit), "no room for the response");
                }
            }
        }
        // Where the rule demands something, the request always has an identity. Where it demands
        // nothing, an answer to a signed-in visitor may still be about them.
        let is_private = passage.permit.as_ref().is_none_or(|permit| permit.identity().is_some());
        let over_http2 = response.version == Version::HTTP_2;
        let bodiless =
            [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
        // Over HTTP/1.1, Pingora reads no content of these (RFC 9112 §6.3).
        passage.has_no_content =
            over_http2 && (bodiless || session.req_header().method == http::Method::HEAD);
        rewrite::pass_on(response, there, is_private, passage.promise_of_https())?;
        let old = session.req_header().version == Version::HTTP_10;
        if old
            && !response.status.is_informational()
            && !response.headers.contains_key(CONTENT_LENGTH)
        {
            // HTTP/1.0 has no chunks: the end of the connection marks the end of the answer (RFC
            // 9112 §6.1).
            response.remove_header(&TRANSFER_ENCODING);
            session.set_keepalive(None);
            if let Some(connection) = passage.connection.as_ref().filter(|_| over_http2) {
                connection.say_without_chunks();
            }
        }
        if let Some(virtual_host) = &passage.virtual_host
            && let Some(app) = &virtual_host.web.host().app
        {
            if there.url {
                location::correct(response, &virtual_host.address, app, || self.sites.load())?;
            }
            if app.reach.titled {
                title_case::response(response)?;
            }
        }
        if bodiless && (there.transfer_encoding || there.announces_body()) {
            return Box::pin(bodiless::end_with_its_connection(session, response)).await;
        }
        Ok(())
    }

    /// Counts bytes that the visitor has not taken.
    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        passage: &mut Box<Passage>,
    ) -> Result<Option<Duration>> {
        if passage.has_no_content {
            *body = None;
        }
        passage.sent += body.as_ref().map_or(0, Bytes::len) as u64;
        if let Some(body) = body.as_mut().filter(|body| body.len() >= unsent_limits::COUNTED)
            && let Some(connection) = &passage.connection
        {
            *body = unsent_limits::counted(std::mem::take(body), connection, ());
        }
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut http::HeaderMap,
        _: &mut Box<Passage>,
    ) -> Result<Option<Bytes>> {
        framing::check_trailers(trailers);
        Ok(None)
    }

    /// We log errors ourselves, in [`ProxyHttp::fail_to_proxy`]: Pingora's messages contain what
    /// visitors sent.
    fn suppress_error_log(&self, _: &Session, _: &Box<Passage>, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Box<Passage>,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        passage: &mut Box<Passage>,
    ) -> FailToProxy {
        let sites = self.sites.load();
        let answering = failure::answer(session, error, passage, &sites);
        let response = match passage.id {
            Some(id) => flow::request_id::within(id, answering).await,
            None => answering.await,
        };
        session.set_keepalive(None);
        let response = response.map(|mut response| {
            passage.complete(response.headers_mut(), true);
            response
        });
        if let (Some(record), Some(response)) = (&mut passage.record, &response) {
            record.replies(response.status());
        }
        let error_code = response.as_ref().map_or(0, |response| response.status().as_u16());
        let response = response.map(|response| match &passage.connection {
            Some(connection) => response.map(|body| unsent_limits::counted(body, connection, ())),
            None => response,
        });
        if let Some(response) = response {
            if let Err(error) = local_reply::answer(session, response).await {
                tracing::debug!(
                    why = error.etype().as_str(),
                    "cannot send the error response: the visitor has disconnected"
                );
            } else if let Some(connection) = passage.connection.clone() {
                passage.is_answered();
                let has_slot = !passage.slots.is_empty();
                local_reply::linger(session, &connection, has_slot).await;
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// The request has ended. One whose connection is cut ends without this call.
    async fn logging(&self, session: &mut Session, _: Option<&Error>, passage: &mut Box<Passage>) {
        let took = passage.ends(session.body_bytes_sent());
        if let Some(response) = session.response_written() {
            let status = response.status.as_u16();
            match &passage.virtual_host {
                Some(virtual_host) => virtual_host.durations.count(status, took),
                None => self.sites.load().unknown().count(status, took),
            }
        }
    }
}

/// Whether this is a pong (RFC 6455 §5.5.3). Browsers send it by themselves, so it does not count
/// as use by a person.
fn is_pong(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x8a)
}

fn in_origin_form(uri: &http::Uri) -> std::result::Result<http::Uri, http::Error> {
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    http::Uri::builder().path_and_query(target).build()
}

/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_mins(1);
