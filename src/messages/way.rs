//! The way of one letter: a connection, step by step, and what it means if a step fails.
//!
//! The commands and the answers are lettre's. The connection and its encryption are ours: lettre
//! waits without end for a server that falls silent, and what somebody slips in before the
//! encryption begins it would read as if it had come after.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{
    ClientId, Extension, MailBodyParameter as Body, MailParameter,
};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::MailTls;

/// Where a server is, and how it is spoken with.
pub(super) struct Way {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) sealed: Sealed,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello: ClientId,
    pub(super) patience: Patience,
}

/// How the way is encrypted.
pub(super) enum Sealed {
    Never,
    WhenAsked(TlsConnector),
    AtOnce(TlsConnector),
}

/// How long a server may take. Together, all steps end before a claim on a letter lapses.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one step.
    pub step: Duration,
    /// To say that it has taken a letter: many look through it first, and whoever goes away
    /// meanwhile gets it sent twice (RFC 5321 §4.5.3.2.6).
    pub letter: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { step: Duration::from_secs(20), letter: Duration::from_mins(5) }
    }
}

/// A step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To find the server and connect.
    Reach,
    /// To agree on encryption.
    Encrypt,
    /// To greet each other.
    Greet,
    /// To show name and password.
    SignIn,
    /// To say from whom the letter is.
    Sender,
    /// To say for whom it is.
    Recipient,
    /// To hand it over.
    Letter,
}

/// A step that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The server is here.
    Reached(SocketAddr),
    /// The way is encrypted, by this version of TLS.
    Encrypted(&'static str),
    /// The server knows who we are.
    SignedIn,
    /// The server has taken the letter, and says this.
    Taken(String),
}

/// Why a letter was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {why}")]
pub struct Unsent {
    /// Where it stopped.
    pub step: Step,
    /// What that means for the letter, and for others.
    pub outlook: Outlook,
    /// What the server says, or the system.
    pub why: String,
}

/// What comes of a letter that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// No letter gets through now.
    Away,
    /// This one is not taken now.
    Later,
    /// This one is never taken.
    Never,
}

impl Sealed {
    /// As the configuration says; `connector` is asked for where there is encryption.
    pub(super) fn of(
        tls: MailTls,
        connector: impl FnOnce() -> io::Result<TlsConnector>,
    ) -> io::Result<Self> {
        Ok(match tls {
            MailTls::None => Self::Never,
            MailTls::StartTls => Self::WhenAsked(connector()?),
            MailTls::Implicit => Self::AtOnce(connector()?),
        })
    }
}

impl Way {
    /// Hands one letter over, and says what was done as it is done.
    pub(super) async fn hand_over(
        &self,
        from: &Address,
        to: &Address,
        letter: &[u8],
        say: &mut (dyn FnMut(Done) + Send),
    ) -> Result<(), Unsent> {
        let stream = self.reach(say).await?;
        let greeted = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        let mut server = self.step(Step::Greet, greeted).await?;
        let handed = self.speak(&mut server, from, to, letter, say).await;
        // Nobody waits for a farewell: the letter is theirs already, or stays ours.
        let patience = self.patience.step;
        tokio::spawn(async move { timeout(patience, server.quit()).await.map(drop).ok() });
        handed
    }

    async fn speak(
        &self,
        server: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        letter: &[u8],
        say: &mut (dyn FnMut(Done) + Send),
    ) -> Result<(), Unsent> {
        if let Some(credentials) = &self.credentials {
            let shown = server.auth(DEFAULT_MECHANISMS, credentials);
            self.step(Step::SignIn, shown).await?;
            say(Done::SignedIn);
        }
        let mut means = Vec::new();
        let ascii = |address: &Address| <Address as AsRef<str>>::as_ref(address).is_ascii();
        let wanted = [
            (!ascii(from) || !ascii(to), Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
            (!letter.is_ascii(), Extension::EightBitMime, MailParameter::Body(Body::EightBitMime)),
        ];
        for (_, extension, mean) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
            if !server.server_info().supports_feature(extension) {
                let why = format!("the server does not know {mean}, which this address needs");
                return Err(Unsent { step: Step::Recipient, outlook: Outlook::Later, why });
            }
            means.push(mean);
        }
        let sender = server.command(Mail::new(Some(from.clone()), means));
        self.step(Step::Sender, sender).await?;
        let recipient = server.command(Rcpt::new(to.clone(), Vec::new()));
        self.step(Step::Recipient, recipient).await?;
        self.step(Step::Letter, server.command(Data)).await?;
        let (limit, taken) = (self.patience.letter, server.message(letter));
        let answer = within(Step::Letter, limit, taken, outlook).await?;
        say(Done::Taken(one_line(&answer.message().collect::<Vec<_>>().join(" "))));
        Ok(())
    }

    /// A connection, encrypted as it must be, on which the server is about to greet.
    async fn reach(
        &self,
        say: &mut (dyn FnMut(Done) + Send),
    ) -> Result<Box<dyn AsyncTokioStream>, Unsent> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let mut stream = self.plain_step(Step::Reach, connecting).await?;
        let peer = stream.peer_addr().map_err(|why| away(Step::Reach, &why))?;
        say(Done::Reached(peer));
        let (connector, greeting) = match &self.sealed {
            Sealed::Never => return Ok(Box::new(stream)),
            Sealed::AtOnce(connector) => (connector, &b""[..]),
            Sealed::WhenAsked(connector) => {
                let asked = ask_for_encryption(&mut stream, &self.hello);
                self.plain_step(Step::Encrypt, asked).await?;
                // The server has greeted before, and does not again.
                (connector, &b"220 encrypted\r\n"[..])
            }
        };
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|why| away(Step::Encrypt, &why))?;
        let stream = self.plain_step(Step::Encrypt, connector.connect(name, stream)).await?;
        say(Done::Encrypted(version(stream.get_ref().1.protocol_version())));
        Ok(Box::new(Greeted { greeting, peer, stream }))
    }

    async fn step<T>(
        &self,
        step: Step,
        done: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, Unsent> {
        within(step, self.patience.step, done, outlook).await
    }

    async fn plain_step<T>(
        &self,
        step: Step,
        done: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Unsent> {
        within(step, self.patience.step, done, |step, error| away(step, &error)).await
    }
}

async fn within<T, E>(
    step: Step,
    limit: Duration,
    done: impl Future<Output = Result<T, E>>,
    failed: impl FnOnce(Step, E) -> Unsent,
) -> Result<T, Unsent> {
    let late = |_| {
        let why = format!("the server said nothing for {}", humantime::format_duration(limit));
        Unsent { step, outlook: Outlook::Away, why }
    };
    timeout(limit, done).await.map_err(late)?.map_err(|error| failed(step, error))
}

/// What the answer of a server to a step means (RFC 5321 §4.2.1).
fn outlook(step: Step, error: lettre::transport::smtp::Error) -> Unsent {
    use std::error::Error;
    let code = error.status().map(|code| code.to_string());
    let said = error.source().map(|said| one_line(&said.to_string()));
    let why = match (&code, said) {
        (Some(code), Some(said)) => format!("{code} {said}"),
        (None, Some(said)) => said,
        (_, None) => one_line(&error.to_string()),
    };
    let about_this_letter = match step {
        Step::Recipient | Step::Letter => true,
        Step::Reach | Step::Encrypt | Step::Greet | Step::SignIn | Step::Sender => false,
    };
    // 421 closes the connection; 530 and its like, and 5.7 in the enhanced code, speak of who sends
    // (RFC 4954 §6, RFC 3463 §3.8): an operator will mend that, and then the letter is taken.
    let outlook = match code.as_deref() {
        Some("421" | "530" | "534" | "535" | "538") => Outlook::Away,
        Some(_) if !about_this_letter => Outlook::Away,
        Some(code) if code.starts_with('5') && !why.contains(" 5.7.") => Outlook::Never,
        Some(_) => Outlook::Later,
        None => Outlook::Away,
    };
    Unsent { step, outlook, why }
}

fn away(step: Step, why: &dyn fmt::Display) -> Unsent {
    Unsent { step, outlook: Outlook::Away, why: one_line(&why.to_string()) }
}

/// What a server says goes into a line of the log, and no further than that.
fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(SAID_AT_MOST).collect::<String>().trim().to_owned()
}

/// Speaks in the clear for as long as it takes to be encrypted (RFC 3207).
async fn ask_for_encryption(stream: &mut TcpStream, hello: &ClientId) -> io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    answer(&mut stream, "220").await?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offers = answer(&mut stream, "250").await?;
    if !offers.iter().any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(io::Error::other("the server does not offer STARTTLS"));
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    answer(&mut stream, "220").await?;
    if stream.buffer().is_empty() {
        Ok(())
    } else {
        Err(io::Error::other("something was slipped in before the encryption"))
    }
}

/// The lines of an answer without its code, which must be `code`.
async fn answer(
    stream: &mut tokio::io::BufReader<&mut TcpStream>,
    code: &str,
) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut stream = stream.take(ANSWER_AT_MOST);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let said = one_line(&line);
        let Some(rest) = said.strip_prefix(code) else { return Err(io::Error::other(said)) };
        let more = rest.starts_with('-');
        lines.push(rest.trim_start_matches(['-', ' ']).to_owned());
        if !more {
            return Ok(lines);
        }
    }
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

/// An encrypted connection before whose first bytes stand some of ours.
#[derive(Debug)]
struct Greeted {
    greeting: &'static [u8],
    peer: SocketAddr,
    stream: tokio_rustls::client::TlsStream<TcpStream>,
}

impl AsyncTokioStream for Greeted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reach => "the mail server cannot be reached",
            Self::Encrypt => "the way to the mail server cannot be encrypted",
            Self::Greet => "the mail server does not greet",
            Self::SignIn => "the mail server does not believe name and password",
            Self::Sender => "the mail server refuses the sender",
            Self::Recipient => "the mail server refuses the recipient",
            Self::Letter => "the mail server does not take the letter",
        })
    }
}

const SAID_AT_MOST: usize = 500;
const ANSWER_AT_MOST: u64 = 16 * 1024;
