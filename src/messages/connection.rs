//! The unencrypted start of a connection to a mail server, and STARTTLS.
//!
//! We do this ourselves because lettre would treat bytes that an attacker injects before the TLS
//! handshake as if they had arrived after it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use rustls::ProtocolVersion;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::way::one_line;

/// Speaks plain SMTP until the server is ready for the TLS handshake (RFC 3207).
pub(super) async fn ask_for_encryption(stream: &mut TcpStream, hello: &ClientId) -> io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    answer(&mut stream, "220").await?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offers = answer(&mut stream, "250").await?;
    if !offers.iter().any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(io::Error::other("the server does not offer STARTTLS"));
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    answer(&mut stream, "220").await?;
    if stream.buffer().is_empty() {
        Ok(())
    } else {
        Err(io::Error::other("the server sent data before the TLS handshake (STARTTLS injection)"))
    }
}

/// The lines of a reply without its code, which must be `code`.
async fn answer(
    stream: &mut tokio::io::BufReader<&mut TcpStream>,
    code: &str,
) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut stream = stream.take(ANSWER_AT_MOST);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let said = one_line(&line);
        let Some(rest) = said.strip_prefix(code) else { return Err(io::Error::other(said)) };
        let more = rest.starts_with('-');
        lines.push(rest.trim_start_matches(['-', ' ']).to_owned());
        if !more {
            return Ok(lines);
        }
    }
}

/// The name of a TLS version.
pub(super) fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

/// An encrypted connection on which lettre first reads a greeting that we supply.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) greeting: &'static [u8],
    pub(super) peer: SocketAddr,
    pub(super) stream: tokio_rustls::client::TlsStream<TcpStream>,
}

impl AsyncTokioStream for Greeted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The maximum length of one reply in bytes.
const ANSWER_AT_MOST: u64 = 16 * 1024;
