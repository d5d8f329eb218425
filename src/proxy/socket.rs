//! The TCP options of all connections, to visitors and to applications.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sends data without delay (`TCP_NODELAY`), and probes idle connections (keepalive). Probes keep
/// NAT devices from forgetting a connection, and detect a peer that has silently gone.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// How many idle connections to applications are kept for the next request. Each holds some 70 KiB
/// of Pingora's buffers.
pub(super) const KEPT_TO_APPLICATIONS: usize = 256;
/// How long a connection is idle before the first probe, and the interval of probes after it.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(60);
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(15);
