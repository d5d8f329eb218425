//! Bytes that Pingora cannot parse as a request, and our answer to them.
//!
//! Pingora answers them itself, before any of our filters, and logs nothing. So a connection keeps
//! the beginning of each request head until a filter has seen the request. If Pingora answers
//! first, we send our own answer instead, and log the reason in one line.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::domain::request_id::RequestId;
use crate::flow::{self, ClientAddress};
use crate::proxy::access::Recorder;
use crate::proxy::downstream::proxy_protocol;
use crate::proxy::request::request_id::{self, X_REQUEST_ID};
use crate::proxy::sites::Sites;
use crate::proxy::upstream::{LINES, fault_of_field};
use crate::web::Asked;

/// The beginning of a request head.
#[derive(Debug)]
pub(in crate::proxy) struct Beginning {
    bytes: [u8; KEPT],
    length: usize,
    /// Whether the head is too long to be read to its end.
    is_endless: bool,
}

/// Enough for most heads. A fault after it is not named.
pub(in crate::proxy) const KEPT: usize = 512;

impl Beginning {
    pub(in crate::proxy) const NONE: Self = Self { bytes: [0; KEPT], length: 0, is_endless: false };

    /// Keeps what was `read`, which begins at byte `at` of the head.
    pub(in crate::proxy) fn keep(&mut self, at: usize, read: &[u8]) {
        let Some(room) = self.bytes.get_mut(at..) else { return };
        let fits = room.len().min(read.len());
        room[..fits].copy_from_slice(&read[..fits]);
        self.length = at + fits;
    }

    /// Notes that the head is too long to be read to its end.
    pub(in crate::proxy) fn give_up(&mut self) {
        self.is_endless = true;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Our answer as bytes; the connection ends after it.
    pub(in crate::proxy) async fn refused(&self, sites: &Sites, client: ClientAddress) -> Bytes {
        if self.is_endless {
            let head = readable_part(self.bytes());
            let id = sites.env().request_id();
            let answering = sites.portal().web.endless(&head.headers, client);
            let response = flow::request_id::within(id, answering).await;
            return ended(response, &id, sites, client, head.method == Method::HEAD);
        }
        self.refused_for(&why(self.bytes()), sites, client).await
    }

    /// The same for plain HTTP on a TLS port, as when somebody types `http://` before that port.
    pub(in crate::proxy) async fn refused_without_tls(
        &self,
        sites: &Sites,
        client: ClientAddress,
    ) -> Bytes {
        let proxy = fault_of_proxy(self.bytes());
        let why = proxy.unwrap_or("plain HTTP on a TLS port");
        self.refused_for(why, sites, client).await
    }

    async fn refused_for(&self, why: &str, sites: &Sites, client: ClientAddress) -> Bytes {
        let head = readable_part(self.bytes());
        let id = sites.env().request_id();
        let asked = Asked::of(&head, client);
        let answering = sites.portal().web.unread(why, &asked);
        let mut response = flow::request_id::within(id, answering).await;
        if head.method == Method::CONNECT {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
        ended(response, &id, sites, client, head.method == Method::HEAD)
    }
}

/// The bytes of a request target that Pingora would escape.
static IS_ODD: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0x80);
    while byte < table.len() {
        table[byte] = true;
        byte += 1;
    }
    let (odd, mut at) = (b"\"<>`", 0);
    while at < odd.len() {
        table[odd[at] as usize] = true;
        at += 1;
    }
    table
};

/// Whether the first byte of a connection on a TLS port belongs to HTTP or to the PROXY protocol.
pub(in crate::proxy) fn speaks_without_tls(first: u8) -> bool {
    first.is_ascii_uppercase() || first == b'\r'
}

/// The answer as bytes, with the id of the request, and its line in the access log.
fn ended(
    mut response: Response<Bytes>,
    id: &RequestId,
    sites: &Sites,
    client: ClientAddress,
    bodiless: bool,
) -> Bytes {
    let recorder = Recorder::of(sites.env());
    recorder.write_unread(Some(id), client.address(), Some(response.status()));
    response.headers_mut().insert(X_REQUEST_ID, request_id::value(id));
    on_the_wire(&response, bodiless)
}

fn on_the_wire(response: &Response<Bytes>, bodiless: bool) -> Bytes {
    let reason = response.status().canonical_reason().unwrap_or_default();
    let mut wire = format!("HTTP/1.1 {} {reason}\r\n", response.status().as_u16()).into_bytes();
    for (name, value) in response.headers() {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    let length = response.body().len();
    wire.extend_from_slice(
        format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes(),
    );
    if !bodiless {
        wire.extend_from_slice(response.body());
    }
    wire.into()
}

/// What can be read of a head that is invalid as a whole: enough to choose between a page and JSON.
fn readable_part(head: &[u8]) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let mut lines = lines(head);
    let first = lines.next().unwrap_or_default();
    let method = first.split(|byte| *byte == b' ').next().unwrap_or_default();
    parts.method = Method::from_bytes(method).unwrap_or_default();
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            parts.headers.append(name, value);
        }
    }
    parts
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Why the request cannot be parsed, for the log. Of what was sent, it contains only names of
/// headers.
fn why(head: &[u8]) -> String {
    if let Some(why) = fault_of_proxy(head) {
        return why.to_owned();
    }
    if head.starts_with(b"\x16\x03") {
        return "TLS on a plain HTTP port".to_owned();
    }
    if head.starts_with(b"PRI * HTTP/2") {
        return "HTTP/2 without TLS is not supported".to_owned();
    }
    let is_cut = head.len() >= KEPT;
    let end = memchr::memrchr(b'\n', head).filter(|_| is_cut);
    // Of a line that is cut, only its beginning can be judged.
    let whole = end.map_or(head, |end| &head[..end]);
    let mut lines = lines(whole);
    let first = lines.next().unwrap_or_default();
    if let Some(why) = fault_of_request_line(first, is_cut && end.is_none()) {
        return why.to_owned();
    }
    let (mut hosts, mut lengths) = (Vec::new(), Vec::new());
    for (line, number) in lines.take_while(|line| !line.is_empty()).zip(2..) {
        if let Some(why) = fault_of_field(line).or_else(|| fault_of_framing(line)) {
            return format!("line {number} of its head is not valid: {why}");
        }
        hosts.extend(value_of(b"host", line));
        lengths.extend(value_of(b"content-length", line));
    }
    lengths.dedup();
    let target = first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let leads_elsewhere = !target.starts_with(b"/")
        && hosts.first().is_none_or(|host| !authority(target).eq_ignore_ascii_case(host));
    if hosts.len() > 1 {
        "it has more than one Host".to_owned()
    } else if lengths.len() > 1 {
        "it has more than one Content-Length".to_owned()
    } else if leads_elsewhere && !(is_cut && hosts.is_empty()) {
        "its target is neither a path nor a URL with the same Host".to_owned()
    } else if is_cut {
        format!(
            "a line of its head after the first {KEPT} bytes is not valid, or it has more than \
             {LINES} lines"
        )
    } else {
        "its head is not valid".to_owned()
    }
}

/// The value, if this is a line of this header.
fn value_of<'a>(name: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Host and port of a URL.
fn authority(url: &[u8]) -> &[u8] {
    let scheme = url.windows(3).position(|part| part == b"://").map_or(0, |at| at + 3);
    let rest = &url[scheme..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    &rest[..end]
}

/// Why a line about the length of the body is not valid, if it is one (RFC 9110 §8.6, RFC 9112 §6.1).
fn fault_of_framing(line: &[u8]) -> Option<String> {
    let is_number = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if value_of(b"content-length", line).is_some_and(|value| !is_number(value)) {
        return Some("its Content-Length is not a number".to_owned());
    }
    let coding = value_of(b"transfer-encoding", line);
    coding
        .is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
        .then(|| "its Transfer-Encoding is not `chunked`".to_owned())
}

fn fault_of_proxy(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(proxy_protocol::FIRST) {
        return Some(
            "it begins with the PROXY protocol (v1), which is accepted only from \
             `trusted_proxies` and only complete: add the balancer's address there, or turn it off \
             in the balancer (send-proxy)",
        );
    }
    head.starts_with(proxy_protocol::SECOND).then_some(
        "it begins with the PROXY protocol (v2), which is accepted only from \
         `trusted_proxies` and only complete: add the balancer's address there, or turn it off in \
         the balancer (send-proxy-v2)",
    )
}

/// `is_cut`: the end of the line is not known.
fn fault_of_request_line(line: &[u8], is_cut: bool) -> Option<&'static str> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (method, target, version) = match words.as_slice() {
        [method, target, version] => (method, *target, (!is_cut).then_some(version)),
        [method, target] if is_cut => (method, *target, None),
        [method] if is_cut => (method, &[][..], None),
        _ => {
            return Some(
                "its first line is not method, target and version with one space between them",
            );
        }
    };
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if method.is_empty() || !method.iter().all(token) {
        return Some("its method is not valid");
    }
    if *method == b"CONNECT" {
        return Some("its method is CONNECT");
    }
    if version.is_some_and(|version| ![&b"HTTP/1.0"[..], b"HTTP/1.1"].contains(version)) {
        return Some("its version is neither HTTP/1.0 nor HTTP/1.1");
    }
    let odd = |byte: &u8| byte.is_ascii_control() || !byte.is_ascii();
    target.iter().any(odd).then_some("its target has bytes that must be percent-encoded")
}

/// Percent-encodes bytes that a target must not contain (RFC 3986 §2.1), as browsers do: `"`, `<`,
/// `>`, a backtick and bytes that are not ASCII. Some software and old URLs send them, most servers
/// accept them, and the encoding does not change any reading of the path. `None`: there is nothing
/// to change.
///
/// `head` begins with the first byte of a request.
pub(in crate::proxy) fn escaped(head: &[u8]) -> Option<Vec<u8>> {
    let begins = memchr::memchr(b' ', head)? + 1;
    let length = memchr::memchr3(b' ', b'\r', b'\n', &head[begins..])?;
    let (target, rest) = head[begins..].split_at(length);
    let is_odd = |byte: u8| IS_ODD[usize::from(byte)];
    if !target.iter().fold(false, |odd, byte| odd | is_odd(*byte)) {
        return None;
    }
    if http::uri::PathAndQuery::try_from(target).is_ok() && std::str::from_utf8(target).is_ok() {
        return None;
    }
    let mut escaped = head[..begins].to_vec();
    for &byte in target {
        if is_odd(byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    escaped.extend_from_slice(rest);
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"GET /q?a={job=\"x\"} HTTP/1.1\r\n", Some("GET /q?a={job=%22x%22} HTTP/1.1\r\n"))]
    #[case(b"GET /q?a=<b> HTTP/1.1\r\nA: <\r\n", Some("GET /q?a=%3Cb%3E HTTP/1.1\r\nA: <\r\n"))]
    #[case(b"GET /caf\xe9 HTTP/1.1\r\n", Some("GET /caf%E9 HTTP/1.1\r\n"))]
    #[case(b"GET /a`b HTTP/1.1\r\n", Some("GET /a%60b HTTP/1.1\r\n"))]
    #[case(b"GET /plain?a=1 HTTP/1.1\r\nA: \"\r\n", None)]
    #[case(b"GET /not-yet-all-of-\"", None)]
    #[case(b"GET", None)]
    fn what_may_not_stand_in_a_target_is_written_as_browsers_write_it(
        #[case] head: &[u8],
        #[case] read: Option<&str>,
    ) {
        assert_eq!(escaped(head).as_deref(), read.map(str::as_bytes));
    }

    #[rstest]
    #[case(b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\n", "PROXY protocol (v1)")]
    #[case(b"\r\n\r\n\0\r\nQUIT\n\x21", "PROXY protocol (v2)")]
    #[case(b"\x16\x03\x01\x02\x00\x01", "TLS on a plain HTTP port")]
    #[case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 without TLS")]
    #[case(b"GET /\r\n", "its first line")]
    #[case(b"GET / HTTP/3.0\r\n", "its version")]
    #[case(b"G\x01T / HTTP/1.1\r\n", "its method is not valid")]
    #[case(
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: s3cret\r\n",
        "line 3 of its head is not valid: `Bad Name`"
    )]
    #[case(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "its version")]
    #[case(
        b"GET / HTTP/1.1\r\nContent-Length: 3x\r\n\r\n",
        "line 2 of its head is not valid: its Content-Length"
    )]
    #[case(b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "its Transfer-Encoding")]
    #[case(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "its method is CONNECT")]
    #[case(b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "more than one Host")]
    #[case(b"GET http://b/s3cret HTTP/1.1\r\nHost: a\r\n\r\n", "its target is neither")]
    #[case(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-length: 4\r\n\r\n",
        "more than one Content-Length"
    )]
    fn the_reason_is_named_and_nothing_secret_with_it(#[case] head: &[u8], #[case] says: &str) {
        let why = why(head);
        assert!(why.contains(says) && !why.contains("s3cret"), "{why}");
    }

    #[test]
    fn a_line_of_which_only_the_beginning_is_kept_is_not_blamed() {
        for more in 0..12 {
            let mut head = format!("GET / HTTP/1.1\r\nHost: a{}\r\n", "b".repeat(more));
            head.push_str(&"Sound: yes\r\n".repeat(KEPT));
            head.truncate(KEPT);
            let told = why(head.as_bytes());
            assert!(told.starts_with("a line of its head after the first 512 bytes"), "{told}");
        }
    }

    #[rstest]
    #[case(
        "GET /{long} HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n",
        "a line of its head after the first"
    )]
    #[case("G\u{e9}T /{long} HTTP/1.1\r\n", "its method is not valid")]
    #[case("GET /\u{e9}{long} HTTP/1.1\r\n", "bytes that must be percent-encoded")]
    #[case("GET http://b/ HTTP/1.1\r\nHost: a\r\nX: {long}", "its target is neither")]
    #[case("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {long}", "a line of its head after the first")]
    #[case("GET http://b/ HTTP/1.1\r\nX: {long}", "a line of its head after the first")]
    fn of_a_long_head_what_is_known_is_named(#[case] head: &str, #[case] says: &str) {
        let mut head = head.replace("{long}", &"x".repeat(KEPT)).into_bytes();
        head.truncate(KEPT);
        let told = why(&head);
        assert!(told.contains(says), "{told}");
    }

    #[test]
    fn a_beginning_is_kept_over_several_reads_and_no_longer_than_there_is_room() {
        let mut beginning = Beginning::NONE;
        beginning.keep(0, b"GET / HT");
        beginning.keep(8, b"TP/1.1\r\n");
        assert_eq!(beginning.bytes(), b"GET / HTTP/1.1\r\n");
        beginning.keep(0, &[b'a'; KEPT + 9]);
        beginning.keep(KEPT + 9, b"more");
        assert_eq!(beginning.bytes(), [b'a'; KEPT]);
    }
}
