//! Accepts connections, serves them, and shuts down.
//!
//! Pingora's own server always sleeps for its whole grace period, panics in the background if a
//! port is taken, and has no limits. So we bind the sockets first and accept connections here, and
//! hand Pingora each request as it arrives. Between two requests, a connection holds no memory of
//! Pingora's.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use pingora::apps::{HttpServerApp, HttpServerOptions};
use pingora::prelude::fast_timeout::set_fast_timeout_to_tokio_threshold;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server as http2;
use pingora::protocols::{ALPN, Digest, GetSocketDigest, Ssl};
use pingora::proxy::{HttpProxy, ProxyHttp};
use pingora::server::configuration::ServerConf;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::flow::{ClientAddress, LeftOut, Line};
use crate::proxy::access::Recorder;
use crate::proxy::downstream::certificates::Entrance;
use crate::proxy::downstream::connection::{Connection, Cut, Phase};
use crate::proxy::downstream::handshake;
use crate::proxy::downstream::malformed;
use crate::proxy::downstream::proxy_protocol;
use crate::proxy::downstream::stream::VisitorStream;
use crate::proxy::downstream::table::{ConnectionTable, Full, Open};
use crate::proxy::downstream::unreadable::{self, Beginning};
use crate::proxy::drain::InFlight;
use crate::proxy::reauthorize;
use crate::proxy::request::head_size::OWN_PAGES_MORE;
use crate::proxy::sites::Sites;
use crate::proxy::socket::{KEPT_TO_APPLICATIONS, prepare};

/// A gateway that is running.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    accepting: Vec<JoinHandle<()>>,
    watching: JoinHandle<()>,
    connections: Arc<ConnectionTable>,
    in_flight: InFlight,
}

impl Running {
    /// The addresses it listens on, with the port that was assigned where the configuration says 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until, for the first time, there are so many connections that speed is worth more
    /// memory.
    pub fn crowd(&self) -> impl Future<Output = ()> + use<> {
        let connections = Arc::clone(&self.connections);
        async move { connections.crowd().await }
    }

    /// Accepts no more requests, and waits up to `within` for those in progress. Gives whether all
    /// were answered.
    pub async fn drain(self, within: Duration) -> bool {
        let _ = self.stop.send(true);
        for accepting in self.accepting {
            accepting.abort();
            // We aborted it, so an error is expected.
            accepting.await.ok();
        }
        self.connections.close();
        let all = tokio::time::timeout(within, self.in_flight.ended()).await.is_ok();
        self.watching.abort();
        all
    }
}

/// What the tasks that serve connections share.
struct Server<P> {
    proxy: Arc<HttpProxy<P>>,
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
    stopped: watch::Receiver<bool>,
}

/// Serves `gateway` on `sockets`, which are bound already, one for each listener of the
/// configuration, in its order. Call it within a runtime.
///
/// # Errors
/// A socket has no address or cannot be made non-blocking.
pub(super) fn serve<P>(
    gateway: P,
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
    in_flight: InFlight,
    sockets: Vec<TcpListener>,
) -> io::Result<Running>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    // Without a default, Pingora would install another TLS library.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    // Tokio can cancel a timer. Pingora's own would keep it until it fires, and wake a thread a
    // hundred times a second.
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    let conf = ServerConf {
        // Each application has its own CA certificates. Without a file here, Pingora would exit if
        // the system has none.
        ca_file: Some("/dev/null".to_owned()),
        upstream_keepalive_pool_size: KEPT_TO_APPLICATIONS,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    // CONNECT is not proxied: `intake` refuses it with a page of ours. Without this option, Pingora
    // would refuse it first.
    let mut options = HttpServerOptions::default();
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    let (stop, stopped) = watch::channel(false);
    let server = Arc::new(Server {
        proxy: Arc::new(proxy),
        sites: Arc::clone(&sites),
        connections: Arc::clone(&connections),
        stopped,
    });
    let mut addresses = Vec::with_capacity(sockets.len());
    let mut accepting = Vec::with_capacity(sockets.len());
    for (listener, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        addresses.push(socket.local_addr()?);
        let socket = tokio::net::TcpListener::from_std(socket)?;
        accepting.push(tokio::spawn(accept(Arc::clone(&server), listener, socket)));
    }
    let watching = reauthorize::watch(sites, Arc::clone(&connections));
    Ok(Running { addresses, stop, accepting, watching, connections, in_flight })
}

async fn accept<P>(server: Arc<Server<P>>, listener: usize, socket: tokio::net::TcpListener)
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => server.take_in(listener, stream, peer),
            Err(error) => {
                // Most likely no file descriptor is free. The connection waits in the kernel's
                // queue.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

impl<P> Server<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    fn take_in(self: &Arc<Self>, listener: usize, stream: TcpStream, peer: SocketAddr) {
        let sites = self.sites.load_full();
        let Some(entrance) = sites.entrance(listener).cloned() else { return };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let entered = entrance.way_in(listener);
        let is_proxy = sites.trusts(peer.ip());
        match self.connections.admit(peer.ip(), is_proxy, entered, sites.limits()) {
            Ok(open) => {
                tokio::spawn(Arc::clone(self).serve(open, entrance, stream, peer));
            }
            Err(full) => turn_away(&sites, full, &stream, peer),
        }
    }

    async fn serve(
        self: Arc<Self>,
        open: Open,
        entrance: Entrance,
        mut stream: TcpStream,
        mut peer: SocketAddr,
    ) {
        if let Err(error) = prepare(&stream).and_then(|()| hold_little_back(&stream)) {
            tracing::debug!(%error, "visitor disconnected before the connection was set up");
            return;
        }
        let longest_head = self.sites.load().limits().header_bytes;
        let connection = &open.connection;
        if self.sites.load().trusts(peer.ip()) {
            let taken = Box::pin(proxy_protocol::take(&mut stream));
            let Some(Ok(visitor)) = connection.unless_cut(taken).await else { return };
            if let Some(visitor) = visitor {
                peer = SocketAddr::new(visitor.ip().to_canonical(), visitor.port());
                connection.introduce(peer.ip());
            }
        }
        let Some(acceptor) = entrance.acceptor else {
            let stream = VisitorStream::plain(stream, peer, Arc::clone(connection), longest_head);
            let stream = stream.of(&self.sites);
            return connection.serve(self.http1(&open, Box::new(stream))).await;
        };
        let mut first = [0; 1];
        match connection.unless_cut(stream.peek(&mut first)).await {
            Some(Ok(1..)) if unreadable::speaks_without_tls(first[0]) => {
                let answered = Box::pin(self.answer_without_tls(stream, peer));
                connection.unless_cut(answered).await;
                return;
            }
            Some(Ok(1..)) => {}
            Some(Ok(_) | Err(_)) | None => return,
        }
        // Boxed, so that the memory for the handshake is freed before the first request.
        let shaken = Box::pin(connection.unless_cut(acceptor.accept(stream))).await;
        let stream = match shaken {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                return self.tell_handshake_failed(&handshake::reason(&error), peer);
            }
            None if connection.is_cut() == Some(Cut::Late) => {
                let why = "it took longer than `deadlines: { handshake }`";
                return self.tell_handshake_failed(why, peer);
            }
            None => return,
        };
        if connection.entrance().asked_for.is_some() {
            connection.enters_only_for(stream.get_ref().1.server_name().unwrap_or_default());
        }
        let stream = VisitorStream::tls(stream, peer, Arc::clone(connection), longest_head);
        let stream = stream.of(&self.sites);
        if stream.selected_alpn_proto() == Some(ALPN::H2) {
            Box::pin(self.http2(&open, stream)).await;
        } else {
            connection.serve(self.http1(&open, Box::new(stream))).await;
        }
    }

    /// Answers plain HTTP on a TLS port with an explanation.
    async fn answer_without_tls(&self, mut stream: TcpStream, peer: SocketAddr) {
        let sites = self.sites.load_full();
        let mut read = [0; unreadable::KEPT];
        let Ok(length) = stream.read(&mut read).await else { return };
        let mut head = Beginning::NONE;
        head.keep(0, &read[..length]);
        let peer = peer.ip();
        let visitor = (!sites.trusts(peer)).then_some(peer);
        let answer = head.refused_without_tls(&sites, ClientAddress { peer, visitor }).await;
        if stream.write_all(&answer).await.is_err() || stream.shutdown().await.is_err() {
            return;
        }
        // Closing with unread data would reset the connection and discard the answer. The handshake
        // deadline ends this loop.
        while let Ok(1..) = stream.read(&mut read).await {}
    }

    /// Browsers open connections that they do not need, but such a connection sends nothing, and
    /// its handshake has not begun.
    fn tell_handshake_failed(&self, why: &str, peer: SocketAddr) {
        if let Some(left_out) = self.due(Line::Handshake) {
            let peer = peer.ip();
            tracing::info!(%peer, left_out, "TLS handshake failed: {why}");
        }
    }

    fn tell_malformed(&self, why: &dyn fmt::Display, peer: IpAddr) {
        if let Some(left_out) = self.due(Line::Http2) {
            tracing::info!(%peer, left_out, "HTTP/2 request refused: {why}");
        }
    }

    /// Writes a line of the access log about a request that Pingora or the HTTP/2 library refused.
    fn record_unread(&self, peer: IpAddr, status: Option<StatusCode>) {
        Recorder::of(self.sites.load().env()).write_unread(None, peer, status);
    }

    /// How many lines of this kind were left out since the last one; `None`: do not write this one
    /// either.
    fn due(&self, line: Line) -> Option<LeftOut> {
        let sites = self.sites.load();
        let env = sites.env();
        env.log_throttle.due(line, env.now().ok()?)
    }

    /// Serves HTTP/1.1: one request after the other.
    async fn http1(&self, open: &Open, mut stream: Box<VisitorStream>) {
        let connection = &open.connection;
        let mut settings = None;
        loop {
            connection.enter(Phase::Idle, self.connections.now());
            if self.connections.is_closing()
                || connection.unless_cut(stream.is_spoken_to()).await != Some(true)
            {
                return;
            }
            connection.enter(Phase::Head, self.connections.now());
            let mut session = ServerSession::new_http1(stream);
            match settings {
                Some(settings) => {
                    pingora::apps::HttpPersistentSettings::apply_to_session(settings, &mut session);
                }
                None => session.set_keepalive(Some(KEEPALIVE)),
            }
            let served = self.proxy.process_new_http(session, &self.stopped);
            let served = connection.unless_cut(served).await;
            connection.authorize(None);
            let Some(reused) = served.flatten() else { return };
            let (back, kept) = reused.consume();
            let Ok(back) = back.into_any().downcast::<VisitorStream>() else { return };
            stream = back;
            settings = kept;
        }
    }

    /// Serves HTTP/2: many requests at once.
    async fn http2(&self, open: &Open, stream: VisitorStream) {
        let connection = &open.connection;
        let digest = Arc::new(Digest {
            ssl_digest: None,
            timing_digest: Vec::new(),
            proxy_digest: None,
            socket_digest: stream.get_socket_digest(),
        });
        connection.enter(Phase::Head, self.connections.now());
        let limits = *self.sites.load().limits();
        let shaken = http2::handshake(Box::new(stream), Some(options(&limits)));
        let Some(Ok(mut h2_connection)) = connection.unless_cut(shaken).await else { return };
        connection.enter(Phase::Idle, self.connections.now());
        let mut stopped = self.stopped.clone();
        let mut stopping = *stopped.borrow();
        let mut malformed = 0;
        loop {
            let accepted = {
                let next =
                    http2::HttpSession::from_h2_conn(&mut h2_connection, Arc::clone(&digest));
                let next = malformed::listening_for_resets(next, |why| {
                    self.tell_malformed(&why, connection.peer());
                    self.record_unread(connection.peer(), None);
                });
                tokio::select! {
                    biased;
                    _ = stopped.changed(), if !stopping => None,
                    accepted = connection.unless_cut(next) => Some(accepted),
                }
            };
            let Some(accepted) = accepted else {
                h2_connection.graceful_shutdown();
                stopping = true;
                continue;
            };
            match accepted {
                Some(Ok(Some(http2::H2Accept::Session(session)))) => {
                    if connection.times_given_up() > limits.stream_resets {
                        tracing::info!(
                            peer = %connection.peer(),
                            "connection closed: too many requests cancelled (`limits.stream_resets`)"
                        );
                        h2_connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                        return;
                    }
                    self.stream(connection, session);
                }
                Some(Ok(Some(http2::H2Accept::Rejected))) => {
                    // Pingora has answered it with a bare 400, or reset its stream.
                    let why = "its :authority, :path or Content-Length is not valid";
                    self.tell_malformed(&why, connection.peer());
                    self.record_unread(connection.peer(), Some(StatusCode::BAD_REQUEST));
                    malformed += 1;
                    if malformed > MALFORMED {
                        h2_connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                        return;
                    }
                }
                Some(Err(error)) => {
                    if let Some(why) = fault_of_frames(&error) {
                        self.tell_malformed(why, connection.peer());
                    }
                    return;
                }
                // The visitor closed the connection, or we cut it.
                Some(Ok(None)) | None => return,
            }
        }
    }

    fn stream(&self, parent: &Arc<Connection>, session: http2::HttpSession) {
        let stream = Stream::begin(parent, &self.connections);
        let open = self.connections.stream(parent);
        let proxy = Arc::clone(&self.proxy);
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            let parent = &stream.parent;
            let session = ServerSession::new_http2(session);
            let served = open.connection.serve(proxy.process_new_http(session, &stopped));
            let served = open.connection.unless_cut(served).await;
            match open.connection.is_cut() {
                Some(Cut::Late) if served.is_none() => {
                    tracing::debug!("request aborted: its body was too slow");
                }
                // The HTTP/2 library sends what it holds of a stream before it ends the stream. If
                // the visitor takes nothing, that would wait until they do.
                Some(Cut::Revoked) if parent.watchdog().is_paused() => {
                    parent.cut(Cut::Revoked);
                }
                _ => {}
            }
            for _ in 0..open.connection.times_given_up() {
                parent.give_up();
            }
        });
    }
}

/// What was wrong with the frames of an HTTP/2 connection; `None` if it just ended.
fn fault_of_frames(error: &pingora::Error) -> Option<&h2::Error> {
    let cause = error.cause.as_deref()?.downcast_ref::<h2::Error>()?;
    cause.is_library().then_some(cause)
}

/// An open stream of `parent`, until dropped. Dropping also counts it off if serving it panics.
struct Stream {
    parent: Arc<Connection>,
    connections: Arc<ConnectionTable>,
}

impl Stream {
    fn begin(parent: &Arc<Connection>, connections: &Arc<ConnectionTable>) -> Self {
        parent.begin_stream();
        parent.enter(Phase::Busy, connections.now());
        Self { parent: Arc::clone(parent), connections: Arc::clone(connections) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.parent.end_stream() == 0 {
            self.parent.enter(Phase::Idle, self.connections.now());
        }
    }
}

fn turn_away(sites: &Sites, full: Full, stream: &TcpStream, peer: SocketAddr) {
    // Discard unsent data, so that the kernel does not stay busy with it.
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
    let env = sites.env();
    let reason = match full {
        Full::InAll => "limits.connections",
        Full::Address => "limits.connections_per_address",
    };
    env.metrics.limit_rejected(reason);
    if let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::TurnedAway, now)
    {
        let peer = peer.ip();
        tracing::warn!(%peer, reason, left_out, "connection refused: too many connections");
    }
}

/// Makes the kernel buffer only a little beyond what it is about to send. Otherwise it takes
/// megabytes at a time, and a slow reader would seem to take nothing for many seconds.
fn hold_little_back(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(HELD_BY_SYSTEM)
}

fn options(limits: &crate::config::Limits) -> http2::H2Options {
    let longest = limits.header_bytes + OWN_PAGES_MORE;
    let mut options = http2::default_h2_options();
    options
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(longest).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW_IN_ALL);
    options
}

const KEEPALIVE: u64 = 60;
/// How many unsent bytes the kernel may hold for one visitor.
const HELD_BY_SYSTEM: u32 = 64 * 1024;
const BREATH: Duration = Duration::from_millis(50);
/// After this many malformed requests, an HTTP/2 connection is closed; Pingora uses the same
/// number.
const MALFORMED: u32 = 32;
/// How many bytes of one stream may wait to be sent, and to be read by us; the last is for a whole
/// connection. A visitor sends no more than the second during one round trip: with 64 KiB, an upload
/// over 40 ms would not exceed 1.6 MB a second. Uploads that an application does not read must not
/// stop the forms on the same connection, so the last is sixteen times that. How much one address can
/// make us keep depends on its requests, not on this.
const SEND_BUFFER: usize = 64 * 1024;
const WINDOW: u32 = 256 * 1024;
const WINDOW_IN_ALL: u32 = 16 * WINDOW;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::config::Limits;
    use crate::proxy::downstream::listener::Entered;

    #[test]
    fn a_connection_is_idle_again_after_a_stream_that_panicked() {
        let connections = Arc::new(ConnectionTable::default());
        let address = [192, 0, 2, 1].into();
        let open = connections.admit(address, false, Entered::default(), &Limits::default());
        let connection = &open.unwrap().connection;
        let served = catch_unwind(AssertUnwindSafe(|| {
            let _stream = Stream::begin(connection, &connections);
            assert_eq!(connection.phase().0, Phase::Busy);
            panic!("as a library may");
        }));
        assert!(served.is_err());
        assert_eq!(connection.phase().0, Phase::Idle);
    }
}
