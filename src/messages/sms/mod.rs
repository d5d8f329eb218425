//! Sends text messages through the HTTP interface of a provider.
//!
//! One request hands over one text. It is never repeated: a provider that accepted it and did not
//! say so would send, and charge for, two.

mod breaker;
mod words;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::config::{Placeholder, Sms, SmsBody, SmsRequest, SmsSuccess, Template};
use crate::domain::phone::Number;
use crate::domain::reach::Reach;
use crate::net::{self, Bounds, Client, Failed, Roots};

pub use breaker::{Attempt, Breaker, Change};
pub use words::{SmsWords, septets};

/// What all senders of texts share, over reloads.
#[derive(Debug, Default)]
pub struct Texts {
    /// Whether the provider works.
    pub breaker: Breaker,
    /// Who enters a text in the ledger waits here, so that writers do not overtake each other.
    pub turn: Mutex<()>,
}

/// Hands texts over to the configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    client: Client,
    request: SmsRequest,
}

/// The provider's answer to a text that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The HTTP status.
    pub status: StatusCode,
}

/// Why the provider has not accepted a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The request could not be built: nothing was sent.
    #[error("the request cannot be built: {0}")]
    Unbuilt(String),
    /// There was no complete answer. It may have accepted the text all the same.
    #[error("{0}")]
    NoAnswer(String),
    /// It answered with an error status.
    #[error("the provider answered {}{}", .0.as_u16(), .1.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Status(StatusCode, Option<String>),
    /// It answered with success, but the answer itself says otherwise.
    #[error("the provider answered {}, but the answer says: {}", .0.as_u16(), .1)]
    Body(StatusCode, String),
}

impl Refused {
    /// Whether the provider itself has a problem, so that other texts would fail, too: no answer, an
    /// error of its server, or credentials that it does not accept. Others (403, 429) may concern this
    /// number or its country.
    pub fn is_about_the_provider(&self) -> bool {
        match self {
            Self::Unbuilt(_) | Self::NoAnswer(_) => true,
            Self::Status(status, _) => {
                status.is_server_error() || *status == StatusCode::UNAUTHORIZED
            }
            Self::Body(..) => false,
        }
    }

    /// What this tells the breaker. A provider such as Vonage says with the same status whether it
    /// refuses a number or everything, so several numbers must be refused.
    pub fn attempt<'a>(&self, number: &'a Number) -> Attempt<'a> {
        if self.is_about_the_provider() { Attempt::Fails } else { Attempt::FailsFor(number) }
    }
}

impl Provider {
    /// The provider that `sms` describes.
    ///
    /// # Errors
    /// If the CA certificates cannot be read.
    pub fn of(sms: &Sms) -> io::Result<Self> {
        let roots = Roots::of(sms.authority.as_ref().map(|file| file.path.as_path()))?;
        Ok(Self { client: Client::new(&roots)?, request: sms.request.clone() })
    }

    /// Hands over `text` to be sent to `number`: one request, within [`WITHIN`].
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn send(&self, number: &Number, text: &str) -> Result<Accepted, Refused> {
        let request = self.request(number, text);
        let request = request.map_err(|error| Refused::Unbuilt(error.to_string()))?;
        let bounds = Bounds { within: WITHIN, body_at_most: BODY_AT_MOST, reach: Reach::Anywhere };
        let answer = self.client.send(request, bounds).await.map_err(|why| no_answer(&why))?;
        judge(&answer, &self.request.success).map_err(|refused| self.without_secrets(refused))?;
        Ok(Accepted { status: answer.status })
    }

    /// `refused` in which the provider repeats neither a secret nor a code.
    fn without_secrets(&self, refused: Refused) -> Refused {
        let known = &self.request.known;
        let secrets = [Placeholder::Basic, Placeholder::Token].map(|of| known.value(of));
        let secrets = secrets.map(|secret| Zeroizing::new(secret.unwrap_or_default()));
        let quoted = |said: &str| {
            let mut said = said.to_owned();
            for secret in secrets.iter().filter(|_| known.token.is_some()) {
                for spelled in spellings(secret) {
                    said = said.replace(spelled.as_str(), "…");
                }
            }
            quoted(&said)
        };
        match refused {
            Refused::Status(status, said) => Refused::Status(status, said.as_deref().map(quoted)),
            Refused::Body(status, why) => Refused::Body(status, quoted(&why)),
            Refused::Unbuilt(_) | Refused::NoAnswer(_) => refused,
        }
    }

    fn request(&self, number: &Number, text: &str) -> Result<Request<Bytes>, http::Error> {
        let (content_type, body) = self.body(number, text);
        let mut request = Request::builder()
            .method(self.request.method.clone())
            .uri(&self.request.url)
            .header(USER_AGENT, "doorward")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, content_type)
            .body(body)?;
        for (name, value) in &self.request.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    /// The content type and the body, in which every value is escaped for its place.
    fn body(&self, number: &Number, text: &str) -> (HeaderValue, Bytes) {
        let fill = |template: &Template| {
            Zeroizing::new(template.fill(|placeholder| match placeholder {
                Placeholder::To => number.as_str().to_owned(),
                Placeholder::ToDigits => number.digits().to_owned(),
                Placeholder::Text => text.to_owned(),
                other => self.request.known.value(other).unwrap_or_default(),
            }))
        };
        match &self.request.body {
            SmsBody::Form(fields) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in fields {
                    form.append_pair(name, &fill(value));
                }
                (HeaderValue::from_static(FORM), form.finish().into())
            }
            SmsBody::Json(value) => {
                let filled = filled(value, &fill);
                (HeaderValue::from_static("application/json"), filled.to_string().into())
            }
        }
    }
}

/// `secret` as it is, and as a form and JSON contain it.
fn spellings(secret: &str) -> Vec<Zeroizing<String>> {
    if secret.is_empty() {
        return Vec::new();
    }
    let in_form = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = Value::from(secret).to_string();
    let in_json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    let in_json = in_json.unwrap_or(secret).to_owned();
    [secret.to_owned(), in_form, in_json].map(Zeroizing::new).into()
}

/// `value` with every text filled as a template.
fn filled(value: &Value, fill: &dyn Fn(&Template) -> Zeroizing<String>) -> Value {
    match value {
        Value::String(text) => {
            // The configuration was refused if this is no template.
            let template = Template::parse(text).unwrap_or_else(|_| Template::literal(text));
            Value::String(fill(&template).to_string())
        }
        Value::Array(items) => items.iter().map(|item| filled(item, fill)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), filled(value, fill)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn no_answer(why: &Failed) -> Refused {
    Refused::NoAnswer(why.to_string())
}

/// Whether an answer means success. What it says is not yet fit to be shown.
fn judge(answer: &net::Answer, success: &SmsSuccess) -> Result<(), Refused> {
    let status = answer.status;
    let body = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    if !status.is_success() {
        return Err(Refused::Status(status, message(&body())));
    }
    let refused = |why: String| Err(Refused::Body(status, why));
    let text_at = |body: &Value, pointer: &str| body.pointer(pointer).and_then(as_text);
    match success {
        SmsSuccess::Status => Ok(()),
        SmsSuccess::Equals { pointer, value } => match text_at(&body(), pointer) {
            Some(found) if found == *value => Ok(()),
            Some(found) => refused(format!("{pointer} is `{found}`")),
            None => refused(format!("{pointer} is missing, or is a list or an object")),
        },
        SmsSuccess::Twilio => {
            let body = body();
            let state = body.pointer("/status").and_then(Value::as_str).unwrap_or_default();
            let code = body.pointer("/error_code").filter(|code| !code.is_null());
            match code {
                None if state.is_empty() => refused("`status` is missing".to_owned()),
                None if TAKEN_BY_TWILIO.contains(&state) => Ok(()),
                None => refused(format!("`{state}`")),
                Some(code) => {
                    let code = as_text(code).unwrap_or_default();
                    refused(format!("`{state}`, error {code}"))
                }
            }
        }
        SmsSuccess::Vonage => {
            let body = body();
            let parts = body.pointer("/messages").and_then(Value::as_array);
            let parts = parts.map(Vec::as_slice).unwrap_or_default();
            let failed = parts.iter().find(|part| text_at(part, "/status").as_deref() != Some("0"));
            match failed {
                Some(part) => {
                    let why = text_at(part, "/error-text").unwrap_or_default();
                    let status = text_at(part, "/status").unwrap_or_default();
                    refused(format!("status {status}: {why}"))
                }
                None if parts.is_empty() => refused("`messages` is missing".to_owned()),
                None => Ok(()),
            }
        }
    }
}

/// What an answer says in words, where providers usually put it.
fn message(body: &Value) -> Option<String> {
    let found = ["/message", "/error/message", "/detail", "/error"];
    let found = found.iter().find_map(|pointer| body.pointer(pointer)?.as_str());
    found.map(str::to_owned)
}

/// The first characters of what a server says: letters, digits, ASCII punctuation and spaces, so that
/// they cannot disturb a log or a terminal, and without digits in a row as long as a code.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == '…';
    let letters: Vec<char> = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let mut shown = letters.clone();
    let mut at = 0;
    while at < letters.len() {
        let (length, digits) = row(&letters[at..]);
        if digits >= CODE {
            shown[at..at + length].iter_mut().filter(|c| c.is_numeric()).for_each(|c| *c = '0');
        }
        at += length.max(1);
    }
    shown.into_iter().take(QUOTED).collect()
}

/// The length of the digits with which `letters` begin, over what groups them, and how many there are.
fn row(letters: &[char]) -> (usize, usize) {
    let (mut length, mut digits) = (0, 0);
    for (index, c) in letters.iter().enumerate() {
        if c.is_numeric() {
            (length, digits) = (index + 1, digits + 1);
        } else if digits == 0 || index > length + 1 || !GROUPING.contains(c) {
            break;
        }
    }
    (length, digits)
}

/// A JSON value as text, unless it is a list or an object.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
    }
}

/// The states of a message that can still arrive, or has:
/// <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values>.
const TAKEN_BY_TWILIO: [&str; 6] =
    ["accepted", "scheduled", "queued", "sending", "sent", "delivered"];
/// For everything that one request takes.
pub const WITHIN: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const BODY_AT_MOST: usize = 64 * 1024;
/// How many characters of an answer are shown.
const QUOTED: usize = 160;
/// What stands between the digits of a number.
const GROUPING: [char; 6] = [' ', '-', '.', '(', ')', '/'];
/// The fewest digits in a row that may be a code or a number.
const CODE: usize = 6;

const FORM: &str = "application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(status: u16, body: &Value, success: &SmsSuccess) -> Result<(), Refused> {
        let status = StatusCode::from_u16(status).unwrap();
        let peer = [127, 0, 0, 1].into();
        judge(&net::Answer { status, body: body.to_string().into(), peer }, success)
    }

    #[test]
    fn success_is_what_the_answer_says_not_only_its_status() {
        let vonage =
            |status: &str| json!({ "messages": [{ "status": status, "error-text": "no" }] });
        assert_eq!(says(200, &vonage("0"), &SmsSuccess::Vonage), Ok(()));
        assert!(says(200, &vonage("4"), &SmsSuccess::Vonage).is_err());
        assert!(says(200, &json!({ "messages": [] }), &SmsSuccess::Vonage).is_err());
        assert!(says(200, &json!([]), &SmsSuccess::Vonage).is_err());
        let parts = json!({ "messages": [{ "status": "0" }, { "status": "1" }] });
        assert!(says(200, &parts, &SmsSuccess::Vonage).is_err());

        let twilio = |status: &str, code: Value| json!({ "status": status, "error_code": code });
        assert_eq!(says(201, &twilio("queued", Value::Null), &SmsSuccess::Twilio), Ok(()));
        assert!(says(201, &twilio("queued", json!(30003)), &SmsSuccess::Twilio).is_err());
        assert!(says(201, &twilio("failed", Value::Null), &SmsSuccess::Twilio).is_err());
        assert!(says(200, &json!({}), &SmsSuccess::Twilio).is_err());
        for error in [
            json!({ "status": 400, "code": 20003 }),
            json!({ "status": "400" }),
            json!({ "status": "undelivered" }),
            json!({ "status": ["queued"] }),
            json!({ "status": "sent", "error_code": { "code": 1 } }),
        ] {
            assert!(says(200, &error, &SmsSuccess::Twilio).is_err(), "{error}");
        }

        let equals = SmsSuccess::Equals { pointer: "/ok".to_owned(), value: "true".to_owned() };
        assert_eq!(says(200, &json!({ "ok": true }), &equals), Ok(()));
        assert!(says(200, &json!({ "ok": false }), &equals).is_err());
        assert!(says(200, &json!({}), &equals).is_err());
        let list = SmsSuccess::Equals { pointer: "/ok".to_owned(), value: "[true]".to_owned() };
        assert!(says(200, &json!({ "ok": [true] }), &list).is_err());
        let object = SmsSuccess::Equals { pointer: "/ok".to_owned(), value: "{}".to_owned() };
        assert!(says(200, &json!({ "ok": {} }), &object).is_err());
        assert!(says(500, &json!({ "ok": true }), &equals).is_err());
        assert!(says(302, &json!({}), &SmsSuccess::Status).is_err());
    }

    #[test]
    fn only_the_providers_own_problems_concern_other_texts() {
        let of = |status: u16| says(status, &json!({}), &SmsSuccess::Status).unwrap_err();
        for status in [500, 503, 401] {
            assert!(of(status).is_about_the_provider(), "{status}");
        }
        for status in [400, 403, 429] {
            assert!(!of(status).is_about_the_provider(), "{status}: perhaps only of this number");
        }
        assert!(Refused::NoAnswer(String::new()).is_about_the_provider());
    }

    #[test]
    fn what_a_provider_says_is_quoted_without_codes_and_controls() {
        assert_eq!(quoted("code 123456 é\u{1b}[31m"), "code 000000 é [31m");
        assert_eq!(quoted("to +41 (79) 123-45 67: 4 3"), "to +00 (00) 000-00 00: 4 3");
        assert_eq!(quoted("error 21211"), "error 21211");
        assert_eq!(quoted(&"x".repeat(1_000)).len(), QUOTED);
        assert_eq!(quoted("a\u{202e}b\u{200b}c\u{2028}d"), "a b c d");
        let cut = quoted(&format!("{}123456", "x".repeat(QUOTED - 3)));
        assert!(cut.ends_with("x000"), "{cut}");
    }
}
