//! The filters that Pingora calls for each request, in the order of the calls.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Response, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, OrErr, Result};
use smallvec::SmallVec;

use crate::domain::assurance::Permit;
use crate::domain::user::UserId;
use crate::flow::{ClientAddress, Line};
use crate::policy::OwnPage;
use crate::proxy::authorization::Authorization;
use crate::proxy::downstream::connection::{Connection, Phase, STALLED};
use crate::proxy::downstream::shedding;
use crate::proxy::downstream::table::ConnectionTable;
use crate::proxy::drain::{InFlight, RequestGuard};
use crate::proxy::framing;
use crate::proxy::request::address::Address;
use crate::proxy::request::client_address;
use crate::proxy::request::identity_headers;
use crate::proxy::request::intake::{self, Refusal};
use crate::proxy::request::title_case;
use crate::proxy::request_limit::{RequestLimit, Slot};
use crate::proxy::response::local_reply::{self, Unread};
use crate::proxy::response::location;
use crate::proxy::response::rewrite;
use crate::proxy::scan::{InAnswer, InRequest};
use crate::proxy::server::{self, Running};
use crate::proxy::sites::{Sites, VirtualHost};
use crate::proxy::upstream;
use crate::proxy::upstream::connection_auth;
use crate::proxy::upstream::{Length, Tried};
use crate::web::Web;
use crate::web::pages::Notice;
use crate::web::refusal::beginning;

/// The proxy between visitors and the applications.
pub struct Gateway {
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
    in_flight: InFlight,
    /// Limits how many requests may be in progress at all applications together.
    to_applications: Arc<RequestLimit>,
    /// Limits how many of our own pages may be waiting to be sent.
    own_pages: Arc<RequestLimit>,
}

/// The state of one request. It keeps the virtual host that it began with, even if the
/// configuration is reloaded meanwhile.
pub struct Passage {
    _in_flight: RequestGuard,
    /// The connection or stream that it came over.
    connection: Option<Arc<Connection>>,
    virtual_host: Option<Arc<VirtualHost>>,
    client: Option<ClientAddress>,
    /// The value of `X-Forwarded-For`, if it is more than the peer's address.
    forwarded_for: Option<HeaderValue>,
    permit: Option<Permit>,
    length: Length,
    /// Whether it has a body, or may have one.
    has_body: bool,
    /// How many ticks the application may be silent, if our watchdog is responsible instead of
    /// Pingora's timeout.
    silent_ticks: Option<u64>,
    /// The application's endpoints that were tried.
    tried: Tried,
    /// Its slots in the limits on concurrent requests.
    slots: SmallVec<[Slot; 3]>,
}

/// What to do with a request.
enum Onward {
    Upstream(Permit),
    Answered(Response<Bytes>),
    /// The visitor has disconnected, so there is nobody to answer.
    Gone,
}

impl Gateway {
    /// A gateway to `sites`. When they are swapped, the next request uses the new ones.
    pub fn new(sites: Arc<ArcSwap<Sites>>) -> Self {
        let (to_applications, own_pages) = Default::default();
        let (connections, in_flight) = Default::default();
        Self { sites, connections, in_flight, to_applications, own_pages }
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

    /// Slots for a request in the limits of its application and of all applications.
    ///
    /// # Errors
    /// The limit that was reached, if no slot became free in time.
    async fn room_at_application(
        &self,
        sites: &Sites,
        virtual_host: &VirtualHost,
    ) -> std::result::Result<[Slot; 2], &'static str> {
        let Some(known) = &virtual_host.application else { return Err("apps") };
        let within = sites.deadlines().queue;
        let (one, all) =
            (sites.limits().requests_per_application, self.connections.files_for_applications());
        let Some(to_one) = known.request_limit().enter(one, within).await else {
            return Err("limits.requests_per_application");
        };
        let Some(to_all) = self.to_applications.enter(all, within).await else {
            return Err("open files");
        };
        Ok([to_one, to_all])
    }

    /// A slot for a request in the limit of its address; `None` if the address has no limit.
    ///
    /// # Errors
    /// The answer if no slot became free in time. It has no body, so it can be sent even to
    /// visitors who do not read bodies.
    async fn room_at_address(
        &self,
        sites: &Sites,
        connection: &Connection,
        has_signed_in: bool,
    ) -> std::result::Result<Option<Slot>, Response<Bytes>> {
        if self.connections.is_full() {
            return Err(busy(sites, connection, "limits.unsent_mib"));
        }
        let Some(address) = connection.address_limits() else { return Ok(None) };
        if address.is_full(self.connections.now()) {
            return Err(busy(sites, connection, "limits.unsent_mib_per_address"));
        }
        let size = sites.limits().requests_per_address;
        let (limit, size) = if has_signed_in {
            (&address.people, size.saturating_mul(SIGNED_IN))
        } else {
            (&address.strangers, size)
        };
        if let Some(slot) = limit.enter(size, sites.deadlines().queue).await {
            return Ok(Some(slot));
        }
        Err(busy(sites, connection, "limits.requests_per_address"))
    }

    /// The answer of one of our own pages, and its slot among the pages that are not sent yet. The
    /// page is made only once it has a slot.
    async fn own_page(
        &self,
        sites: &Sites,
        web: &Web,
        session: &mut Session,
        client: ClientAddress,
        connection: &Connection,
    ) -> (Onward, Option<Slot>) {
        let deadlines = sites.deadlines();
        let request = match local_reply::take_request(session, deadlines.form).await {
            Ok(request) => request,
            Err(Unread::TooLarge) => {
                let headers = &session.req_header().headers;
                return (Onward::Answered(web.notice(Notice::TooLarge, headers).await), None);
            }
            Err(Unread::Broken) => return (Onward::Gone, None),
        };
        connection.await_nothing();
        let pages = sites.limits().unsent / shedding::PAGE;
        match self.own_pages.enter(pages, deadlines.queue).await {
            Some(slot) => (Onward::Answered(web.answer(request, client).await), Some(slot)),
            None => (Onward::Answered(busy(sites, connection, "limits.unsent_mib")), None),
        }
    }

    async fn receive(
        &self,
        session: &mut Session,
        passage: &mut Passage,
        connection: &Connection,
    ) -> Onward {
        let peer: IpAddr = connection.peer();
        let sites = self.sites.load();
        let headers = &session.req_header().headers;
        let (client, chain) = client_address::read(peer, headers, sites.trusted_proxies());
        passage.client = Some(client);
        passage.forwarded_for = chain.map(|chain| {
            // A list of addresses is always a valid header value.
            HeaderValue::try_from(chain).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        });
        let (virtual_host, there) = match take_in(session, &sites, connection) {
            Ok(taken) => taken,
            Err(refusal) => {
                match self.room_at_address(&sites, connection, false).await {
                    Ok(slot) => passage.slots.extend(slot),
                    Err(full) => return Onward::Answered(full),
                }
                if refusal == Refusal::Method {
                    // What follows a CONNECT is not a request (RFC 9110 §9.3.6).
                    session.set_keepalive(None);
                }
                let refused = refuse(&sites, session, connection, refusal, client);
                return Onward::Answered(Box::pin(refused).await);
            }
        };
        let virtual_host = &*passage.virtual_host.insert(virtual_host);
        let web = &virtual_host.web;
        // Only visitors who have signed in have such a cookie, even if their session has ended.
        let named = there
            .cookie
            .then(|| connection.memo().session(virtual_host, &session.req_header().headers));
        let named = named.flatten();
        match self.room_at_address(&sites, connection, named.is_some()).await {
            Ok(slot) => passage.slots.extend(slot),
            Err(full) => return Onward::Answered(full),
        }
        let request = match intake::request(session.req_header(), there, &web.site().origin) {
            Ok(request) => request,
            Err(why) => return Box::pin(misread(web, session, client, &why.to_string())).await,
        };
        match request.own_page() {
            _ if connection.entrance().redirect => {
                Onward::Answered(redirect(virtual_host, session.req_header().raw_path()))
            }
            OwnPage::Odd => {
                Box::pin(misread(
                    web,
                    session,
                    client,
                    "unusual spelling of the path of Doorward's own pages",
                ))
                .await
            }
            // Boxed, like everything that is not on the path to an application: otherwise its state
            // would enlarge the future of every request.
            OwnPage::Page(_) => {
                if !session.is_body_empty() {
                    connection.await_body();
                }
                let answering = self.own_page(&sites, web, session, client, connection);
                let (onward, page) = Box::pin(answering).await;
                connection.await_nothing();
                passage.slots.extend(page);
                onward
            }
            // Our own pages share this host: see `asks_for_service_worker`.
            OwnPage::No
                if there.service_worker
                    && web.site().is_portal
                    && identity_headers::asks_for_service_worker(session.req_header()) =>
            {
                tracing::debug!("service worker blocked on the portal's host");
                Onward::Answered(Box::pin(Web::service_worker()).await)
            }
            OwnPage::No => {
                let head = session.req_header();
                match web.admit(request, head, named, client).await {
                    Ok((permit, allowed)) => {
                        if let Some(answer) = framing::answer_to_last_hop(head) {
                            return Onward::Answered(answer);
                        }
                        match self.room_at_application(&sites, virtual_host).await {
                            Ok(slots) => passage.slots.extend(slots),
                            Err(limit) => {
                                tell_busy(&sites, connection, limit);
                                let notice = web.notice(Notice::Unavailable, &head.headers);
                                return Onward::Answered(later(Box::pin(notice).await));
                            }
                        }
                        connection.authorize(
                            allowed.map(|allowed| Authorization::of(virtual_host, allowed)),
                        );
                        if there.authorization && connection_auth::binds(&head.headers) {
                            connection.bind();
                        }
                        passage.length = length(head, there);
                        passage.has_body = there.content_length || there.transfer_encoding;
                        Onward::Upstream(permit)
                    }
                    Err(response) => Onward::Answered(response),
                }
            }
        }
    }
}

/// The answer when too many requests are in progress. It has no body, so it can be sent even to
/// visitors who do not read bodies.
fn busy(sites: &Sites, connection: &Connection, limit: &'static str) -> Response<Bytes> {
    tell_busy(sites, connection, limit);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    later(response)
}

/// Adds `Retry-After` to `response`.
fn later(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn tell_busy(sites: &Sites, connection: &Connection, limit: &'static str) {
    let env = sites.env();
    env.metrics.turned_away(limit);
    if let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::Busy, now)
    {
        let peer = connection.peer();
        tracing::warn!(%peer, limit, left_out, "request refused: too many requests in progress");
    }
}

fn take_in(
    session: &mut Session,
    sites: &Sites,
    connection: &Connection,
) -> Result<(Arc<VirtualHost>, InRequest), Refusal> {
    let raw = session.as_http1().map(HttpSession::get_headers_raw_bytes).unwrap_or_default();
    intake::read(session.req_header_mut(), &raw, sites.limits(), |host| {
        find(sites, connection, host)
    })
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
        connection.only_for().is_none_or(|only| only == virtual_host.web.site().origin.host());
    // A visitor who came over TLS does not mean a plain HTTP host.
    let as_encrypted = !entered.secure || virtual_host.web.site().origin.is_secure();
    (sites.lets_in(entered) && as_let_in && as_encrypted).then_some(virtual_host)
}

/// Redirects to the same URL under https, with a status that keeps the method (RFC 9110 §15.4.9).
fn redirect(virtual_host: &VirtualHost, target: &[u8]) -> Response<Bytes> {
    let mut to = virtual_host.web.site().origin.to_string().into_bytes();
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
    session: &Session,
    connection: &Connection,
    refusal: Refusal,
    client: ClientAddress,
) -> Response<Bytes> {
    let head = session.req_header();
    let headers = &head.headers;
    let notice = match refusal {
        Refusal::Misdirected => return sites.portal().web.misdirected(headers, client).await,
        Refusal::TooLarge => Some(Notice::HeadTooLarge),
        Refusal::Method => Some(Notice::NotAllowed),
        Refusal::Host | Refusal::Target | Refusal::Framing => None,
    };
    let virtual_host = intake::host(head).and_then(|host| find(sites, connection, host));
    let env = sites.env();
    if notice.is_some()
        && let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::Refused, now)
    {
        let address = client.address();
        tracing::info!(%address, why = %refusal, left_out, "request refused");
    }
    match (notice, virtual_host) {
        (Some(notice), Some(virtual_host)) => virtual_host.web.notice(notice, headers).await,
        (Some(notice), None) => Web::nameless_notice(notice, headers).await,
        (None, Some(virtual_host)) => {
            virtual_host.web.misread(&refusal.to_string(), head, client).await
        }
        (None, None) => {
            let web = &sites.portal().web;
            web.misread_nameless(&refusal.to_string(), head, client).await
        }
    }
}

async fn misread(web: &Web, session: &Session, client: ClientAddress, why: &str) -> Onward {
    Onward::Answered(web.misread(why, session.req_header(), client).await)
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        let connection = Connection::current();
        if let Some(connection) = &connection {
            connection.enter(Phase::Busy, self.connections.now());
        }
        Passage {
            _in_flight: self.in_flight.begin(),
            connection,
            virtual_host: None,
            client: None,
            forwarded_for: None,
            permit: None,
            length: Length::Ordinary,
            has_body: true,
            silent_ticks: None,
            tried: Tried::new(),
            slots: SmallVec::new(),
        }
    }

    /// No modules: we change an application's answer only in this file's filters.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> Result<bool> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(IDLE.as_secs()));
        }
        session.set_write_timeout(Some(STALLED));
        if session.req_header().version == Version::HTTP_10 {
            // HTTP/1.0 has no interim answers (RFC 9110 §15.2).
            session.set_ignore_info_resp(true);
        }
        let Some(connection) = passage.connection.take() else {
            return Error::e_explain(ErrorType::InternalError, "request without a connection");
        };
        let onward = self.receive(session, passage, &connection).await;
        let connection = passage.connection.insert(connection);
        match onward {
            Onward::Upstream(permit) => {
                passage.permit = Some(permit);
                Ok(false)
            }
            Onward::Answered(mut response) => {
                if !connection.entrance().redirect {
                    passage.keep_to_https(response.headers_mut());
                }
                let Some(connection) = &passage.connection else { return Ok(true) };
                // Over HTTP/2, the library holds what the visitor does not take, and the slot for
                // as long.
                let kept = if session.is_http2() {
                    std::mem::take(&mut passage.slots)
                } else {
                    SmallVec::new()
                };
                let response = response.map(|body| shedding::counted(body, connection, kept));
                connection.writes_since(Some(self.connections.now()));
                let answered = Box::pin(local_reply::answer(session, response)).await;
                connection.writes_since(None);
                answered.map_err(Error::into_down)?;
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
        let alone = passage.alone();
        let Passage { virtual_host, connection, length, has_body, silent_ticks, tried, .. } =
            passage;
        let application =
            virtual_host.as_ref().and_then(|virtual_host| virtual_host.application.as_ref());
        // The watchdog can report to a request only through `VisitorStream`, while the request
        // reads from its visitor. That excludes HTTP/2 streams, and requests whose body the
        // application has not taken yet.
        *silent_ticks = application
            .filter(|_| session.as_http1().is_some() && !*has_body)
            .and_then(|known| known.silent_ticks(*length));
        if let Some(connection) = connection {
            connection.watchdog().end();
        }
        let peer =
            application.and_then(|known| known.peer(*length, silent_ticks.is_some(), alone, tried));
        peer.ok_or_else(|| {
            Error::explain(ErrorType::ConnectError, "the upstream name is not resolved yet")
                .into_up()
        })
    }

    /// No connection was made, so nothing was sent: another endpoint may be tried.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let application = passage
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.application.as_ref());
        error.set_retry(application.is_some_and(|known| known.failed(&passage.tried)));
        error
    }

    /// What the visitor sends counts as use of the user session.
    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        passage: &mut Passage,
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
        passage: &mut Passage,
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
        passage: &mut Passage,
    ) -> Result<()> {
        let (Some(permit), Some(virtual_host), Some(connection)) =
            (&passage.permit, &passage.virtual_host, &passage.connection)
        else {
            return Error::e_explain(ErrorType::InternalError, "request without a permit");
        };
        let (Some(app), Some(stamp)) = (&virtual_host.web.site().app, &virtual_host.stamp) else {
            return Error::e_explain(ErrorType::InternalError, "request without an application");
        };
        let heard = passage.forwarded_for.as_ref();
        // `forwarded_for` is set only if a trusted proxy has sent the request.
        let (forwarded_for, from_trusted_proxy) =
            (heard.unwrap_or(connection.peer_told()), heard.is_some());
        connection.memo().introduce(virtual_host, stamp, permit, |introduction, cookies| {
            stamp.put(request, introduction, cookies, forwarded_for, from_trusted_proxy)
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
            .and_then(|virtual_host| virtual_host.web.site().app.as_ref())
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
        passage: &mut Passage,
    ) -> Result<()> {
        let there = InAnswer::of(&response.headers);
        if let Some(connection) = &passage.connection
            && !response.status.is_informational()
        {
            // The application has answered, so it no longer needs the body.
            connection.await_nothing();
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
        if let Some(connection) = passage.connection.as_ref().filter(|_| is_endless(response)) {
            connection.has_no_end();
        }
        // Where the rule demands something, the request always has an identity. Where it demands
        // nothing, an answer to a signed-in visitor may still be about them.
        let is_private = passage.permit.as_ref().is_none_or(|permit| permit.identity().is_some());
        let over_http2 = response.version == Version::HTTP_2;
        let bodiless =
            [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
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
        self.put_right(response, passage)?;
        if bodiless && (there.transfer_encoding || there.length_above_zero) {
            return Box::pin(end_with_its_connection(session, response)).await;
        }
        Ok(())
    }

    /// Counts bytes that the visitor has not taken.
    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        passage: &mut Passage,
    ) -> Result<Option<Duration>> {
        if let Some(body) = body.as_mut().filter(|body| body.len() >= shedding::COUNTED)
            && let Some(connection) = &passage.connection
        {
            *body = shedding::counted(std::mem::take(body), connection, ());
        }
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut http::HeaderMap,
        _: &mut Passage,
    ) -> Result<Option<Bytes>> {
        framing::check_trailers(trailers);
        Ok(None)
    }

    /// We log errors ourselves, in [`ProxyHttp::fail_to_proxy`]: Pingora's messages contain what
    /// visitors sent.
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
        let sites = self.sites.load();
        let web = &passage.virtual_host.as_ref().unwrap_or(sites.portal()).web;
        let is_named = passage.virtual_host.is_some();
        let app = web.site().app.as_ref().map(|app| app.name.clone()).unwrap_or_default();
        let headers = &session.req_header().headers;
        let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
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
                let (method, path) = (head.method.as_str(), beginning(head.uri.path()));
                let what = upstream::reason(kind, error, sites.env().config.upstream_timeouts);
                tracing::warn!(app, method, path, kind = kind.as_str(), "{what}");
                sites.metrics().upstream_failed(&app, failure.name());
            }
            Failure::Ours => {
                tracing::error!(why = error.etype().as_str(), "request failed");
            }
            Failure::UsedUp => tracing::debug!(app, "connection closed: {}", kind.as_str()),
            Failure::VisitorGone | Failure::Misread => {
                if let Some(connection) = &passage.connection {
                    connection.give_up();
                }
                tracing::debug!(
                    why = error.etype().as_str(),
                    "visitor closed the connection during a request"
                );
            }
        }
        let response = match failure {
            _ if begun => None,
            Failure::VisitorGone | Failure::UsedUp => None,
            _ if !is_named => Some(Web::nameless_notice(Notice::Unavailable, headers).await),
            Failure::Unreachable => Some(web.notice(Notice::Unreachable { app }, headers).await),
            Failure::Unreadable => Some(web.notice(Notice::Unreadable { app }, headers).await),
            Failure::Late => Some(web.notice(Notice::Late { app }, headers).await),
            Failure::Misread => match passage.client {
                Some(client) => {
                    Some(web.misread(error.etype().as_str(), session.req_header(), client).await)
                }
                None => Some(web.notice(Notice::Unavailable, headers).await),
            },
            Failure::Ours => Some(web.notice(Notice::Unavailable, headers).await),
        };
        session.set_keepalive(None);
        let response = response.map(|mut response| {
            passage.keep_to_https(response.headers_mut());
            response
        });
        let error_code = response.as_ref().map_or(0, |response| response.status().as_u16());
        let response = response.map(|response| match &passage.connection {
            Some(connection) => response.map(|body| shedding::counted(body, connection, ())),
            None => response,
        });
        if let Some(response) = response
            && let Err(error) = local_reply::answer(session, response).await
        {
            tracing::debug!(
                why = error.etype().as_str(),
                "cannot send the error response: the visitor has disconnected"
            );
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }
}

impl Gateway {
    /// Corrects a `Location` that the application cannot know, and writes header names in the
    /// spelling that `app` wants.
    fn put_right(&self, response: &mut ResponseHeader, passage: &Passage) -> Result<()> {
        let Some(virtual_host) = &passage.virtual_host else { return Ok(()) };
        let Some(app) = &virtual_host.web.site().app else { return Ok(()) };
        let leads_on = response.status.is_redirection() || response.status == StatusCode::CREATED;
        if leads_on && let Some(location) = response.headers.get(LOCATION).cloned() {
            let sites = self.sites.load();
            let config = &sites.env().config;
            let elsewhere = |scheme: &str, authority: &str| {
                let mut sites = config.sites().map(|site| Address::of(&site.origin));
                sites.any(|site| site.scheme == scheme && site.authority == authority)
            };
            let righted = location::righted(&location, &virtual_host.address, app, elsewhere);
            if let Some(righted) = righted {
                response.insert_header(LOCATION, righted)?;
            }
        }
        if app.reach.titled { title_case::response(response) } else { Ok(()) }
    }
}

impl Passage {
    /// Whether this must be the last request on its connection to the application. The application
    /// is told so, and then processes nothing that follows it (RFC 9112 §9.6).
    ///
    /// Some servers answer without reading the body, and then take it for the next request, which
    /// no rule has judged (CL.0). Others answer HEAD with a body, which the next visitor would get.
    /// Over HTTP/2, each stream has its own frames, so neither can happen.
    fn ends_with(&self, session: &mut Session, request: &RequestHeader) -> bool {
        if request.version == Version::HTTP_2 {
            return false;
        }
        if session.is_body_empty() {
            return request.method == Method::HEAD;
        }
        let app = self
            .virtual_host
            .as_ref()
            .and_then(|virtual_host| virtual_host.web.site().app.as_ref());
        let trusted = app.is_some_and(|app| app.reach.reuse_after_body);
        !trusted && !self.is_kept_signed_in()
    }

    /// Whether the connection to the application must stay open after the request, because the
    /// application authenticates connections and this one serves nobody else.
    fn is_kept_signed_in(&self) -> bool {
        let application =
            self.virtual_host.as_ref().and_then(|virtual_host| virtual_host.application.as_ref());
        self.connection.as_ref().is_some_and(|connection| connection.is_bound())
            && application.is_some_and(|known| known.signs_in_connections())
            && self.client.is_some_and(|client| connection_auth::is_told_apart(self.user(), client))
    }

    fn user(&self) -> Option<UserId> {
        self.permit.as_ref().and_then(Permit::identity).map(|identity| identity.user)
    }

    /// The number of the connections to the application that serve only this visitor, if that is
    /// necessary.
    fn alone(&self) -> Option<u64> {
        let (connection, client) = (self.connection.as_ref()?, self.client?);
        connection
            .is_bound()
            .then(|| connection_auth::number(connection.number(), self.user(), client))
    }

    /// The `Strict-Transport-Security` header, if this host has one.
    fn promise_of_https(&self) -> Option<&HeaderValue> {
        self.virtual_host.as_ref()?.promise.as_ref()
    }

    fn keep_to_https(&self, headers: &mut http::HeaderMap) {
        if let Some(promise) = self.promise_of_https() {
            headers.insert(STRICT_TRANSPORT_SECURITY, promise.clone());
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

/// Passes on an answer that announces content but must not have any, and closes the connection that
/// it came over. A server with this fault may send the content after all, and the next visitor on
/// the connection would receive it as their answer. Only an error makes Pingora close it, so the
/// visitor's connection ends as well.
///
/// # Errors
/// Always: [`USED_UP`] once the answer has been sent.
async fn end_with_its_connection(session: &mut Session, head: &ResponseHeader) -> Result<()> {
    let mut head = head.clone();
    head.remove_header(&TRANSFER_ENCODING);
    session.set_keepalive(None);
    local_reply::write_head_alone(session, head).await.map_err(Error::into_down)?;
    Error::e_explain(USED_UP, "the response was already sent").map_err(Error::into_up)
}

/// An answer was passed on, and its connection must not be used again.
const USED_UP: ErrorType = ErrorType::new("a body was announced for a response without one");

/// What failed, as far as the visitor needs to know.
enum Failure {
    /// Nothing failed.
    UsedUp,
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
    match error.esource() {
        ErrorSource::Upstream => match kind {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
                Failure::Late
            }
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::Custom(_) => {
                Failure::Unreadable
            }
            _ => Failure::Unreachable,
        },
        ErrorSource::Downstream => match kind {
            ErrorType::InvalidHTTPHeader => Failure::Misread,
            _ => Failure::VisitorGone,
        },
        ErrorSource::Internal | ErrorSource::Unset => Failure::Ours,
    }
}

/// What a request asks for: an ordinary answer, or a connection that stays open.
fn length(request: &RequestHeader, there: InRequest) -> Length {
    let events =
        |accepted: &HeaderValue| accepted.to_str().is_ok_and(|accepted| accepted.contains(EVENTS));
    if there.upgrade {
        Length::Tunnel
    } else if there.accept && request.headers.get_all(ACCEPT).iter().any(events) {
        Length::Lasting
    } else {
        Length::Ordinary
    }
}

/// Whether the response is a tunnel or a stream of events, which end only when one side closes them.
fn is_endless(response: &ResponseHeader) -> bool {
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
/// Visitors who are signed in may have this many times as many requests in progress from one
/// address.
const SIGNED_IN: usize = 16;
/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_mins(1);
