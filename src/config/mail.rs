//! How e-mail messages are sent.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::CertificateFile;
use crate::domain::name::{Email, NameError};
use crate::domain::secret::Secret;

/// The mail server and the sender of our messages.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection to it is encrypted.
    pub tls: MailTls,
    /// The sender.
    pub from: Mailbox,
    /// User name and password, if the server needs them.
    pub credentials: Option<(String, Secret)>,
    /// The CA that signs its certificate, if it is not one of the system's.
    pub authority: Option<CertificateFile>,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// With `STARTTLS`, which is required: nothing is sent unencrypted (RFC 3207).
    #[default]
    StartTls,
    /// From the first byte (RFC 8314 §3).
    Implicit,
    /// Not at all; allowed only for a server on this machine.
    None,
}

/// An address with an optional display name: `Example Inc. <doorward@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name.
    pub name: Option<String>,
    /// The address.
    pub address: Email,
}

impl FromStr for Mailbox {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((name, rest)) = text.rsplit_once('<') else {
            return Ok(Self { name: None, address: Email::parse(text.trim())? });
        };
        let address = rest.trim().strip_suffix('>').ok_or(NameError::NotAnAddress)?;
        let name = name.trim().trim_matches('"').trim();
        if let Some(found) = name.chars().find(|c| c.is_control()) {
            return Err(NameError::Character(found));
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, address: Email::parse(address)? })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        let bare: Mailbox = "doorward@example.com".parse().unwrap();
        assert_eq!((bare.name, bare.address.as_str()), (None, "doorward@example.com"));
        let named: Mailbox = "\"Example Inc.\" <door@example.com>".parse().unwrap();
        assert_eq!(named.to_string(), "Example Inc. <door@example.com>");
        for wrong in ["Example", "<door@example.com", "a\r\nBcc: b <c@example.com>", "a@b@c"] {
            assert!(wrong.parse::<Mailbox>().is_err(), "{wrong}");
        }
    }
}
