//! Something on our side is broken, at a gateway that runs.

use std::time::Duration;

use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

#[test]
fn a_clock_that_went_back_is_told_to_operators_and_to_visitors_only_that_they_must_wait() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let cookie = instance.session();
    instance.is_put_back(Duration::from_mins(6));
    let asks = |accept: &str| {
        let host = "crm.localhost:8080";
        Wire::to(instance.address).asks(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nCookie: {cookie}\r\n\r\n"
        ))
    };
    let page = asks("text/html");
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Please try again in a moment"), "{}", page.body);
    let script = asks("application/json");
    assert_eq!(script.status, 503);
    assert!(script.body.contains("\"error\":\"unavailable\""), "{}", script.body);
    assert!(!page.body.contains("clock") && !script.body.contains("clock"));

    let tells = |path: &str| {
        Wire::to(instance.operators)
            .asks(format!("GET {path} HTTP/1.1\r\nHost: operators\r\nConnection: close\r\n\r\n"))
    };
    let ready = tells("/readyz");
    let says = "the system clock went back: it is more than five minutes behind\nset the clock";
    assert!(ready.status == 503 && ready.body.starts_with(says), "{}", ready.body);
    let counted = tells("/metrics").body;
    assert!(counted.contains("doorward_unavailable_total{kind=\"clock\"} 2\n"), "{counted}");

    instance.waits(Duration::from_mins(2));
    assert_eq!(asks("text/html").status, 200, "the clock is well again");
    assert_eq!(tells("/readyz").status, 200);
}

#[test]
fn a_bug_that_a_request_meets_is_told_like_anything_else_that_is_broken() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let mut wire = Wire::to(instance.address);
    let mut asks = || {
        let host = "crm.localhost:8080";
        wire.asks(format!("GET /page HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"))
    };
    instance.has_a_bug();
    let page = asks();
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Please try again in a moment"), "{}", page.body);
    let id = page.header("x-request-id");
    assert!(page.body.contains(&format!("<code id=\"reference\">{id}</code>")), "{}", page.body);
    assert_eq!(asks().status, 401, "the connection and the gateway go on");
    let counted = Wire::to(instance.operators)
        .asks("GET /metrics HTTP/1.1\r\nHost: operators\r\nConnection: close\r\n\r\n")
        .body;
    assert!(counted.contains("doorward_unavailable_total{kind=\"panic\"} 1\n"), "{counted}");
}
