//! Opens one connection to an application.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::addresses::Addresses;
use super::trust::Trust;
use crate::config::Upstream;
use crate::proxy::socket::prepare;

/// A connection of any kind.
pub(super) trait Connection:
    AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug
{
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Connection for C {}

/// How its identity is verified.
#[derive(Clone)]
pub(super) struct Secure {
    pub(super) trust: Trust,
    pub(super) name: String,
}

/// What is needed to open a connection.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) upstream: Upstream,
    pub(super) addresses: Option<Addresses>,
    pub(super) secure: Option<Secure>,
    pub(super) within: Duration,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dial({})", self.upstream)
    }
}

impl Dial {
    /// Opens the connection, for HTTP/1.1.
    ///
    /// # Errors
    /// The application does not answer in time, or fails the verification.
    pub(super) async fn go(&self) -> io::Result<Pin<Box<dyn Connection>>> {
        Ok(self.go_speaking(false).await?.0)
    }

    /// Opens the connection, for HTTP/2 if `http2`. Gives whether HTTP/2 is spoken: over TLS, the
    /// application may choose HTTP/1.1 (RFC 7301).
    ///
    /// # Errors
    /// The application does not answer in time, or fails the verification.
    pub(super) async fn go_speaking(
        &self,
        http2: bool,
    ) -> io::Result<(Pin<Box<dyn Connection>>, bool)> {
        let connected = tokio::time::timeout(self.within, self.connect(http2)).await;
        connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn connect(&self, http2: bool) -> io::Result<(Pin<Box<dyn Connection>>, bool)> {
        if let Some(path) = self.upstream.socket() {
            return Ok((Box::pin(UnixStream::connect(path).await?), http2));
        }
        let addresses = self.addresses.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let stream = addresses.connect().await?;
        prepare(&stream)?;
        let Some(Secure { trust, name }) = &self.secure else {
            return Ok((Box::pin(stream), http2));
        };
        let encrypted = trust.encrypt(name, stream, http2).await?;
        let chosen = encrypted.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::pin(encrypted), chosen))
    }
}
