//! Visitors who speak HTTP/2, and count what they send.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use h2::client::SendRequest;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::tls::client_config;

/// Where the application is under TLS.
pub(crate) const UNDER_TLS: &str = "tls.localhost:8443";

/// A connection from `from` whose streams have windows of this size; its bytes are added to `sent`.
pub(crate) async fn connects(
    from: [u8; 4],
    to: SocketAddr,
    window: u32,
    sent: Arc<AtomicU64>,
) -> Option<SendRequest<Bytes>> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let stream = Counted { stream: socket.connect(to).await.ok()?, sent };
    let name = ServerName::try_from("tls.localhost").unwrap();
    let stream = TlsConnector::from(client_config(&[b"h2"])).connect(name, stream).await.ok()?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (sender, connection) = builder.handshake(stream).await.ok()?;
    tokio::spawn(async move { connection.await.ok() });
    Some(sender)
}

/// A page under TLS.
pub(crate) fn page(path: &str, cookie: &str) -> http::Request<()> {
    http::Request::get(format!("https://{UNDER_TLS}{path}"))
        .header("accept", "text/html")
        .header("cookie", cookie)
        .body(())
        .unwrap()
}

/// An upload under TLS.
pub(crate) fn upload(path: &str) -> http::Request<()> {
    http::Request::post(format!("https://{UNDER_TLS}{path}")).body(()).unwrap()
}

/// Sends what there is room for, until the stream is reset. Where it is at its end already, nothing.
pub(crate) async fn fills(mut body: SendStream<Bytes>) -> SendStream<Bytes> {
    static NOTHING: [u8; 1 << 16] = [0; 1 << 16];
    loop {
        body.reserve_capacity(NOTHING.len());
        let room = poll_fn(|cx| body.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return body };
        if body.send_data(Bytes::from_static(&NOTHING[..room.min(NOTHING.len())]), false).is_err() {
            return body;
        }
    }
}

/// Counts the bytes that are sent.
struct Counted {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.sent.fetch_add(length as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
