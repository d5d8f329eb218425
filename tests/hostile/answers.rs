//! What an application's answer may not say to a visitor, and visitors and applications of HTTP/1.0
//! (RFC 9110 §7.6, RFC 9112 §6, §7, §9).

use rstest::rstest;

use super::{HOST, before_with};
use crate::support::exact::{Bodies, Exact, answer};
use crate::support::instance::Instance;
use crate::support::wire::{Answer, Wire};

/// An application that says `said` to every request, and ends the connection where that says so.
fn says(said: &'static [u8]) -> (Exact, Instance) {
    let upstream = Exact::answering(Bodies::Read, move |_| said.to_vec());
    let instance = before_with(upstream.address, "deadlines: { idle: 1s }");
    (upstream, instance)
}

fn get(version: &str, more: &str) -> String {
    format!("GET /a {version}\r\nHost: {HOST}\r\n{more}\r\n")
}

fn ask(instance: &Instance) -> Answer {
    Wire::to(instance.address).asks(get("HTTP/1.1", ""))
}

/// All bytes that a visitor gets whose connection ends after one answer.
fn all(instance: &Instance, request: String) -> String {
    let mut wire = Wire::to(instance.address);
    wire.sends(request);
    wire.reads_to_the_end()
}

#[rstest]
#[case::keep_alive("Keep-Alive: timeout=5, max=100", "keep-alive")]
#[case::proxy_connection("Proxy-Connection: keep-alive", "proxy-connection")]
#[case::proxy_authenticate("Proxy-Authenticate: Basic realm=\"a\"", "proxy-authenticate")]
#[case::proxy_authentication_info("Proxy-Authentication-Info: a", "proxy-authentication-info")]
#[case::te("TE: trailers", "te")]
#[case::trailer("Trailer: X-Sum", "trailer")]
#[case::upgrade("Connection: Upgrade\r\nUpgrade: h2,h2c", "upgrade")]
#[case::upgrade_alone("Upgrade: websocket", "upgrade")]
#[case::named("Connection: X-Hop\r\nX-Hop: 1", "x-hop")]
#[case::named_among_others("Connection: keep-alive, x-HOP ,,\r\nX-Hop: 1\r\nX-Hop: 2", "x-hop")]
#[case::named_on_a_second_line("Connection: keep-alive\r\nConnection: x-hop\r\nX-Hop: 1", "x-hop")]
fn what_an_answer_says_of_its_connection_goes_no_further(#[case] lines: &str, #[case] name: &str) {
    let said = answer("200 OK", &format!("{lines}\r\nX-End: 1\r\n"), "ok");
    let (_upstream, instance) = says(said.leak());
    let got = ask(&instance);
    assert_eq!((got.status, got.body.as_str(), got.header("x-end")), (200, "ok", "1"));
    assert!(got.all(name).is_empty(), "{got:?}");
    assert_eq!(got.all("connection"), ["keep-alive"]);
}

#[rstest]
#[case::coded_twice("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
#[case::chunked_twice(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)]
#[case::chunked_in_a_list(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"
)]
#[case::not_chunked_last(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\nConnection: close\r\n\r\nok"
)]
#[case::identity("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\nok")]
#[case::coded_without_a_word(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nConnection: close\r\n\r\nok"
)]
#[case::chunked_in_http_1_0("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::two_lengths("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\noks")]
#[case::a_list_of_lengths("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\noks")]
#[case::a_signed_length("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok")]
#[case::a_negative_length("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok")]
#[case::a_length_that_is_none("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok")]
#[case::a_length_without_a_number("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok")]
#[case::a_length_without_end(
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok"
)]
#[case::an_upgrade_unasked(
    "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
)]
#[case::a_status_of_two("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok")]
#[case::a_status_of_four("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok")]
#[case::a_status_below_100("HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok")]
#[case::another_version("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok")]
#[case::another_protocol("ICY 200 OK\r\nContent-Length: 2\r\n\r\nok")]
#[case::no_head_at_all("ok\r\n\r\n")]
#[case::a_line_without_a_colon("HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\nok")]
#[case::a_space_in_a_name("HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 2\r\n\r\nok")]
#[case::a_control_character_in_a_value(
    "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok"
)]
fn an_answer_without_a_single_meaning_is_not_passed_on(#[case] said: &'static str) {
    let (_upstream, instance) = says(said.as_bytes());
    for _ in 0..2 {
        let got = ask(&instance);
        assert_eq!(got.status, 502, "{got:?}");
        assert!(!got.body.contains("evil"), "{got:?}");
    }
}

/// RFC 9112 §6.3: the chunks tell where it ends, and the length is taken out.
#[test]
fn an_answer_with_chunks_and_a_length_has_chunks() {
    let (_upstream, instance) = says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let got = ask(&instance);
    assert_eq!((got.status, got.body.as_str()), (200, "ok"));
    assert!(got.all("content-length").is_empty(), "{got:?}");
}

#[rstest]
#[case(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")]
#[case(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok")]
fn a_length_that_an_answer_says_twice_is_passed_on_once(#[case] said: &'static [u8]) {
    let (_upstream, instance) = says(said);
    let got = ask(&instance);
    assert_eq!((got.all("content-length"), got.body.as_str()), (vec!["2"], "ok"));
}

/// RFC 9112 §5.2, §2.2, §5.1.
#[rstest]
#[case::folded(b"HTTP/1.1 200 OK\r\nX-A: a\r\n  b\r\nContent-Length: 2\r\n\r\nok")]
#[case::bare_line_feeds(b"HTTP/1.1 200 OK\nX-A: a b\nContent-Length: 2\n\nok")]
#[case::a_space_before_the_colon(b"HTTP/1.1 200 OK\r\nX-A : a b\r\nContent-Length: 2\r\n\r\nok")]
fn an_answer_that_is_written_oddly_is_passed_on_in_order(#[case] said: &'static [u8]) {
    let (_upstream, instance) = says(said);
    let mut wire = Wire::to(instance.address);
    wire.sends(get("HTTP/1.1", ""));
    let head = wire.until("\r\n\r\n");
    assert!(head.to_lowercase().contains("\r\nx-a: a b\r\n"), "{head:?}");
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                         5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n";

/// RFC 9112 §6.1: HTTP/1.0 knows no chunks. The end of the connection is the end of the answer there.
#[rstest]
#[case::chunks(CHUNKED)]
#[case::to_the_end(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!")]
#[case::to_the_end_in_http_1_0(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello!")]
fn a_visitor_of_http_1_0_gets_no_chunks(#[case] said: &'static [u8]) {
    let (_upstream, instance) = says(said);
    for more in ["", "Connection: keep-alive\r\n"] {
        let got = all(&instance, get("HTTP/1.0", more));
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        assert!(head.to_lowercase().contains("\r\nconnection: close"), "{head}");
        assert_eq!(body, "hello!");
    }
}

#[test]
fn a_visitor_of_http_1_1_gets_chunks_of_ours_and_no_trailers() {
    let (_upstream, instance) = says(CHUNKED);
    let mut wire = Wire::to(instance.address);
    let got = wire.asks(get("HTTP/1.1", ""));
    assert_eq!((got.body.as_str(), got.all("transfer-encoding")), ("hello!", vec!["chunked"]));
    assert!(got.all("trailer").is_empty() && got.all("x-sum").is_empty(), "{got:?}");
    assert_eq!(wire.asks(get("HTTP/1.1", "")).body, "hello!");
}

#[test]
fn a_visitor_of_http_1_0_may_keep_a_connection_whose_answers_have_a_length() {
    let (_upstream, instance) = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut wire = Wire::to(instance.address);
    for _ in 0..2 {
        let got = wire.asks(get("HTTP/1.0", "Connection: keep-alive\r\n"));
        assert_eq!((got.body.as_str(), got.header("connection")), ("ok", "keep-alive"));
    }
    assert!(all(&instance, get("HTTP/1.0", "")).ends_with("\r\n\r\nok"));
}

const INTERIM: &[u8] = b"HTTP/1.1 102 Wait\r\n\r\n\
    HTTP/1.1 103 Early\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
    Set-Cookie: doorward-session=forged\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
    HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// RFC 9110 §15.2: whoever speaks HTTP/1.1 gets interim answers, and nobody else.
#[test]
fn interim_answers_go_to_those_who_know_them() {
    let (_upstream, instance) = says(INTERIM);
    let got = all(&instance, get("HTTP/1.0", ""));
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("ok"), "{got}");
    let mut wire = Wire::to(instance.address);
    wire.sends(get("HTTP/1.1", ""));
    assert_eq!(wire.head().status, 102);
    let hints = wire.head();
    assert_eq!((hints.status, hints.header("link")), (103, "</a.css>"));
    let names: Vec<_> = hints.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(names, ["link"]);
    let last = wire.answer();
    assert_eq!((last.status, last.body.as_str()), (200, "ok"));
}

/// RFC 9110 §10.1.1: in HTTP/1.0 nobody waits to be told to go on.
#[test]
fn what_a_visitor_of_http_1_0_expects_is_not_asked_for() {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_with(upstream.address, "");
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let head = format!("POST /a {version}\r\nHost: {HOST}\r\nExpect: 100-continue\r\n");
        Wire::to(instance.address).asks(format!("{head}Content-Length: 1\r\n\r\nx"));
    }
    let heard = upstream.heard();
    let expected: Vec<_> = heard.iter().map(|heard| heard.header("expect")).collect();
    assert_eq!(expected, ["", "100-continue"]);
    assert!(heard.iter().all(|heard| heard.head.contains(" HTTP/1.1\r\n")), "{heard:?}");
}

/// RFC 9112 §2.3, §9.3: an application of HTTP/1.0 is answered for in our version, and its connection is
/// kept where it says so.
#[rstest]
#[case::kept("Connection: keep-alive\r\n", true)]
#[case::not_kept("", false)]
fn an_application_of_http_1_0_is_answered_for_in_http_1_1(#[case] lines: &str, #[case] kept: bool) {
    let said = format!("HTTP/1.0 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok");
    let (upstream, instance) = says(said.into_bytes().leak());
    for _ in 0..2 {
        let got = all(&instance, get("HTTP/1.1", "Connection: close\r\n"));
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("ok"), "{got}");
    }
    let connections: Vec<_> = upstream.heard().iter().map(|heard| heard.connection).collect();
    assert_eq!(connections, [0, usize::from(!kept)]);
}

/// RFC 9110 §8.6, §15.4.5, RFC 9112 §6.3: where there is no content, no length says that there is some.
#[rstest]
#[case::no_content("GET", "204 No Content", 204, "")]
#[case::not_modified("GET", "304 Not Modified", 304, "5")]
#[case::head("HEAD", "200 OK", 200, "5")]
fn an_answer_without_content_ends_with_its_head(
    #[case] method: &str,
    #[case] status: &str,
    #[case] is: u16,
    #[case] length: &str,
) {
    let said = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n");
    let (_upstream, instance) = says(said.into_bytes().leak());
    let request = format!("{method} /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let got = all(&instance, request);
    assert!(got.starts_with(&format!("HTTP/1.1 {is} ")) && got.ends_with("\r\n\r\n"), "{got}");
    let lower = got.to_lowercase();
    let said = lower.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    assert_eq!(said.unwrap_or_default(), length);
}

/// HEAD tells of our own pages what GET gets (RFC 9110 §8.6).
#[rstest]
fn head_of_an_own_page_tells_the_length_of_its_body(
    #[values("/.doorward/sign-in", "/.doorward/forgot", "/.doorward/nothing", "/secret/x")]
    path: &str,
) {
    let (_upstream, instance) = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let asks = |method: &str| {
        let mut wire = Wire::to(instance.address);
        wire.sends(format!(
            "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n"
        ));
        let head = wire.head();
        (head.status, head.header("content-length").to_owned())
    };
    let (status, length) = asks("GET");
    assert_ne!(length, "0");
    assert_eq!(asks("HEAD"), (status, length));
}

/// An answer that breaks off does so for the visitor, too (RFC 9112 §8).
#[rstest]
#[case::a_length(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhello")]
#[case::chunks(
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
)]
#[case::a_chunk(
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"
)]
#[case::a_chunk_size(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n")]
fn an_answer_that_breaks_off_is_not_ended(#[case] said: &'static [u8]) {
    let (_upstream, instance) = says(said);
    let got = all(&instance, get("HTTP/1.1", ""));
    let body = got.split_once("\r\n\r\n").unwrap().1;
    assert!(!body.contains("\r\n0\r\n") && !body.starts_with("0\r\n"), "{got}");
}

/// RFC 9110 §7.6.2.
#[test]
fn the_hops_of_an_options_request_are_counted() {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_with(upstream.address, "");
    let ask = |method: &str, hops: &str| {
        let head = format!("{method} /a HTTP/1.1\r\nHost: {HOST}\r\nMax-Forwards: {hops}\r\n\r\n");
        Wire::to(instance.address).asks(head).status
    };
    assert_eq!((ask("OPTIONS", "0"), ask("OPTIONS", "5"), ask("GET", "0")), (204, 200, 200));
    let heard = upstream.heard();
    let left: Vec<_> =
        heard.iter().map(|heard| (heard.asks(), heard.header("max-forwards"))).collect();
    assert_eq!(left, [("OPTIONS /a".to_owned(), "4"), ("GET /a".to_owned(), "0")]);
}

/// RFC 9110 §7.8: a wish to change the protocol goes no further, unless it is for a WebSocket, in
/// HTTP/1.1, by GET, and `Connection` names it.
#[rstest]
#[case::websocket(
    "GET",
    "HTTP/1.1",
    "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n",
    "websocket"
)]
#[case::not_named("GET", "HTTP/1.1", "Upgrade: websocket\r\n", "")]
#[case::http_1_0("GET", "HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "")]
#[case::post("POST", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "")]
#[case::h2c(
    "GET",
    "HTTP/1.1",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ""
)]
fn no_other_protocol_is_asked_for(
    #[case] method: &str,
    #[case] version: &str,
    #[case] lines: &str,
    #[case] asked: &str,
) {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_with(upstream.address, "");
    let request = format!("{method} /a {version}\r\nHost: {HOST}\r\n{lines}\r\n");
    assert_eq!(Wire::to(instance.address).asks(request).status, 200);
    let heard = upstream.heard();
    assert_eq!((heard[0].header("upgrade"), heard[0].header("http2-settings")), (asked, ""));
    let named = heard[0].header("connection").eq_ignore_ascii_case("upgrade");
    assert_eq!(named, !asked.is_empty(), "{heard:?}");
}
