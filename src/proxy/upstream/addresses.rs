//! The addresses of one name, and a connection to the first that answers.
//!
//! They are tried in the order of the system's resolver (RFC 6724), with IPv4 and IPv6 alternating.
//! The next attempt starts after a quarter of a second, or as soon as the one before has failed
//! (RFC 8305 §4, §5). The next connection begins with the address that answered last.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, Result};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// At least one address. Clones share which address answered last.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    all: Arc<[SocketAddr]>,
    answered: Arc<AtomicUsize>,
}

impl Addresses {
    /// The addresses that were `found`, in their order; `None` if there are none. The `known` one
    /// stays first if it is among them, because it identifies the existing connections.
    pub(super) fn of(found: &[SocketAddr], known: Option<SocketAddr>) -> Option<Self> {
        let mut all = in_turn(found);
        if let Some(endpoint) = all.iter().position(|address| Some(*address) == known) {
            all[..=endpoint].rotate_right(1);
        }
        (!all.is_empty()).then(|| Self { all: all.into(), answered: Arc::default() })
    }

    /// The address that identifies the connections in Pingora's pool, whichever address they use.
    pub(super) fn first(&self) -> SocketAddr {
        self.all[0]
    }

    /// Whether these are the same addresses in any order: resolvers shuffle them.
    pub(super) fn are(&self, found: &[SocketAddr]) -> bool {
        let mut found = found.to_vec();
        found.sort_unstable();
        found.dedup();
        found.len() == self.all.len() && found.iter().all(|address| self.all.contains(address))
    }

    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Connects to the address that answers first.
    ///
    /// # Errors
    /// The errors of all addresses, if none accepts the connection; the kind is that of the last.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let [only] = &*self.all else { return self.race(PACE).await };
        TcpStream::connect(only).await
    }

    async fn race(&self, pace: Duration) -> io::Result<TcpStream> {
        let first = self.answered.load(Ordering::Relaxed);
        let order = (0..self.all.len()).map(|nth| (first + nth) % self.all.len());
        let mut left = order.map(|index| (index, self.all[index])).peekable();
        let (mut tries, mut failed) = (JoinSet::new(), Vec::new());
        loop {
            if let Some((index, address)) = left.next() {
                tries.spawn(async move { (index, address, TcpStream::connect(address).await) });
            }
            let next = if left.peek().is_some() {
                timeout(pace, tries.join_next()).await
            } else {
                Ok(tries.join_next().await)
            };
            match next {
                Ok(Some(Ok((index, _, Ok(stream))))) => {
                    self.answered.store(index, Ordering::Relaxed);
                    return Ok(stream);
                }
                Ok(Some(Ok((_, address, Err(error))))) => failed.push((address, error)),
                Ok(Some(Err(_))) | Err(_) => {}
                Ok(None) if left.peek().is_some() => {}
                Ok(None) => return Err(all_failed(&failed)),
            }
        }
    }
}

/// Alternates the families, beginning with that of the first address. Removes duplicates.
fn in_turn(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = found.first() else { return Vec::new() };
    let (mut same, mut other): (Vec<_>, Vec<_>) =
        found.iter().partition(|address| address.is_ipv6() == first.is_ipv6());
    let (mut all, mut turn) = (Vec::with_capacity(found.len()), true);
    same.reverse();
    other.reverse();
    while let Some(next) =
        if turn { same.pop().or_else(|| other.pop()) } else { other.pop().or_else(|| same.pop()) }
    {
        if !all.contains(&next) {
            all.push(next);
        }
        turn = !turn;
    }
    all
}

fn all_failed(failed: &[(SocketAddr, io::Error)]) -> io::Error {
    let kind = failed.last().map_or(io::ErrorKind::NotFound, |(_, error)| error.kind());
    let told = failed.iter().map(|(address, error)| format!("{address}: {error}"));
    io::Error::new(kind, told.collect::<Vec<_>>().join("; "))
}

/// Connects for Pingora, which supports only one address for each peer.
#[derive(Debug)]
pub(super) struct Several {
    pub(super) addresses: Addresses,
    pub(super) within: Duration,
}

#[async_trait]
impl Connect for Several {
    async fn connect(&self, _: &PeerAddress) -> Result<Stream> {
        let connected = timeout(self.within, self.addresses.connect()).await;
        let late = || {
            Error::explain(
                ErrorType::ConnectTimedout,
                "timeout: no address accepted the \
                                                                  connection",
            )
        };
        let stream = connected.map_err(|_| late())?.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, "cannot connect to any address", error)
        })?;
        Ok(Stream::from(stream))
    }
}

/// "Connection Attempt Delay": RFC 8305 §5 recommends 250 ms.
const PACE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn addresses(written: &[&str]) -> Vec<SocketAddr> {
        written.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_known_address_stays_the_first() {
        let found = addresses(&["[::1]:1", "[::2]:1", "127.0.0.1:1", "[::1]:1", "127.0.0.2:1"]);
        let expected = addresses(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1"]);
        assert_eq!(*Addresses::of(&found, None).unwrap().all, *expected);
        let kept = Addresses::of(&found, Some(expected[2])).unwrap();
        assert_eq!(*kept.all, *addresses(&["[::2]:1", "[::1]:1", "127.0.0.1:1", "127.0.0.2:1"]));
        let mut shuffled = found.clone();
        shuffled.reverse();
        assert!(kept.are(&shuffled) && !kept.are(&found[2..]) && !kept.are(&found[..2]));
        assert!(Addresses::of(&[], None).is_none());
    }

    #[tokio::test]
    async fn whichever_takes_the_connection_is_reached_and_tried_first_the_next_time() {
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
        let found = [nobody, here.local_addr().unwrap()];
        let addresses = Addresses::of(&found, None).unwrap();
        let stream = addresses.connect().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), here.local_addr().unwrap());
        assert_eq!(addresses.answered.load(Ordering::Relaxed), 1);
        drop(here);
        let error = addresses.connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        for address in found {
            assert!(error.to_string().contains(&address.to_string()), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_at_all_holds_the_next_up_for_a_moment_only() {
        // Its accept queue is full: new connections get no answer.
        let silent =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        silent.listen(0).unwrap();
        let full = silent.local_addr().unwrap().as_socket().unwrap();
        let _first = TcpStream::connect(full).await.unwrap();
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = Addresses::of(&[full, here.local_addr().unwrap()], None).unwrap();
        let reached = timeout(Duration::from_secs(60), addresses.race(Duration::from_millis(1)));
        let reached = reached.await.unwrap().unwrap().peer_addr().unwrap();
        assert_eq!(reached, here.local_addr().unwrap());
    }
}
