//! A visitor's connection as Pingora reads and writes it, encrypted or not.
//!
//! It holds no buffer while it is idle: Pingora's own stream keeps 64 KiB for each connection.
//! Small writes are combined, head and body together, but never held back for data that does not
//! exist yet.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;
use parking_lot::Mutex;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::flow::ClientAddress;
use crate::proxy::downstream::connection::{Connection, Cut, Phase};
use crate::proxy::downstream::unchunk::Unchunk;
use crate::proxy::downstream::unreadable::{self, Beginning};
use crate::proxy::request::head_size::OWN_PAGES_MORE;
use crate::proxy::sites::Sites;

/// A visitor's connection.
pub(in crate::proxy) struct VisitorStream {
    io: Io,
    peer: SocketAddr,
    /// What Pingora asks for with each request.
    digest: Arc<SocketDigest>,
    connection: Arc<Connection>,
    /// The longest request head, in bytes.
    longest_head: usize,
    /// Bytes that were read before anybody asked for them: the first one of a request, or what a
    /// visitor sent after a request that is not answered yet (RFC 9112 §9.3.2).
    ahead: Vec<u8>,
    /// Written, but not sent yet.
    unsent: BytesMut,
    /// Removes the chunked encoding from the last answer, for visitors who do not support it.
    unchunk: Unchunk,
    /// The beginning of the request head that is being read.
    head: Beginning,
    /// Whether Pingora, instead of us, answers bytes that are not a valid request.
    is_unread: bool,
    answering: Option<Answering>,
    sites: Option<Arc<ArcSwap<Sites>>>,
}

/// Our answer while it is being made. It needs a lock of its own because streams must be `Sync`.
type Answering = Mutex<Pin<Box<dyn Future<Output = Bytes> + Send>>>;

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl VisitorStream {
    pub(in crate::proxy) fn plain(
        stream: TcpStream,
        peer: SocketAddr,
        connection: Arc<Connection>,
        longest_head: usize,
    ) -> Self {
        Self::over(Io::Plain(stream), peer, connection, longest_head)
    }

    pub(in crate::proxy) fn tls(
        stream: TlsStream<TcpStream>,
        peer: SocketAddr,
        connection: Arc<Connection>,
        longest_head: usize,
    ) -> Self {
        Self::over(Io::Tls(Box::new(stream)), peer, connection, longest_head)
    }

    /// Uses `sites` to answer visitors who send no valid request.
    pub(in crate::proxy) fn of(mut self, sites: &Arc<ArcSwap<Sites>>) -> Self {
        self.sites = Some(Arc::clone(sites));
        self
    }

    fn over(io: Io, peer: SocketAddr, connection: Arc<Connection>, longest_head: usize) -> Self {
        let digest = SocketDigest::from_raw_fd(io.socket().as_raw_fd());
        // Known since accept: saves a system call.
        digest.peer_addr.set(Some(PingoraAddress::Inet(peer))).ok();
        Self {
            io,
            peer,
            digest: Arc::new(digest),
            connection,
            longest_head,
            ahead: Vec::new(),
            unsent: BytesMut::new(),
            unchunk: Unchunk::default(),
            head: Beginning::NONE,
            is_unread: false,
            answering: None,
            sites: None,
        }
    }

    /// Keeps the beginning of a head, and escapes bytes that a target must not contain.
    fn look_at_head(&mut self, at: usize, read: &mut ReadBuf<'_>, before: usize) {
        if at == 0
            && let Some(escaped) = unreadable::escaped(&read.filled()[before..])
            && escaped.len() <= read.capacity() - before
        {
            read.set_filled(before);
            read.put_slice(&escaped);
        }
        self.head.keep(at, &read.filled()[before..]);
    }

    /// Keeps what does not belong to the head or to the body of the current request for the next
    /// read: what belongs to the body, or to the next request.
    fn set_aside(&mut self, left: Option<u64>, read: &mut ReadBuf<'_>, before: usize) {
        let bytes = &read.filled()[before..];
        let ours = match left {
            Some(left) => {
                let ours = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.connection.expects(left - ours as u64);
                ours
            }
            None if self.connection.is_in_head() => match end_of_head(bytes) {
                Some(end) => {
                    self.connection.has_whole_head();
                    end
                }
                None => bytes.len(),
            },
            None => bytes.len(),
        };
        if ours < bytes.len() {
            // What was ahead before comes after it.
            self.ahead.splice(..0, bytes[ours..].iter().copied());
            read.set_filled(before + ours);
        }
    }

    /// Waits for the end of the connection while the current request, which was read to its end, is
    /// answered. What comes instead is for afterwards, but for empty lines (RFC 9112 §2.2).
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.is_empty() {
            let mut byte = [0; 1];
            let mut read = ReadBuf::new(&mut byte);
            match self.read_more(context, &mut read) {
                Poll::Pending => {
                    // As nothing is added to what was written.
                    if !self.unsent.is_empty() {
                        let sent = Pin::new(&mut *self).poll_flush(context);
                        if let Poll::Ready(sent) = sent {
                            sent?;
                        }
                    }
                    return Poll::Pending;
                }
                Poll::Ready(done) => done?,
            }
            match read.filled() {
                [] => return Poll::Ready(Ok(())),
                [b'\r' | b'\n'] => {}
                next => self.ahead.extend_from_slice(next),
            }
        }
        Poll::Pending
    }

    /// Makes our own answer to bytes that are not a valid request.
    fn answer_unread(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let answering = match (&mut self.answering, &self.sites) {
            (Some(answering), _) => answering,
            (_, None) => return Poll::Ready(()),
            (none, Some(sites)) => {
                let (sites, peer) = (sites.load_full(), self.peer.ip());
                let visitor = (!sites.trusts(peer)).then_some(peer);
                let head = std::mem::replace(&mut self.head, Beginning::NONE);
                let answer =
                    async move { head.refused(&sites, ClientAddress { peer, visitor }).await };
                none.insert(Mutex::new(Box::pin(answer)))
            }
        };
        let answer = ready!(answering.get_mut().as_mut().poll(context));
        (self.answering, self.is_unread) = (None, false);
        self.unsent.extend_from_slice(&answer);
        Poll::Ready(())
    }

    /// Whether Pingora answers a request that none of our filters has seen.
    fn is_answered_for_us(&self, bytes: &[u8]) -> bool {
        self.is_unread
            || (self.connection.phase().0 == Phase::Head && bytes.starts_with(b"HTTP/1."))
    }

    /// Waits until there is something to read. Gives false at the end of the stream.
    pub(in crate::proxy) async fn is_spoken_to(&mut self) -> bool {
        if !self.ahead.is_empty() {
            return true;
        }
        let mut has_waited = false;
        std::future::poll_fn(|context| match &mut self.io {
            Io::Plain(stream) => {
                if has_waited {
                    return stream.poll_read_ready(context).map(|ready| ready.is_ok());
                }
                // Tokio reports a new socket as ready until the first read attempt.
                has_waited = true;
                let mut byte = [0; 1];
                stream
                    .poll_peek(context, &mut ReadBuf::new(&mut byte))
                    .map(|there| there.is_ok_and(|length| length > 0))
            }
            Io::Tls(stream) => {
                let mut byte = [0; 1];
                let mut read = ReadBuf::new(&mut byte);
                let done = ready!(Pin::new(stream).poll_read(context, &mut read)).is_ok();
                self.ahead.extend_from_slice(read.filled());
                Poll::Ready(done && !self.ahead.is_empty())
            }
        })
        .await
    }

    fn read_more(
        &mut self,
        context: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, read),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, read),
        }
    }

    fn send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // A plain write is faster than a vectored one.
        let one = match (self.unsent.is_empty(), bytes.is_empty()) {
            (true, _) => Some(bytes),
            (_, true) => Some(&self.unsent[..]),
            _ => None,
        };
        if let Some(part) = one {
            return match &mut self.io {
                Io::Plain(stream) => Pin::new(stream).poll_write(context, part),
                Io::Tls(stream) => Pin::new(stream).poll_write(context, part),
            };
        }
        let parts = [io::IoSlice::new(&self.unsent), io::IoSlice::new(bytes)];
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, &parts),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, &parts),
        }
    }

    /// Sends what was written before, and then `bytes`; gives how many of `bytes` were sent.
    fn send_all(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.unsent.is_empty() && bytes.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let Poll::Ready(sent) = self.send(context, bytes) else {
                self.connection.watchdog().pause();
                return Poll::Pending;
            };
            let sent = sent?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.connection.watchdog().hear();
            self.connection.unsent().take();
            let before = self.unsent.len();
            self.unsent.advance(sent.min(before));
            if self.unsent.is_empty() {
                // Release the buffer: most connections are idle most of the time.
                let mut emptied = std::mem::take(&mut self.unsent);
                if emptied.capacity() > 0 {
                    emptied.clear();
                    SPARE.set(emptied);
                }
                if sent > before || bytes.is_empty() {
                    return Poll::Ready(Ok(sent - before));
                }
            }
        }
    }
}

/// Where the head ends that begins here; `None` if its end is not here.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(END));
    let begins = bytes.iter().position(|byte| !b"\r\n".contains(byte))?;
    FINDER.find(&bytes[begins..]).map(|at| begins + at + END.len())
}

impl AsyncRead for VisitorStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connection.watchdog().tells() {
            // This is the only point at which a request in progress can learn anything from
            // outside.
            let why = "the application did not answer in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        let left = self.connection.left();
        if left == Some(0) {
            return self.poll_ahead(context);
        }
        let before = read.filled().len();
        let taken = self.ahead.len().min(read.remaining());
        if taken > 0 {
            read.put_slice(&self.ahead[..taken]);
            self.ahead.drain(..taken);
            if self.ahead.is_empty() && self.ahead.capacity() > SMALL {
                self.ahead = Vec::new();
            }
        }
        let read_more =
            if read.remaining() > 0 { self.read_more(context, read) } else { Poll::Ready(Ok(())) };
        match read_more {
            Poll::Pending if taken == 0 => {
                // The caller waits for the visitor, so it will not add to what was written: flush
                // it.
                if !self.unsent.is_empty()
                    && let Poll::Ready(sent) = self.as_mut().poll_flush(context)
                {
                    sent?;
                }
                return Poll::Pending;
            }
            Poll::Pending => {}
            Poll::Ready(done) => done?,
        }
        self.set_aside(left, read, before);
        let added = read.filled().len() - before;
        let of_head = self.connection.has_read(added);
        if of_head > 0 && added > 0 {
            self.look_at_head(of_head - added, read, before);
        }
        if of_head > self.longest_head + ROOM_TO_ANSWER {
            // The error makes Pingora close the connection; our answer goes out first. A visitor
            // who is still sending may not receive it.
            self.head.give_up();
            self.is_unread = true;
            return Poll::Ready(Err(io::Error::other("the request head is too large")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VisitorStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_answered_for_us(bytes) {
            self.is_unread = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.connection.says_without_chunks() {
            if self.unsent.len() > SMALL {
                ready!(self.send_all(context, &[]))?;
            }
            let Self { unchunk, unsent, .. } = &mut *self;
            unchunk.write(bytes, unsent);
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.unsent.len() + bytes.len() <= SMALL {
            if self.unsent.is_empty() {
                // Most answers are a head and a small body: one buffer holds both, and is reused
                // for the next connection.
                self.unsent = SPARE.take();
                self.unsent.reserve(SMALL);
            }
            self.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        self.send_all(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_all(context, &[]))?;
        let flushed = match &mut self.io {
            // A plain socket has no buffer of its own.
            Io::Plain(_) => return Poll::Ready(Ok(())),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        let watchdog = self.connection.watchdog();
        match flushed {
            Poll::Pending => watchdog.pause(),
            Poll::Ready(_) if watchdog.is_paused() => watchdog.hear(),
            Poll::Ready(_) => {}
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unread {
            ready!(self.answer_unread(context));
        }
        ready!(self.send_all(context, &[]))?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// If the answer is no longer allowed, or the visitor does not take it, discards what the kernel
/// has not sent yet.
impl Drop for VisitorStream {
    fn drop(&mut self) {
        let is_thrown_away = match self.connection.is_cut() {
            Some(Cut::Revoked) => true,
            Some(Cut::Late | Cut::Shed) => self.connection.watchdog().is_paused(),
            None => false,
        };
        if is_thrown_away {
            // An error means that the connection is already gone.
            SockRef::from(self.io.socket()).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}

impl fmt::Debug for VisitorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisitorStream").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for VisitorStream {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::debug!(%error, "visitor disconnected");
        }
    }
}

impl UniqueID for VisitorStream {
    fn id(&self) -> UniqueIDType {
        self.io.socket().as_raw_fd()
    }
}

impl Ssl for VisitorStream {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match &self.io {
            Io::Plain(_) => None,
            Io::Tls(stream) => match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Some(ALPN::H2),
                _ => Some(ALPN::H1),
            },
        }
    }
}

impl GetTimingDigest for VisitorStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for VisitorStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for VisitorStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl Peek for VisitorStream {}

thread_local! {
    /// A buffer for reuse, emptied after its bytes were sent.
    static SPARE: Cell<BytesMut> = Cell::default();
}

/// Below this size, writes wait for the next one or for a flush.
const SMALL: usize = 4 * 1024;
/// A head that exceeds the limit by less than this gets a proper answer.
const ROOM_TO_ANSWER: usize = OWN_PAGES_MORE + 32 * 1024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::proxy::downstream::listener::Entered;

    async fn connected() -> (TcpStream, VisitorStream) {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let visitor = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = socket.accept().await.unwrap();
        let connection = Arc::new(Connection::new(1, peer.ip(), Entered::default(), 0));
        (visitor, VisitorStream::plain(stream, peer, connection, 1024))
    }

    #[tokio::test]
    async fn silence_is_not_taken_for_a_request() {
        let (mut visitor, mut stream) = connected().await;
        let mut waiting = Box::pin(stream.is_spoken_to());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        visitor.write_all(b"GET").await.unwrap();
        assert!(waiting.await);
        let mut read = [0; 3];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"GET");
    }

    #[tokio::test]
    async fn what_was_written_goes_out_when_there_is_nothing_more_to_do() {
        let (mut visitor, mut stream) = connected().await;
        stream.write_all(b"head").await.unwrap();
        assert_eq!(stream.unsent.len(), 4);
        let mut answer = [0; 1];
        let mut waiting = Box::pin(stream.read(&mut answer));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let mut read = [0; 4];
        visitor.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"head");
    }

    #[tokio::test]
    async fn small_writes_go_out_together_and_large_ones_whole() {
        let (mut visitor, mut stream) = connected().await;
        let large = vec![b'b'; 3 * SMALL];
        let sent = async {
            stream.write_all(b"head").await.unwrap();
            stream.write_all(&large).await.unwrap();
            stream.write_all(b"end").await.unwrap();
            stream.flush().await.unwrap();
            Shutdown::shutdown(&mut stream).await;
        };
        let mut read = Vec::new();
        let ((), length) = tokio::join!(sent, visitor.read_to_end(&mut read));
        assert_eq!(length.unwrap(), 4 + large.len() + 3);
        assert!(read.starts_with(b"headb") && read.ends_with(b"bend"));
        assert!(stream.unsent.is_empty());
    }
}
