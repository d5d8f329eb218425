//! Words about the visitor that only we may say, and places that are chosen by a header (parts A and
//! B of the table).

use rstest::rstest;

use super::{HOST, Notes, before, before_app_with, before_with};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::{Answer, Wire};

fn ask(instance: &Instance, target: &str, lines: &str) -> Answer {
    Wire::to(instance.address).asks(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"))
}

/// 1, 2, 10, 11, 12, 14: the request line decides, and nothing else.
#[rstest]
#[case("X-Original-URI: /open")]
#[case("X-Original-URL: /open")]
#[case("X-Rewrite-URL: /open")]
#[case("X-Forwarded-Uri: /open")]
#[case("X-Forwarded-Prefix: /open")]
#[case("X-Forwarded-Host: open.test")]
#[case("Forwarded: for=10.0.0.1;host=open.test")]
#[case("User-Agent: GoogleHC/1.0")]
#[case("User-Agent: kube-probe/1.30")]
#[case("Referer: http://crm.localhost:8080/open")]
#[case("X-HTTP-Method-Override: OPTIONS")]
fn no_header_opens_a_place(#[case] line: &str) {
    let notes = Notes::start();
    let instance = before(notes.address);
    assert_eq!(ask(&instance, "/secret/a", &format!("{line}\r\n")).status, 403);
    assert_eq!(ask(&instance, "/private/a", &format!("{line}\r\n")).status, 401);
    assert!(notes.heard().is_empty(), "{}", notes.heard());
}

/// 3, 5: no spelling of a reserved name arrives, whatever `Connection` says of it.
#[rstest]
#[case("Remote-User")]
#[case("remote_user")]
#[case("REMOTE-user")]
#[case("Remote.User")]
#[case("Remote~User")]
#[case("Remote-Groups")]
#[case("remote_email")]
#[case("X-Forwarded-User")]
#[case("X_Forwarded_Email")]
#[case("X-Forwarded-Anything")]
#[case("X-Real-IP")]
#[case("x_real_ip")]
#[case("Forwarded")]
#[case("X-Original-URL")]
#[case("X_Rewrite_Url")]
#[case("Proxy")]
#[case("SCRIPT_NAME")]
#[case("Script-Name")]
#[case("PATH_INFO")]
#[case("X-Script-Name")]
#[case("Doorward-Secret")]
#[case("Client-IP")]
#[case("CLIENT_IP")]
#[case("HTTP_CLIENT_IP")]
#[case("X-Client-IP")]
#[case("True-Client-IP")]
#[case("CF-Connecting-IP")]
#[case("X-Cluster-Client-IP")]
#[case("Fastly-Client-IP")]
#[case("X-Azure-ClientIP")]
#[case("X-ProxyUser-Ip")]
#[case("WL-Proxy-Client-IP")]
#[case("X-Host")]
#[case("X-HTTP-Host-Override")]
#[case("X-Original-Host")]
#[case("X-Remote-User")]
#[case("X_REMOTE_USER")]
#[case("X-WEBAUTH-USER")]
#[case("X-Auth-Request-Email")]
#[case("X-Authentik-Username")]
#[case("X-Authenticated-User")]
#[case("X-User")]
#[case("X-MS-CLIENT-PRINCIPAL-NAME")]
#[case("X-Goog-Authenticated-User-Email")]
#[case("Cf-Access-Authenticated-User-Email")]
#[case("X-Amzn-Oidc-Identity")]
#[case("Tailscale-User-Login")]
#[case("X-SSL-Client-Verify")]
#[case("SSL_CLIENT_S_DN")]
#[case("SSL-Client-Cert")]
#[case("Client-Cert")]
#[case("X-Client-Cert-Present")]
#[case("X-ARR-ClientCert")]
#[case("X-ARR-SSL")]
#[case("Front-End-Https")]
#[case("X-Sendfile-Type")]
#[case("X-Accel-Mapping")]
#[case("X-Middleware-Subrequest")]
#[case("$WSRU")]
fn no_forged_word_arrives(#[case] name: &str) {
    let notes = Notes::start();
    let instance = before(notes.address);
    for lines in [
        format!("{name}: mallory\r\n"),
        format!("{name}: mallory\r\n{name}: mallory\r\n"),
        format!("Connection: keep-alive\r\n{name}:mallory  \r\n"),
        format!("{name}: mallory\r\nConnection: {name}\r\n"),
    ] {
        // Refused or passed on without it.
        ask(&instance, "/open", &lines);
    }
    assert!(!notes.heard().contains("mallory"), "{}", notes.heard());
}

/// 8: where somebody is, only a proxy may say that is trusted, for an application that asks for it; and
/// what the visitor has put beside the proxy's word does not arrive with it.
#[rstest]
#[case("[127.0.0.1]", "CF-Connecting-IP: 192.0.2.1", true)]
#[case("[127.0.0.1]", "CF_Connecting_IP: 192.0.2.1", false)]
#[case("[127.0.0.1]", "CF-Connecting-IP: 192.0.2.1\r\nCF-Connecting-IP: 192.0.2.1", false)]
#[case("[127.0.0.1]", "True-Client-IP: 192.0.2.1", false)]
#[case("[127.0.0.1]", "X-Remote-User: 192.0.2.1", false)]
#[case("[127.0.0.1]", "eppn: 192.0.2.1", false)]
#[case("[192.0.2.9]", "CF-Connecting-IP: 192.0.2.1", false)]
fn an_address_arrives_from_whom_the_operator_trusts_and_nothing_else_does(
    #[case] trusted: &str,
    #[case] lines: &str,
    #[case] arrives: bool,
) {
    let notes = Notes::start();
    let instance = before_app_with(
        notes.address,
        &format!("trusted_proxies: {trusted}"),
        "request_headers: { remove: [eppn], from_trusted_proxies: [CF-Connecting-IP] }",
    );
    ask(&instance, "/open", &format!("X-Forwarded-For: 203.0.113.9\r\n{lines}\r\n"));
    assert_eq!(notes.heard().contains("192.0.2.1"), arrives, "{}", notes.heard());
}

/// 3: nor behind the body, where some servers read headers, too (RFC 9110 §6.5).
#[test]
fn no_forged_word_arrives_in_trailers() {
    let notes = Notes::start();
    let instance = before(notes.address);
    let sent = format!(
        "POST /open HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
         Trailer: Remote-User\r\n\r\n2\r\nhi\r\n0\r\nRemote-User: mallory\r\nHost: evil\r\n\r\n"
    );
    Wire::to(instance.address).asks(sent);
    notes.hears("2\r\nhi\r\n0\r\n\r\n");
    let heard = notes.heard();
    assert!(!heard.contains("mallory") && !heard.contains("evil"), "{heard}");
}

/// 4: what we do not know of somebody, nobody says for us.
#[test]
fn a_fact_that_is_not_known_is_absent_and_never_the_visitors() {
    let upstream = Upstream::start();
    let instance = before(upstream.address);
    let cookie = instance.session();
    let lines = format!("Cookie: {cookie}\r\nRemote-Email: eve@evil.test\r\nRemote-Name: Eve\r\n");
    let answer = ask(&instance, "/private/a", &lines);
    assert!(answer.body.contains("\"remote-user\",\"ada\""), "{}", answer.body);
    assert!(!answer.body.contains("eve") && !answer.body.contains("Eve"), "{}", answer.body);
}

/// 6: a cookie that is not ours is nobody's, and never an error that lets anybody in.
#[rstest]
#[case("doorward-session=")]
#[case("doorward-session=a")]
#[case("doorward-session=a.b.c")]
#[case("doorward-session=\u{fffd}")]
#[case("doorward-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case("doorward-session=\"x; doorward-session=y\"")]
#[case("doorward-session=x; doorward-session=x")]
#[case("__Host-doorward-session=x")]
#[case("=doorward-session=x")]
#[case(";;;;,,,====")]
fn a_broken_cookie_is_a_stranger(#[case] cookie: &str) {
    let notes = Notes::start();
    let instance = before(notes.address);
    assert_eq!(ask(&instance, "/private/a", &format!("Cookie: {cookie}\r\n")).status, 401);
    assert!(notes.heard().is_empty());
}

/// 7: an address that cannot be read shuts a place that is open to some addresses.
/// 8, 9: the visitor is the last one whom no trusted proxy is, and nobody else can say so.
#[rstest]
#[case("", "X-Forwarded-For: 10.0.0.1", 403)]
#[case("", "X-Real-IP: 10.0.0.1", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For: 10.0.0.1", 200)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For: 10.0.0.1, 203.0.113.9", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For: a", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For: 10.0.0.1, a", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For:", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: b", 403)]
#[case("trusted_proxies: [127.0.0.1]", "X_Forwarded_For: 10.0.0.1", 403)]
fn only_a_trusted_proxy_says_where_somebody_is(
    #[case] trusted: &str,
    #[case] line: &str,
    #[case] status: u16,
) {
    let notes = Notes::start();
    let instance = before_with(notes.address, trusted);
    assert_eq!(ask(&instance, "/office/a", &format!("{line}\r\n")).status, status);
}

/// 13, 14: every reading of a path is judged.
#[rstest]
#[case("/secret")]
#[case("/SECRET/")]
#[case("/%73ecret/")]
#[case("/%2573ecret/")]
#[case("//secret/")]
#[case("/./secret/")]
#[case("/open/../secret/")]
#[case("/open/%2e%2e/secret/")]
#[case("/open/..%2fsecret/")]
#[case("/open/..;/secret/")]
#[case("/open\\..\\secret\\")]
#[case("/secret;x=1/")]
#[case("/secret./")]
#[case("/secret%20/")]
#[case("/secret/%23/open")]
#[case("/secret/%3f/open")]
#[case("/%c0%afsecret/")]
#[case("http://crm.localhost:8080/secret/")]
fn no_spelling_opens_a_place(#[case] target: &str) {
    let notes = Notes::start();
    let instance = before(notes.address);
    let status = ask(&instance, target, "").status;
    assert!([400, 403].contains(&status), "{target}: {status}");
    assert!(notes.heard().is_empty());
}

/// 15, 16: a host is one of ours, in one spelling, or it is nobody's.
#[rstest]
#[case("crm.localhost", 421)]
#[case("CRM.localhost:8080", 200)]
#[case("crm.localhost.:8080", 421)]
#[case("crm.localhost:8080.", 421)]
#[case("crm.localhost:08080", 421)]
#[case("evil.crm.localhost:8080", 421)]
#[case("crm.localhost:8080@evil.test", 400)]
#[case("crm.localhost:8080/x", 400)]
#[case("[::1]:8080", 421)]
#[case("127.0.0.1:8080", 421)]
#[case("xn--crm-.localhost:8080", 421)]
fn a_host_is_one_of_ours_or_nobodys(#[case] host: &str, #[case] status: u16) {
    let notes = Notes::start();
    let instance = before(notes.address);
    let answer =
        Wire::to(instance.address).asks(format!("GET /open HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(answer.status, status, "{host}");
}

/// Whoever tries addresses learns none of our names: neither hosts, nor whose they are.
#[rstest]
#[case("GET /open HTTP/1.1\r\nHost: 127.0.0.1", 421)]
#[case("GET /.doorward/sign-in HTTP/1.1\r\nHost: evil.test", 421)]
#[case("POST /open HTTP/1.1\r\nContent-Length: 0\r\nHost: evil.test", 421)]
#[case("GET /open HTTP/1.1\r\nA: b", 400)]
#[case("TRACE /open HTTP/1.1\r\nHost: evil.test", 405)]
#[case("GET @evil/a HTTP/1.1\r\nHost: evil.test", 421)]
fn whoever_names_no_host_of_ours_is_told_of_none(#[case] request: &str, #[case] status: u16) {
    let notes = Notes::start();
    let instance = before_with(notes.address, "support: Write to crm-help@example.com");
    for accept in ["text/html", "application/json", "*/*"] {
        let request = format!("{request}\r\nAccept: {accept}\r\n\r\n");
        let answer = Wire::to(instance.address).asks(request);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!format!("{answer:?}").contains("crm"), "{answer:?}");
        if accept == "text/html" {
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(answer.body.starts_with("<!doctype html>"), "{}", answer.body);
        }
    }
    // In the words of the host that was named.
    let long = "a".repeat(40_000);
    let answer = ask(&instance, "/open", &format!("Accept: text/html\r\nA: {long}\r\n"));
    assert_eq!(answer.status, 431);
    assert!(answer.body.contains("crm"), "{}", answer.body);
    assert!(answer.header("content-security-policy").contains("form-action 'none'"));
}

/// 15, 16: however many hosts there are, letter case leads to no other's rules.
#[test]
fn beyond_a_hundred_hosts_every_host_has_its_own_rules_in_any_letter_case() {
    let notes = Notes::start();
    let instance = Instance::with(|folder| {
        let apps: Vec<String> = (0..130)
            .map(|number| {
                let require = if number % 2 == 0 { "nothing" } else { "nobody" };
                format!(
                    "  - {{ name: a{number}, hosts: ['http://a{number}.b.localhost:8080'], \
                     upstream: 'http://{}', otherwise: {require} }}\n",
                    notes.address
                )
            })
            .collect();
        format!(
            "listen: [{{ address: '127.0.0.1:0' }}]\noperators: {{ address: '127.0.0.1:0' }}\n\
             state: {}\nportal: http://id.localhost:8080\napps:\n{}",
            folder.join("state").display(),
            apps.concat()
        )
    });
    let mut wire = Wire::to(instance.address);
    for number in 0..130 {
        let status = if number % 2 == 0 { 200 } else { 403 };
        for host in [
            format!("a{number}.b.localhost:8080"),
            format!("A{number}.B.LOCALHOST:8080"),
            format!("a{number}.B.localhost:8080"),
        ] {
            let answer = wire.asks(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(answer.status, status, "{host}");
        }
    }
}
