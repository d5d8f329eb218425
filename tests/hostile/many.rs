//! More requests than there is room for, bodies that do not come, and answers that nobody takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rstest::rstest;
use tokio::time::Instant;

use super::{HOST, before_app_with, before_with, metric, until};
use crate::support::exact::{Bodies, Exact};
use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::{Answer, Wire};

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n")
}

fn ask(instance: &Instance, path: &str, more: &str) -> Answer {
    Wire::to(instance.address).asks(get(path, more))
}

/// So many requests that the application holds.
fn held(instance: &Instance, upstream: &Upstream, many: usize, more: &str) -> Vec<Wire> {
    (0..many)
        .map(|_| {
            let mut wire = Wire::to(instance.address);
            wire.sends(get("/held", more));
            upstream.is_reached();
            wire
        })
        .collect()
}

#[test]
fn an_address_has_room_for_so_many_requests_and_who_is_signed_in_for_more() {
    let upstream = Upstream::start();
    let instance = before_with(
        upstream.address,
        "limits: { requests_per_address: 16 }\ndeadlines: { queue: 1s }",
    );
    let cookie = instance.session();
    let _strangers = held(&instance, &upstream, 16, "");
    for path in ["/open", "/private/", "/.doorward/sign-in", "/nowhere"] {
        let refused = ask(&instance, path, "Accept: text/html\r\n");
        assert_eq!((refused.status, refused.body.as_str()), (503, ""), "{path}");
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(ask(&instance, "/private/", &format!("Cookie: {cookie}\r\n")).status, 200);
    let forged = cookie.replace("session=", "session=x");
    assert_eq!(ask(&instance, "/open", &format!("Cookie: {forged}\r\n")).status, 503);
    let limit = "doorward_limit_rejections_total{limit=\"limits.requests_per_address\"}";
    assert_eq!(metric(&instance, limit), 5);
}

#[test]
fn whoever_waits_for_room_at_their_address_comes_in_when_somebody_leaves() {
    let upstream = Upstream::start();
    let instance = before_with(
        upstream.address,
        "limits: { requests_per_address: 16 }\ndeadlines: { queue: 1m }",
    );
    let mut strangers = held(&instance, &upstream, 16, "");
    let mut waiting = Wire::to(instance.address);
    waiting.sends(get("/open", ""));
    drop(strangers.pop());
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn an_address_of_a_trusted_proxy_is_that_of_many() {
    let upstream = Upstream::start();
    let instance = before_with(
        upstream.address,
        "limits: { requests_per_address: 16 }\ntrusted_proxies: [127.0.0.1]",
    );
    let _held = held(&instance, &upstream, 17, "");
    assert_eq!(ask(&instance, "/open", "").status, 200);
}

#[test]
fn an_application_has_room_for_so_many_requests_and_keeps_some_for_who_is_signed_in() {
    let upstream = Upstream::start();
    let instance = before_with(
        upstream.address,
        "limits: { requests_per_application: 16 }\ndeadlines: { queue: 1s }\n\
         trusted_proxies: [127.0.0.1]",
    );
    let cookie = format!("Cookie: {}\r\n", instance.session());
    let _strangers = held(&instance, &upstream, 14, "");
    assert_eq!(ask(&instance, "/open", "").status, 503);
    assert_eq!(ask(&instance, "/private/", &cookie).status, 200);
    let _people = held(&instance, &upstream, 2, &cookie);
    assert_eq!(ask(&instance, "/private/", &cookie).status, 503);
    // Our own pages need no room there.
    assert_eq!(ask(&instance, "/.doorward/sign-in", "").status, 200);
    let limit = "doorward_limit_rejections_total{limit=\"limits.requests_per_application\"}";
    assert_eq!(metric(&instance, limit), 2);
}

#[test]
fn an_address_that_takes_what_it_gets_leaves_room_at_an_application_for_another() {
    let upstream = Upstream::start();
    let instance = before_with(upstream.address, "limits: { requests_per_application: 16 }");
    let _held = held(&instance, &upstream, 7, "");
    assert_eq!(ask(&instance, "/open", "").status, 503);
    let mut other = Wire::from([127, 0, 0, 2], instance.address);
    assert_eq!(other.asks(get("/open", "")).status, 200);
    let cookie = format!("Cookie: {}\r\n", instance.session());
    assert_eq!(ask(&instance, "/private/", &cookie).status, 200);
}

#[test]
fn whoever_waits_for_room_at_an_application_comes_in_when_somebody_leaves() {
    let upstream = Upstream::start();
    let instance = before_with(
        upstream.address,
        "limits: { requests_per_application: 16 }\ndeadlines: { queue: 1m }\n\
         trusted_proxies: [127.0.0.1]",
    );
    let _held = held(&instance, &upstream, 14, "");
    let mut waiting = Wire::to(instance.address);
    waiting.sends(get("/open", ""));
    upstream.releases();
    assert_eq!(waiting.answer().status, 200);
}

/// One byte at a time, for as long as that is taken.
fn trickles(wire: &mut Wire) -> bool {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(30) {
        if !wire.tries(b"a") {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

const SLOW: &str = "limits: { body_rate: 1000000 }\ndeadlines: { body: 1s }";

fn upload(instance: &Instance) -> Wire {
    let mut wire = Wire::to(instance.address);
    wire.sends(format!(
        "POST /open HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n"
    ));
    wire
}

#[test]
fn a_body_that_comes_too_slowly_is_not_waited_for() {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_with(upstream.address, SLOW);
    assert!(!trickles(&mut upload(&instance)), "a byte at a time is taken for ever");
    assert!(upload(&instance).is_over());
    let limit = "doorward_limit_rejections_total{limit=\"limits.body_rate\"}";
    assert_eq!(metric(&instance, limit), 2);
}

#[rstest]
#[case::the_application_says_so(SLOW, "slow_bodies: true")]
#[case::there_is_no_rate("limits: { body_rate: 0 }\ndeadlines: { body: 1s }", "")]
fn a_body_may_be_slow_where_that_is_said(#[case] more: &str, #[case] of_app: &str) {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_app_with(upstream.address, more, of_app);
    let quick = before_with(upstream.address, SLOW);
    let mut slow = upload(&instance);
    // One that began later has been cut off.
    assert!(upload(&quick).is_over());
    assert!(upload(&quick).is_over());
    assert!(slow.tries(b"a"));
}

/// What the application has begun to answer, it may go on reading for as long as it likes.
#[test]
fn a_body_may_be_slow_once_its_answer_has_begun() {
    let upstream = Exact::start(Bodies::Unread);
    let instance = before_with(upstream.address, SLOW);
    let mut begun = upload(&instance);
    assert_eq!(begun.head().status, 200);
    assert!(upload(&instance).tries(b"a"));
    let other = Exact::answering(Bodies::Read, |_| Vec::new());
    assert!(upload(&before_with(other.address, SLOW)).is_over());
}

/// Whoever has all places by sending what does not end makes room for others.
#[rstest]
#[case::forms("POST /.doorward/sign-in", "form: 1m")]
#[case::uploads("POST /open", "body: 1m")]
fn those_whose_bodies_do_not_come_make_room(#[case] asked: &str, #[case] deadline: &str) {
    let upstream = Exact::start(Bodies::Read);
    let instance = before_with(
        upstream.address,
        &format!("limits: {{ connections: 20 }}\ndeadlines: {{ {deadline} }}"),
    );
    let head = format!("{asked} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\n");
    let _waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = Wire::to(instance.address);
            wire.sends(&head);
            wire
        })
        .collect();
    for _ in 0..3 {
        until(|| {
            let mut next = Wire::to(instance.address);
            next.tries(get("/open", "").as_bytes());
            next.reads_some().starts_with("HTTP/1.1 200")
        });
    }
}

/// An application that sends without end, but at `/events`: there it says something once, and then nothing.
fn endless() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut read = [0; 4096];
                let length = stream.read(&mut read).unwrap_or_default();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 10000000000\r\n\r\n";
                stream.write_all(head.as_bytes()).ok();
                if read[..length].starts_with(b"GET /events") {
                    stream.write_all(b"data: first\n\n").ok();
                    let _more = stream.read(&mut read).unwrap_or_default();
                }
                let part = vec![b'a'; 64 * 1024];
                while stream.write_all(&part).is_ok() {}
            });
        }
    });
    address
}

/// Where too much waits, those go who take nothing. Who reads slowly, or has nothing to read, stays.
#[rstest]
#[case::from_one_address("unsent_mib_per_address")]
#[case::in_all("unsent_mib")]
fn answers_that_nobody_takes_are_not_kept_where_there_are_too_many(#[case] limit: &str) {
    let instance = before_with(endless(), &format!("limits: {{ {limit}: 1 }}"));
    let mut events = Wire::to(instance.address);
    events.sends(get("/events", ""));
    events.until("first\n\n");
    let mut slow = Wire::to(instance.address);
    slow.sends(get("/open", ""));
    slow.until("\r\n\r\n");
    let asks = |_| {
        let mut wire = Wire::to(instance.address);
        wire.sends(get("/open", ""));
        wire
    };
    let mut idle: Vec<Wire> = (0..24).map(asks).collect();
    let shed = format!("doorward_limit_rejections_total{{limit=\"limits.{limit}\"}}");
    until(|| {
        slow.skips(64 * 1024);
        metric(&instance, &shed) > 0
    });
    assert!(slow.skips(16 << 20), "whoever reads is not cut off");
    assert!(events.tries(b"x"), "nor who has nothing to read");
    assert!(idle.iter_mut().any(|wire| !wire.skips(64 << 20)));
}
