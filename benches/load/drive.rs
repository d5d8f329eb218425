//! Visitors: so many connections, each of which asks as soon as it was answered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::client_config;

/// What a small answer and a large one hold, in bytes.
pub(crate) const SMALL: usize = 1024;
pub(crate) const LARGE: usize = 1024 * 1024;

/// How visitors and their proxy speak with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Plain,
    Tls,
    Http2,
}

/// What is asked, and what the answer must be.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) status: u16,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// How long each answer took, in nanoseconds.
    pub(crate) took: Vec<u64>,
    /// From the first to the last.
    pub(crate) within: Duration,
}

/// Visitors who are connected.
pub(crate) struct Visitors {
    connections: Vec<Connection>,
    asks: Vec<Ask>,
}

enum Connection {
    One(Box<dyn Stream>),
    Many(h2::client::SendRequest<Bytes>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Visitors {
    /// As many as there are `asks`: each asks its own, again and again. They connect, and ask once.
    pub(crate) async fn connect(to: SocketAddr, wire: Wire, asks: Vec<Ask>) -> Self {
        let mut connections = Vec::with_capacity(asks.len());
        match wire {
            Wire::Plain => {
                for _ in &asks {
                    connections.push(Connection::One(Box::new(tcp(to).await)));
                }
            }
            Wire::Tls => {
                for ask in &asks {
                    let stream = tls(to, ask.host, &[b"http/1.1"]).await;
                    connections.push(Connection::One(Box::new(stream)));
                }
            }
            Wire::Http2 => {
                let mut senders = Vec::new();
                for ask in asks.iter().take(asks.len().div_ceil(STREAMS)) {
                    let stream = tls(to, ask.host, &[b"h2"]).await;
                    let (sender, connection) = h2::client::Builder::new()
                        .initial_window_size(WINDOW)
                        .initial_connection_window_size(WINDOW)
                        .handshake(stream)
                        .await
                        .unwrap();
                    tokio::task::spawn_local(connection);
                    senders.push(sender);
                }
                let each = senders.iter().cycle().take(asks.len()).cloned();
                connections.extend(each.map(Connection::Many));
            }
        }
        let mut visitors = Self { connections, asks };
        let all = visitors.asks.len();
        visitors.ask(all).await;
        visitors
    }

    /// Asks so many times in all.
    pub(crate) async fn ask(&mut self, times: usize) -> Answered {
        let left = Rc::new(Cell::new(times));
        let took = Rc::new(RefCell::new(Vec::with_capacity(times)));
        let began = Instant::now();
        let tasks: Vec<_> = self
            .connections
            .drain(..)
            .zip(&self.asks)
            .map(|(mut connection, ask)| {
                let (ask, left, took) = (ask.clone(), Rc::clone(&left), Rc::clone(&took));
                tokio::task::spawn_local(async move {
                    let mut read = Vec::with_capacity(64 * 1024);
                    let bytes = ask.as_bytes();
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        let began = Instant::now();
                        match &mut connection {
                            Connection::One(stream) => {
                                one(stream.as_mut(), &bytes, &mut read, ask.status).await;
                            }
                            Connection::Many(sender) => many(sender, &ask).await,
                        }
                        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap();
                        took.borrow_mut().push(nanos);
                    }
                    connection
                })
            })
            .collect();
        for task in tasks {
            self.connections.push(task.await.expect("a visitor was not answered as expected"));
        }
        Answered { took: took.take(), within: began.elapsed() }
    }
}

async fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn tls(
    to: SocketAddr,
    host: &'static str,
    protocols: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let name = ServerName::try_from(host.split(':').next().unwrap()).unwrap();
    TlsConnector::from(client_config(protocols)).connect(name, tcp(to).await).await.unwrap()
}

impl Ask {
    fn as_bytes(&self) -> Vec<u8> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        format!("{text}\r\n{}", self.body).into_bytes()
    }
}

async fn one(stream: &mut dyn Stream, ask: &[u8], read: &mut Vec<u8>, expected: u16) {
    stream.write_all(ask).await.unwrap();
    stream.flush().await.unwrap();
    read.clear();
    let head = loop {
        assert!(stream.read_buf(read).await.unwrap() > 0, "the connection ended");
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&read[..head]).unwrap();
    let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(status, expected, "{text}");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut left = length.expect("an answer says its length") - (read.len() - head);
    while left > 0 {
        read.clear();
        let came = stream.read_buf(read).await.unwrap();
        assert!(came > 0, "the connection ended");
        left -= came;
    }
}

async fn many(sender: &mut h2::client::SendRequest<Bytes>, ask: &Ask) {
    let mut request = http::Request::builder()
        .method(ask.method)
        .uri(format!("https://{}{}", ask.host, ask.target));
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    std::future::poll_fn(|context| sender.poll_ready(context)).await.unwrap();
    let (answer, _) = sender.send_request(request.body(()).unwrap(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status().as_u16(), ask.status, "{:?}", answer.headers());
    let mut body = answer.into_body();
    while let Some(bytes) = body.data().await {
        body.flow_control().release_capacity(bytes.unwrap().len()).unwrap();
    }
}

/// Streams on one HTTP/2 connection.
const STREAMS: usize = 8;
const WINDOW: u32 = 4 * 1024 * 1024;
