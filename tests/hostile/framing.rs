//! Requests whose end two servers could see in different places (part C of the table).

use rstest::rstest;

use super::{HOST, Notes, before_with};
use crate::support::wire::Wire;

/// Sends `sent`, and everything that a second reading could make a request of ends in `/secret/`.
fn smuggles_nothing(sent: &[u8]) {
    let notes = Notes::start();
    let instance = before_with(notes.address, BRIEF);
    let mut wire = Wire::to(instance.address);
    wire.tries(sent);
    wire.reads_to_the_end();
    assert!(!notes.asked_for(" /secret/"), "{}", notes.heard());
    // Whoever comes next gets an answer of their own.
    let next = Wire::to(instance.address).asks(format!("GET /ok HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!((next.status, next.body.as_str()), (200, "ok"));
    assert!(!notes.asked_for(" /secret/"), "{}", notes.heard());
}

fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n{body}").into_bytes()
}

/// What is left open is closed soon, so that its end can be waited for.
const BRIEF: &str = "deadlines: { idle: 1s, head: 1s }";

const SECRET: &str = "GET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n";

#[rstest]
// 20: two lengths, and lengths beside chunks.
#[case::cl_te("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")]
#[case::te_cl("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n")]
#[case::te_te("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")]
#[case::te_list("Transfer-Encoding: identity, chunked\r\n")]
#[case::te_tab("Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n")]
#[case::te_vertical_tab("Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n")]
#[case::te_quoted("Transfer-Encoding: \"chunked\"\r\nContent-Length: 4\r\n")]
#[case::te_xchunked("Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n")]
#[case::te_space_before_colon("Transfer-Encoding : chunked\r\nContent-Length: 4\r\n")]
#[case::te_folded("X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n")]
#[case::te_underscore("Transfer_Encoding: chunked\r\nContent-Length: 4\r\n")]
#[case::te_case("tRANSFER-eNCODING: cHUNKED\r\nContent-Length: 4\r\n")]
#[case::two_lengths("Content-Length: 4\r\nContent-Length: 60\r\n")]
#[case::length_list("Content-Length: 4, 60\r\n")]
#[case::length_signed("Content-Length: +4\r\n")]
#[case::length_hex("Content-Length: 0x4\r\n")]
#[case::length_negative("Content-Length: -4\r\n")]
#[case::length_spaced("Content-Length: 4 0\r\n")]
#[case::length_huge("Content-Length: 99999999999999999999999\r\n")]
#[case::length_empty("Content-Length:\r\n")]
// 19: a tunnel that is none yet.
#[case::upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n")]
#[case::upgrade_h2c(
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 4\r\n"
)]
fn no_second_request_hides_behind_a_body(#[case] lines: &str) {
    for body in [format!("0\r\n\r\n{SECRET}"), format!("3\r\nabc\r\n0\r\n\r\n{SECRET}")] {
        smuggles_nothing(&post(lines, &body));
    }
}

#[rstest]
#[case::http_1_0(b"POST /a HTTP/1.0\r\nHost: crm.localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::http_0_9(b"GET /secret/\r\n\r\n")]
#[case::http_1_2(b"GET /secret/ HTTP/1.2\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::bare_lf(b"GET /a HTTP/1.1\nHost: crm.localhost:8080\nX: a\n\nGET /secret/ HTTP/1.1\nHost: crm.localhost:8080\n\n")]
#[case::bare_cr(
    b"GET /a HTTP/1.1\rX: y\r\nHost: crm.localhost:8080\r\rGET /secret/ HTTP/1.1\r\r\r\n\r\n"
)]
#[case::nul_in_name(b"GET /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nX\0: a\r\n\r\n")]
#[case::line_break_in_target(
    b"GET /a%0d%0a%0d%0aGET%20/secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n"
)]
#[case::space_in_target(b"GET /a /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::tab_in_request_line(b"GET\t/secret/\tHTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::two_hosts(b"GET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\nHost: evil.test\r\n\r\n")]
#[case::absolute_elsewhere(
    b"GET http://evil.test/secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n"
)]
#[case::absolute_here(
    b"GET http://crm.localhost:8080/secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n"
)]
#[case::at(b"GET @crm.localhost/secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::star(b"OPTIONS * HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::lead_blank_lines(b"\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")]
#[case::tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03GET /secret/ HTTP/1.1\r\n\r\n")]
#[case::proxy_line(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::chunk_extension(b"POST /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\nb\r\nx\r\n0\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::chunk_size_padded(b"POST /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::chunk_size_huge(b"POST /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
#[case::body_on_get(b"GET /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: 55\r\n\r\nGET /secret/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n")]
fn no_odd_request_becomes_another(#[case] sent: &[u8]) {
    // A body that is one is no request, though a naive reader takes it for one.
    if sent.starts_with(b"GET /a HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length") {
        let notes = Notes::start();
        let instance = before_with(notes.address, BRIEF);
        assert_eq!(Wire::to(instance.address).asks(sent).status, 200);
        return;
    }
    smuggles_nothing(sent);
}

/// 19: in a tunnel nobody judges what is said. So it can be had for a WebSocket, which is no way to
/// another place, and for nothing in which requests could be made.
#[rstest]
#[case::h2c("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n")]
#[case::http_2("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n")]
#[case::tls("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n")]
#[case::beside_a_websocket("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n")]
#[case::behind_a_websocket("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n")]
#[case::before_a_websocket("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n")]
fn no_tunnel_leads_to_other_requests(#[case] lines: &str) {
    let notes = Notes::agreeing();
    let instance = before_with(notes.address, BRIEF);
    let mut wire = Wire::to(instance.address);
    wire.sends(format!("GET /open HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    let is_tunnel = wire.head().status == 101;
    assert!(!is_tunnel || lines.contains("websocket"));
    if !is_tunnel {
        wire.tries(SECRET.as_bytes());
        wire.reads_to_the_end();
    }
    let heard = notes.heard().to_ascii_lowercase();
    for word in ["h2c", "http/2", "tls", "http2-settings", " /secret/"] {
        assert!(!heard.contains(word), "{heard}");
    }
}

/// Nobody speaks HTTP/2 to us who has not agreed upon it under TLS.
#[test]
fn http2_without_encryption_is_not_spoken() {
    let notes = Notes::start();
    let instance = before_with(notes.address, BRIEF);
    let mut wire = Wire::to(instance.address);
    // The preface, no settings, and `GET /open` on stream 1 (RFC 9113 §3.3, RFC 7541 §6).
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let fields = format!("\x02\x03GET\x06\x04http\x01\x12{HOST}\x04\x05/open");
    assert_eq!(HOST.len(), 0x12);
    sent.extend([0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    sent.extend(fields.as_bytes());
    wire.tries(&sent);
    let said = wire.reads_to_the_end();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said:?}");
    assert!(notes.heard().is_empty(), "{}", notes.heard());
}

/// 21: what follows an answer that came early is never read as a request.
#[rstest]
#[case::short(64)]
#[case::long(1 << 20)]
fn the_body_behind_an_early_answer_is_no_request(#[case] length: usize) {
    let notes = Notes::start();
    let instance = before_with(notes.address, BRIEF);
    let mut wire = Wire::to(instance.address);
    let filler = "a".repeat(length - SECRET.len());
    let head =
        format!("POST /private/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
    wire.tries(format!("{head}{filler}{SECRET}").as_bytes());
    assert_eq!(wire.answer().status, 401);
    wire.tries(format!("GET /ok HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    let rest = wire.reads_to_the_end();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 200"), "{rest}");
    assert!(!notes.asked_for("/secret/") && !notes.asked_for("/private/"), "{}", notes.heard());
}
