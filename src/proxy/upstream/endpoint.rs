//! One endpoint of an application.
//!
//! Names are resolved in advance and again at intervals: Pingora would resolve them during a
//! request, and panic if that fails.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::connectors::l4::Connect;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};
use tokio::time::Instant;

use super::addresses::{Addresses, Several};
use super::dial::{Dial, Secure};
use super::length::Length;
use super::trust::Trust;
use super::tunnel;
use crate::config::{Upstream, UpstreamTimeouts};
use crate::proxy::socket::{PROBE_AFTER, PROBE_EVERY};

/// One endpoint of an application, and its state.
pub(super) struct Endpoint {
    app: String,
    upstream: Upstream,
    /// The same as text.
    address: String,
    timeouts: UpstreamTimeouts,
    secure: Option<Secure>,
    http2: bool,
    peers: ArcSwapOption<Peers>,
    /// Separates its connections from those of other endpoints: Pingora's pool does not distinguish
    /// connections by the certificates that were trusted when they were opened.
    number: u64,
    since: Instant,
    /// Failures in a row, and until when the endpoint is skipped because of them, in milliseconds.
    failures: AtomicU32,
    left_alone_until: AtomicU64,
    /// The result of the last health check.
    well: AtomicBool,
}

/// The peers for one name or address, one for each kind of timeout: Pingora copies the timeouts
/// when it takes a connection, and they cannot be raised after that.
struct Peers {
    addresses: Option<Addresses>,
    ordinary: Box<HttpPeer>,
    /// For requests whose silence our watchdog checks.
    watched: Box<HttpPeer>,
    lasting: Box<HttpPeer>,
}

impl Endpoint {
    pub(super) fn new(
        app: &str,
        upstream: &Upstream,
        timeouts: UpstreamTimeouts,
        trust: Option<Trust>,
        http2: bool,
    ) -> io::Result<Self> {
        static PLACES: AtomicU64 = AtomicU64::new(1);
        let host = upstream.host().unwrap_or_default();
        let secure = trust.map(|trust| {
            let name = trust.server_name().map_or(host, str::to_owned);
            Secure { trust, name }
        });
        let endpoint = Self {
            app: app.to_owned(),
            upstream: upstream.clone(),
            address: upstream.to_string(),
            timeouts,
            secure,
            http2,
            peers: ArcSwapOption::empty(),
            // Even: odd numbers are for connections that serve one visitor.
            number: PLACES.fetch_add(1, Ordering::Relaxed) << 1,
            since: Instant::now(),
            failures: AtomicU32::new(0),
            left_alone_until: AtomicU64::new(0),
            well: AtomicBool::new(true),
        };
        if let Some(path) = upstream.socket() {
            endpoint.peers.store(Some(Arc::new(endpoint.peers_in(&path.display().to_string())?)));
        }
        Ok(endpoint)
    }

    /// Its address, as the configuration has it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Resolves its name now and at intervals.
    pub(super) async fn found(self) -> Arc<Self> {
        let endpoint = Arc::new(self);
        let Some(authority) = endpoint.authority() else { return endpoint };
        let found = endpoint.look_up(&authority).await;
        if endpoint.upstream.address().is_none() || found.is_err() {
            let endpoint = Arc::downgrade(&endpoint);
            tokio::spawn(keep_looking_up(authority, endpoint, found, LOOK_UP_EVERY));
        }
        endpoint
    }

    /// The name and port to resolve; `None` for a socket file.
    pub(super) fn authority(&self) -> Option<String> {
        self.upstream.authority()
    }

    /// Resolves the name. If that fails, the known addresses stay in use.
    ///
    /// # Errors
    /// The name cannot be resolved now, or has no address.
    pub(super) async fn look_up(&self, authority: &str) -> io::Result<()> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host(authority).await?.collect();
        let known = self.peers.load();
        let known = known.as_ref().and_then(|peers| peers.addresses.as_ref());
        // Resolvers shuffle the addresses: keep the working connections.
        if !known.is_some_and(|known| known.are(&found)) {
            let addresses = Addresses::of(&found, known.map(Addresses::first));
            let addresses = addresses.ok_or(io::ErrorKind::NotFound)?;
            self.peers.store(Some(Arc::new(self.peers_at(addresses))));
        }
        Ok(())
    }

    /// The peer to connect to; `None` if the name is not resolved yet. If the request is `watched`,
    /// our watchdog ends it when the application is silent for too long.
    pub(super) fn peer(
        &self,
        length: Length,
        watched: bool,
        alone: Option<u64>,
    ) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let peers = peers.as_ref()?;
        let mut peer = match length {
            Length::Ordinary if watched => peers.watched.clone(),
            Length::Ordinary => peers.ordinary.clone(),
            Length::Lasting | Length::Tunnel => peers.lasting.clone(),
        };
        if let Some(alone) = alone {
            // The result is odd, because `alone` is, and differs between endpoints.
            peer.group_key ^= alone;
        }
        if length == Length::Tunnel {
            tunnel::alone(&mut peer, self.dial(peers.addresses.clone()));
        }
        Some(peer)
    }

    /// The digest of the pinned certificate, if there is one.
    pub(super) fn pinned(&self) -> Option<&[u8]> {
        self.secure.as_ref()?.trust.pinned()
    }

    /// Whether it should receive requests.
    pub(super) fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
            && (self.failures.load(Ordering::Relaxed) == 0
                || self.age() >= self.left_alone_until.load(Ordering::Relaxed))
    }

    /// Notes that it could not be reached. It is skipped for a second, then for two, up to half a
    /// minute. Gives whether this is its first failure, or the first since it answered.
    pub(super) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = LEFT_ALONE.saturating_mul(1 << failures.min(8)).min(LEFT_ALONE_AT_MOST);
        let until = self.age().saturating_add(millis(pause));
        self.left_alone_until.store(until, Ordering::Relaxed);
        failures == 0
    }

    /// Notes that it has answered a request.
    pub(super) fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 && self.failures.swap(0, Ordering::Relaxed) > 0
        {
            tracing::info!(app = self.app, upstream = %self.upstream, "upstream answers again");
        }
    }

    /// Sets the result of a health check; logs when it changes.
    pub(super) fn says(&self, well: Result<(), String>) {
        let (app, upstream) = (&self.app, &self.upstream);
        let was = self.well.swap(well.is_ok(), Ordering::Relaxed);
        match well {
            Ok(()) if !was => tracing::info!(app, %upstream, "upstream health check passed again"),
            Err(why) if was => tracing::warn!(app, %upstream, why, "upstream health check failed"),
            Ok(()) | Err(_) => {}
        }
    }

    fn age(&self) -> u64 {
        millis(self.since.elapsed())
    }

    /// What is needed to open a connection of our own, outside Pingora's pool.
    pub(super) fn dial_now(&self) -> Option<Dial> {
        Some(self.dial(self.peers.load().as_ref()?.addresses.clone()))
    }

    fn dial(&self, addresses: Option<Addresses>) -> Dial {
        Dial {
            upstream: self.upstream.clone(),
            addresses,
            secure: self.secure.clone(),
            within: self.timeouts.connect,
        }
    }

    pub(super) fn speaks_http2(&self) -> bool {
        self.http2
    }

    /// The `Host` of health checks, unless the configuration names one.
    pub(super) fn host(&self) -> String {
        match &self.secure {
            Some(secure) => secure.name.clone(),
            None => self.upstream.authority().unwrap_or_else(|| "localhost".to_owned()),
        }
    }

    fn peers_at(&self, addresses: Addresses) -> Peers {
        let name = self.secure.as_ref().map_or("", |secure| &secure.name);
        let peer = HttpPeer::new(addresses.first(), self.secure.is_some(), name.to_owned());
        self.peers(Some(addresses), &peer)
    }

    fn peers_in(&self, path: &str) -> io::Result<Peers> {
        let peer = HttpPeer::new_uds(path, false, String::new());
        let peer = peer.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(self.peers(None, &peer))
    }

    fn peers(&self, addresses: Option<Addresses>, peer: &HttpPeer) -> Peers {
        let timeouts = self.timeouts;
        // Pingora supports only one address for each peer.
        let several = addresses.clone().filter(Addresses::are_several).map(|addresses| {
            let within = timeouts.connect;
            Arc::new(Several { addresses, within }) as Arc<dyn Connect + Send + Sync>
        });
        let lasting = UpstreamTimeouts {
            read: timeouts.read.max(LASTING_SILENCE),
            write: timeouts.write.max(LASTING_SILENCE),
            ..timeouts
        };
        let peer = |timeouts| {
            let mut peer = peer.clone();
            peer.group_key = self.number;
            peer.options = self.options(timeouts);
            peer.options.custom_l4.clone_from(&several);
            Box::new(peer)
        };
        let mut watched = peer(timeouts);
        watched.options.read_timeout = None;
        Peers { addresses, ordinary: peer(timeouts), watched, lasting: peer(lasting) }
    }

    fn options(&self, timeouts: UpstreamTimeouts) -> PeerOptions {
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect);
        options.read_timeout = Some(timeouts.read);
        options.write_timeout = Some(timeouts.write);
        options.idle_timeout = Some(IDLE);
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: PROBE_AFTER,
            interval: PROBE_EVERY,
            count: PROBES,
            #[cfg(target_os = "linux")]
            user_timeout: Duration::ZERO,
        });
        options.ca = self.secure.as_ref().map(|secure| secure.trust.for_pingora());
        if self.pinned().is_some() {
            // Its digest is compared before anything is sent: see [`super::Application::knows`].
            options.verify_cert = false;
            options.verify_hostname = false;
        }
        if self.http2 {
            options.set_http_version(2, 2);
            options.max_h2_streams = STREAMS as usize;
            options.h2_stream_window_size = Some(WINDOW);
            options.h2_connection_window_size = Some(WINDOW * STREAMS);
        }
        options
    }
}

/// Resolves the name at intervals for as long as the endpoint is in use. Logs when that begins to
/// fail, and when it works again. `found` is the result of the first attempt.
async fn keep_looking_up(
    authority: String,
    endpoint: Weak<Endpoint>,
    mut found: io::Result<()>,
    every: Duration,
) {
    let mut away = false;
    loop {
        match found {
            Ok(()) if away => {
                away = false;
                tracing::info!(upstream = authority, "upstream name resolved again");
            }
            Err(error) if !away => {
                away = true;
                tracing::warn!(upstream = authority, %error, "cannot resolve the upstream name");
            }
            Ok(()) | Err(_) => {}
        }
        tokio::time::sleep(every).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        found = endpoint.look_up(&authority).await;
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// A WebSocket may be idle for a long time. Nothing needs to outlast the user session that opened
/// it.
const LASTING_SILENCE: Duration = Duration::from_hours(24);
/// How long a connection waits for the next request. Shorter than the timeout of most servers, so
/// that they do not close it just when a request is sent.
const IDLE: Duration = Duration::from_secs(55);
/// After this many unanswered probes, a connection to an application is closed.
const PROBES: usize = 4;
/// Concurrent requests on one HTTP/2 connection to an application: what most servers allow.
const STREAMS: u32 = 100;
/// How many bytes of one response we take before its visitor has read them, if the application speaks
/// HTTP/2. The connection has room for all its streams: one whose visitor reads nothing must not hold
/// up the others.
const WINDOW: u32 = 512 * 1024;
const LEFT_ALONE: Duration = Duration::from_secs(1);
const LEFT_ALONE_AT_MOST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TIMEOUTS: UpstreamTimeouts = UpstreamTimeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(60),
        write: Duration::from_secs(60),
    };

    fn endpoint(upstream: &str) -> Endpoint {
        Endpoint::new("crm", &upstream.parse().unwrap(), TIMEOUTS, None, false).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_reached_before_it_is_looked_up() {
        let endpoint = endpoint("http://127.0.0.1:9000");
        assert!(endpoint.peer(Length::Ordinary, false, None).is_none());
        endpoint.look_up("127.0.0.1:9000").await.unwrap();
        let peer = endpoint.peer(Length::Ordinary, false, None).unwrap();
        assert_eq!(peer._address.to_string(), "127.0.0.1:9000");
        assert_eq!(peer.options.read_timeout, Some(TIMEOUTS.read));
        let lasting = endpoint.peer(Length::Lasting, false, None).unwrap();
        assert_eq!(lasting.options.read_timeout, Some(LASTING_SILENCE));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_again_and_what_was_known_stays_where_that_fails() {
        let endpoint = Arc::new(endpoint("http://127.0.0.1:9000"));
        let address = |endpoint: &Endpoint| {
            Some(endpoint.peer(Length::Ordinary, false, None)?._address.to_string())
        };
        let nobody = Err(io::ErrorKind::NotFound.into());
        let (authority, watched) = ("127.0.0.1:9000".to_owned(), Arc::downgrade(&endpoint));
        let looking =
            tokio::spawn(keep_looking_up(authority, watched, nobody, Duration::from_millis(1)));
        let found = async {
            while address(&endpoint).is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
        assert!(endpoint.look_up("no address at all").await.is_err());
        assert_eq!(address(&endpoint).as_deref(), Some("127.0.0.1:9000"));
        endpoint.look_up("127.0.0.1:9001").await.unwrap();
        assert_eq!(address(&endpoint).as_deref(), Some("127.0.0.1:9001"), "it has moved");
        drop(endpoint);
        looking.await.unwrap();
    }

    #[test]
    fn nothing_is_waited_for_without_end() {
        let endpoint = endpoint("unix:/run/app.sock");
        for length in [Length::Ordinary, Length::Lasting, Length::Tunnel] {
            let options = endpoint.peer(length, false, None).unwrap().options.clone();
            let waits = [
                options.connection_timeout,
                options.total_connection_timeout,
                options.read_timeout,
                options.write_timeout,
                options.idle_timeout,
            ];
            assert!(waits.iter().all(Option::is_some), "{length:?}: {waits:?}");
        }
    }

    #[test]
    fn no_two_endpoints_share_connections_even_at_one_address() {
        let key =
            |endpoint: &Endpoint| endpoint.peer(Length::Ordinary, false, None).unwrap().group_key;
        let (one, two) = (endpoint("unix:/run/app.sock"), endpoint("unix:/run/app.sock"));
        assert_ne!(key(&one), key(&two));
        assert_eq!(key(&one), key(&one));
        let alone = |endpoint: &Endpoint| {
            endpoint.peer(Length::Ordinary, false, Some(7)).unwrap().group_key
        };
        assert_ne!(alone(&one), alone(&two));
        assert_eq!((alone(&one) % 2, alone(&one)), (1, alone(&one)));
    }

    #[test]
    fn no_tunnel_takes_a_connection_that_others_have_used() {
        let endpoint = endpoint("unix:/run/app.sock");
        let shared = endpoint.peer(Length::Ordinary, false, None).unwrap().group_key;
        let tunnels: HashSet<_> = (0..=shared + 2)
            .map(|_| endpoint.peer(Length::Tunnel, false, None).unwrap().group_key)
            .collect();
        assert_eq!(tunnels.len() as u64, shared + 3, "two tunnels have one number");
        assert!(!tunnels.contains(&shared));
        assert!(tunnels.iter().all(|number| number % 2 == 0), "{tunnels:?}");
    }

    #[test]
    fn a_socket_file_needs_no_looking_up() {
        assert!(endpoint("unix:/run/app.sock").peer(Length::Ordinary, false, None).is_some());
    }

    #[test]
    fn whoever_cannot_be_reached_is_left_alone_until_an_answer() {
        let endpoint = endpoint("unix:/run/app.sock");
        assert!(endpoint.is_well());
        endpoint.failed();
        assert!(!endpoint.is_well());
        endpoint.answered();
        assert!(endpoint.is_well());
        endpoint.says(Err("500".to_owned()));
        assert!(!endpoint.is_well());
        endpoint.says(Ok(()));
        assert!(endpoint.is_well());
    }
}
