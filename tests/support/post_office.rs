//! Mail servers on loopback: a real one, and one of a few lines that does at each step as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use mailin_embedded::response::{INVALID_CREDENTIALS, OK};
use mailin_embedded::{AuthMechanism, Handler, Response, Server, SslConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What has arrived, each message as it was sent.
#[derive(Clone, Default)]
pub(crate) struct Arrived(Arc<Mutex<Vec<String>>>);

impl Arrived {
    /// The messages, in the order in which they came.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, message: Vec<u8>) {
        let message = String::from_utf8(message).unwrap();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
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

/// What a server does at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It says this.
    Says(&'static str),
    /// It goes away.
    Dies,
    /// It goes away, and has kept the message that it was given.
    KeepsAndDies,
    /// It says nothing any more.
    FallsSilent,
    /// It waits for [`Transaction::release`], and says that it has taken the message.
    Waits,
}

/// Where a server does something: at a command, at the end of a message, or before anything is said.
pub(crate) const END: &str = ".";
pub(crate) const GREETING: &str = "";

/// What servers that wait wait for.
#[derive(Clone)]
pub(crate) struct Transaction(Arc<(Mutex<bool>, Condvar)>);

impl Transaction {
    /// Lets them go on.
    pub(crate) fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn waits(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

/// A server of a few lines that does as it is told, at each step that is named, and agrees with
/// everything else.
pub(crate) struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// What it has kept.
    pub arrived: Arrived,
    /// Every line that it was told outside of messages, in order.
    pub heard: Arc<Mutex<Vec<String>>>,
    /// What it waits for.
    pub held: Transaction,
}

impl Peer {
    /// Opens at a port of its own.
    pub(crate) fn opens(does: &'static [(&'static str, Does)]) -> Self {
        Self::opens_on(TcpListener::bind("127.0.0.1:0").unwrap(), does)
    }

    /// Opens on a socket that is there. Once it has died it listens no more.
    pub(crate) fn opens_on(socket: TcpListener, does: &'static [(&'static str, Does)]) -> Self {
        let address = socket.local_addr().unwrap();
        let (arrived, heard) = (Arrived::default(), Arc::default());
        let held = Transaction(Arc::default());
        let peer = Self { address, arrived, heard, held };
        let is_mortal =
            does.iter().any(|(_, operation)| matches!(operation, Does::Dies | Does::KeepsAndDies));
        let (arrived, heard) = (peer.arrived.clone(), Arc::clone(&peer.heard));
        let held = peer.held.clone();
        let mut socket = Some(socket);
        thread::spawn(move || {
            while let Some(listening) = socket.take() {
                let (stream, _) = listening.accept().unwrap();
                socket = Some(listening).filter(|_| !is_mortal);
                let conversation = Conversation {
                    does,
                    arrived: arrived.clone(),
                    heard: Arc::clone(&heard),
                    held: held.clone(),
                };
                thread::spawn(move || conversation.goes_on(stream));
            }
        });
        peer
    }

    /// Waits until it was told something that begins so.
    pub(crate) fn has_heard(&self, words: &str) {
        while !self.was_told(words) {
            thread::yield_now();
        }
    }

    /// Whether it was told something that begins so.
    pub(crate) fn was_told(&self, words: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|line| line.starts_with(words))
    }
}

struct Conversation {
    does: &'static [(&'static str, Does)],
    arrived: Arrived,
    heard: Arc<Mutex<Vec<String>>>,
    held: Transaction,
}

impl Conversation {
    /// Speaks with one client until either has enough.
    fn goes_on(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let mut message = String::new();
        let mut goes_on = self.answers(GREETING, "220 mail.example.com", &mut stream, &message);
        while goes_on && let Some(line) = self::line(&mut stream) {
            self.heard.lock().unwrap().push(line.clone());
            let command = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            let usual = if command == "DATA" { "354 go on" } else { "250 yes" };
            goes_on = self.answers(&command, usual, &mut stream, &message);
            if goes_on && command == "DATA" {
                let lines =
                    std::iter::from_fn(|| self::line(&mut stream)).take_while(|line| line != END);
                message = lines.collect::<Vec<_>>().join("\r\n");
                goes_on = self.answers(END, "250 taken", &mut stream, &message);
            }
        }
    }

    /// Does what is to be done at a step. Says whether to go on.
    fn answers(
        &self,
        step: &str,
        usual: &str,
        stream: &mut BufReader<impl Read + Write>,
        message: &str,
    ) -> bool {
        let does = self.does.iter().find(|(at, _)| *at == step).map(|(_, does)| *does);
        let said = match does {
            Some(Does::Dies) => return false,
            Some(Does::FallsSilent) => {
                // Until the other side has enough.
                std::io::copy(stream, &mut std::io::sink()).ok();
                return false;
            }
            Some(Does::Says(said)) => said,
            Some(Does::KeepsAndDies | Does::Waits) | None => usual,
        };
        let keeps = match does {
            Some(Does::KeepsAndDies | Does::Waits) => true,
            _ => does.is_none() && step == END,
        };
        if keeps {
            self.arrived.take(message.as_bytes().to_vec());
        }
        match does {
            Some(Does::KeepsAndDies) => return false,
            Some(Does::Waits) => self.held.waits(),
            _ => {}
        }
        stream.get_mut().write_all(format!("{said}\r\n").as_bytes()).is_ok()
    }
}

/// The next line, without its end.
fn line(stream: &mut BufReader<impl Read>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Opens a server that is encrypted from the first byte, and agrees with everything.
pub(crate) fn speaks_tls_at_once(certificate: &Path, key: &Path) -> (SocketAddr, Arrived) {
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let arrived = Arrived::default();
    let conversation = Conversation {
        does: &[],
        arrived: arrived.clone(),
        heard: Arc::default(),
        held: Transaction(Arc::default()),
    };
    thread::spawn(move || {
        let (stream, _) = socket.accept().unwrap();
        let server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        conversation.goes_on(rustls::StreamOwned::new(server, stream));
    });
    (address, arrived)
}

/// What a header of a message says.
pub(crate) fn header<'l>(message: &'l str, name: &str) -> Option<&'l str> {
    let head = message.split("\r\n\r\n").next()?;
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
