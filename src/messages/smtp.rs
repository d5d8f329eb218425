//! The configured mail server, and building messages for it (RFC 5322).

use std::net::IpAddr;
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;

use super::way::{Done, Outlook, Patience, Sealed, Step, Unsent, Way};
use super::words::{About, words};
use super::{Post, trust};
use crate::config::Config;
use crate::domain::message::Message;
use crate::domain::name::Email;

/// The configured mail server.
pub struct Smtp {
    way: Way,
    from: Mailbox,
    host: String,
    about: About,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Smtp {
    /// The mail server that `config` names; `None` if it names none.
    ///
    /// # Errors
    /// If the CA certificates cannot be read, or `mail.from` is not a valid sender.
    pub fn of(config: &Config) -> io::Result<Option<Self>> {
        let Some(mail) = &config.mail else { return Ok(None) };
        let credentials = mail.credentials.as_ref().map(|(user, password)| {
            Credentials::new(user.clone(), password.expose_str().to_owned())
        });
        let host = config.portal.host().to_owned();
        let hello = match host.trim_matches(['[', ']']).parse() {
            Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
            Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
            Err(_) => ClientId::Domain(host.clone()),
        };
        let way = Way {
            host: mail.host.clone(),
            port: mail.port,
            sealed: Sealed::of(mail.tls, || trust::connector(mail))?,
            credentials,
            hello,
            patience: Patience::default(),
        };
        let from = mailbox(mail.from.name.clone(), &mail.from.address).map_err(io::Error::other)?;
        Ok(Some(Self { way, from, host, about: About::of(config) }))
    }

    /// Sets the timeouts.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.way.patience = patience;
        self
    }

    /// Sends a message like [`Post::send`] and reports each completed step through `say`.
    ///
    /// # Errors
    /// Like [`Post::send`].
    pub async fn send_and_say(
        &self,
        message: &Message,
        id: &[u8; 16],
        say: &mut (dyn FnMut(Done) + Send),
    ) -> Result<(), Unsent> {
        let never = |why: String| Unsent { step: Step::Message, outlook: Outlook::Never, why };
        let to = mailbox(Some(message.name.clone()), &message.to).map_err(never)?;
        let address = to.email.clone();
        let message = self.message(message, to, id).map_err(|why| never(why.to_string()))?;
        self.way.hand_over(&self.from.email, &address, &message.formatted(), say).await
    }

    fn message(
        &self,
        message: &Message,
        to: Mailbox,
        id: &[u8; 16],
    ) -> Result<lettre::Message, lettre::error::Error> {
        let words = words(message, &self.about);
        let id = format!("<{}@{}>", data_encoding::HEXLOWER.encode(id), self.host);
        let part = |kind, body| SinglePart::builder().header(kind).body(body);
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, words.text()))
            .singlepart(part(ContentType::TEXT_HTML, words.html()));
        let at = Duration::from_millis(message.written.millis());
        lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(words.subject.clone())
            .date(std::time::SystemTime::UNIX_EPOCH + at)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .multipart(both)
    }
}

#[async_trait]
impl Post for Smtp {
    async fn send(&self, message: &Message, id: &[u8; 16]) -> Result<(), Unsent> {
        self.send_and_say(message, id, &mut |_| ()).await
    }
}

fn mailbox(name: Option<String>, address: &Email) -> Result<Mailbox, String> {
    let parsed = address.as_str().parse::<Address>();
    Ok(Mailbox::new(name, parsed.map_err(|why| format!("{}: {why}", address.hinted()))?))
}

/// Marks the message as automatic, so that nobody's auto-responder answers (RFC 3834 §5).
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
