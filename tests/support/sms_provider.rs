//! A provider of text messages on loopback, in any mood.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// It answers with this status and JSON body.
    Says(u16, &'static str),
    /// It answers with success, twice.
    Twice,
    /// It reads nothing of the request.
    Deaf,
    /// It never answers.
    Silent,
    /// It answers with success, in pieces.
    Slow,
    /// It begins to answer with success, and never comes to the end.
    Drips,
    /// It answers with success and a body without end.
    Endless,
    /// It closes the connection.
    Hangs,
    /// It resets the connection in the middle of the answer.
    Resets,
}

/// A request that it got.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method, path and version.
    pub(crate) line: String,
    /// The header lines.
    pub(crate) head: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

impl Request {
    /// The decoded fields of a form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
    }
}

#[derive(Default)]
struct State {
    mood: Mutex<Option<Mood>>,
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    came: Condvar,
}

/// The provider.
#[derive(Clone)]
pub(crate) struct SmsProvider {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl SmsProvider {
    /// One that does this with every request.
    pub(crate) fn opens(mood: Mood) -> Self {
        Self::opens_at(([127, 0, 0, 1], 0).into(), mood)
    }

    /// The same at this address.
    pub(crate) fn opens_at(address: SocketAddr, mood: Mood) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Self { address, state: Arc::default() };
        provider.feels(mood);
        let state = Arc::clone(&provider.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                thread::spawn(move || drop(serves(stream, &state)));
            }
        });
        provider
    }

    /// Changes its mood.
    pub(crate) fn feels(&self, mood: Mood) {
        *self.state.mood.lock().unwrap_or_else(PoisonError::into_inner) = Some(mood);
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Waits until there were so many connections.
    #[expect(clippy::disallowed_methods, reason = "a real process is waited for")]
    pub(crate) fn connected(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.connections() < count {
            assert!(Instant::now() < end, "nobody connected");
            thread::sleep(PAUSE);
        }
    }

    /// The requests that it got so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it got so many requests.
    pub(crate) fn got(&self, count: usize) -> Vec<Request> {
        self.got_when(|requests| requests.len() >= count)
    }

    /// Waits until it got such a request.
    pub(crate) fn got_one(&self, is_it: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.got_when(|requests| requests.iter().any(&is_it))
    }

    /// Waits until this is so of the requests that it got.
    pub(crate) fn got_when(&self, came: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let requests = self.state.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.state.came.wait_timeout_while(requests, PATIENCE, |requests| !came(requests));
        let (requests, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(came(&requests), "the texts did not come: {}", requests.len());
        requests.clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "it does nothing for a while")]
fn serves(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mood = || state.mood.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap();
    if matches!(mood(), Mood::Deaf) {
        while matches!(mood(), Mood::Deaf) {
            thread::sleep(PAUSE);
        }
        return Ok(());
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut head, mut length) = (String::new(), Vec::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end().to_owned();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push(header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let request = Request { line: line.trim_end().to_owned(), head, body };
    state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    state.came.notify_all();
    answers(stream, &mood())
}

#[expect(clippy::disallowed_methods, reason = "it is slow")]
fn answers(mut stream: TcpStream, mood: &Mood) -> std::io::Result<()> {
    let full = |status: u16, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    match mood {
        Mood::Says(status, body) => stream.write_all(full(*status, body).as_bytes())?,
        Mood::Twice => {
            stream.write_all(full(200, ACCEPTED).repeat(2).as_bytes())?;
        }
        Mood::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            while stream.write_all(&[b' '; 4096]).is_ok() {}
        }
        Mood::Slow => {
            for piece in full(200, ACCEPTED).as_bytes().chunks(24) {
                stream.write_all(piece)?;
                thread::sleep(PAUSE);
            }
        }
        Mood::Drips => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")?;
            while stream.write_all(b" ").is_ok() {
                thread::sleep(PAUSE);
            }
        }
        Mood::Resets => {
            stream.write_all(&full(200, ACCEPTED).as_bytes()[..40])?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            return Ok(());
        }
        Mood::Hangs => return Ok(()),
        Mood::Silent | Mood::Deaf => {}
    }
    // Until the client closes.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(drop)
}

/// What it says when it accepts a text.
pub(crate) const ACCEPTED: &str = "{\"status\":\"accepted\"}";
/// Between two pieces of what it does slowly.
const PAUSE: Duration = Duration::from_millis(50);
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
