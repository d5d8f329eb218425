//! Visitors who are slow, or many.

use std::time::Duration;

use tokio::time::Instant;

use super::{HOST, Notes, before_with};
use crate::support::wire::Wire;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let notes = Notes::start();
    let instance = before_with(notes.address, "deadlines: { head: 1s, idle: 1s }");
    let mut half = Wire::to(instance.address);
    half.sends("GET /open HTTP/1.1\r\nHost: ");
    // One byte at a time does not make it any earlier.
    let mut trickling = Wire::to(instance.address);
    while trickling.tries(b"G") {
        std::thread::yield_now();
    }
    assert!(half.is_over());
    assert!(trickling.is_over());
    let mut silent = Wire::to(instance.address);
    assert!(silent.is_over());
    let mut idle = Wire::to(instance.address);
    assert_eq!(idle.asks(get("/open")).status, 200);
    assert!(idle.is_over());
}

#[test]
fn a_head_that_is_too_long_is_told_so_and_one_without_end_is_not_collected() {
    let notes = Notes::start();
    let instance = before_with(notes.address, "limits: { header_bytes: 8192, headers: 50 }");
    let long = format!("GET /open HTTP/1.1\r\nHost: {HOST}\r\nX: {}\r\n\r\n", "a".repeat(9_000));
    assert_eq!(Wire::to(instance.address).asks(long).status, 431);
    let many = format!("GET /open HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", "X: a\r\n".repeat(60));
    assert_eq!(Wire::to(instance.address).asks(many).status, 431);
    let mut endless = Wire::to(instance.address);
    endless.tries(b"GET /open HTTP/1.1\r\n");
    let line =
        b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100);
    let taken = (0..10_000).take_while(|_| endless.tries(&line)).count();
    assert!(taken < 10_000, "70 megabytes of a head were taken");
    assert!(notes.heard().is_empty());
}

#[test]
fn those_who_ask_for_nothing_make_room() {
    let notes = Notes::start();
    let instance = before_with(notes.address, "limits: { connections: 20 }");
    let mut idle: Vec<Wire> = (0..20)
        .map(|_| {
            let mut wire = Wire::to(instance.address);
            assert_eq!(wire.asks(get("/open")).status, 200);
            wire
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(Wire::to(instance.address).asks(get("/open")).status, 200);
    }
    assert!(idle[0].is_over(), "the eldest goes first");
}

#[test]
fn one_address_has_its_share_and_a_trusted_proxy_has_more() {
    let notes = Notes::start();
    for (trusted, served) in [("", false), ("trusted_proxies: [127.0.0.1]", true)] {
        let instance = before_with(
            notes.address,
            &format!("limits: {{ connections_per_address: 5 }}\n{trusted}"),
        );
        let mut all: Vec<Wire> = (0..5).map(|_| Wire::to(instance.address)).collect();
        for wire in &mut all {
            assert_eq!(wire.asks(get("/open")).status, 200);
        }
        let mut next = Wire::to(instance.address);
        next.tries(get("/open").as_bytes());
        assert_eq!(!next.is_over(), served);
        assert_eq!(all[0].asks(get("/open")).status, 200);
    }
}

#[test]
fn a_form_of_ours_that_does_not_come_is_not_waited_for() {
    let notes = Notes::start();
    let instance = before_with(notes.address, "deadlines: { form: 1s }");
    let mut wire = Wire::to(instance.address);
    wire.sends(format!(
        "POST /.doorward/sign-in HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\nusername="
    ));
    assert!(wire.is_over());
}

/// What is behind an answer that came early is read for a moment, so that the visitor sees the
/// answer; but whoever never ends is not listened to for ever.
#[test]
fn a_body_that_nobody_wanted_and_that_does_not_end_is_not_listened_to() {
    let notes = Notes::start();
    let instance = before_with(notes.address, "");
    let post = |lines: &str| {
        let mut wire = Wire::to(instance.address);
        wire.sends(format!("POST /private/ HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
        wire
    };
    // Short enough to be taken in, and it does not come.
    let mut silent = post("Content-Length: 64\r\n");
    let mut trickling = post("Transfer-Encoding: chunked\r\n");
    assert_eq!(trickling.answer().status, 401);
    let since = Instant::now();
    while trickling.tries(b"1\r\na\r\n") && since.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    assert!(since.elapsed() < Duration::from_secs(30), "it would be listened to for ever");
    assert_eq!(silent.answer().status, 401);
    assert!(silent.is_over());
}
