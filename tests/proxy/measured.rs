//! What the metrics say of requests.

use std::time::{Duration, Instant};

use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

#[test]
fn every_answer_is_measured_with_its_application_and_the_class_of_its_status() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let asks = |host: &str, path: &str| {
        let asked = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Wire::to(instance.address).asks(asked).status
    };
    let crm = "crm.localhost:8080";
    assert_eq!(asks(crm, "/open/"), 200);
    assert_eq!(asks(crm, "/open/"), 200);
    assert_eq!(asks(crm, "/"), 401);
    assert_eq!(asks(crm, "/.doorward/sign-in"), 200, "one of our own pages");
    assert_eq!(asks("nobody.example", "/"), 421);
    let counted = |app: &str, status: &str| {
        let labels = format!("{{app=\"{app}\",status=\"{status}\"}}");
        numbers(&instance, &format!("doorward_request_duration_seconds_count{labels}"))
    };
    // A request ends a moment after its visitor has the answer.
    until(|| counted("crm", "2xx") == 3 && counted("crm", "4xx") == 1 && counted("", "4xx") == 1);
    assert_eq!(counted("crm", "5xx"), 0);
}

#[test]
fn connections_are_told_apart_by_what_they_do() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let phase =
        |phase: &str| numbers(&instance, &format!("doorward_connections{{phase=\"{phase}\"}}"));
    let mut idle = Wire::to(instance.address);
    idle.asks("GET /open/ HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n");
    let mut slow = Wire::to(instance.address);
    slow.sends("GET /open/ HT");
    let mut held = Wire::to(instance.address);
    held.sends("GET /held HTTP/1.1\r\nHost: crm.localhost:8080\r\n\r\n");
    until(|| [phase("idle"), phase("head"), phase("request")] == [1, 1, 1]);
    drop((idle, slow, held));
    until(|| [phase("idle"), phase("head")] == [0, 0]);
}

#[test]
fn what_a_reload_takes_away_is_not_told_any_more() {
    let (crm, wiki) = (Upstream::start(), Upstream::start());
    let instance = Instance::before_two(crm.address, wiki.address);
    let tells = || told(&instance);
    assert!(tells().contains("app=\"wiki\""));
    assert!(tells().contains("doorward_upstream_endpoints{app=\"wiki\",state=\"up\"} 1"));
    let without = |text: String| text.split("  - name: wiki").next().unwrap().to_owned();
    instance.reloads_with(without).unwrap();
    let text = tells();
    assert!(text.contains("app=\"crm\"") && !text.contains("wiki"), "{text}");
    assert!(text.contains("doorward_reloads_total{outcome=\"applied\"} 1"), "{text}");
    assert!(text.contains("doorward_configuration_last_reload_successful 1"), "{text}");

    assert!(instance.reloads_with(|text| text + "nonsense: 1\n").is_err());
    let text = tells();
    assert!(text.contains("doorward_reloads_total{outcome=\"rejected\"} 1"), "{text}");
    assert!(text.contains("doorward_configuration_last_reload_successful 0"), "{text}");
}

#[test]
fn a_sign_in_is_seen_in_the_store_and_in_hashing() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    instance.session();
    let some = |name: &str| numbers(&instance, name) > 0;
    assert!(some("doorward_store_duration_seconds_count{operation=\"commit\"}"));
    assert!(some("doorward_store_duration_seconds_count{operation=\"read\"}"));
    // Counted a moment after whoever waits has the hash.
    until(|| some("doorward_hashing_duration_seconds_count"));
    assert!(some("doorward_hashing_threads"));
    assert!(some("process_resident_memory_bytes") && some("process_open_fds"));
}

fn told(instance: &Instance) -> String {
    let asked = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    Wire::to(instance.operators).asks(asked).body
}

/// The value of this sample.
fn numbers(instance: &Instance, sample: &str) -> u64 {
    let text = told(instance);
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample}: {text}")).parse().unwrap()
}

/// Waits until `so` is so.
#[expect(clippy::disallowed_methods, reason = "a real process is waited for")]
fn until(mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not come to that");
        std::thread::yield_now();
    }
}
