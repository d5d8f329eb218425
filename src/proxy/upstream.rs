//! Where the application is.
//!
//! Names are looked up beforehand and again from time to time: Pingora would do it in the middle
//! of a request, and panic where it fails.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};

use super::patient;
use crate::config::UpstreamTimeouts;

/// An application's address, and what is known of it.
pub(super) struct Upstream {
    authority: String,
    timeouts: UpstreamTimeouts,
    peers: ArcSwapOption<Peers>,
}

/// One address, reached in two ways: Pingora copies time-outs when a connection is taken, and
/// they cannot be raised after that.
struct Peers {
    address: SocketAddr,
    ordinary: HttpPeer,
    lasting: HttpPeer,
}

/// How long a request will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It is answered, and done.
    Ordinary,
    /// It stays open: a stream of events.
    Lasting,
    /// It may become a tunnel: a WebSocket.
    Tunnel,
}

impl Upstream {
    /// The application at `authority`: name or address, and port (IPv6 in brackets). It is looked
    /// up now, and again from time to time for as long as somebody holds it; where that fails,
    /// nobody knows where it is yet. Call it within a runtime.
    pub(super) async fn found(authority: &str, timeouts: UpstreamTimeouts) -> Arc<Self> {
        let upstream = Arc::new(Self::new(authority, timeouts));
        let found = upstream.look_up().await;
        tokio::spawn(keep_looking_up(Arc::downgrade(&upstream), found));
        upstream
    }

    fn new(authority: &str, timeouts: UpstreamTimeouts) -> Self {
        Self { authority: authority.to_owned(), timeouts, peers: ArcSwapOption::empty() }
    }

    /// How long it may take.
    pub(super) fn timeouts(&self) -> UpstreamTimeouts {
        self.timeouts
    }

    /// Looks the name up. What was known before stays where that fails.
    ///
    /// # Errors
    /// If the name cannot be looked up now, or has no address.
    async fn look_up(&self) -> io::Result<()> {
        let found = tokio::net::lookup_host(&self.authority).await?;
        let found: Vec<SocketAddr> = found.collect();
        let address = *found.first().ok_or(io::ErrorKind::NotFound)?;
        // Resolvers shuffle; a connection that works is not given up for that.
        let known = self.peers.load();
        if !known.as_ref().is_some_and(|known| found.contains(&known.address)) {
            self.peers.store(Some(Arc::new(Peers::at(address, self.timeouts))));
        }
        Ok(())
    }

    /// How to get there now; `None` if nobody knows where it is.
    pub(super) fn peer(&self, length: Length) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let peers = peers.as_ref()?;
        let mut peer = match length {
            Length::Ordinary => peers.ordinary.clone(),
            Length::Lasting | Length::Tunnel => peers.lasting.clone(),
        };
        if length == Length::Tunnel {
            patient::alone(&mut peer, self.timeouts.connect);
        }
        Some(Box::new(peer))
    }
}

/// Looks the name up every thirty seconds for as long as somebody holds it, and logs when that
/// stops working, and when it works again. The first time is over.
async fn keep_looking_up(upstream: Weak<Upstream>, mut found: io::Result<()>) {
    let mut away = false;
    loop {
        let Some(upstream) = upstream.upgrade() else { return };
        match found {
            Ok(()) if away => {
                away = false;
                tracing::info!(upstream = upstream.authority, "the application is found again");
            }
            Err(error) if !away => {
                away = true;
                tracing::warn!(upstream = upstream.authority, %error, "the application cannot be looked up");
            }
            Ok(()) | Err(_) => {}
        }
        let held = Arc::downgrade(&upstream);
        drop(upstream);
        tokio::time::sleep(LOOK_UP_EVERY).await;
        let Some(upstream) = held.upgrade() else { return };
        found = upstream.look_up().await;
    }
}

impl Peers {
    fn at(address: SocketAddr, timeouts: UpstreamTimeouts) -> Self {
        let lasting = UpstreamTimeouts {
            read: timeouts.read.max(LASTING_SILENCE),
            write: timeouts.write.max(LASTING_SILENCE),
            ..timeouts
        };
        let peer = |timeouts| {
            let mut peer = HttpPeer::new(address, false, String::new());
            peer.options = options(timeouts);
            peer
        };
        Self { address, ordinary: peer(timeouts), lasting: peer(lasting) }
    }
}

fn options(timeouts: UpstreamTimeouts) -> PeerOptions {
    let mut options = PeerOptions::new();
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(timeouts.write);
    options.idle_timeout = Some(IDLE);
    options
}

const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// A quiet WebSocket is not broken. Nothing needs to outlast the visit that opened it.
const LASTING_SILENCE: Duration = Duration::from_hours(24);
/// How long a connection waits for the next request; shorter than what most servers allow.
const IDLE: Duration = Duration::from_secs(55);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_reached_before_it_is_looked_up() {
        let timeouts = UpstreamTimeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
        };
        let upstream = Upstream::new("127.0.0.1:9000", timeouts);
        assert!(upstream.peer(Length::Ordinary).is_none());
        upstream.look_up().await.unwrap();
        let peer = upstream.peer(Length::Ordinary).unwrap();
        assert_eq!(peer._address.to_string(), "127.0.0.1:9000");
        assert_eq!(peer.options.read_timeout, Some(timeouts.read));
        let lasting = upstream.peer(Length::Lasting).unwrap();
        assert_eq!(lasting.options.read_timeout, Some(LASTING_SILENCE));
    }
}
