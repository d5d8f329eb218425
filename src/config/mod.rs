//! What the operator wants, validated.
//!
//! Here are the values that the rest of the house works with; how they are read from YAML, and every
//! mistake told with its place and its cure, follows.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::session;
use crate::domain::user::{Trust, TurnOn};
use crate::policy::Policy;

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Config {
    /// The application behind us.
    pub app: App,
    /// How long sessions last.
    pub sessions: session::Limits,
    /// For how long a password that was shown need not be shown again before a change.
    pub confirm_for: Duration,
    /// How two-factor is turned on and checked.
    pub second_factor: TurnOn,
    /// The name that an authenticator shows first.
    pub issuer: String,
    /// How devices are trusted.
    pub trusted_devices: Trust,
    /// Whom people can ask for help.
    pub support: Option<String>,
}

/// One protected application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Where people find it.
    pub origin: Origin,
    /// What its places ask.
    pub policy: Policy,
}

/// Scheme, host and port, as a browser knows a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether visitors come over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// It is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin, such as `https://crm.example.com`")]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let url = url::Url::parse(text).map_err(|_| NoOrigin)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(NoOrigin),
        };
        let host = url.host_str().ok_or(NoOrigin)?.to_owned();
        Ok(Self { secure, host, port: url.port() })
    }
}
