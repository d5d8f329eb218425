//! Sending letters by SMTP (RFC 5321), as the configuration says.
//!
//! Each letter is a text and the same in HTML, short and without anything that a mail program would
//! have to fetch. Links are made of the portal's configured origin.

mod words;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::config::{Config, Mail, MailTls};
use crate::domain::letter::Letter;
use crate::domain::name::Email;

pub use words::{About, Words, words};

/// Sends letters.
#[async_trait]
pub trait Post: Send + Sync {
    /// Sends `letter`, which is called `id` however often it is tried. When this returns, the server
    /// has taken it.
    ///
    /// # Errors
    /// [`Unsent`]; the server may have taken the letter all the same if it went away at the end.
    async fn send(&self, letter: &Letter, id: &[u8; 16]) -> Result<(), Unsent>;
}

/// Why a letter was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The server cannot be reached, or does not speak with us: no letter gets through now.
    #[error("the mail server cannot be used: {0}")]
    Away(String),
    /// This letter is not taken now.
    #[error("the mail server does not take it now: {0}")]
    Later(String),
    /// This letter is never taken.
    #[error("the mail server refuses it: {0}")]
    Never(String),
}

/// The mail server of the configuration.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    host: String,
    about: words::About,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Smtp {
    /// How long the server may take for one step.
    pub const PATIENCE: Duration = Duration::from_secs(20);

    /// The mail server that `config` names; `None` if it names none.
    ///
    /// # Errors
    /// What is wrong with the certificates that are to be believed.
    pub fn of(config: &Config) -> Result<Option<Self>, Unsent> {
        let Some(mail) = &config.mail else { return Ok(None) };
        let credentials = mail.credentials.as_ref();
        let credentials = credentials.map(|(user, password)| {
            Credentials::new(user.clone(), password.expose_str().to_owned())
        });
        let host = config.portal.host().to_owned();
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.as_str())
                .port(mail.port)
                .tls(tls(mail)?)
                .hello_name(ClientId::Domain(host.clone()))
                .timeout(Some(Self::PATIENCE));
        if let Some(credentials) = credentials {
            transport = transport.credentials(credentials);
        }
        let from = mailbox(mail.from.name.clone(), &mail.from.address)?;
        let about = words::About::of(config);
        Ok(Some(Self { transport: transport.build(), from, host, about }))
    }

    fn message(&self, letter: &Letter, id: &[u8; 16]) -> Result<Message, Unsent> {
        let words = words(letter, &self.about);
        let id = format!("<{}@{}>", data_encoding::HEXLOWER.encode(id), self.host);
        let part = |kind, body| SinglePart::builder().header(kind).body(body);
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, words.text()))
            .singlepart(part(ContentType::TEXT_HTML, words.html()));
        let at = Duration::from_millis(letter.written.millis());
        Message::builder()
            .from(self.from.clone())
            .to(mailbox(None, &letter.to)?)
            .subject(words.subject.clone())
            .date(std::time::SystemTime::UNIX_EPOCH + at)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .multipart(both)
            .map_err(never)
    }
}

#[async_trait]
impl Post for Smtp {
    async fn send(&self, letter: &Letter, id: &[u8; 16]) -> Result<(), Unsent> {
        let message = self.message(letter, id)?;
        self.transport.send(message).await.map(drop).map_err(|error| {
            let what = said(&error);
            if error.is_permanent() {
                // What it says of the way there is not about this letter (RFC 5321 §4.2.3).
                match error.status().map(|code| code.to_string()).as_deref() {
                    Some("530" | "534" | "535" | "538" | "554") => Unsent::Away(what),
                    _ => Unsent::Never(what),
                }
            } else if error.is_transient() {
                Unsent::Later(what)
            } else {
                Unsent::Away(what)
            }
        })
    }
}

/// The error and all its causes, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let text = deeper.to_string();
        if !all.contains(&text) {
            all = format!("{all}: {text}");
        }
        cause = deeper.source();
    }
    all.replace(['\r', '\n'], " ")
}

fn never(error: impl fmt::Display) -> Unsent {
    Unsent::Never(error.to_string())
}

fn mailbox(name: Option<String>, address: &Email) -> Result<Mailbox, Unsent> {
    Ok(Mailbox::new(name, address.as_str().parse().map_err(never)?))
}

fn tls(mail: &Mail) -> Result<Tls, Unsent> {
    let wrap = match mail.tls {
        MailTls::None => return Ok(Tls::None),
        MailTls::StartTls => Tls::Required as fn(_) -> _,
        MailTls::Implicit => Tls::Wrapper,
    };
    let mut parameters = TlsParameters::builder(mail.host.clone());
    if let Some(authority) = &mail.authority {
        parameters = parameters.certificate_store(CertificateStore::None);
        for certificate in certificates(&authority.path)? {
            parameters = parameters.add_root_certificate(certificate);
        }
    }
    let away = |error| Unsent::Away(said(&error));
    parameters.build_rustls().map(wrap).map_err(away)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Unsent> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let unreadable = |why: &dyn fmt::Display| Unsent::Away(format!("{}: {why}", path.display()));
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|e| unreadable(&e));
    let each = found?.into_iter().map(|der: CertificateDer<'_>| {
        Certificate::from_der(der.to_vec()).map_err(|error| unreadable(&said(&error)))
    });
    each.collect()
}

/// Says that no person has written this, so that none who is away answers (RFC 3834 §5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
