//! A new configuration while the gateway runs: whole, or not at all.

use crate::support::instance::{Instance, PASSWORD};
use crate::support::upstream::Upstream;
use crate::support::window::Window;

fn signed_in(instance: &Instance) -> Window {
    let mut window = instance.window();
    let link = instance.adds("ada");
    window.visits(&link).posts(&[("password", PASSWORD)]);
    window.opens("/orders");
    assert_eq!(window.answer.status, 200);
    window
}

#[test]
fn a_demand_added_by_a_reload_sends_a_live_session_to_set_up_and_back() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let mut window = signed_in(&instance);
    instance
        .reloads_with(|text| text + "second_factor: { demanded_of: { groups: [staff] } }\n")
        .unwrap();
    for place in ["/", "/back", "/orders?page=2"] {
        window.visits(place);
        let goes_on = place == "/back";
        assert_eq!(window.at.starts_with("/.doorward/set-up"), !goes_on, "{place}: {}", window.at);
    }
    let secret = window.secret();
    window.posts(&[("code", &instance.code(&secret))]);
    window.posts(&[("saved", "yes")]);
    assert_eq!((window.at.as_str(), window.answer.status), ("/orders?page=2", 200));
    assert!(window.answer.body.contains("pwd,otp,mfa"), "{}", window.answer.body);
}

#[test]
fn live_sessions_are_judged_by_the_new_rules_at_their_next_request() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let mut window = signed_in(&instance);
    let closed = "    rules:\n      - { paths: [/orders], require: nobody }\n";
    instance.reloads_with(|text| text.replacen("    rules:\n", closed, 1)).unwrap();
    window.opens("/orders");
    assert_eq!(window.answer.status, 403);
    instance.reloads_with(|text| text.replacen(closed, "    rules:\n", 1)).unwrap();
    window.opens("/orders");
    assert_eq!(window.answer.status, 200);
}

#[test]
fn a_file_that_is_not_valid_or_needs_a_restart_changes_nothing_and_says_why() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    let mut window = signed_in(&instance);
    let mut keeps = |change: &dyn Fn(String) -> String, says: &str| {
        let mut was = String::new();
        let kept = instance.reloads_with(|text| {
            was.clone_from(&text);
            change(text).replace("otherwise: sign-in", "otherwise: nobody")
        });
        let kept = kept.unwrap_err();
        assert!(kept.contains(says), "{kept}");
        instance.reloads_with(|_| was.clone()).unwrap();
        window.opens("/orders");
        assert_eq!(window.answer.status, 200, "{says}");
    };
    keeps(&|text| text + "wombat: 1\n", "wombat: unknown key");
    keeps(&|text| text.replace("127.0.0.1:0'", "127.0.0.1:1'"), "`listen` cannot change");
    keeps(&|text| text.replace("/state\n", "/other\n"), "`state` cannot change");
    keeps(
        &|text| {
            text + "tests: [{ as: stranger, get: 'http://crm.localhost:8080/', expect: pass }]\n"
        },
        "tests[0]: expected `pass`, but GET / gives `refused`, by otherwise",
    );
}

#[test]
fn a_reload_counts_in_the_metrics() {
    let upstream = Upstream::start();
    let instance = Instance::before(upstream.address);
    instance.reloads_with(|text| text).unwrap();
    instance.reloads_with(|text| text + "wombat: 1\n").unwrap_err();
    let mut operators = Window::new(instance.operators, &instance.operators.to_string());
    operators.opens("/metrics");
    let text = &operators.answer.body;
    for line in [
        "doorward_reloads_total{outcome=\"applied\"} 1",
        "doorward_reloads_total{outcome=\"rejected\"} 1",
        "doorward_requests_total{app=\"crm\",verdict=\"pass\"} 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn every_host_has_its_own_application_and_is_told_its_own_name() {
    let (crm, wiki) = (Upstream::start(), Upstream::start());
    let instance = Instance::before_two(crm.address, wiki.address);
    let opens = |host: &str, target: &str| {
        let mut window = Window::new(instance.address, host);
        window.opens(target);
        (window.answer.status, window.answer.body.clone(), format!("{:?}", window.answer.headers))
    };
    let (status, body, _) = opens("crm.localhost:8080", "/open/a");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("crm.localhost:8080") && !body.contains("wiki"), "{body}");
    let (status, _, head) = opens("wiki.localhost:8080", "/page");
    assert_eq!(status, 303);
    assert!(head.contains("http://id.localhost:8080/.doorward/enter?return_to="), "{head}");
    assert_eq!(opens("id.localhost:8080", "/anything").0, 404);
    assert_eq!(opens("id.localhost:8080", "/").0, 303);
    for host in ["evil.localhost:8080", "wiki.localhost", "wiki.localhost:8081"] {
        assert_eq!(opens(host, "/").0, 421, "{host}");
    }
}
