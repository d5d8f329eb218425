//! How text messages are sent: a request to a provider's HTTP interface, and what counts as success.

use std::fmt;

use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::CertificateFile;
use super::problem::Place;
use crate::domain::phone::Accepted;
use crate::domain::secret::Secret;
use crate::domain::texts::Limits;

/// How text messages are sent, and to whom.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The provider, for logs.
    pub provider: SmsProvider,
    /// The request that hands it one text.
    pub request: SmsRequest,
    /// Which numbers are accepted.
    pub accepted: Accepted,
    /// Limits against toll fraud.
    pub limits: Limits,
    /// The CA that signs its certificate, if it is not one of the system's.
    pub authority: Option<CertificateFile>,
    /// Its key path and place in the file.
    pub at: (String, Place),
}

/// Who sends the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsProvider {
    /// Twilio's Messages API.
    Twilio,
    /// Vonage's SMS API.
    Vonage,
    /// Any other, as described by the operator.
    Http,
}

impl SmsProvider {
    /// Its word in the configuration and in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Vonage => "vonage",
            Self::Http => "http",
        }
    }
}

/// The request that hands one text to the provider.
#[derive(Clone, Debug)]
pub struct SmsRequest {
    /// Its complete URL. It never contains a secret or a text.
    pub url: String,
    /// POST or PUT.
    pub method: Method,
    /// Its headers, besides the content type. Values that contain a secret are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: SmsBody,
    /// What counts as success.
    pub success: SmsSuccess,
    /// What the body's placeholders stand for.
    pub known: SmsValues,
}

/// The body of the request. A [`Template`] in it is escaped for its place.
#[derive(Clone, Debug)]
pub enum SmsBody {
    /// `application/x-www-form-urlencoded`: names and values.
    Form(Vec<(String, Template)>),
    /// `application/json`: a value whose texts are templates.
    Json(Value),
}

/// What counts as success, besides a status from 200 to 299.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsSuccess {
    /// Nothing.
    Status,
    /// The JSON value at this pointer (RFC 6901), as text, equals this. A list or an object never does.
    Equals {
        /// Where it is.
        pointer: String,
        /// What it must be.
        value: String,
    },
    /// As Twilio says: a state in which the message can still arrive, and no error code.
    Twilio,
    /// As Vonage says: the status of every part is `0`. Its HTTP status is 200 in any case.
    Vonage,
}

/// What is known of the account: the values of the placeholders that do not depend on the text.
#[derive(Clone, Debug)]
pub struct SmsValues {
    /// The account, or an empty text.
    pub account: String,
    /// The secret that the provider gave to us.
    pub token: Option<Secret>,
    /// The sender, or an empty text.
    pub from: String,
}

/// A text with placeholders: `{to}`, `{to_digits}`, `{text}`, `{from}`, `{account}`, `{token}`,
/// `{basic}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Of(Placeholder),
}

/// What stands in for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The number in international form.
    To,
    /// Its digits, without the plus sign.
    ToDigits,
    /// The text.
    Text,
    /// The sender.
    From,
    /// The account.
    Account,
    /// The secret.
    Token,
    /// `ACCOUNT:TOKEN` in base64, as after `Basic` (RFC 7617).
    Basic,
}

/// The error for a malformed template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTemplate {
    /// An unknown placeholder.
    #[error(
        "`{{{0}}}` is not one of {{to}}, {{to_digits}}, {{text}}, {{from}}, {{account}}, {{token}}, {{basic}}"
    )]
    Unknown(String),
    /// A brace without its partner.
    #[error("a `{{` without `}}`, or a `}}` without `{{`")]
    Open,
}

impl Placeholder {
    const WORDS: [(&'static str, Self); 7] = [
        ("to", Self::To),
        ("to_digits", Self::ToDigits),
        ("text", Self::Text),
        ("from", Self::From),
        ("account", Self::Account),
        ("token", Self::Token),
        ("basic", Self::Basic),
    ];
}

impl SmsValues {
    /// The value of a placeholder that does not depend on the text. It may be a secret.
    pub fn value(&self, placeholder: Placeholder) -> Option<String> {
        let token = || self.token.as_ref().map(Secret::expose_str).unwrap_or_default();
        match placeholder {
            Placeholder::Account => Some(self.account.clone()),
            Placeholder::Token => Some(token().to_owned()),
            Placeholder::From => Some(self.from.clone()),
            Placeholder::Basic => {
                Some(BASE64.encode(format!("{}:{}", self.account, token()).as_bytes()))
            }
            Placeholder::To | Placeholder::ToDigits | Placeholder::Text => None,
        }
    }
}

impl Template {
    /// Only this placeholder.
    pub fn of(placeholder: Placeholder) -> Self {
        Self(vec![Piece::Of(placeholder)])
    }

    /// Only this text, in which nothing is a placeholder.
    pub fn literal(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`NoTemplate`] if a placeholder is unknown or a brace stands alone.
    pub fn parse(written: &str) -> Result<Self, NoTemplate> {
        let (mut pieces, mut rest) = (Vec::new(), written);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let inner = from.strip_prefix('{').ok_or(NoTemplate::Open)?;
            let (word, after) = inner.split_once('}').ok_or(NoTemplate::Open)?;
            let known = Placeholder::WORDS.iter().find(|(known, _)| *known == word);
            let (_, placeholder) = known.ok_or_else(|| NoTemplate::Unknown(word.to_owned()))?;
            pieces.push(Piece::Of(*placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Its placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Of(placeholder) => Some(*placeholder),
            Piece::Text(_) => None,
        })
    }

    /// The text with a value in place of each placeholder. Its result may contain a secret.
    pub fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Of(placeholder) => value(*placeholder),
        });
        filled.collect()
    }
}

impl fmt::Display for SmsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_puts_values_in_place_of_its_placeholders_and_reads_none_in_them() {
        let template = Template::parse("+{to_digits}: {text}!").unwrap();
        let filled = template.fill(|placeholder| match placeholder {
            Placeholder::Text => "{to}".to_owned(),
            _ => "41".to_owned(),
        });
        assert_eq!(filled, "+41: {to}!");
        assert_eq!(template.placeholders().count(), 2);
    }

    #[test]
    fn a_misspelt_placeholder_is_refused() {
        assert_eq!(Template::parse("{code}"), Err(NoTemplate::Unknown("code".to_owned())));
        for open in ["{to", "to}", "{", "}{to}"] {
            assert_eq!(Template::parse(open), Err(NoTemplate::Open), "{open}");
        }
    }
}
