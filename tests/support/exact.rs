//! An application that reads HTTP/1.1 exactly as it is framed (RFC 9112 §6), byte by byte, and notes
//! what it heard on which connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The application, running until the test ends.
pub(crate) struct Exact {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What it took for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The number of its connection, from 0.
    pub connection: usize,
    pub head: String,
    pub body: String,
}

impl Heard {
    /// Method and target.
    pub(crate) fn asks(&self) -> String {
        self.head.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let named = |line: &&str| {
            line.split_once(':').is_some_and(|(said, _)| said.eq_ignore_ascii_case(name))
        };
        let line = self.head.split("\r\n").skip(1).find(named);
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }

    fn has_bare_line_breaks(&self) -> bool {
        self.head.replace("\r\n", "").contains(['\r', '\n'])
    }
}

/// What it does with bodies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// It reads them to their end, and goes on listening even where it was told that nothing comes.
    Read,
    /// It leaves them in the connection, where it looks for the next request unless it was told that
    /// none comes.
    Unread,
}

impl Exact {
    /// One that answers with method and target.
    pub(crate) fn start(bodies: Bodies) -> Self {
        Self::answering(bodies, |heard| answer("200 OK", "", &heard.asks()))
    }

    /// One that says what `says` makes of each request.
    pub(crate) fn answering(
        bodies: Bodies,
        says: impl Fn(&Heard) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let (noting, says) = (Arc::clone(&heard), Arc::new(says));
        std::thread::spawn(move || {
            for (connection, stream) in socket.incoming().enumerate() {
                let (noting, says) = (Arc::clone(&noting), Arc::clone(&says));
                let mut reading = Reading { stream: stream.unwrap(), connection };
                std::thread::spawn(move || {
                    while let Some(heard) = reading.request(bodies) {
                        noting.lock().unwrap().push(heard.clone());
                        let said = says(&heard);
                        let answered = reading.stream.write_all(&said);
                        let told = heard.header("connection").eq_ignore_ascii_case("close");
                        let says_so = said.windows(CLOSE.len()).any(|part| part == CLOSE);
                        if says_so || bodies == Bodies::Unread && told {
                            reading.ends();
                            return;
                        }
                        if answered.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    /// Everything that it has heard.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The methods and targets that it has heard.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.heard().iter().map(Heard::asks).collect()
    }
}

/// An answer with its length.
pub(crate) fn answer(status: &str, more: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// After an answer with this line it ends the connection.
const CLOSE: &[u8] = b"\r\nConnection: close\r\n";

struct Reading {
    stream: TcpStream,
    connection: usize,
}

impl Reading {
    fn request(&mut self, bodies: Bodies) -> Option<Heard> {
        let head = self.until(b"\r\n\r\n")?;
        let request = Heard { connection: self.connection, head, body: String::new() };
        if bodies == Bodies::Unread {
            return Some(request);
        }
        assert!(!request.has_bare_line_breaks(), "{request:?}");
        let mut body = Vec::new();
        if request.header("transfer-encoding") == "chunked" {
            loop {
                let size = self.until(b"\r\n")?;
                let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
                if size == 0 {
                    self.until(b"\r\n")?;
                    break;
                }
                body.extend(self.exactly(size + 2)?);
                body.truncate(body.len() - 2);
            }
        } else if let Ok(length) = request.header("content-length").parse() {
            body = self.exactly(length)?;
        }
        Some(Heard { body: String::from_utf8_lossy(&body).into_owned(), ..request })
    }

    fn until(&mut self, end: &[u8]) -> Option<String> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.extend(self.exactly(1)?);
        }
        Some(String::from_utf8_lossy(&read).into_owned())
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut read = vec![0; length];
        self.stream.read_exact(&mut read).ok().map(|()| read)
    }

    /// Says that nothing more comes, and reads nothing of what does.
    fn ends(&mut self) {
        self.stream.shutdown(Shutdown::Write).ok();
        while let Ok(1..) = self.stream.read(&mut [0; 1024]) {}
    }
}
