//! What applications are told in whose spelling, what is put right of their answers, whose certificate
//! is believed as it is, and what is said to those whose request cannot be read.

use std::io::{Read, Write};
use std::net::TcpStream;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::applications::{application, ask, before, says, secure};
use crate::support::instance::{HOST, Instance};
use crate::support::wire::Wire;

fn with(lines: &'static str, answer: fn(usize, &str) -> String) -> Instance {
    let address = application(answer);
    before(move |_| format!("    upstream: http://{address}\n{lines}"))
}

/// The certificate that `openssl req -x509` makes: CA:TRUE, and no subjectAltName.
fn self_signed(folder: &std::path::Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let mut made = CertificateParams::new(Vec::new()).unwrap();
    made.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let made = made.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.pem()).unwrap();
}

#[test]
fn a_certificate_that_is_named_itself_is_believed_whatever_it_says_and_no_other_is() {
    for (pinned, status) in [("device", 200), ("other", 502)] {
        let instance = before(|folder| {
            self_signed(folder, "device");
            self_signed(folder, "other");
            let address = secure(folder, "device");
            format!(
                "    upstream: https://{address}\n    upstream_tls: {{ certificate: {pinned}.pem }}"
            )
        });
        assert_eq!(ask(&instance, "/a").status, status, "{pinned}");
        assert_eq!(
            ask(&instance, "/a").status,
            status,
            "{pinned}, over a connection that was kept"
        );
        let tunnel = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let tunnel = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n{tunnel}\r\n");
        let expected = if status == 200 { 101 } else { 502 };
        let mut wire = Wire::to(instance.address);
        wire.sends(tunnel);
        assert_eq!(wire.head().status, expected, "{pinned}");
    }
}

#[test]
fn names_of_headers_are_titled_for_applications_that_want_them_so() {
    let answer = |_, head: &str| says("200 OK", "ETag: \"1\"\r\nx-request-id: 2\r\n", head);
    let asked = format!(
        "GET /a HTTP/1.1\r\nHost: {HOST}\r\nx-requested-with: XMLHttpRequest\r\nsoapaction: x\r\n\
         connection: close\r\n\r\n"
    );
    let exchanged = |instance: &Instance| {
        let mut stream = TcpStream::connect(instance.address).unwrap();
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let titled = exchanged(&with("    header_case: title", answer));
    let lower = exchanged(&with("", answer));
    for name in ["X-Requested-With: X", "SOAPAction: x", "X-Forwarded-For: 1", "Host: "] {
        assert!(titled.contains(&format!("\r\n{name}")), "{name}: {titled}");
    }
    for name in ["ETag: \"1\"", "X-Request-ID: 2", "Content-Length: "] {
        assert!(titled.contains(&format!("\r\n{name}")), "{name}: {titled}");
    }
    assert!(lower.contains("\r\nx-requested-with: X"), "{lower}");
}

#[test]
fn a_redirect_to_the_own_host_leads_to_its_scheme_and_port() {
    let instance = with("", |_, head| {
        let to = head.split_whitespace().nth(1).unwrap().trim_start_matches("/to/");
        says("301 Moved Permanently", &format!("Location: {to}\r\n"), "")
    });
    let (name, _) = HOST.split_once(':').unwrap();
    let led = |to: &str| ask(&instance, &format!("/to/{to}")).header("location").to_owned();
    assert_eq!(led(&format!("http://{name}/a/?b=1")), format!("http://{HOST}/a/?b=1"));
    assert_eq!(led(&format!("https://{name}/a/")), format!("http://{HOST}/a/"));
    for elsewhere in ["https://example.com/a/", "/a/", "http://crm.localhost.example.com/"] {
        assert_eq!(led(elsewhere), elsewhere);
    }
}

/// Before an application that says back the head that it got.
fn echoes(more: &'static str) -> Instance {
    with(more, |_, head| says("200 OK", "", head))
}

/// Sends these bytes, and hears what comes until the end.
fn sends(instance: &Instance, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(instance.address).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // What stays unread may end it with a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn bytes_that_are_no_request_get_an_answer_of_ours_and_odd_targets_pass() {
    let instance = echoes("");
    let sends = |bytes: &[u8]| sends(&instance, bytes);
    for (target, passed) in [
        (&b"/q?a={job=\"x\"}"[..], "/q?a={job=%22x%22}"),
        (b"/q?a=<b>", "/q?a=%3Cb%3E"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/a`b", "/a%60b"),
    ] {
        let rest = format!(" HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        let answer = sends(&[b"GET ", target, rest.as_bytes()].concat());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(&format!("GET {passed} HTTP/1.1")), "{answer}");
    }
    let host = format!("Host: {HOST}\r\nAccept: text/html\r\n");
    for bytes in [
        format!("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}Bad Name: 1\r\n\r\n"),
        format!("GET / HTTP/9.9\r\n{host}\r\n"),
        format!("CONNECT a:1 HTTP/1.1\r\n{host}\r\n"),
    ] {
        let answer = sends(bytes.as_bytes());
        let status = if bytes.starts_with("CONNECT") { "405" } else { "400" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes}: {answer}");
        assert!(!answer.contains("Pingora"), "{answer}");
        assert!(answer.contains("This address is not valid"), "{bytes}: {answer}");
        assert!(answer.contains("content-security-policy: "), "{answer}");
    }
    let script =
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\nA b: 1\r\n\r\n");
    let answer = sends(script.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("application/json"), "{answer}");
}

#[test]
fn a_balancer_that_is_trusted_says_from_where_a_connection_comes() {
    let trusted = echoes("trusted_proxies: [127.0.0.0/8]");
    let four = "PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\r\n".as_bytes();
    let six = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xc8\x22\x01\xbb";
    let get = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n"
    );
    for (said, visitor) in [
        (four, "203.0.113.9"),
        (&six[..], "2001:db8::1"),
        // It asks only whether we are there: what it forwards besides is a proxy's word.
        (b"PROXY UNKNOWN\r\n", "192.0.2.7, 127.0.0.1"),
        (b"", "192.0.2.7, 127.0.0.1"),
    ] {
        let answer = sends(&trusted, &[said, get.as_bytes()].concat());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(&format!("x-forwarded-for: {visitor}\r\n")), "{answer}");
    }
    let forged = sends(&echoes(""), &[four, get.as_bytes()].concat());
    assert!(forged.starts_with("HTTP/1.1 400 "), "{forged}");
}

#[test]
fn a_proxy_that_is_trusted_may_leave_out_the_port_of_the_host() {
    let (name, _) = HOST.split_once(':').unwrap();
    let get = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    for (more, status) in [("trusted_proxies: [127.0.0.0/8]", "200"), ("", "421")] {
        let answer = sends(&echoes(more), get.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
