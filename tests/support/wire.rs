//! HTTP/1.1 as bytes, for what no ordinary client would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// One connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

/// What bytes go over.
pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = |(said, _): &&(String, String)| said.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// What the application says it received.
    pub(crate) fn received(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Far longer than anything here takes: a test that hangs says where.
fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(patient(TcpStream::connect(address).unwrap()))
    }

    /// A connection from another address of this machine.
    pub(crate) fn from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(patient(socket.into()))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), read: Vec::new() }
    }

    pub(crate) fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends what the other side takes of it. Says whether it took all.
    pub(crate) fn tries(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Reads until the other side ends, and gives what came.
    pub(crate) fn reads_to_the_end(&mut self) -> String {
        while self.reads() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads what comes next, and gives everything that has come; nothing if the other side ends first.
    pub(crate) fn reads_some(&mut self) -> String {
        self.reads();
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Reads so many bytes and keeps none. Says whether as many came.
    pub(crate) fn skips(&mut self, bytes: usize) -> bool {
        let mut left = bytes;
        let mut read = vec![0; 64 * 1024];
        while left > 0 {
            let at_most = left.min(read.len());
            match self.stream.read(&mut read[..at_most]) {
                Ok(0) | Err(_) => return false,
                Ok(length) => left -= length,
            }
        }
        true
    }

    /// Waits for the other side to end, whatever came before.
    pub(crate) fn is_over(&mut self) -> bool {
        while self.read.len() < 1 << 24 {
            let mut read = [0; 4096];
            match self.stream.read(&mut read) {
                Ok(0) => return true,
                Ok(length) => self.read.extend_from_slice(&read[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }

    /// Sends a request and reads its answer.
    pub(crate) fn asks(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.sends(request);
        self.answer()
    }

    /// Reads until `end` has come, and gives everything up to there.
    pub(crate) fn until(&mut self, end: &str) -> String {
        loop {
            let at = self.read.windows(end.len()).position(|read| read == end.as_bytes());
            if let Some(at) = at {
                let rest = self.read.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            let read = String::from_utf8_lossy(&self.read).into_owned();
            assert!(self.reads(), "closed before {end:?}, after {read:?}");
        }
    }

    /// Reads the head of an answer: its status and its headers.
    pub(crate) fn head(&mut self) -> Answer {
        let head = self.until("\r\n\r\n");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Answer { status, headers, body: String::new() }
    }

    /// Reads an answer with its body.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.push_str(&chunk);
            }
        } else if let Ok(length) = answer.header("content-length").parse::<usize>() {
            while self.read.len() < length && self.reads() {}
            let rest = self.read.split_off(length);
            answer.body = String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
        }
        answer
    }

    /// Reads one chunk; none after the last.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let size = self.until("\r\n");
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        while self.read.len() < size + 2 {
            assert!(self.reads(), "closed within a chunk");
        }
        let rest = self.read.split_off(size + 2);
        let chunk = std::mem::replace(&mut self.read, rest);
        (size > 0).then(|| String::from_utf8(chunk[..size].to_vec()).unwrap())
    }

    /// Whether the other side has closed, and sent nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.reads()
    }

    fn reads(&mut self) -> bool {
        let mut read = [0; 4096];
        match self.stream.read(&mut read) {
            Ok(length) => {
                self.read.extend_from_slice(&read[..length]);
                length > 0
            }
            Err(error)
                if [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof]
                    .contains(&error.kind()) =>
            {
                false
            }
            Err(error) => panic!("{error}"),
        }
    }
}
