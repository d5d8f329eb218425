//! Taking connections, and letting go of them.
//!
//! Pingora's own server sleeps through its whole grace period and panics in the background where
//! a port is taken. So sockets are bound beforehand, and only its service is run.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::{ProxyHttp, http_proxy_service};
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many requests are under way.
#[derive(Clone, Debug)]
pub(super) struct Flights(Arc<watch::Sender<usize>>);

/// A request under way, until dropped.
#[derive(Debug)]
pub(super) struct Flight(Arc<watch::Sender<usize>>);

impl Flights {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(super) fn begin(&self) -> Flight {
        self.0.send_modify(|count| *count += 1);
        Flight(Arc::clone(&self.0))
    }

    async fn landed(&self) {
        // The sender is held here: the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A gateway that takes requests.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    flights: Flights,
}

impl Running {
    /// Where it listens: what was asked for, with the port that was found where any would do.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no more requests, and waits for those under way, for `within` at most. Says whether
    /// all were answered.
    pub async fn drain(self, within: Duration) -> bool {
        let _ = self.stop.send(true);
        let done = async {
            let _ = self.accepting.await;
            self.flights.landed().await;
        };
        tokio::time::timeout(within, done).await.is_ok()
    }
}

/// Serves `gateway` on `sockets`, which are bound already. Call it within a runtime.
///
/// # Errors
/// If a socket has no address or cannot be made non-blocking.
pub(super) fn serve<G>(
    gateway: G,
    flights: Flights,
    sockets: Vec<TcpListener>,
) -> io::Result<Running>
where
    G: ProxyHttp + Send + Sync + 'static,
    G::CTX: Send + Sync + 'static,
{
    let mut service = http_proxy_service(&Arc::new(ServerConf::default()), gateway);
    let mut table = Fds::new();
    let mut addresses = Vec::with_capacity(sockets.len());
    for socket in sockets {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        // Pingora finds the socket by the same words, and closes it when it is done.
        service.add_tcp(&address.to_string());
        table.add(address.to_string(), socket.into_raw_fd());
        addresses.push(address);
    }
    let table: ListenFds = Arc::new(table.into());
    let (stop, stopped) = watch::channel(false);
    let accepting =
        tokio::spawn(async move { service.start_service(Some(table), stopped, 1).await });
    Ok(Running { addresses, stop, accepting, flights })
}
