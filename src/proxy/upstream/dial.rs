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
    /// Opens the connection.
    ///
    /// # Errors
    /// The application does not answer in time, or fails the verification.
    pub(super) async fn go(&self) -> io::Result<Pin<Box<dyn Connection>>> {
        let connected = tokio::time::timeout(self.within, self.connect()).await;
        connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn connect(&self) -> io::Result<Pin<Box<dyn Connection>>> {
        if let Some(path) = self.upstream.socket() {
            return Ok(Box::pin(UnixStream::connect(path).await?));
        }
        let addresses = self.addresses.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let stream = addresses.connect().await?;
        prepare(&stream)?;
        match &self.secure {
            None => Ok(Box::pin(stream)),
            Some(Secure { trust, name }) => Ok(Box::pin(trust.encrypt(name, stream).await?)),
        }
    }
}
