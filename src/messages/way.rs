//! Sends one message over SMTP, step by step, and decides what a failed step means.
//!
//! lettre encodes the commands and parses the replies. The connection is ours (see
//! [`connection`](super::connection)), and so are all timeouts: lettre waits for ever for a server
//! that stops answering.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{
    ClientId, Extension, MailBodyParameter as Body, MailParameter,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::{Greeted, ask_for_encryption, version};
use crate::config::MailTls;

/// The address of a mail server and how to talk to it.
pub(super) struct Way {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) sealed: Sealed,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello: ClientId,
    pub(super) patience: Patience,
}

/// How the connection is encrypted.
pub(super) enum Sealed {
    Never,
    WhenAsked(TlsConnector),
    AtOnce(TlsConnector),
}

/// The timeouts. All steps together must end before the claim on a message lapses.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one step.
    pub step: Duration,
    /// For the server to accept a message. Servers often scan it first, and if we disconnect
    /// meanwhile, the message gets sent twice (RFC 5321 §4.5.3.2.6).
    pub message: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { step: Duration::from_secs(20), message: Duration::from_mins(5) }
    }
}

/// A step of the SMTP dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding the server and connecting.
    Reach,
    /// The TLS handshake.
    Encrypt,
    /// The greeting and EHLO.
    Greet,
    /// Authentication.
    SignIn,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA and the message.
    Message,
}

/// A completed step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The server was reached at this address.
    Reached(SocketAddr),
    /// The connection is encrypted with this version of TLS.
    Encrypted(&'static str),
    /// The server accepted our credentials.
    SignedIn,
    /// The server accepted the message, with this reply.
    Taken(String),
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {why}")]
pub struct Unsent {
    /// The step that failed.
    pub step: Step,
    /// What that means for this message and for others.
    pub outlook: Outlook,
    /// The reply of the server, or the error of the system.
    pub why: String,
}

/// What to do about a message that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// No message can be sent now.
    Away,
    /// This message is not accepted now; try again.
    Later,
    /// This message will never be accepted.
    Never,
}

impl Sealed {
    /// As configured; `connector` is called only if there is encryption.
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
    /// Sends one message and reports each completed step through `say`.
    pub(super) async fn hand_over(
        &self,
        from: &Address,
        to: &Address,
        message: &[u8],
        say: &mut (dyn FnMut(Done) + Send),
    ) -> Result<(), Unsent> {
        let stream = self.reach(say).await?;
        let greeted = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        let mut server = self.step(Step::Greet, greeted).await?;
        let handed = self.speak(&mut server, from, to, message, say).await;
        // Do not wait for the reply to QUIT: whether the message was accepted is already decided.
        let patience = self.patience.step;
        tokio::spawn(async move { timeout(patience, server.quit()).await.map(drop).ok() });
        handed
    }

    async fn speak(
        &self,
        server: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        message: &[u8],
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
            (!message.is_ascii(), Extension::EightBitMime, MailParameter::Body(Body::EightBitMime)),
        ];
        for (_, extension, mean) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
            if !server.server_info().supports_feature(extension) {
                let why = format!("the server does not support {mean}, which this address needs");
                return Err(Unsent { step: Step::Recipient, outlook: Outlook::Later, why });
            }
            means.push(mean);
        }
        let sender = server.command(Mail::new(Some(from.clone()), means));
        self.step(Step::Sender, sender).await?;
        let recipient = server.command(Rcpt::new(to.clone(), Vec::new()));
        self.step(Step::Recipient, recipient).await?;
        self.step(Step::Message, server.command(Data)).await?;
        let (limit, taken) = (self.patience.message, server.message(message));
        let answer = within(Step::Message, limit, taken, outlook).await?;
        say(Done::Taken(one_line(&answer.message().collect::<Vec<_>>().join(" "))));
        Ok(())
    }

    /// Connects, with encryption if configured, up to the point where the server greets.
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
                // The server has already greeted before STARTTLS and does not greet again.
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
        within(step, self.patience.step, done, |step, error| away(step, error)).await
    }
}

async fn within<T, E>(
    step: Step,
    limit: Duration,
    done: impl Future<Output = Result<T, E>>,
    failed: impl FnOnce(Step, &E) -> Unsent,
) -> Result<T, Unsent> {
    let late = |_| {
        let why =
            format!("timeout: no answer from the server for {}", humantime::format_duration(limit));
        Unsent { step, outlook: Outlook::Away, why }
    };
    timeout(limit, done).await.map_err(late)?.map_err(|error| failed(step, &error))
}

/// What a server's error reply to a step means (RFC 5321 §4.2.1).
fn outlook(step: Step, error: &lettre::transport::smtp::Error) -> Unsent {
    use std::error::Error;
    let code = error.status().map(|code| code.to_string());
    let said = error.source().map(|said| one_line(&said.to_string()));
    let why = match (&code, said) {
        (Some(code), Some(said)) => format!("{code} {said}"),
        (None, Some(said)) => said,
        (_, None) => one_line(&error.to_string()),
    };
    let about_this_message = match step {
        Step::Recipient | Step::Message => true,
        Step::Reach | Step::Encrypt | Step::Greet | Step::SignIn | Step::Sender => false,
    };
    // 421 closes the connection. 530 and similar codes, and the enhanced code 5.7, concern the
    // sender (RFC 4954 §6, RFC 3463 §3.8). An operator can fix that, and then the message is
    // accepted.
    let outlook = match code.as_deref() {
        Some("421" | "530" | "534" | "535" | "538") | None => Outlook::Away,
        Some(_) if !about_this_message => Outlook::Away,
        Some(code) if code.starts_with('5') && !why.contains(" 5.7.") => Outlook::Never,
        Some(_) => Outlook::Later,
    };
    Unsent { step, outlook, why }
}

fn away(step: Step, why: &dyn fmt::Display) -> Unsent {
    Unsent { step, outlook: Outlook::Away, why: one_line(&why.to_string()) }
}

/// Makes the text of a server safe and short enough for one log line; `…` stands for the rest.
pub(super) fn one_line(text: &str) -> String {
    let mut clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line = clean.by_ref().take(SAID_AT_MOST).collect::<String>();
    let more = if clean.next().is_some() { "…" } else { "" };
    format!("{}{more}", line.trim())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reach => "cannot connect to the mail server",
            Self::Encrypt => "TLS handshake with the mail server failed",
            Self::Greet => "no SMTP greeting from the mail server",
            Self::SignIn => "SMTP authentication failed",
            Self::Sender => "the mail server rejected the sender",
            Self::Recipient => "the mail server rejected the recipient",
            Self::Message => "the mail server rejected the message",
        })
    }
}

/// The maximum number of characters that are kept of a server's text.
const SAID_AT_MOST: usize = 500;
