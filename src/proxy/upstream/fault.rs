//! What an application, or its TLS, did wrong, in words for the log.
//!
//! Of what applications or visitors sent, only header names are repeated: bytes that could not be
//! parsed may contain secrets.

use std::fmt::Write as _;
use std::io;

use pingora::{Error, ErrorType, ImmutStr};
use rustix::io::Errno;

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
            let says_more =
                system(error).is_none_or(|why| why.kind() != io::ErrorKind::ConnectionRefused);
            let more = if says_more { cause(error) } else { String::new() };
            format!("the application refused the connection{more}")
        }
        ErrorType::ConnectTimedout => format!(
            "timeout: the application did not accept the connection within \
             upstream_timeouts.connect ({})",
            seconds(timeouts.connect)
        ),
        ErrorType::ReadTimedout => format!(
            "timeout: the application sent no response head, or nothing more of its response, for \
             upstream_timeouts.read ({})",
            seconds(timeouts.read)
        ),
        ErrorType::WriteTimedout => format!(
            "timeout: the application read nothing of the request for upstream_timeouts.write ({})",
            seconds(timeouts.write)
        ),
        ErrorType::TLSHandshakeTimedout => format!(
            "timeout: the application did not finish the TLS handshake within \
             upstream_timeouts.connect ({})",
            seconds(timeouts.connect)
        ),
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert => {
            format!("TLS handshake with the application failed: {}", tls(&error.to_string()))
        }
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            match system(error).and_then(of_tls) {
                Some(fault) => format!("TLS with the application failed: {fault}"),
                None => format!("the application closed the connection{}", cause(error)),
            }
        }
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::Custom(_) => {
            format!("invalid HTTP response from the application{}", unreadable(kind, error))
        }
        ErrorType::H2Error | ErrorType::InvalidH2 | ErrorType::H2Downgrade => {
            format!("invalid HTTP/2 response from the application{}", of_http2(error))
        }
        _ => match &error.context {
            // Ours: Pingora's own words name addresses and file descriptors.
            Some(ImmutStr::Static(words)) => format!("cannot connect to the application: {words}"),
            _ => format!("cannot connect to the application{}", cause(error)),
        },
    }
}

/// This error and those that caused it, the last cause at the end.
fn chain(error: &Error) -> impl Iterator<Item = &Error> {
    std::iter::successors(Some(error), |error| {
        let cause = error.cause.as_deref()?;
        // Pingora boxes its own errors once more when it adds to them.
        let boxed = || cause.downcast_ref::<Box<Error>>().map(|inner| &**inner);
        cause.downcast_ref::<Error>().or_else(boxed)
    })
}

/// What Pingora says of this error in fixed words, which repeat nothing that was sent.
pub(in crate::proxy) fn fixed_words(error: &Error) -> Option<&'static str> {
    chain(error).find_map(|error| match error.context {
        Some(ImmutStr::Static(words)) => Some(words),
        _ => None,
    })
}

/// What is wrong with an answer over HTTP/2.
fn of_http2(error: &Error) -> String {
    let cause = chain(error).last().and_then(|last| last.cause.as_deref());
    match cause.map(ToString::to_string) {
        // An answer of HTTP/1.1, read as a frame, is too long.
        Some(told) if told.contains("frame with invalid size") => {
            ": it does not speak HTTP/2 as `upstream_http2` says".to_owned()
        }
        Some(told) => format!(": {}", without_debug_data(&told)),
        None => String::new(),
    }
}

/// An error of the HTTP/2 library, which tells frames and codes, without what the other side has sent
/// along with a GOAWAY (RFC 9113 §6.8): it may be long, or secret.
pub(super) fn without_debug_data(told: &str) -> &str {
    told.split(" (b\"").next().unwrap_or(told)
}

/// The error of the operating system, or of TLS, behind this one.
fn system(error: &Error) -> Option<&io::Error> {
    let cause = chain(error).last()?.cause.as_deref()?;
    let mut next = Some(cause as &dyn std::error::Error);
    while let Some(found) = next {
        if let Some(system) = found.downcast_ref() {
            return Some(system);
        }
        next = found.source();
    }
    None
}

/// What is wrong with the TLS of the application, if that is the error.
pub(super) fn of_tls(error: &io::Error) -> Option<String> {
    if let Some(rustls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Some(tls(&rustls.to_string()));
    }
    // The words of tokio-rustls.
    let said = error.to_string();
    (error.kind() == io::ErrorKind::UnexpectedEof && said.contains("handshake eof"))
        .then(|| tls(&said))
}

/// What we, and not the application, lack for a connection: file descriptors, memory or ports.
pub(in crate::proxy) fn shortage(error: &Error) -> Option<String> {
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    let system = system(error)?;
    let code = system.raw_os_error()?;
    ours.iter()
        .any(|known| known.raw_os_error() == code)
        .then(|| format!("cannot open a connection to the application: {system}"))
}

/// The error of the operating system, in words.
fn cause(error: &Error) -> String {
    system(error).map(|system| format!(": {system}")).unwrap_or_default()
}

/// What is wrong with the TLS of the application, from the error text of rustls.
pub(super) fn tls(said: &str) -> String {
    const KNOWN: [(&str, &str); 16] = [
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
             ChaCha20-Poly1305; or it requires a client certificate, and Doorward has none",
        ),
        (
            "alert: CertificateRequired",
            "it requires a client certificate (alert certificate_required), and Doorward has none",
        ),
        (
            "alert: BadCertificate",
            "it requires a client certificate (alert bad_certificate), and Doorward has none",
        ),
        ("alert: NoApplicationProtocol", "it does not speak HTTP/2 as `upstream_http2` says"),
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

/// What is wrong with an answer, if Pingora says it: the line that cannot be parsed, or a sentence.
fn unreadable(kind: &ErrorType, error: &Error) -> String {
    let contexts = || chain(error).filter_map(|error| error.context.as_ref());
    let head = contexts().find_map(|context| context.as_str().strip_prefix("buf: "));
    if let Some(head) = head {
        return format!(": {}", bad_line(&unescaped(head)));
    }
    let is_about = |text: &&str| {
        ["Response header larger", "invalid Content-Length", "negative Content-Length"]
            .iter()
            .any(|known| text.starts_with(known))
    };
    let known = || contexts().map(ImmutStr::as_str).find(is_about);
    match (kind, fixed_words(error).or_else(known)) {
        (ErrorType::Custom("InvalidChunk"), _) => ": a chunk of its body is not valid".to_owned(),
        // Ours.
        (ErrorType::Custom(words), _) => format!(": {words}"),
        (_, Some(words)) => format!(": {}", words.split(" value:").next().unwrap_or(words)),
        (_, None) => String::new(),
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
pub(super) fn bad_line(head: &[u8]) -> String {
    // An alert, or a handshake message (RFC 8446 §5.1).
    if matches!(head, [0x15 | 0x16, 3, ..]) {
        return "its answer is TLS: does it use https://?".to_owned();
    }
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
        if number > LINES {
            return format!("its head has more than {LINES} lines");
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
/// How many header lines Pingora reads, of requests and of responses.
pub(in crate::proxy) const LINES: usize = 256;

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

    #[rstest]
    #[case(Errno::MFILE, true)]
    #[case(Errno::ADDRNOTAVAIL, true)]
    #[case(Errno::ACCESS, false)]
    #[case(Errno::CONNREFUSED, false)]
    fn what_we_lack_is_told_from_what_the_application_refuses(
        #[case] code: Errno,
        #[case] is_ours: bool,
    ) {
        let system = io::Error::from_raw_os_error(code.raw_os_error());
        let told = system.to_string();
        let inner = Error::because(ErrorType::SocketError, "fd 7", system);
        let error = Error::because(ErrorType::InternalError, "Peer: 10.0.0.1", inner);
        let says = format!("cannot open a connection to the application: {told}");
        assert_eq!(shortage(&error), is_ours.then_some(says));
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
