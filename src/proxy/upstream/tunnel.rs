//! A connection to an application for one request that may become a tunnel.
//!
//! Pingora 0.9.1 waits for two things at once: the end of the visitor's (empty) body, and the
//! application's answer. If the application switches protocols before Pingora notices the end of
//! the body, Pingora takes that end for the end of the tunnel and closes it at once. If both are
//! ready, it chooses at random. On a machine with few cores, the application often runs between our
//! write and our next read. So the first read of an answer always returns `Pending`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::{HttpPeer, Scheme};
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::{Connection, Dial};
use super::fault;

/// Makes `peer` use a new connection, opened by `dial`, which nobody else gets afterwards: Pingora
/// distinguishes pooled connections by a number, and no other connection has this one.
pub(super) fn alone(peer: &mut HttpPeer, dial: Dial) {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    // Even, unlike the numbers of one visitor's connections, and above those of all endpoints.
    peer.group_key = TUNNELS | REQUESTS.fetch_add(1, Ordering::Relaxed) << 1;
    peer.options.idle_timeout = Some(Duration::from_secs(1));
    peer.options.custom_l4 = Some(Arc::new(Patience(dial)));
    // `dial` handles TLS, and only HTTP/1.1 has `Upgrade`.
    peer.scheme = Scheme::HTTP;
    peer.options.set_http_version(1, 1);
}

/// The numbers of tunnels begin here; endpoints count up from zero.
const TUNNELS: u64 = 1 << 63;

#[derive(Debug)]
struct Patience(Dial);

#[async_trait]
impl Connect for Patience {
    async fn connect(&self, _: &SocketAddr) -> Result<Stream> {
        let stream = self.0.go().await.map_err(|error| {
            let kind = match error.kind() {
                _ if fault::of_tls(&error).is_some() => ErrorType::TLSHandshakeFailure,
                io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, format!("for a tunnel through {:?}", self.0), error)
        })?;
        let patient = Patient { stream, has_waited: false };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(patient))))
    }
}

#[derive(Debug)]
struct Patient {
    stream: Pin<Box<dyn Connection>>,
    has_waited: bool,
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_waited {
            self.has_waited = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.stream.as_mut().poll_read(context, read)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

impl VirtualSocket for Patient {
    /// The options that matter are set by [`Dial::go`].
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}
