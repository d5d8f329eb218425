//! A connection to a mail server from its first byte until it is encrypted.
//!
//! This is ours because what somebody slips in before the encryption begins, lettre would read as if
//! it had come after.

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

/// Speaks in the clear for as long as it takes to be encrypted (RFC 3207).
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
        Err(io::Error::other("something was slipped in before the encryption"))
    }
}

/// The lines of an answer without its code, which must be `code`.
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

/// How the version of TLS is called.
pub(super) fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

/// An encrypted connection before whose first bytes stand some of ours.
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

/// The most bytes that one answer may have.
const ANSWER_AT_MOST: u64 = 16 * 1024;
