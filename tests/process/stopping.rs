//! Being told to end.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::setup::{Process, Setup};
use crate::support::wire::Wire;

const HELD: &str = "GET /held HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n";

/// Somebody whose request the application does not answer yet.
fn is_held(setup: &Setup, process: &Process) -> Wire {
    let mut wire = Wire::to(process.address);
    wire.sends(HELD);
    setup.upstream.is_reached();
    wire
}

#[test]
fn told_to_end_it_answers_what_is_under_way_and_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let setup = Setup::new();
        let mut process = setup.opens();
        let mut wire = is_held(&setup, &process);
        process.signals(signal);
        process.hears("shutting down");
        let no_more = |_| process.tells_operators("/readyz").status == 503;
        assert!((0..10_000).any(no_more), "more requests are asked for");
        assert_eq!(process.tells_operators("/healthz").status, 200);
        setup.upstream.releases();
        assert_eq!(wire.answer().body, "released");
        assert_eq!(process.ends().code(), Some(0), "{}", process.said());
        assert!(!process.said().contains("aborted"), "{}", process.said());
        assert!(!setup.state().join("socket").exists());
    }
}

#[test]
fn told_to_end_it_reads_the_form_that_is_being_sent() {
    let setup = Setup::new();
    let mut process = setup.opens();
    let mut wire = Wire::to(process.address);
    wire.sends(
        "POST /.doorward/sign-in HTTP/1.1\r\nHost: crm.localhost:8080\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Expect: 100-continue\r\nContent-Length: 12\r\n\r\n",
    );
    assert_eq!(wire.head().status, 100);
    process.signals("TERM");
    process.hears("shutting down");
    wire.sends("username=ada");
    // It came from no page of ours, and is told so.
    assert_eq!(wire.answer().status, 422);
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a process takes is what is asked here")]
fn a_request_that_does_not_end_is_cut_off_in_time() {
    let setup = Setup::with("shutdown: { within: 1s }");
    let mut process = setup.opens();
    let mut wire = is_held(&setup, &process);
    let told = Instant::now();
    process.signals("TERM");
    assert!(wire.is_closed());
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
    let took = told.elapsed();
    assert!(took >= Duration::from_secs(1), "it was not waited for: {took:?}");
    assert!(
        process.said().contains("shutdown timeout: some requests were aborted"),
        "{}",
        process.said()
    );
}

#[test]
fn told_to_end_it_waits_for_no_tunnel_and_no_stream_of_events_but_for_ordinary_requests() {
    let setup = Setup::with("shutdown: { within: 1h }");
    let yaml = fs::read_to_string(setup.file()).unwrap();
    fs::write(setup.file(), yaml.replace("[/held]", "[/held, /socket, /events]")).unwrap();
    let mut process = setup.opens();
    let mut tunnel = Wire::to(process.address);
    tunnel.sends(
        "GET /socket HTTP/1.1\r\nHost: crm.localhost:8080\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(tunnel.head().status, 101);
    tunnel.sends("hello?");
    assert_eq!(tunnel.until("?"), "hello?");
    let mut events = Wire::to(process.address);
    events.sends("GET /events HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n");
    assert_eq!(events.head().status, 200);
    assert_eq!(events.chunk().as_deref(), Some("first"));
    let mut ordinary = is_held(&setup, &process);
    process.signals("TERM");
    assert!(tunnel.is_closed() && events.is_closed());
    // The first is for the stream of events, which nobody hears any more.
    setup.upstream.releases();
    setup.upstream.releases();
    assert_eq!(ordinary.answer().body, "released");
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
    assert!(!process.said().contains("aborted"), "{}", process.said());
}

#[test]
fn an_idle_gateway_ends_at_once_whoever_is_connected() {
    let setup = Setup::new();
    let mut process = setup.opens();
    let mut visitor = Wire::to(process.address);
    assert_eq!(visitor.asks("GET / HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n").status, 401);
    let mut silent = Wire::to(process.address);
    let mut operator = Wire::to(process.operators);
    assert_eq!(operator.asks("GET /healthz HTTP/1.1\r\nHost: operators\r\n\r\n").status, 200);
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
    assert!(!process.said().contains("aborted"), "{}", process.said());
    assert!(visitor.is_closed() && silent.is_closed() && operator.is_closed());
}

#[test]
fn who_connects_and_says_nothing_whole_does_not_keep_it() {
    let setup = Setup::new();
    let mut process = setup.opens();
    let mut half = Wire::to(process.address);
    half.sends("GET / HTTP/1.1\r\nHost: crm.loc");
    let _operator = UnixStream::connect(setup.state().join("socket")).unwrap();
    let mut operators = Wire::to(process.operators);
    operators.sends("GET /healthz HT");
    // Those before have been accepted, too.
    assert_eq!(process.window().opens("/").answer.status, 303);
    assert_eq!(setup.types(&["user", "list"]).code, Some(0));
    process.signals("TERM");
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
    assert!(!process.said().contains("aborted"), "{}", process.said());
}
