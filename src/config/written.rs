//! The file as written: what serde reads, before anything is made of it.
//!
//! Whatever may be missing has its default, or is `None`: where the file is silent, and where the
//! tree has refused what it says.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::Log;
use super::span::{DAY, HOUR, MINUTE, Span};

/// A list. What the tree has refused is `None`, so that the others keep their positions.
pub(super) type List<T> = Vec<Option<T>>;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<List<Listener>>,
    pub(super) state: Option<String>,
    pub(super) apps: Option<List<App>>,
    pub(super) second_factor: SecondFactor,
    pub(super) trusted_devices: TrustedDevices,
    pub(super) sessions: Sessions,
    pub(super) confirm: Confirm,
    pub(super) log: Log,
    pub(super) operators: Listener,
    pub(super) shutdown: Shutdown,
    pub(super) support: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) address: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct App {
    pub(super) name: Option<String>,
    pub(super) hosts: Option<List<String>>,
    pub(super) upstream: Option<String>,
    pub(super) insecure: bool,
    pub(super) rules: List<Rule>,
    pub(super) otherwise: Option<Require>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) paths: Option<List<String>>,
    pub(super) require: Option<Require>,
}

/// What a place asks: a word, or a map for those who want more.
#[derive(Debug, PartialEq)]
pub(super) enum Require {
    Word(Word),
    Map(Asked),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    Nothing,
    SignIn,
    SecondFactor,
    Nobody,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) second_factor: Option<Conditions>,
}

/// How a second factor must have been shown.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Conditions {
    pub(super) within: Option<Span>,
    pub(super) trusted_device: Option<bool>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SecondFactor {
    pub(super) totp: Totp,
    pub(super) recovery_codes: usize,
}

impl Default for SecondFactor {
    fn default() -> Self {
        Self { totp: Totp::default(), recovery_codes: 12 }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Totp {
    pub(super) issuer: Option<String>,
    pub(super) skew: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TrustedDevices {
    #[serde(rename = "for")]
    pub(super) lasting: Span,
    pub(super) at_most: usize,
}

impl Default for TrustedDevices {
    fn default() -> Self {
        Self { lasting: Span::seconds(30 * DAY), at_most: 10 }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sessions {
    /// An hour, or less where a session may not last so long.
    pub(super) idle: Option<Span>,
    pub(super) at_most: Span,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle: None, at_most: Span::seconds(24 * HOUR) }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Confirm {
    #[serde(rename = "for")]
    pub(super) lasting: Span,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { lasting: Span::seconds(15 * MINUTE) }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shutdown {
    pub(super) within: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { within: Span::seconds(30) }
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Require;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a map")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Require, E> {
                Word::deserialize(StrDeserializer::new(word)).map(Require::Word)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Require, A::Error> {
                Asked::deserialize(MapAccessDeserializer::new(map)).map(Require::Map)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
