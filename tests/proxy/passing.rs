//! What is forwarded to the application, and what is not.

use std::io::{Read, Write};

use rstest::rstest;

use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::{Answer, Wire};

fn starts() -> (Upstream, Instance) {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    (upstream, instance)
}

fn get(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: crm.localhost:8080\r\n{more}\r\n")
}

/// What the application was told in the headers of this name.
pub(super) fn received(answer: &Answer, name: &str) -> Vec<String> {
    let said = answer.received();
    let headers = said["headers"].as_array().unwrap();
    let named = headers.iter().filter(|header| header[0] == name);
    named.map(|header| header[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_application_learns_who_is_there_from_us_alone() {
    let (_upstream, instance) = starts();
    let forged = "Remote-User: mallory\r\nremote_user: mallory\r\nREMOTE.USER: mallory\r\n\
                  Remote-Groups: admin\r\nX-Forwarded-For: 10.0.0.1\r\nx_forwarded_for: 10.0.0.1\r\n\
                  X-Original-URI: /open/\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n";
    let more = format!("{forged}Cookie: a=1; {}; b=2\r\n", instance.session());
    let answer = Wire::to(instance.address).asks(get("/page?x=1", &more));
    assert_eq!(received(&answer, "remote-user"), ["ada"]);
    assert_eq!(received(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(received(&answer, "x-forwarded-host"), ["crm.localhost:8080"]);
    assert_eq!(received(&answer, "host"), ["crm.localhost:8080"]);
    assert_eq!(received(&answer, "cookie"), ["a=1; b=2"]);
    assert_eq!(answer.received()["target"], "/page?x=1");
    for forged in ["mallory", "10.0.0.1", "admin", "/open/", "doorward"] {
        assert!(!answer.body.contains(forged), "{forged} in {}", answer.body);
    }
}

#[rstest]
#[case("Connection: Remote-User, Remote-Groups, close")]
#[case("Connection: remote-user\r\nConnection: cookie")]
fn a_visitor_cannot_have_our_word_removed(#[case] connection: &str) {
    let (_upstream, instance) = starts();
    let more = format!("{connection}\r\nCookie: {}\r\n", instance.session());
    let answer = Wire::to(instance.address).asks(get("/", &more));
    assert_eq!(received(&answer, "remote-user"), ["ada"]);
    assert_eq!(received(&answer, "x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn a_visitor_who_wants_the_addresses_removed_is_refused() {
    let (_upstream, instance) = starts();
    let answer = Wire::to(instance.address).asks(get("/open/", "Connection: X-Forwarded-For\r\n"));
    assert_eq!(answer.status, 400);
}

#[test]
fn what_stands_behind_a_body_says_nothing_to_the_application() {
    let (_upstream, instance) = starts();
    let request = "POST /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
                   Transfer-Encoding: chunked\r\nTrailer: Remote-User\r\n\r\n\
                   4\r\nbody\r\n0\r\nRemote-User: mallory\r\n\r\n";
    let answer = Wire::to(instance.address).asks(request);
    assert_eq!(answer.received()["body"], "body");
    assert!(!answer.body.contains("mallory"));
}

#[rstest]
#[case("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421)]
#[case("GET / HTTP/1.1\r\nHost: crm.localhost\r\n\r\n", 421)]
#[case("GET / HTTP/1.1\r\n\r\n", 400)]
#[case("GET / HTTP/1.1\r\nHost: crm.localhost:8080\r\nHost: evil.test\r\n\r\n", 400)]
#[case("GET http://evil.test/open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case("GET @evil/open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case("OPTIONS * HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case("TRACE /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 405)]
#[case("CONNECT crm.localhost:8080 HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 405)]
#[case("GET /open/%00 HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case("GET /open/#/x HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case("GET /.Doorward/sign-in HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n", 400)]
#[case(
    "POST /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400
)]
#[case(
    "POST /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    400
)]
fn what_has_no_single_meaning_does_not_go_through(#[case] request: &str, #[case] status: u16) {
    let (_upstream, instance) = starts();
    assert_eq!(Wire::to(instance.address).asks(request).status, status);
}

#[test]
fn an_absolute_target_goes_on_as_a_path() {
    let (_upstream, instance) = starts();
    let answer = Wire::to(instance.address).asks(get("http://crm.localhost:8080/open/a%2Fb?c", ""));
    assert_eq!(answer.received()["target"], "/open/a%2Fb?c");
}

#[test]
fn a_length_said_twice_goes_on_once() {
    let (_upstream, instance) = starts();
    let request = "POST /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
                   Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody";
    let answer = Wire::to(instance.address).asks(request);
    assert_eq!(received(&answer, "content-length"), ["4"]);
    assert_eq!(answer.received()["body"], "body");
}

#[test]
fn a_short_body_that_nobody_wanted_leaves_the_connection_clean() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    let smuggled = get("/open/smuggled", "");
    let length = smuggled.len();
    let refused = wire.asks(format!(
        "POST /page HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: {length}\r\n\r\n{smuggled}"
    ));
    assert_ne!(refused.status, 200);
    assert_eq!(refused.header("connection"), "keep-alive");
    assert_eq!(wire.asks(get("/open/next", "")).received()["target"], "/open/next");
}

#[test]
fn a_long_body_that_nobody_wanted_ends_the_connection() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    wire.sends("POST /page HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: 100000\r\n\r\n");
    wire.sends(get("/open/smuggled", ""));
    let refused = wire.answer();
    assert_ne!(refused.status, 200);
    assert_eq!(refused.header("connection"), "close");
    assert!(wire.is_closed());
}

#[test]
fn whoever_sends_everything_before_listening_hears_the_answer() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    let body = vec![b'a'; 8 << 20];
    let head = "POST /page HTTP/1.1\r\nHost: crm.localhost:8080\r\nContent-Length: 8388608\r\n\r\n";
    wire.sends(head);
    wire.sends(body);
    assert_ne!(wire.answer().status, 200);
}

#[test]
fn whoever_waits_to_be_told_before_sending_is_told() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    wire.sends(
        "POST /.doorward/sign-in HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
         Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(wire.head().status, 100);
    wire.sends("a=1\n");
    assert!(wire.answer().status >= 200);
    assert_eq!(wire.asks(get("/open/", "")).status, 200);
}

#[test]
fn a_form_of_ours_has_a_limit() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    let body = "a".repeat(17 * 1024);
    let head = "POST /.doorward/sign-in HTTP/1.1\r\nHost: crm.localhost:8080\r\n";
    assert_eq!(wire.asks(format!("{head}Content-Length: 17408\r\n\r\n{body}")).status, 413);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n4400\r\n{body}\r\n0\r\n\r\n");
    assert_eq!(Wire::to(instance.address).asks(chunked).status, 413);
}

#[test]
fn an_application_that_is_away_is_a_plain_page() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = socket.local_addr().unwrap();
    drop(socket);
    let instance = Instance::before(nobody);
    let answer = Wire::to(instance.address).asks(get("/open/", "Accept: text/html\r\n"));
    assert_eq!(answer.status, 502);
    assert!(!answer.body.is_empty());
}

#[test]
fn an_application_that_answers_with_nonsense_is_not_called_away() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let instance = Instance::before(socket.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut visitor, _) = socket.accept().unwrap();
        assert!(visitor.read(&mut [0; 4096]).unwrap() > 0);
        visitor.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").unwrap();
    });
    let answer = Wire::to(instance.address).asks(get("/open/", ""));
    assert_eq!(answer.status, 502);
    let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(said["error"], "application-unreadable");
    assert_eq!(said["message"], "the application sent an invalid answer");
}

#[test]
fn an_answer_keeps_our_cookies_and_shared_caches_out() {
    let (_upstream, instance) = starts();
    let cookie = format!("Cookie: {}\r\n", instance.session());
    let answer = Wire::to(instance.address).asks(get("/marked", &cookie));
    assert_eq!(answer.all("set-cookie"), ["theirs=1"]);
    assert_eq!(answer.all("cache-control"), ["private", "max-age=60"]);
    let answer = Wire::to(instance.address).asks(get("/marked", ""));
    assert_eq!(answer.all("cache-control"), ["public, max-age=60"]);
}

#[test]
fn bodies_go_through_as_they_come() {
    let (upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    wire.sends(get("/parts", ""));
    assert_eq!(wire.head().status, 200);
    assert_eq!(wire.chunk().as_deref(), Some("first"));
    upstream.releases();
    assert_eq!(wire.chunk().as_deref(), Some("last"));

    let mut wire = Wire::to(instance.address);
    wire.sends(get("/counted", &format!("Cookie: {}\r\n", instance.session())));
    wire.until("first");
    upstream.releases();
    wire.until("last");

    let mut wire = Wire::to(instance.address);
    wire.sends(
        "POST /back HTTP/1.1\r\nHost: crm.localhost:8080\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\none\r\n",
    );
    assert_eq!(wire.head().status, 200);
    assert_eq!(wire.chunk().as_deref(), Some("one"));
    wire.sends("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(wire.chunk().as_deref(), Some("two"));
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn a_websocket_passes_with_proof_and_not_without() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    wire.sends(get("/socket", &format!("{UPGRADE}Cookie: {}\r\n", instance.session())));
    assert_eq!(wire.head().status, 101);
    wire.sends("hello?");
    assert_eq!(wire.until("?"), "hello?");
    wire.sends("still there?");
    assert_eq!(wire.until("?"), "still there?");

    let stranger = Wire::to(instance.address).asks(get("/socket", UPGRADE));
    assert!([303, 401].contains(&stranger.status), "{stranger:?}");
}

/// Pingora's own patience with a visitor, a minute, is not what a tunnel gets. What is waited for here
/// is the end of another visitor's patience, which began later and lasts longer than that.
#[test]
#[ignore = "lasts more than a minute"]
fn a_websocket_may_be_silent_for_longer_than_a_minute() {
    let upstream = Upstream::start();
    let instance = Instance::with_more(upstream.address, "deadlines: { idle: 70s }\n");
    let mut quiet = Wire::to(instance.address);
    quiet.sends(get("/socket", &format!("{UPGRADE}Cookie: {}\r\n", instance.session())));
    assert_eq!(quiet.head().status, 101);
    let mut idle = std::net::TcpStream::connect(instance.address).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    quiet.sends("still there?");
    assert_eq!(quiet.until("?"), "still there?");
}

#[test]
fn nobody_keeps_where_we_send_somebody_and_signing_out_empties_the_cache() {
    let (_upstream, instance) = starts();
    let mut window = instance.window();
    window.opens("/page");
    assert_eq!((window.answer.status, window.answer.header("cache-control")), (303, "no-store"));
    window.visits(&instance.adds("ada")).posts(&[("password", crate::support::instance::PASSWORD)]);
    window.visits("/.doorward/sign-out").sends(&[]);
    assert_eq!((window.answer.status, window.answer.header("cache-control")), (303, "no-store"));
    assert_eq!(window.answer.header("clear-site-data"), "\"cache\"");
}

#[test]
fn nothing_is_a_tunnel_before_the_application_says_so() {
    let (_upstream, instance) = starts();
    let mut wire = Wire::to(instance.address);
    wire.sends(get("/open/", "Connection: Upgrade\r\nUpgrade: foo\r\n"));
    assert_eq!(wire.answer().received()["target"], "/open/");
    let stranger = wire.asks(get("/page", ""));
    assert!([303, 401].contains(&stranger.status), "{stranger:?}");
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let (upstream, mut instance) = starts();
    let mut idle = Wire::to(instance.address);
    assert_eq!(idle.asks(get("/open/", "")).status, 200);
    let mut wire = Wire::to(instance.address);
    wire.sends(get("/held", ""));
    upstream.is_reached();
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| instance.stops());
        assert!(idle.is_closed(), "no more requests are taken");
        upstream.releases();
        assert_eq!(wire.answer().body, "released");
        assert!(drained.join().unwrap());
    });
}

#[test]
fn a_request_that_does_not_end_does_not_keep_us() {
    let upstream = Upstream::start();
    let mut instance = Instance::that_stops_within(upstream.address, "1s");
    let mut wire = Wire::to(instance.address);
    wire.sends(get("/held", ""));
    upstream.is_reached();
    assert!(!instance.stops());
}
