//! Starting, being looked after, and stopping.

use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

#[test]
fn operators_learn_whether_it_lives_and_is_ready() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let ask = |path| {
        Wire::to(instance.operators).asks(format!("GET {path} HTTP/1.1\r\nHost: operators\r\n\r\n"))
    };
    assert_eq!(ask("/healthz").status, 200);
    assert_eq!(ask("/readyz").status, 200);
    assert_eq!(ask("/anything").status, 404);
}

#[test]
fn what_operators_ask_is_not_answered_to_visitors() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let asked =
        "GET /healthz HTTP/1.1\r\nHost: crm.localhost:8080\r\nUser-Agent: GoogleHC/1.0\r\n\r\n";
    assert_eq!(Wire::to(instance.address).asks(asked).status, 401);
}

#[test]
fn a_port_that_is_taken_is_a_plain_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let why = Instance::refused(address);
    assert!(why.contains(&format!("cannot listen on {address}")), "{why}");
}

#[test]
fn an_application_that_cannot_be_found_is_no_reason_not_to_start() {
    let instance = Instance::before_name("nowhere.invalid:80");
    let asked = "GET /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n";
    assert_eq!(Wire::to(instance.address).asks(asked).status, 502);
}

#[test]
fn who_was_signed_in_still_is_after_a_new_start() {
    let upstream = Upstream::start();
    let mut instance = Instance::before(upstream.address);
    let cookie = instance.session();
    assert!(instance.stops());
    instance.starts_again();
    let asked = format!("GET / HTTP/1.1\r\nHost: crm.localhost:8080\r\nCookie: {cookie}\r\n\r\n");
    assert!(Wire::to(instance.address).asks(asked).body.contains("\"ada\""));
}
