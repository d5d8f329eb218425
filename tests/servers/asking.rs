//! Asks servers for targets that no ordinary client would send, one connection each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub status: u16,
    pub body: String,
}

/// GETs `target`, byte for byte.
pub(crate) fn get(address: SocketAddr, host: &str, target: &str) -> Heard {
    let mut stream = TcpStream::connect(address).unwrap();
    // Far longer than anything here takes: a test that hangs says where.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    // A server may refuse before it has read everything.
    let sent = stream.write_all(request.as_bytes());
    let heard = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some(status) = text.split(' ').nth(1).and_then(|status| status.parse().ok()) else {
        // Some servers close at once what they cannot read.
        assert!(text.is_empty(), "{target}: {text:?} {sent:?} {heard:?}");
        return Heard { status: 0, body: String::new() };
    };
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let is_chunked = headers.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Heard { status, body: if is_chunked { joined(body) } else { body.to_owned() } }
}

/// A body of which one server makes other chunks than another.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body += rest.get(..size).unwrap_or(rest);
        chunks = rest.get(size + 2..).unwrap_or_default();
    }
    body
}

/// What a request ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ran {
    /// What the handler stands for.
    pub path: String,
    /// Whether nothing else was found.
    pub as_fallback: bool,
}

impl Heard {
    /// What ran: see [`super::sites`].
    pub(crate) fn ran(&self) -> Vec<Ran> {
        let marks = [("RAN ", false), ("FELL BACK ", true)];
        let ran = |line: &str| {
            marks.iter().find_map(|(mark, as_fallback)| {
                let (_, path) = line.split_once(mark)?;
                Some(Ran { path: path.to_owned(), as_fallback: *as_fallback })
            })
        };
        self.body.lines().filter_map(ran).collect()
    }
}
