//! Where the application is.
//!
//! Names are looked up beforehand and again from time to time: Pingora would do it in the middle
//! of a request, and panic where it fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};

use super::patient;

/// An application's address, and what is known of it.
pub struct Upstream {
    authority: String,
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
    /// The application at `authority`: name or address, and port (IPv6 in brackets). Nobody
    /// knows where that is before it is looked up.
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned(), peers: ArcSwapOption::empty() }
    }

    /// Looks the name up. What was known before stays where that fails.
    ///
    /// # Errors
    /// If the name cannot be looked up now, or has no address.
    pub async fn look_up(&self) -> io::Result<()> {
        let found = tokio::net::lookup_host(&self.authority).await?;
        let found: Vec<SocketAddr> = found.collect();
        let address = *found.first().ok_or(io::ErrorKind::NotFound)?;
        // Resolvers shuffle; a connection that works is not given up for that.
        let known = self.peers.load();
        if !known.as_ref().is_some_and(|known| found.contains(&known.address)) {
            self.peers.store(Some(Arc::new(Peers::at(address))));
        }
        Ok(())
    }

    /// Looks the name up now and every thirty seconds, for ever, and logs when it stops working.
    pub async fn keep_looking_up(&self) {
        let mut away = false;
        loop {
            match self.look_up().await {
                Ok(()) if away => {
                    away = false;
                    tracing::info!(upstream = self.authority, "the application is found again");
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(upstream = self.authority, %error, "the application cannot be looked up");
                }
                Ok(()) | Err(_) => {}
            }
            tokio::time::sleep(LOOK_UP_EVERY).await;
        }
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
            patient::alone(&mut peer, CONNECT);
        }
        Some(Box::new(peer))
    }
}

impl Peers {
    fn at(address: SocketAddr) -> Self {
        let peer = |silence| {
            let mut peer = HttpPeer::new(address, false, String::new());
            peer.options = options(silence);
            peer
        };
        Self { address, ordinary: peer(SILENCE), lasting: peer(LASTING_SILENCE) }
    }
}

fn options(silence: Duration) -> PeerOptions {
    let mut options = PeerOptions::new();
    options.connection_timeout = Some(CONNECT);
    options.total_connection_timeout = Some(CONNECT);
    options.read_timeout = Some(silence);
    options.write_timeout = Some(silence);
    options.idle_timeout = Some(IDLE);
    options
}

const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// An application on the same machine or network answers at once or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an application may be silent in the middle of an exchange.
const SILENCE: Duration = Duration::from_mins(1);
/// A quiet WebSocket is not broken. Nothing needs to outlast the visit that opened it.
const LASTING_SILENCE: Duration = Duration::from_hours(24);
/// How long a connection waits for the next request; shorter than what most servers allow.
const IDLE: Duration = Duration::from_secs(55);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_reached_before_it_is_looked_up() {
        let upstream = Upstream::new("127.0.0.1:9000");
        assert!(upstream.peer(Length::Ordinary).is_none());
        upstream.look_up().await.unwrap();
        let peer = upstream.peer(Length::Ordinary).unwrap();
        assert_eq!(peer._address.to_string(), "127.0.0.1:9000");
        assert_eq!(peer.options.read_timeout, Some(SILENCE));
        let lasting = upstream.peer(Length::Lasting).unwrap();
        assert_eq!(lasting.options.read_timeout, Some(LASTING_SILENCE));
    }
}
