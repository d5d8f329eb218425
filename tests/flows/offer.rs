//! What is offered after a sign-in, to whom, and that it can be declined.

use std::sync::Arc;
use std::time::Duration;

use doorward::store::Records;
use doorward::store::memory::Memory;

use crate::support::gate::{Browser, CONFIG, Gate, PASSWORD, Protected};

const DAY: Duration = Duration::from_hours(24);

/// Signs in on the way to `place`, without a second factor; where that leads.
async fn signs_in(browser: &mut Browser, place: &str) -> String {
    browser.opens(&format!("/.doorward/sign-in?return_to={place}")).await;
    browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    browser.location().unwrap()
}

/// Comes in by a recovery code, on the way to `place`; where that leads.
async fn recovers(gate: &Gate, browser: &mut Browser, code: &str, place: &str) -> String {
    browser.signs_in("ada").await;
    let kind = "kind=recovery-code";
    browser.opens(&format!("/.doorward/challenge?{kind}&return_to={place}")).await;
    browser.sends(&[("code", code)]).await;
    gate.waits_for_the_next_code();
    browser.location().unwrap()
}

/// Somebody of whom so many recovery codes are left.
async fn with_codes_left(gate: &Gate, left: usize) -> Protected {
    let mut ada = gate.protects("ada").await;
    for code in ada.recovery_codes.drain(left..) {
        recovers(gate, &mut gate.browser(), &code, "/").await;
    }
    ada
}

#[tokio::test]
async fn a_newcomer_is_offered_two_factor_can_decline_and_gets_where_they_were_going() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Protect your sign-in");
    browser.signs_out().await;

    assert_eq!(
        signs_in(&mut browser, "%2Forders%3Fa").await,
        "/.doorward/offer?return_to=%2Forders%3Fa"
    );
    browser.follows().await;
    assert!(browser.page.contains("This is optional."), "{}", browser.page);
    assert!(browser.page.contains("href=\"/.doorward/set-up?return_to=%2Forders%3Fa\""));
    browser.sends(&[("not_now", "yes")]).await;
    assert_eq!(browser.location().as_deref(), Some("/orders?a"));
    assert!(browser.follows().await.passed.is_some());
}

#[tokio::test]
async fn whoever_ignores_the_offer_is_let_in_all_the_same_and_asked_again() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    gate.browser().opens(&link).await.sends(&[("password", PASSWORD)]).await;
    for _ in 0..2 {
        let mut browser = gate.browser();
        assert_eq!(signs_in(&mut browser, "").await, "/.doorward/offer");
        assert!(browser.visits("/").await.passed.is_some());
        assert!(browser.cookies.contains_key("__Host-doorward-known"), "nothing was owed");
    }
}

#[tokio::test]
async fn a_declined_set_up_is_offered_again_after_thirty_days() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    for _ in 0..30 {
        assert_eq!(signs_in(&mut browser, "/a").await, "/a");
        browser.visits("/.doorward/offer?return_to=/a").await;
        assert!(browser.passed.is_some(), "there is nothing to see");
        browser.signs_out().await;
        gate.waits(DAY);
    }
    gate.waits(Duration::from_secs(1));
    assert_eq!(signs_in(&mut browser, "/a").await, "/.doorward/offer?return_to=%2Fa");
}

#[tokio::test]
async fn taking_the_offer_up_leads_on_as_well() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    browser.sets_up(&gate, "%2Forders").await;
    browser.sends(&[("saved", "yes")]).await;
    assert_eq!(browser.location().as_deref(), Some("/orders"));
    browser.visits("/.doorward/offer?return_to=/orders").await;
    assert!(browser.passed.is_some(), "nothing fits any more");
}

#[tokio::test]
async fn nobody_is_offered_what_is_demanded_or_where_they_are_going_anyway() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let gate = Gate::over(Arc::clone(&records));
    let link = gate.adds("ada").await;
    gate.browser().opens(&link).await.sends(&[("password", PASSWORD)]).await;
    for (place, heading) in [
        ("/strict/", "Set up two-factor"),
        ("/.doorward/set-up", "Set up two-factor"),
        ("/.doorward/security", "Your security"),
    ] {
        let mut browser = gate.browser();
        signs_in(&mut browser, place).await;
        assert_eq!(browser.follows().await.heading(), heading);
    }
    for demand in [
        "{ demanded_of: { everyone: true } }",
        "{ demanded_of: { everyone: true }, grace: 7d }",
        "{ demanded_of: { apps: [crm] } }",
    ] {
        let config = format!("{CONFIG}second_factor: {demand}\n");
        let gate = Gate::configured(&config, Arc::clone(&records));
        let mut browser = gate.browser();
        signs_in(&mut browser, "/orders").await;
        assert_eq!(browser.follows().await.heading(), "Set up two-factor", "{demand}");
    }
}

#[tokio::test]
async fn what_takes_a_link_is_offered_to_whoever_came_by_one() {
    let config = format!("{CONFIG}set_up: {{ proof: link }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let link = gate.adds("ada").await;
    let mut newcomer = gate.browser();
    newcomer.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    assert_eq!(newcomer.location().as_deref(), Some("/.doorward/offer"));
    assert_eq!(signs_in(&mut gate.browser(), "/a").await, "/a");
}

#[tokio::test]
async fn whoever_came_by_a_recovery_code_is_led_to_replace_the_authenticator_each_time() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    for code in &ada.recovery_codes[..2] {
        let mut browser = gate.browser();
        let next = recovers(&gate, &mut browser, code, "/orders").await;
        assert_eq!(next, "/.doorward/offer?return_to=%2Forders");
        browser.follows().await;
        assert_eq!(browser.heading(), "Did you lose your second factor?");
        let replace = "/.doorward/security/replace?return_to=%2Forders";
        assert!(browser.page.contains(&format!("href=\"{replace}\"")), "{}", browser.page);
        let mut there = browser.clone();
        there.opens(replace).await;
        assert!(!there.secret().expose_base32().is_empty(), "with no further step");
        assert_eq!(there.field("return_to").as_deref(), Some("/orders"));
        browser.sends(&[("not_now", "yes")]).await;
        assert!(browser.follows().await.passed.is_some());
        assert_eq!(browser.at, "/orders");
    }
    assert!(gate.browser().signs_in_fully(&gate, "ada", &ada).await.location() == Some("/".into()));
}

#[tokio::test]
async fn a_code_of_the_authenticator_shows_that_it_is_not_lost() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    recovers(&gate, &mut browser, &ada.recovery_codes[0], "/").await;
    browser.opens("/.doorward/challenge").await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.location().as_deref(), Some("/"));
    assert!(browser.visits("/.doorward/offer").await.passed.is_some(), "nothing fits any more");
}

#[tokio::test]
async fn whoever_has_few_recovery_codes_left_is_offered_new_ones_at_each_sign_in() {
    let gate = Gate::new();
    let ada = with_codes_left(&gate, 4).await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    assert_eq!(browser.location().as_deref(), Some("/"), "four are enough");
    recovers(&gate, &mut gate.browser(), &ada.recovery_codes[3], "/").await;
    for _ in 0..2 {
        let mut browser = gate.browser();
        browser.signs_in_fully(&gate, "ada", &ada).await.follows().await;
        assert_eq!(browser.heading(), "Few recovery codes are left");
        assert!(browser.page.contains("You have 3 recovery codes left."), "{}", browser.page);
        assert!(browser.page.contains("/.doorward/security/recovery-codes/regenerate"));
        browser.sends(&[("not_now", "yes")]).await;
        assert!(browser.follows().await.passed.is_some());

        // Whoever is in already is not held up where a fresh code is asked for.
        gate.waits(Duration::from_mins(6));
        browser.visits("/bank/").await;
        browser.sends(&[("code", &ada.code(&gate))]).await;
        assert_eq!(browser.location().as_deref(), Some("/bank/"));
        gate.waits_for_the_next_code();
    }
}

#[tokio::test]
async fn a_trusted_device_does_not_keep_few_codes_from_being_told() {
    let gate = Gate::new();
    let ada = with_codes_left(&gate, 2).await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await.follows().await;
    browser.sends(&[("code", &ada.code(&gate)), ("trust_device", "yes")]).await;
    browser.signs_out().await;
    assert_eq!(browser.signs_in("ada").await.location().as_deref(), Some("/.doorward/offer"));
    assert_eq!(browser.follows().await.heading(), "Few recovery codes are left");
}

#[tokio::test]
async fn a_page_elsewhere_declines_nothing() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    for fields in [[("not_now", "yes"), ("csrf", "guessed")], [("csrf", "guessed"), ("x", "y")]] {
        browser.posts("/.doorward/offer", &fields).await;
        assert_eq!(browser.status, http::StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(browser.heading(), "Protect your sign-in");
    }
    browser.signs_out().await;
    assert_eq!(browser.signs_in("ada").await.location().as_deref(), Some("/.doorward/offer"));
}
