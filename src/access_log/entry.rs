//! What the access log says of one request, as a line of text or of JSON.
//!
//! Text is `key=value` (logfmt), with quotes around values that are not plain words; JSON is one
//! object. Both have the same keys, times in milliseconds, and escape in the same way. Text says `-`
//! where there is nothing, JSON omits the key.

use std::net::IpAddr;
use std::time::Duration;

use super::escape::{is_bare, put_quoted};
use super::plain::{put_address, put_millis, put_number, put_time};
use crate::domain::time::Timestamp;

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When it began.
    pub at: Timestamp,
    /// Its id.
    pub request_id: Option<&'a str>,
    /// The client address, or else the peer's.
    pub client: Option<IpAddr>,
    /// The user name, as applications are told it.
    pub user: Option<&'a str>,
    /// The application.
    pub app: Option<&'a str>,
    /// The method, as it was sent.
    pub method: Option<&'a [u8]>,
    /// The path as it was sent, without its query, and without the token of a one-time link.
    pub path: Option<&'a [u8]>,
    /// The status of the response; `None` if none was sent.
    pub status: Option<u16>,
    /// The bytes of the response's body that were sent, or of the tunnel.
    pub bytes: u64,
    /// How long it took, to its end.
    pub duration: Duration,
    /// The endpoint of the application that was asked last.
    pub upstream: Option<&'a str>,
    /// How long that endpoint took to answer, to the head of its response.
    pub upstream_time: Option<Duration>,
    /// The verdict.
    pub verdict: Option<&'static str>,
    /// The rule that decided.
    pub rule: Option<Rule>,
}

/// The rule that decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The rule with this number, from 1, and its line in the configuration file.
    Number {
        /// The number.
        number: usize,
        /// The line, if it is known.
        line: Option<usize>,
    },
    /// `otherwise`.
    Otherwise,
}

impl Entry<'_> {
    /// Adds the line as text.
    pub(super) fn put_text(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"time=");
        put_time(line, self.at);
        put_word(line, " request_id=", self.request_id.map(str::as_bytes));
        put_shown(line, " client=", self.client, put_address);
        put_word(line, " user=", self.user.map(str::as_bytes));
        put_word(line, " app=", self.app.map(str::as_bytes));
        put_word(line, " method=", self.method);
        put_word(line, " path=", self.path);
        put_shown(line, " status=", self.status.map(u64::from), put_number);
        put_shown(line, " bytes=", Some(self.bytes), put_number);
        put_shown(line, " duration_ms=", Some(self.duration), put_millis);
        put_word(line, " upstream=", self.upstream.map(str::as_bytes));
        put_shown(line, " upstream_ms=", self.upstream_time, put_millis);
        put_word(line, " verdict=", self.verdict.map(str::as_bytes));
        put_shown(line, " rule=", self.rule, Rule::put);
        put_shown(line, " rule_line=", self.rule.and_then(Rule::line), put_number);
        line.push(b'\n');
    }

    /// Adds the line as JSON.
    pub(super) fn put_json(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"time\":\"");
        put_time(line, self.at);
        line.push(b'"');
        put_string(line, ",\"request_id\":", self.request_id.map(str::as_bytes));
        put_in_quotes(line, ",\"client\":", self.client, put_address);
        put_string(line, ",\"user\":", self.user.map(str::as_bytes));
        put_string(line, ",\"app\":", self.app.map(str::as_bytes));
        put_string(line, ",\"method\":", self.method);
        put_string(line, ",\"path\":", self.path);
        put_member(line, ",\"status\":", self.status.map(u64::from), put_number);
        put_member(line, ",\"bytes\":", Some(self.bytes), put_number);
        put_member(line, ",\"duration_ms\":", Some(self.duration), put_millis);
        put_string(line, ",\"upstream\":", self.upstream.map(str::as_bytes));
        put_member(line, ",\"upstream_ms\":", self.upstream_time, put_millis);
        put_string(line, ",\"verdict\":", self.verdict.map(str::as_bytes));
        put_in_quotes(line, ",\"rule\":", self.rule, Rule::put);
        put_member(line, ",\"rule_line\":", self.rule.and_then(Rule::line), put_number);
        line.extend_from_slice(b"}\n");
    }
}

impl Rule {
    fn line(self) -> Option<u64> {
        match self {
            Self::Number { line, .. } => line.map(|line| line as u64),
            Self::Otherwise => None,
        }
    }

    fn put(line: &mut Vec<u8>, rule: Self) {
        match rule {
            Self::Number { number, .. } => put_number(line, number as u64),
            Self::Otherwise => line.extend_from_slice(b"otherwise"),
        }
    }
}

/// Adds one value, which needs no escape.
type Put<T> = fn(&mut Vec<u8>, T);

fn put_word(line: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    line.extend_from_slice(key.as_bytes());
    match value {
        None => line.push(b'-'),
        Some(word) if is_bare(word) => line.extend_from_slice(word),
        Some(text) => {
            line.push(b'"');
            put_quoted(line, text);
            line.push(b'"');
        }
    }
}

fn put_shown<T>(line: &mut Vec<u8>, key: &str, value: Option<T>, put: Put<T>) {
    line.extend_from_slice(key.as_bytes());
    match value {
        None => line.push(b'-'),
        Some(value) => put(line, value),
    }
}

fn put_string(line: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    put_in_quotes(line, key, value, put_quoted);
}

fn put_in_quotes<T>(line: &mut Vec<u8>, key: &str, value: Option<T>, put: Put<T>) {
    let Some(value) = value else { return };
    line.extend_from_slice(key.as_bytes());
    line.push(b'"');
    put(line, value);
    line.push(b'"');
}

fn put_member<T>(line: &mut Vec<u8>, key: &str, value: Option<T>, put: Put<T>) {
    let Some(value) = value else { return };
    line.extend_from_slice(key.as_bytes());
    put(line, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry<'a>() -> Entry<'a> {
        Entry {
            at: Timestamp::from_millis(1_800_000_000_007),
            request_id: Some("m4qk2d7eyh5xw3tb"),
            client: Some([192, 0, 2, 7].into()),
            user: Some("ada"),
            app: Some("crm"),
            method: Some(b"GET"),
            path: Some(b"/orders/7"),
            status: Some(200),
            bytes: 1234,
            duration: Duration::from_micros(2_345),
            upstream: Some("http://127.0.0.1:9000"),
            upstream_time: Some(Duration::from_micros(1_045)),
            verdict: Some("pass"),
            rule: Some(Rule::Number { number: 3, line: Some(42) }),
        }
    }

    fn text(entry: &Entry<'_>) -> String {
        let mut line = Vec::new();
        entry.put_text(&mut line);
        String::from_utf8(line).unwrap()
    }

    fn json(entry: &Entry<'_>) -> String {
        let mut line = Vec::new();
        entry.put_json(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_request_is_one_line_of_text() {
        assert_eq!(
            text(&entry()),
            "time=2027-01-15T08:00:00.007Z request_id=m4qk2d7eyh5xw3tb client=192.0.2.7 user=ada \
             app=crm method=GET path=/orders/7 status=200 bytes=1234 duration_ms=2.345 \
             upstream=http://127.0.0.1:9000 upstream_ms=1.045 verdict=pass rule=3 rule_line=42\n"
        );
    }

    #[test]
    fn a_request_is_one_object_of_json() {
        assert_eq!(
            json(&entry()),
            "{\"time\":\"2027-01-15T08:00:00.007Z\",\"request_id\":\"m4qk2d7eyh5xw3tb\",\
             \"client\":\"192.0.2.7\",\"user\":\"ada\",\"app\":\"crm\",\"method\":\"GET\",\
             \"path\":\"/orders/7\",\"status\":200,\"bytes\":1234,\"duration_ms\":2.345,\
             \"upstream\":\"http://127.0.0.1:9000\",\"upstream_ms\":1.045,\"verdict\":\"pass\",\
             \"rule\":\"3\",\"rule_line\":42}\n"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash_or_left_out() {
        let entry = Entry {
            request_id: None,
            client: None,
            user: None,
            app: None,
            method: None,
            path: None,
            status: None,
            bytes: 0,
            duration: Duration::ZERO,
            upstream: None,
            upstream_time: None,
            verdict: None,
            rule: None,
            ..entry()
        };
        assert_eq!(
            text(&entry),
            "time=2027-01-15T08:00:00.007Z request_id=- client=- user=- app=- method=- path=- \
             status=- bytes=0 duration_ms=0.000 upstream=- upstream_ms=- verdict=- rule=- \
             rule_line=-\n"
        );
        assert_eq!(
            json(&entry),
            "{\"time\":\"2027-01-15T08:00:00.007Z\",\"bytes\":0,\"duration_ms\":0.000}\n"
        );
    }

    /// Reads a line of text as an operator's tool does: words, or JSON strings.
    fn read(line: &str) -> Vec<(String, String)> {
        let mut rest = line.strip_suffix('\n').unwrap();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').unwrap();
            let mut strings = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = if after.starts_with('"') {
                let value = strings.next().unwrap().unwrap();
                rest = &after[strings.byte_offset()..];
                value
            } else {
                let end = after.find(' ').unwrap_or(after.len());
                rest = &after[end..];
                after[..end].to_owned()
            };
            fields.push((key.to_owned(), value));
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
        fields
    }

    /// Bytes that people who forge lines would send, more often than others.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|letter| letter.to_string().into_bytes()),
            prop::sample::select(vec![
                &b"\n"[..],
                b"\r\n",
                b"\"",
                b"\\",
                b"\\\"",
                b"\" status=200 ",
                b"=",
                b" ",
                b"-",
                b"\",\"status\":200,\"x\":\"",
                b"}\n{",
                b"\xe2\x80",
                b"\x1b[2K",
                b"\0",
                b"\\u000A",
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// What must be read again: bytes that are not UTF-8 as in a URL.
    fn readable(bytes: &[u8]) -> String {
        bytes.utf8_chunks().fold(String::new(), |text, chunk| {
            let escaped = chunk.invalid().iter().map(|byte| format!("%{byte:02X}"));
            text + chunk.valid() + &escaped.collect::<String>()
        })
    }

    proptest! {
        #[test]
        fn nothing_that_a_visitor_sends_breaks_or_forges_a_line(
            method in hostile(),
            path in hostile(),
            user in any::<String>(),
            id in any::<String>(),
        ) {
            let entry = Entry {
                method: Some(&method),
                path: Some(&path),
                user: Some(&user),
                request_id: Some(&id),
                ..entry()
            };
            let expected = [
                ("request_id", id.clone()),
                ("user", user.clone()),
                ("method", readable(&method)),
                ("path", readable(&path)),
                ("status", "200".to_owned()),
                ("rule_line", "42".to_owned()),
            ];
            for line in [text(&entry), json(&entry)] {
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert!(line.chars().all(|letter| letter == '\n' || !letter.is_control()));
            }
            let fields = read(&text(&entry));
            prop_assert_eq!(fields.len(), 15);
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&json(&entry)).unwrap();
            prop_assert_eq!(object.len(), 15);
            for (key, value) in &expected {
                let said: Vec<_> = fields.iter().filter(|(said, _)| said == key).collect();
                prop_assert_eq!(said.len(), 1);
                prop_assert_eq!(&said[0].1, value);
                let in_json = match &object[*key] {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                prop_assert_eq!(&in_json, value);
            }
        }
    }
}
