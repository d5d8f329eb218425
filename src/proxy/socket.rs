//! The TCP options of all connections, of visitors and to applications.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// What is sent over it goes out at once; a quiet connection is not forgotten by what stands between,
/// and whoever has silently gone is noticed in the end.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// How many connections to applications may wait for their next request. Each holds buffers of
/// Pingora's, some 70 KiB, for as long as it waits.
pub(super) const KEPT_TO_APPLICATIONS: usize = 256;
/// When a quiet connection is asked whether anybody is still there, and how often then.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(60);
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(15);
