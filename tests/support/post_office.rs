//! Mail servers on loopback: a real one, and one that goes away at a chosen moment.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mailin_embedded::response::{INVALID_CREDENTIALS, OK};
use mailin_embedded::{AuthMechanism, Handler, Response, Server, SslConfig};

/// What has arrived, each letter as it was sent.
#[derive(Clone, Default)]
pub(crate) struct Arrived(Arc<Mutex<Vec<String>>>);

impl Arrived {
    /// The letters, in the order in which they came.
    pub(crate) fn letters(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, letter: Vec<u8>) {
        let letter = String::from_utf8(letter).unwrap();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }
}

/// A real mail server that takes everything for example.com, and nothing for anybody else.
#[derive(Clone)]
struct Office {
    arrived: Arrived,
    coming: Vec<u8>,
}

impl Handler for Office {
    fn rcpt(&mut self, to: &str) -> Response {
        if to.ends_with("@example.com") { OK } else { mailin_embedded::response::NO_MAILBOX }
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.coming.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.arrived.take(std::mem::take(&mut self.coming));
        OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        if (user, password) == ("doorward", "open sesame") {
            mailin_embedded::response::AUTH_OK
        } else {
            INVALID_CREDENTIALS
        }
    }
}

/// Opens a mail server; with a certificate and its key, it speaks TLS and wants to know who sends.
pub(crate) fn opens(certified: Option<(&Path, &Path)>) -> (SocketAddr, Arrived) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (address, opens_on(socket, certified))
}

/// The same on a socket that is there.
pub(crate) fn opens_on(socket: TcpListener, certified: Option<(&Path, &Path)>) -> Arrived {
    let arrived = Arrived::default();
    let mut server = Server::new(Office { arrived: arrived.clone(), coming: Vec::new() });
    server.with_name("mail.example.com").with_tcp_listener(socket);
    if let Some((certificate, key)) = certified {
        let text = |path: &Path| path.display().to_string();
        let ssl = SslConfig::SelfSigned { cert_path: text(certificate), key_path: text(key) };
        server.with_ssl(ssl).unwrap();
        server.with_auth(AuthMechanism::Plain);
    }
    thread::spawn(move || server.serve().ok());
    arrived
}

/// When a server goes away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dies {
    /// Before it has greeted.
    AtOnce,
    /// When it is told that a letter follows.
    BeforeTheLetter,
    /// When it has the whole letter, before it keeps it or says anything.
    BeforeItKeepsTheLetter,
    /// When it has kept the letter, before it says so.
    BeforeItSaysSo,
}

/// Serves one connection, goes away in the middle of it, and listens no more.
pub(crate) fn dies(socket: TcpListener, when: Dies, arrived: Arrived) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (stream, _) = socket.accept().unwrap();
        drop(socket);
        speaks(&stream, when, &arrived);
    })
}

fn speaks(mut stream: &TcpStream, when: Dies, arrived: &Arrived) {
    if when == Dies::AtOnce {
        return;
    }
    let mut lines = BufReader::new(stream).lines();
    stream.write_all(b"220 mail.example.com\r\n").unwrap();
    while let Some(Ok(line)) = lines.next() {
        let command = line.to_ascii_uppercase();
        if command == "DATA" {
            if when == Dies::BeforeTheLetter {
                return;
            }
            stream.write_all(b"354 go on\r\n").unwrap();
            let letter: Vec<String> =
                lines.by_ref().map_while(Result::ok).take_while(|line| line != ".").collect();
            if when == Dies::BeforeItSaysSo {
                arrived.take(letter.join("\r\n").into_bytes());
            }
            return;
        }
        stream.write_all(b"250 yes\r\n").unwrap();
    }
}

/// What a header of a letter says.
pub(crate) fn header<'l>(letter: &'l str, name: &str) -> Option<&'l str> {
    let head = letter.split("\r\n\r\n").next()?;
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
