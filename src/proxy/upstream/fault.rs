//! What an application, or its TLS, did wrong, in words for the log.
//!
//! Of what applications or visitors sent, only header names are repeated: bytes that could not be
//! parsed may contain secrets.

use std::fmt::Write as _;

use pingora::{Error, ErrorType, ImmutStr};

use crate::config::UpstreamTimeouts;

/// What happened: a fault of the application, or a timeout of ours. `timeouts` are those that were
/// in force.
pub(in crate::proxy) fn reason(
    kind: &ErrorType,
    error: &Error,
    timeouts: UpstreamTimeouts,
) -> String {
    let seconds = |span: std::time::Duration| humantime::format_duration(span);
    match kind {
        ErrorType::ConnectRefused => {
            format!("the application refused the connection{}", cause(error))
        }
        ErrorType::ConnectTimedout => format!(
            "timeout: the application did not accept the connection within \
             upstream_timeouts.connect ({})",
            seconds(timeouts.connect)
        ),
        ErrorType::ReadTimedout => format!(
            "timeout: the application sent nothing for upstream_timeouts.read ({})",
            seconds(timeouts.read)
        ),
        ErrorType::WriteTimedout => format!(
            "timeout: the application read nothing of the request for upstream_timeouts.write ({})",
            seconds(timeouts.write)
        ),
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert => {
            format!("TLS handshake with the application failed: {}", tls(&error.to_string()))
        }
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            format!("the application closed the connection{}", cause(error))
        }
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::Custom(_) => {
            format!("invalid HTTP response from the application{}", unreadable(error))
        }
        _ => format!("cannot connect to the application{}", cause(error)),
    }
}

/// The error of the operating system.
fn cause(error: &Error) -> String {
    let mut next = error.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
    while let Some(found) = next {
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            return format!(": {io}");
        }
        next = found.downcast_ref::<Error>().map_or_else(
            || found.source(),
            |inner| inner.cause.as_deref().map(|cause| cause as &dyn std::error::Error),
        );
    }
    String::new()
}

/// What is wrong with the TLS of the application, from the error text of rustls.
pub(super) fn tls(said: &str) -> String {
    const KNOWN: [(&str, &str); 13] = [
        (
            "UnknownIssuer",
            "its certificate is signed by an unknown CA: name the CA, or the certificate itself, \
             in `upstream_tls`",
        ),
        (
            "CaUsedAsEndEntity",
            "its certificate is a CA certificate (CA:TRUE, as `openssl req -x509` creates): name \
             it in `upstream_tls: { certificate }`",
        ),
        (
            "not valid for",
            "its certificate is for another name or for none (subjectAltName): set `upstream_tls: \
             { name }`, or name the certificate itself in `upstream_tls: { certificate }`",
        ),
        ("expired", "its certificate has expired"),
        ("not valid yet", "its certificate is not valid yet"),
        ("UnsupportedCertVersion", "its certificate is not X.509 version 3"),
        (
            "UnsupportedSignatureAlgorithm",
            "its certificate or key is too weak (SHA-1, RSA below 2048 bits)",
        ),
        (
            "ApplicationVerificationFailure",
            "its certificate is not the one in `upstream_tls: { certificate }`",
        ),
        ("BadSignature", "the signature of its certificate is not valid"),
        (
            "alert: ProtocolVersion",
            "it supports neither TLS 1.2 nor TLS 1.3 (alert protocol_version)",
        ),
        (
            "alert: HandshakeFailure",
            "no shared cipher (alert handshake_failure): TLS 1.2 needs ECDHE with AES-GCM or \
             ChaCha20-Poly1305",
        ),
        ("ServerTlsVersionIsDisabled", "it supports neither TLS 1.2 nor TLS 1.3"),
        ("corrupt message", "its answer is not TLS: does it use http://?"),
    ];
    if let Some((_, words)) = KNOWN.iter().find(|(sign, _)| said.contains(sign)) {
        return (*words).to_owned();
    }
    let begins = [
        "invalid peer certificate",
        "received fatal alert",
        "peer is incompatible",
        "peer misbehaved",
    ];
    let told = begins.iter().find_map(|begin| said.find(begin)).map(|at| &said[at..]);
    match told {
        Some(told) => told.split(", SNI").next().unwrap_or(told).trim_end().to_owned(),
        None if said.contains("UnexpectedEof")
            || said.contains("unexpected eof")
            || said.contains("handshake eof") =>
        {
            "it closed the connection during the handshake".to_owned()
        }
        None => "it closed the connection".to_owned(),
    }
}

/// Which line of an answer could not be parsed, if Pingora shows it.
fn unreadable(error: &Error) -> String {
    match &error.context {
        Some(ImmutStr::Static(words)) => format!(": {words}"),
        Some(ImmutStr::Owned(words)) => match words.strip_prefix("buf: ") {
            Some(head) => format!(": {}", bad_line(&unescaped(head))),
            None => String::new(),
        },
        None => String::new(),
    }
}

/// Reverses `escape_ascii`.
fn unescaped(written: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'x') => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = std::str::from_utf8(&digits).unwrap_or("0");
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(0));
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes
}

/// The first line of a response head that RFC 9112 does not allow, and why.
fn bad_line(head: &[u8]) -> String {
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().unwrap_or_default();
    let is_status = status.len() >= 12
        && status.starts_with(b"HTTP/1.")
        && status[8] == b' '
        && status[9..12].iter().all(u8::is_ascii_digit);
    if !is_status {
        return "its first line is not an HTTP/1 status line".to_owned();
    }
    for (line, number) in lines.zip(2..) {
        if line.is_empty() {
            break;
        }
        if let Some(why) = fault_of_field(line) {
            return format!("line {number} of its head is not valid: {why}");
        }
    }
    "its head is not valid".to_owned()
}

/// Why RFC 9112 does not allow this header line; `None` if it does. The value is not repeated.
pub(in crate::proxy) fn fault_of_field(line: &[u8]) -> Option<String> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some("it has no colon".to_owned());
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let mut shown = String::new();
    for byte in name.iter().take(LONGEST_NAME) {
        write!(shown, "{}", byte.escape_ascii()).ok();
    }
    if name.len() > LONGEST_NAME {
        shown.push('…');
    }
    if name.is_empty() {
        return Some("it has no name before the colon".to_owned());
    }
    if name[0] == b' ' || name[0] == b'\t' {
        return Some("it begins with a space (obsolete line folding)".to_owned());
    }
    if !name.iter().all(is_token) {
        return Some(format!("`{shown}` is not a header name"));
    }
    let odd = value.iter().find(|byte| byte.is_ascii_control() && **byte != b'\t');
    odd.map(|byte| format!("the value of `{shown}` has a control character (0x{byte:02x})"))
}

const LONGEST_NAME: usize = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    const TIMEOUTS: UpstreamTimeouts = UpstreamTimeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(60),
        write: Duration::from_secs(60),
    };

    #[rstest]
    #[case(
        "HTTP/1.1 200 OK\r\nGood: 1\r\nBad Name: s3cret\r\n\r\n",
        "line 3 of its head is not valid: `Bad Name` is not a header name"
    )]
    #[case(
        "HTTP/1.1 200 OK\r\nCookie s3cret\r\n\r\n",
        "line 2 of its head is not valid: it has no colon"
    )]
    #[case(
        "HTTP/1.1 200 OK\r\nA: s3cret\x01\r\n\r\n",
        "line 2 of its head is not valid: the value of `A` has a control character (0x01)"
    )]
    #[case(
        "HTTP/1.1 200 OK\r\n : s3cret\r\n\r\n",
        "line 2 of its head is not valid: it begins with a space (obsolete line folding)"
    )]
    #[case("SSH-2.0-s3cret\r\n", "its first line is not an HTTP/1 status line")]
    fn the_line_that_cannot_be_read_is_named_without_its_value(
        #[case] head: &str,
        #[case] says: &str,
    ) {
        let context = format!("buf: {}", head.as_bytes().escape_ascii());
        let error = Error::explain(ErrorType::InvalidHTTPHeader, context);
        let told = reason(error.etype(), &error, TIMEOUTS);
        assert_eq!(told, format!("invalid HTTP response from the application: {says}"));
    }

    #[test]
    fn our_own_patience_is_named_as_ours_with_its_key() {
        for (kind, key) in [
            (ErrorType::ConnectTimedout, "upstream_timeouts.connect (5s)"),
            (ErrorType::ReadTimedout, "upstream_timeouts.read (1m)"),
            (ErrorType::WriteTimedout, "upstream_timeouts.write (1m)"),
        ] {
            let told = reason(&kind, &Error::new(kind.clone()), TIMEOUTS);
            assert!(told.starts_with("timeout: ") && told.contains(key), "{told}");
        }
    }

    #[test]
    fn what_is_unknown_is_told_as_rustls_says_it_and_without_more() {
        let said =
            "TLS connect() failed: context: x cause: invalid peer certificate: Revoked, SNI: a";
        assert_eq!(tls(said), "invalid peer certificate: Revoked");
        assert_eq!(tls("something else"), "it closed the connection");
    }
}
