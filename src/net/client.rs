//! A small client for requests of ours to other servers: one request on one connection, a limit on
//! the length of the answer, and one deadline for all of it.
//!
//! It follows no redirects and uses no proxy. Everything goes over TLS, except to this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::roots::Roots;
use super::tls;
use crate::domain::reach::{Reach, is_local_name};

/// Sends requests to servers whose certificates are trusted.
#[derive(Clone)]
pub struct Client {
    tls: Arc<rustls::ClientConfig>,
}

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For everything, from looking up the name to the last byte of the answer.
    pub within: Duration,
    /// The longest answer, in bytes.
    pub body_at_most: usize,
    /// Which addresses may be connected to.
    pub reach: Reach,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
    /// The address that it came from.
    pub peer: IpAddr,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The URL has no host, or is neither http nor https.
    #[error("the URL has no host, or is neither http nor https")]
    NotAnAddress,
    /// Plain http to another machine.
    #[error("plain http is used for this machine (localhost) only")]
    Plain,
    /// All addresses of the name are out of reach.
    #[error("{host} has the address {address}, which is on this machine or in a private network")]
    OutOfReach {
        /// The name.
        host: String,
        /// One of its addresses.
        address: IpAddr,
    },
    /// The name has no address, or no connection could be made.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// The name.
        host: String,
        /// The system's error.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {host} failed: {source}")]
    Tls {
        /// The name.
        host: String,
        /// What was wrong.
        source: io::Error,
    },
    /// The answer is not HTTP, or ended early.
    #[error("the answer is not valid HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is a redirect, which is not followed.
    #[error("the answer is a redirect, which is not followed")]
    Redirect,
    /// The answer is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// It took too long.
    #[error("no complete answer within {} seconds", .0.as_secs())]
    Late(Duration),
}

impl Client {
    /// A client that trusts `roots`.
    ///
    /// # Errors
    /// If the TLS library supports no safe version.
    pub fn new(roots: &Roots) -> io::Result<Self> {
        Ok(Self { tls: Arc::new(tls::client(roots)?) })
    }

    /// Sends `request`, whose URI is a complete URL, and reads the whole answer.
    ///
    /// # Errors
    /// See [`Failed`]. An answer with an error status is an answer.
    pub async fn send(&self, request: Request<Bytes>, bounds: Bounds) -> Result<Answer, Failed> {
        let late = Failed::Late(bounds.within);
        timeout(bounds.within, self.exchange(request, bounds)).await.unwrap_or(Err(late))
    }

    async fn exchange(&self, request: Request<Bytes>, bounds: Bounds) -> Result<Answer, Failed> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or(Failed::NotAnAddress)?.trim_matches(['[', ']']).to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Failed::NotAnAddress),
        };
        let is_here = is_local_name(&host);
        if !secure && !is_here {
            return Err(Failed::Plain);
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let reach = if secure { bounds.reach } else { bounds.reach.and(Reach::Loopback) };
        let stream = connect(&host, port, is_here, reach).await?;
        let peer = stream.peer_addr().map(|peer| peer.ip());
        let peer = peer.map_err(|source| Failed::Connect { host: host.clone(), source })?;
        let request = in_origin_form(request)?;
        let response = if secure {
            let tls = |source| Failed::Tls { host: host.clone(), source };
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other).map_err(tls)?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await.map_err(tls)?;
            ask(stream, request, bounds.body_at_most).await?
        } else {
            ask(stream, request, bounds.body_at_most).await?
        };
        let (head, body) = response.into_parts();
        if head.status.is_redirection() && head.headers.contains_key(LOCATION) {
            return Err(Failed::Redirect);
        }
        Ok(Answer { status: head.status, body, peer })
    }
}

/// Connects to the first address that accepts and is within reach.
async fn connect(host: &str, port: u16, is_here: bool, reach: Reach) -> Result<TcpStream, Failed> {
    let failed = |source| Failed::Connect { host: host.to_owned(), source };
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        // RFC 6761 §6.3: such names are this machine, whatever a resolver says.
        Err(_) if is_here => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        Err(_) => lookup_host((host, port)).await.map_err(failed)?.collect(),
    };
    let mut last = failed(io::Error::other("the name has no address"));
    for address in addresses {
        if !reach.includes(address.ip()) {
            last = Failed::OutOfReach { host: host.to_owned(), address: address.ip() };
            continue;
        }
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => last = failed(source),
            Err(_) => last = failed(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}

/// The request with the path as its target, and the header `Host` (RFC 9112 §3.2).
fn in_origin_form(mut request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Failed> {
    let authority = request.uri().authority().ok_or(Failed::NotAnAddress)?;
    let named = HeaderValue::from_str(authority.as_str()).map_err(|_| Failed::NotAnAddress)?;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse().map_err(|_| Failed::NotAnAddress)?;
    request.headers_mut().insert(HOST, named);
    Ok(request.map(Full::new))
}

/// Sends a request on `stream` and reads the answer, at most so many bytes of its body.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    at_most: usize,
) -> Result<Response<Bytes>, Failed> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropping the set ends the connection.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, whole(body, at_most).await?))
}

async fn whole(mut body: Incoming, at_most: usize) -> Result<Bytes, Failed> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if all.len() + data.len() > at_most {
            return Err(Failed::TooLong(at_most));
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// How long one address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(4);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that reads a head and answers with `head`, then with zeros without end if `endless`.
    async fn serves(head: &'static str, endless: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 1024];
            assert!(stream.read(&mut read).await.unwrap() > 0);
            stream.write_all(head.as_bytes()).await.unwrap();
            while endless && stream.write_all(&[b'0'; 4096]).await.is_ok() {}
            pending::<()>().await;
        });
        address
    }

    async fn sent(url: &str, reach: Reach) -> Result<Answer, Failed> {
        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let roots = Roots::in_pem(certificate.cert.pem().as_bytes()).unwrap();
        let bounds = Bounds { within: Duration::from_millis(500), body_at_most: 10_000, reach };
        let request = Request::get(url).body(Bytes::new()).unwrap();
        Client::new(&roots).unwrap().send(request, bounds).await
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        let server = serves("HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone", false).await;
        let answer = sent(&format!("http://{server}/a?b=c"), Reach::Anywhere).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::NOT_FOUND, &b"gone"[..]));
        assert_eq!(answer.peer, server.ip());
    }

    #[tokio::test]
    async fn what_has_no_end_is_cut_off() {
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n";
        let server = serves(long, true).await;
        let failed = sent(&format!("http://{server}/"), Reach::Anywhere).await.unwrap_err();
        assert!(matches!(failed, Failed::TooLong(10_000)), "{failed}");
        let server = serves("HTTP/1.1 200 OK\r\n\r\n", true).await;
        let failed = sent(&format!("http://{server}/"), Reach::Anywhere).await.unwrap_err();
        assert!(matches!(failed, Failed::TooLong(10_000)), "{failed}");
    }

    #[tokio::test]
    async fn who_is_silent_is_not_waited_for() {
        let server = serves("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngo", false).await;
        let failed = sent(&format!("http://{server}/"), Reach::Anywhere).await.unwrap_err();
        assert!(matches!(failed, Failed::Late(_)), "{failed}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let there =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
        let server = serves(there, false).await;
        let failed = sent(&format!("http://{server}/"), Reach::Anywhere).await.unwrap_err();
        assert!(matches!(failed, Failed::Redirect), "{failed}");
    }

    #[tokio::test]
    async fn plain_http_goes_to_this_machine_only() {
        for url in ["http://192.0.2.7/", "http://example.com/", "http://localhost.evil.test/"] {
            let failed = sent(url, Reach::Anywhere).await.unwrap_err();
            assert!(matches!(failed, Failed::Plain), "{url}: {failed}");
        }
    }

    #[tokio::test]
    async fn where_only_public_addresses_count_nothing_here_is_reached() {
        let server = serves("", false).await;
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"] {
            let url = format!("https://{host}:{}/", server.port());
            let failed = sent(&url, Reach::Public).await.unwrap_err();
            assert!(matches!(failed, Failed::OutOfReach { .. }), "{url}: {failed}");
        }
    }

    #[tokio::test]
    async fn a_certificate_of_nobody_we_trust_is_refused() {
        let server = serves("", false).await;
        let url = format!("https://localhost:{}/", server.port());
        let failed = sent(&url, Reach::Anywhere).await.unwrap_err();
        assert!(matches!(failed, Failed::Tls { .. } | Failed::Late(_)), "{failed}");
    }
}
