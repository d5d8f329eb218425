//! What the log says, and what it never does.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rstest::rstest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::person::{code, now};
use super::setup::{HOST, PASSWORD, Process, Setup};
use crate::support::exact::{Bodies, Exact, answer};
use crate::support::window::Window;
use crate::support::wire::Wire;

/// What must not be in the log, each with its name.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn keep(&mut self, what: &'static str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 6, "{what} is too short to be looked for: {secret}");
        self.0.push((what, secret));
    }

    /// What a browser has now: its cookies, and what is hidden in the form that it shows.
    fn keep_of(&mut self, window: &Window) {
        for (name, value) in &window.cookies {
            assert!(name.starts_with("doorward-"), "{name}");
            self.keep("a cookie", value);
            // The parts that tell: the payload and the signature.
            for part in value.split('.').filter(|part| part.len() > 16) {
                self.keep("part of a cookie", part);
            }
        }
        if let Some((_, rest)) = window.answer.body.split_once("name=\"csrf\" value=\"") {
            self.keep("a csrf field", rest.split('"').next().unwrap());
        }
    }

    /// Asserts that none is in `log`, in whatever form.
    fn are_not_in(&self, log: &str) {
        let folded = log.to_lowercase();
        for (what, secret) in &self.0 {
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let listed = format!("{:?}", secret.as_bytes());
            let listed = listed.trim_matches(['[', ']']);
            let forms = [
                secret.to_lowercase(),
                form.to_lowercase(),
                form.replace('+', "%20").to_lowercase(),
                listed.to_owned(),
                data_encoding::HEXLOWER.encode(secret.as_bytes()),
                data_encoding::BASE64_NOPAD.encode(secret.as_bytes()).to_lowercase(),
            ];
            for form in forms {
                let found = folded.match_indices(&form).find(|(at, _)| {
                    // Six digits may be part of some number; alone they are a code.
                    secret.len() > 6 || stands_alone(&folded, *at, form.len())
                });
                if let Some((at, _)) = found {
                    let line = folded[..at].rfind('\n').map_or(0, |end| end + 1);
                    panic!("{what} is in the log: {}", folded[line..].lines().next().unwrap());
                }
            }
        }
    }
}

fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
    !part(before) && !part(bytes.get(at + length))
}

#[test]
fn every_line_is_a_json_object_and_no_secret_is_in_any() {
    let setup = Setup::new();
    let mut process = setup.opens();
    let mut secrets = Secrets::default();
    goes_the_whole_way(&setup, &process, &mut secrets);
    says_nonsense(&process, &mut secrets);
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0));

    let said = process.said();
    let lines = said.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let line_said = line.as_object_mut().unwrap();
        // An event says what happened, everything else is told in words.
        assert!(
            ["message", "what"].iter().any(|key| line_said.contains_key(*key)),
            "{line_said:?}"
        );
        assert!(line_said.contains_key("level"), "{line_said:?}");
        // A moment ends with six digits that could be anything.
        assert!(line_said.remove("timestamp").is_some());
        line.to_string()
    });
    let log = lines.collect::<Vec<_>>().join("\n");
    for what in ["listening", "signed-in", "two-factor-on", "recovery-code-used", "shutting down"] {
        assert!(log.contains(what), "the log does not tell of {what}");
    }
    secrets.are_not_in(&log);
}

#[test]
fn lines_for_people_have_no_colours_where_they_go_to_a_file() {
    let setup = Setup::with("log: { format: text }");
    let mut process = setup.starts(&[]);
    let line = process.hears(" listening ");
    process.hears("listening for health checks and metrics");
    assert!(line.contains(" INFO ") && line.contains("address=127.0.0.1:"), "{line}");
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0));
    assert!(!process.said().contains('\u{1b}'), "{:?}", process.said());
}

#[test]
fn where_nobody_reads_the_log_people_are_served_all_the_same() {
    let setup = Setup::new();
    let mut process = setup.opens_unheard();
    let mut ada = process.window();
    ada.visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 200, "{:?}", ada.answer);
    ada.visits("/.doorward/sign-out").posts(&[]);
    ada.visits("/").posts(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 200, "{:?}", ada.answer);
    assert_eq!(process.tells_operators("/readyz").status, 200);
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0));
}

/// A library that writes of heads as text panics at one that is none, if anybody reads its records.
#[rstest]
fn heads_that_are_no_text_go_through_at_every_level(
    #[values("info", "debug", "trace")] level: &str,
) {
    let said: &[u8] = b"HTTP/1.1 200 Sch\xf6n\r\nContent-Disposition: attachment; \
        filename=\"M\xfcller.pdf\"\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n\
        2\r\nok\r\n0\r\nX-End: \xfc\r\n\r\n";
    let application = Exact::answering(Bodies::Read, |_| said.to_vec());
    let setup = Setup::with(&format!("log: {{ format: json, level: {level} }}"));
    setup.moves_to(application.address);
    let process = setup.opens();
    let request: &[u8] = b"GET /held?\xfc HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
        X-Name: M\xfcller\r\nConnection: close\r\n\r\n";
    let mut visitor = Wire::to(process.address);
    visitor.sends(request);
    let got = visitor.reads_to_the_end();
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
    assert!(got.contains("filename=\"M\u{fffd}ller.pdf\"\r\n"), "{got}");
    assert!(got.contains("ok\r\n0\r\n"), "{got}");
    assert!(!process.said().contains("panicked"), "{}", process.said());
}

fn goes_the_whole_way(setup: &Setup, process: &Process, secrets: &mut Secrets) {
    let link = setup.adds("ada");
    secrets.keep("the token of a link", link.rsplit('/').next().unwrap());
    secrets.keep("a password", PASSWORD);
    let mut ada = process.window();
    ada.visits(&link);
    secrets.keep_of(&ada);
    // A link that is opened while something else is owed, or is broken, is told of no more.
    Wire::to(process.address).asks(format!("POST {link} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    ada.posts(&[("password", PASSWORD)]);
    secrets.keep_of(&ada);

    ada.visits("/.doorward/set-up");
    secrets.keep_of(&ada);
    let secret = ada.secret();
    secrets.keep("the key of an authenticator", data_encoding::BASE32_NOPAD.encode(&secret));
    secrets.keep("the key of an authenticator", data_encoding::HEXLOWER.encode(&secret));
    secrets.keep("the key of an authenticator", data_encoding::BASE64_NOPAD.encode(&secret));
    let listed = format!("{secret:?}");
    secrets.keep("the key of an authenticator", listed.trim_matches(['[', ']']));
    let (first, second) = (now(), now() + 1);
    for step in first - 1..=second + 1 {
        secrets.keep("a code", code(&secret, step));
    }
    ada.posts(&[("code", &code(&secret, first))]);
    secrets.keep_of(&ada);
    let codes: Vec<_> = ada.recovery_codes().into_iter().map(str::to_owned).collect();
    assert_eq!(codes.len(), 12);
    for code in &codes {
        secrets.keep("a recovery code", code);
        secrets.keep("a recovery code", code.replace('-', ""));
    }
    ada.opens("/.doorward/recovery-codes.txt");
    assert!(ada.answer.body.contains(&codes[0]));
    ada.visits("/").posts(&[("saved", "yes")]);

    passes_secrets_of_their_own(&mut ada, secrets);

    ada.visits("/.doorward/sign-out").posts(&[]);
    let mut ada = process.window();
    ada.visits("/page?reset=key-of-the-application");
    // People type passwords where user names belong.
    for (name, password) in [("ada", "not three umbrellas"), ("five sad umbrellas", "anything")] {
        secrets.keep("a wrong password", if name == "ada" { password } else { name });
        ada.sends(&[("username", name), ("password", password)]);
        assert_eq!(ada.answer.status, 422);
        secrets.keep_of(&ada);
    }
    ada.posts(&[("username", "ada"), ("password", PASSWORD)]);
    assert!(ada.at.starts_with("/.doorward/challenge"), "{}", ada.at);
    secrets.keep_of(&ada);
    ada.sends(&[("code", &code(&secret, first))]);
    assert_eq!(ada.answer.status, 422);
    secrets.keep("a wrong recovery code", "AAAA-BBBB-CCCCC");
    for (code, status) in [("AAAA-BBBB-CCCCC", 422), (codes[0].as_str(), 303)] {
        ada.opens("/.doorward/challenge?kind=recovery-code");
        ada.sends(&[("code", code), ("trust_device", "yes")]);
        assert_eq!(ada.answer.status, status);
    }
    secrets.keep_of(&ada);
    // A trusted device, of which a copy turns up: with its number used twice it says so.
    ada.visits("/.doorward/sign-out").posts(&[]);
    ada.visits("/").posts(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 200);
    secrets.keep_of(&ada);
    ada.visits("/.doorward/confirm").posts(&[("password", PASSWORD)]);
    secrets.keep_of(&ada);
    let link = setup.types(&["user", "passwd", "ada", "--json"]).link();
    secrets.keep("the token of a link", link.rsplit('/').next().unwrap());
    secrets.keep("a password", "four dry umbrellas");
    ada.visits(&link).sends(&[("password", "four dry umbrellas")]);
    assert_eq!(ada.answer.status, 303);
    secrets.keep_of(&ada);
}

/// What is between a visitor and the application is nobody's business either.
fn passes_secrets_of_their_own(ada: &mut Window, secrets: &mut Secrets) {
    secrets.keep("a password of the application", "Basic b3BlbiBzZXNhbWU=");
    secrets.keep("a cookie of the application", "crumbs-of-the-application");
    secrets.keep("a query of the application", "key-of-the-application");
    let own = "Authorization: Basic b3BlbiBzZXNhbWU=\r\nX-Key: crumbs-of-the-application\r\n";
    ada.opens_with("/page?reset=key-of-the-application", own);
    assert_eq!(ada.answer.received()["target"], "/page?reset=key-of-the-application");
    ada.opens_with("/closed?reset=key-of-the-application", own);
    assert_eq!(ada.answer.status, 403);
}

/// Requests that make no sense, each with a secret in it.
fn says_nonsense(process: &Process, secrets: &mut Secrets) {
    secrets.keep("a cookie that came with nonsense", "found-in-nonsense");
    let cookie = "Cookie: doorward-session=found-in-nonsense\r\n";
    let ours = format!("Host: {HOST}\r\n{cookie}");
    for nonsense in [
        format!("GET /page?found-in-nonsense HTTP/1.1\r\nHost: elsewhere.test\r\n{cookie}\r\n"),
        format!("GET /page HTTP/1.1\r\nHost : {HOST}\r\n{cookie}\r\n"),
        format!("GET /page\0 HTTP/1.1\r\n{ours}\r\n"),
        format!("GET /%2e%2edoorward/%00found-in-nonsense HTTP/1.1\r\n{ours}\r\n"),
        format!("GET /page HTTP/1.1\r\n{ours}{ours}\r\n"),
        format!("GET /page HTTP/1.1\r\n{ours}Broken\u{1}found-in-nonsense\r\n\r\n"),
        format!("POST /page HTTP/1.1\r\n{ours}Content-Length: found-in-nonsense\r\n\r\n"),
        format!("POST /page HTTP/1.1\r\n{ours}Transfer-Encoding: found-in-nonsense\r\n\r\n"),
        format!(
            "POST /.doorward/sign-in HTTP/1.1\r\n{ours}Content-Length: 17\r\n\r\nfound-in-nonsense"
        ),
        "found-in-nonsense\r\n\r\n".to_owned(),
    ] {
        let answer = Wire::to(process.address).asks(&nonsense);
        assert!((400..=499).contains(&answer.status), "{nonsense}: {answer:?}");
    }
}

#[rstest]
#[case::tunnel(b"CONNECT a:1 HTTP/1.1\r\nHost: {host}\r\n\r\n", 405, "CONNECT")]
#[case::trace(b"TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n", 405, "CONNECT, TRACE or TRACK")]
#[case::two_hosts(b"GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n", 400, "Host")]
#[case::no_host(b"GET / HTTP/1.1\r\n\r\n", 400, "Host")]
#[case::foreign_host(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421, "wrong host")]
#[case::version(b"GET / HTTP/7.0\r\nHost: {host}\r\n\r\n", 400, "version")]
#[case::no_version(b"GET /\r\n\r\n", 400, "first line")]
#[case::another_target(b"GET http://evil.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n", 400, "target")]
#[case::half_a_target(b"GET http: HTTP/1.1\r\nHost: {host}\r\n\r\n", 400, "target")]
#[case::long_head(b"GET / HTTP/1.1\r\nHost: {host}\r\nA: {long}\r\n\r\n", 431, "too large")]
#[case::long_target(b"GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n", 431, "too large")]
#[case::a_protected_name(
    b"GET /held HTTP/1.1\r\nHost: {host}\r\nConnection: X-Forwarded-For\r\n\r\n",
    400,
    "nominated by the Connection header"
)]
#[case::a_chunk(
    b"POST /held HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    400,
    "a chunk of the body"
)]
#[case::a_chunk_of_a_form(
    b"POST /.doorward/sign-in HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\n",
    400,
    "a chunk of the body"
)]
#[case::tls(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\r\n\r\n", 400, "TLS")]
#[case::http2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP/2")]
fn what_is_refused_is_answered_in_our_words_and_leaves_a_line(
    #[case] sent: &[u8],
    #[case] status: u16,
    #[case] names: &str,
) {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let answer = Wire::to(process.address).asks(filled(sent));
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
    assert_eq!(answer.header("server"), "");
    let line = process.hears("request refused");
    assert!(line.contains(names), "{line}");
}

/// A move is judged at both ends: whoever reads the log must see which of them was refused.
#[test]
fn a_refusal_because_of_a_destination_names_the_header() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let moves = |to: &str| {
        let head = format!("MOVE /held HTTP/1.1\r\nHost: {HOST}\r\nDestination: {to}\r\n\r\n");
        let answer = Wire::to(process.address).asks(head);
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        let reference = said["reference"].as_str().unwrap().to_owned();
        let why = setup.types(&["why", &reference]).out;
        (answer.status, process.hears(&reference), why)
    };
    let (status, line, why) = moves("/closed");
    assert_eq!(status, 403);
    assert!(line.contains("\"header\":\"Destination\""), "{line}");
    assert!(why.contains("the target in the header `Destination`"), "{why}");
    let (status, line, why) = moves("https://evil.test/a");
    assert_eq!(status, 400);
    for told in [line, why] {
        assert!(
            told.contains("header `Destination`: it does not name a path on this host"),
            "{told}"
        );
    }
    let url = format!("http://{HOST}/held");
    let asked = ["explain", "--url", &url, "--method", "MOVE", "--destination"];
    let explains = |to: &str| setup.types(&[&asked[..], &[to]].concat()).out;
    let told = explains("/closed");
    assert!(told.contains(", for the target in `Destination`"), "{told}");
    assert!(told.contains("MOVE writes /closed (`Destination`)"), "{told}");
    assert!(explains("a/b").contains("header `Destination`: "), "{}", explains("a/b"));
}

/// A gateway with a TLS listener, and the certificate that it shows.
fn encrypted() -> (Setup, Process, CertificateDer<'static>) {
    let setup = Setup::with("log: { format: json }");
    assert_eq!(setup.types(&["cert", "self-signed", "crm.localhost"]).code, Some(0));
    let yaml = fs::read_to_string(setup.file()).unwrap();
    let tls = "listen: [{ address: '127.0.0.1:0', tls: { certificate: doorward.pem, key: \
               doorward.key } }, ";
    fs::write(setup.file(), yaml.replace("listen: [", tls)).unwrap();
    let process = setup.opens();
    let shown = CertificateDer::from_pem_file(setup.file().with_file_name("doorward.pem")).unwrap();
    (setup, process, shown)
}

#[rstest]
// A `ClientHello` of TLS 1.1 with one cipher suite (RFC 4346 §7.4.1.2).
#[case::old(
    b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x02\xc0\x13\x01\0\0\0",
    "the client supports neither TLS 1.2"
)]
#[case::no_tls(b"\x16\x03\x01\0\x05hello", "what the client sent is not TLS")]
#[case::left(b"\x16\x03\x01", "the client closed the connection during the handshake")]
fn a_handshake_that_fails_leaves_a_line_with_the_reason(#[case] sent: &[u8], #[case] why: &str) {
    let (_setup, process, _) = encrypted();
    let mut client = TcpStream::connect(process.address).unwrap();
    client.write_all(sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let line = process.hears("TLS handshake failed: ");
    assert!(line.contains(why) && line.contains("\"peer\":\"127.0.0.1\""), "{line}");
}

#[test]
fn a_request_that_the_http2_library_resets_leaves_a_line_with_the_reason() {
    let (_setup, process, shown) = encrypted();
    let mut roots = RootCertStore::empty();
    roots.add(shown).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "crm.localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(process.address).unwrap();
    let mut visitor = StreamOwned::new(connection, stream);
    visitor.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    // HEADERS with one field, which is about one connection (RFC 9113 §8.2.2).
    visitor.write_all(b"\0\0\x15\x01\x05\0\0\0\x01\0\x0aconnection\x08s3cretes").unwrap();
    visitor.flush().unwrap();
    let line = process.hears("HTTP/2 request refused: ");
    assert!(line.contains("malformed header block"), "{line}");
    assert!(line.contains("\"peer\":\"127.0.0.1\""), "{line}");
    assert!(!process.said().contains("s3cret"), "{}", process.said());
}

#[test]
fn a_head_that_is_not_collected_leaves_a_line() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let mut wire = Wire::to(process.address);
    wire.tries(&filled(b"GET / HTTP/1.1\r\nHost: {host}\r\nA: {long}{long}{long}{long}"));
    let line = process.hears("request refused");
    assert!(line.contains("the request head is too large"), "{line}");
}

/// `{host}` is ours, `{long}` longer than any head that is read.
fn filled(sent: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(sent) else { return sent.to_vec() };
    text.replace("{host}", HOST).replace("{long}", &"a".repeat(40_000)).into_bytes()
}

#[test]
fn one_id_finds_a_refusal_everywhere() {
    let more = "log: { format: json }\nevents: { to: ./events.jsonl }\n\
                access_log: { to: ./access.log, format: json }";
    let setup = Setup::with(more);
    let process = setup.opens();
    let request = format!("GET /closed?a=secret HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = Wire::to(process.address).asks(request);
    let id = answer.header("x-request-id").to_owned();
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(said["reference"], id.as_str());

    let line: Value = serde_json::from_str(&process.hears("request refused")).unwrap();
    assert_eq!(line["request_id"], id.as_str(), "{line}");
    let why = setup.types(&["why", &id.to_uppercase(), "--json"]).json();
    let rule = why["rule"].as_str().unwrap();
    assert!(rule.starts_with("rule 2 (line ") && rule.ends_with(": /closed)"), "{rule}");
    let report = setup.types(&["report", "--refused"]).out;
    assert!(report.contains(&id) && report.contains(rule), "{report}");

    let folder = setup.file().parent().unwrap().to_owned();
    drop(process);
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let event = read("events.jsonl");
    let event: Value = serde_json::from_str(event.lines().next().unwrap()).unwrap();
    for (key, value) in [
        ("event", "request-refused"),
        ("request_id", &id),
        ("from", "127.0.0.1"),
        ("app", "crm"),
        ("host", HOST),
        ("method", "GET"),
        ("path", "/closed"),
        ("rule", rule),
    ] {
        assert_eq!(event[key], value, "{key} of {event}");
    }
}

#[rstest]
#[case::no_such_name("http://application.invalid", "its name cannot be resolved")]
#[case::no_such_file("unix:/nowhere/app.sock", "No such file or directory")]
#[case::nobody_listens("http://127.0.0.1:9", "the application refused the connection")]
fn the_reference_of_an_application_that_fails_finds_the_cause(
    #[case] upstream: &str,
    #[case] cause: &str,
) {
    let setup = Setup::with("log: { format: json }");
    let yaml = fs::read_to_string(setup.file()).unwrap();
    let here = format!("http://{}", setup.upstream.address);
    fs::write(setup.file(), yaml.replace(&here, upstream)).unwrap();
    let process = setup.opens();
    let head = format!("GET /held?a=secret HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = Wire::to(process.address).asks(head);
    assert_eq!(answer.status, 502, "{answer:?}");
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    let reference = said["reference"].as_str().unwrap();
    let why = setup.types(&["why", reference]).out;
    assert!(why.contains("GET /held of crm\n"), "{why}");
    assert!(why.contains(", from 127.0.0.1, got an error: ") && why.contains(cause), "{why}");
    let why = setup.types(&["why", reference, "--json"]).json();
    assert_eq!(why["outcome"], "failed");
    assert!(process.hears(cause).contains(reference));
    let report = setup.types(&["report", "--refused"]).out;
    assert!(report.contains("Nothing was refused"), "{report}");
}

#[rstest]
#[case(b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "line 2 of its head is not valid: it has no colon")]
#[case(b"HTTP/1.1 200 OK\r\nA: a\x01b\r\n\r\n", "control character (0x01)")]
#[case(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "Content-Length")]
#[case(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", "Content-Length")]
#[case(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", "Transfer-Encoding")]
#[case(b"SSH-2.0-OpenSSH\r\n", "not an HTTP/1 status line")]
#[case(b"\x15\x03\x03\x00\x02\x02\x32", "does it use https://?")]
fn what_is_wrong_with_an_answer_is_in_the_log_and_in_check(
    #[case] says: &'static [u8],
    #[case] names: &str,
) {
    let application = Exact::answering(Bodies::Unread, |_| says.to_vec());
    let setup = Setup::with("log: { format: json }");
    setup.moves_to(application.address);
    let process = setup.opens();
    let head = format!("GET /held HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    assert_eq!(Wire::to(process.address).asks(head).status, 502);
    let line = process.hears("from the application");
    assert!(line.contains(names), "{line}");
    let checked = setup.types(&["check", "--connect"]);
    let is_about_head =
        names.contains("line") || names.contains("control") || names.contains("https");
    assert!(!is_about_head || checked.out.contains(names), "{}", checked.out);
}

/// The gateway takes such an answer as a failure.
#[test]
fn check_fails_where_the_health_check_would() {
    let application =
        Exact::answering(Bodies::Unread, |_| answer("503 Service Unavailable", "", "ill"));
    let setup = Setup::with("");
    setup.moves_to(application.address);
    let checked = setup.types(&["check", "--connect"]);
    assert!(checked.code == Some(0) && checked.out.contains("answers 503"), "{checked:?}");
    let yaml = std::fs::read_to_string(setup.file()).unwrap();
    let checking = yaml.replace("    upstream: ", "    health: { path: /health }\n    upstream: ");
    assert_ne!(checking, yaml);
    std::fs::write(setup.file(), checking).unwrap();
    let checked = setup.types(&["check", "--connect"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.contains("the health check fails: it answers 503"), "{checked:?}");
}

#[test]
fn the_log_changes_its_format_and_level_by_a_reload() {
    let setup = Setup::with("log: { format: json, level: info }");
    let mut process = setup.opens();
    setup.configures("127.0.0.1:0", "log: { format: text, level: debug }");
    process.signals("HUP");
    let line = process.hears("configuration reloaded");
    assert!(!line.starts_with('{') && line.contains(" INFO "), "{line}");
    Wire::to(process.address).asks(format!("GET /page HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let line = process.hears("authentication required");
    assert!(line.contains("DEBUG") && line.contains(" request_id="), "{line}");
    setup.configures("127.0.0.1:0", "log: { format: json, level: error }");
    process.signals("HUP");
    let reload = setup.types(&["reload"]);
    assert_eq!(reload.code, Some(0), "{reload:?}");
    let request = format!("GET /closed HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let id = Wire::to(process.address).asks(request).header("x-request-id").to_owned();
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0));
    assert!(!id.is_empty() && !process.said().contains(&id), "{}", process.said());
}
