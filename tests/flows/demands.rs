//! Who must have a second factor, and what becomes of those who have none.

use std::sync::Arc;
use std::time::Duration;

use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{CONFIG, Gate};

fn demanding(what: &str, records: &Arc<dyn Records>) -> Gate {
    Gate::configured(&format!("{CONFIG}second_factor: {what}\n"), Arc::clone(records))
}

/// Somebody who is signed in without a second factor, before and after a demand was made.
async fn signed_in_before(demand: &str) -> (Gate, crate::support::gate::Browser) {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let before = Gate::configured(CONFIG, Arc::clone(&records));
    before.knows("ada").await;
    let mut browser = before.browser();
    browser.signs_in("ada").await;
    browser.opens("/orders").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    let after = demanding(demand, &records);
    let mut there = after.browser();
    there.cookies = browser.cookies.clone();
    (after, there)
}

#[tokio::test]
async fn a_demand_bites_at_the_next_request_and_nothing_else_is_reachable_until_it_is_met() {
    for demand in [
        "{ demanded_of: { everyone: true } }",
        "{ demanded_of: { groups: [staff] } }",
        "{ demanded_of: { users: [Ada] } }",
        "{ demanded_of: { apps: [crm] } }",
    ] {
        let (gate, mut browser) = signed_in_before(demand).await;
        for place in ["/orders?page=2", "/", "/strict/"] {
            browser.visits(place).await;
            assert_eq!(browser.heading(), "Set up two-factor", "{demand} {place}");
            assert!(browser.page.contains("requires it"), "{}", browser.page);
            assert!(!browser.page.contains("not now"));
        }
        // What asks for nobody lets them in as nobody.
        browser.opens("/public/").await;
        assert_eq!(browser.passed, Some(None), "{demand}");
        if !demand.contains("apps") {
            browser.visits("/.doorward/").await;
            assert_eq!(browser.heading(), "Set up two-factor", "{demand}");
        }
        browser.visits("/orders?page=2").await;
        let key = browser.secret();
        let code = key.code_at(gate.now()).expose().to_owned();
        browser.sends(&[("code", &code)]).await;
        browser.follows().await;
        browser.sends(&[("saved", "yes")]).await;
        browser.follows().await;
        assert_eq!(
            (browser.at.as_str(), &browser.passed),
            ("/orders?page=2", &Some(Some("ada".into())))
        );
    }
}

#[tokio::test]
async fn a_demand_on_others_bites_nobody() {
    for demand in [
        "{ demanded_of: { groups: [clients] } }",
        "{ demanded_of: { users: [bob] } }",
        "{ demanded_of: { everyone: false } }",
    ] {
        let (_, mut browser) = signed_in_before(demand).await;
        browser.opens("/orders").await;
        assert_eq!(browser.passed, Some(Some("ada".to_owned())), "{demand}");
    }
}

#[tokio::test]
async fn whoever_signs_in_under_a_demand_is_led_to_set_up_wherever_they_wanted_to_go() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    Gate::configured(CONFIG, Arc::clone(&records)).knows("ada").await;
    let gate = demanding("{ demanded_of: { everyone: true } }", &records);
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in?return_to=%2Fpublic%2F").await;
    browser.sends(&[("username", "ada"), ("password", crate::support::gate::PASSWORD)]).await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/set-up?return_to=%2Fpublic%2F"));
    assert!(!browser.cookies.contains_key("__Host-doorward-known"), "not all was shown yet");
}

#[tokio::test]
async fn grace_leaves_time_says_until_when_and_ends() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    Gate::configured(CONFIG, Arc::clone(&records)).knows("ada").await;
    let gate = demanding("{ demanded_of: { everyone: true }, grace: 7d }", &records);
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in?return_to=%2Forders").await;
    browser.sends(&[("username", "ada"), ("password", crate::support::gate::PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Set up two-factor");
    assert!(browser.page.contains("From 22 January 2027 on"), "{}", browser.page);
    assert!(browser.page.contains("<a href=\"/orders\">Do this later</a>"), "{}", browser.page);
    browser.opens("/orders").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));

    gate.waits(Duration::from_hours(7 * 24));
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.visits("/orders").await;
    assert_eq!(browser.heading(), "Set up two-factor");
    assert!(!browser.page.contains("not now"));
}

#[tokio::test]
async fn a_rule_that_demands_it_demands_it_everywhere_of_whoever_may_enter_there() {
    let rules = "    rules:\n      - { paths: [/finance/], only: { groups: [staff] }, require: sign-in, demand: true }\n";
    let config = CONFIG.replacen("    rules:\n", rules, 1);
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let gate = Gate::configured(&config, records);
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.visits("/orders").await;
    assert_eq!(browser.heading(), "Set up two-factor");
    let others = Gate::configured(&config.replace("[staff]", "[clients]"), Arc::new(Memory::new()));
    others.knows("ada").await;
    let mut browser = others.browser();
    browser.signs_in("ada").await;
    browser.opens("/orders").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    browser.opens("/finance/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn when_a_demand_was_first_seen_is_remembered_until_it_is_gone() {
    let gate = Gate::new();
    let seen = async |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        gate.env.store.demands_seen(names, gate.now()).await.unwrap()
    };
    let start = gate.now();
    seen(&["everyone", "group staff"]).await;
    gate.waits(Duration::from_secs(100));
    let since = seen(&["group staff", "user ada"]).await;
    assert_eq!((since["group staff"], since["user ada"]), (start, gate.now()));
    // Gone and back again, it begins anew.
    assert_eq!(seen(&["everyone"]).await["everyone"], gate.now());
}
