//! Turning two-factor off: where it cannot be, and what it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, Protected};
use crate::support::overtaken::Overtaken;

const OFF: &str = "/.doorward/security/turn-off";

async fn inside(gate: &Gate, ada: &Protected) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in_fully(gate, "ada", ada).await;
    gate.waits_for_the_next_code();
    browser
}

fn times(told: &[What], what: What) -> usize {
    told.iter().filter(|one| **one == what).count()
}

#[tokio::test]
async fn every_demand_that_holds_keeps_it_on_and_is_named_even_to_whoever_posts_directly() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let ada = Gate::over(Arc::clone(&records)).protects("ada").await;
    let demanded_of =
        |what: &str| format!("{CONFIG}second_factor: {{ demanded_of: {{ {what} }} }}\n");
    let rule = "rules:\n      - { paths: [/plan/], require: second-factor, demand: true }";
    for (day, config, reason) in [
        (1, demanded_of("everyone: true"), "required for everyone here."),
        (2, demanded_of("groups: [staff]"), "for everyone in the group <bdi>staff</bdi>."),
        (3, demanded_of("users: [ada]"), "required for you."),
        (4, demanded_of("apps: [crm]"), "for everyone who uses <bdi>crm</bdi>."),
        (5, CONFIG.replace("rules:", rule), "for everyone who may open certain pages"),
    ] {
        let gate = Gate::configured(&config, Arc::clone(&records));
        gate.waits(Duration::from_hours(24 * day));
        let mut browser = inside(&gate, &ada).await;
        browser.opens(OFF).await;
        assert!(browser.page.contains(reason), "{reason}: {}", browser.page);
        assert!(!browser.page.contains("<form"), "{reason}: nothing to type");
        browser.opens("/.doorward/security/replace").await;
        let csrf = browser.field("csrf").unwrap();
        browser.posts(OFF, &[("csrf", csrf.as_str()), ("code", &ada.code(&gate))]).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{reason}");
        assert!(browser.page.contains(reason), "{}", browser.page);
        browser.opens("/.doorward/recovery-codes").await;
        assert_eq!(browser.recovery_codes(), ada.recovery_codes, "{reason}: all is there");
    }
}

#[tokio::test]
async fn a_demand_whose_grace_is_not_over_does_not_hold_yet() {
    let config =
        format!("{CONFIG}second_factor: {{ demanded_of: {{ everyone: true }}, grace: 7d }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(OFF).await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/security"), "{}", browser.page);
}

#[tokio::test]
async fn whoever_has_shown_a_factor_that_is_gone_has_shown_nothing_of_the_next_one() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut before = inside(&gate, &ada).await;
    before.opens(OFF).await.sends(&[("code", &ada.code(&gate))]).await;
    before.visits("/orders").await;
    assert_eq!(before.page, "pwd", "the application is told so");
    let mut other = gate.browser();
    other.signs_in("ada").await;
    other.sets_up(&gate, "/").await;
    other.sends(&[("saved", "yes")]).await;
    before.visits("/orders").await;
    assert_eq!(before.heading(), "Enter your code");
}

#[tokio::test]
async fn during_a_wait_a_recovery_code_turns_it_off_all_the_same() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(OFF).await;
    for _ in 0..6 {
        browser.sends(&[("code", &ada.wrong_code(&gate))]).await;
    }
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(browser.page.contains("You can use a recovery code now."), "{}", browser.page);
    assert!(browser.page.contains("data-stays"), "the button is of use");
    browser.sends(&[("code", "AAAA-BBBB-CCCCC")]).await;
    assert!(browser.page.contains("use another one"), "{}", browser.page);
    browser.sends(&[("code", &ada.recovery_codes[5])]).await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/security"));
}

#[tokio::test]
async fn an_empty_or_foreign_form_turns_nothing_off() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(OFF).await;
    let failures = times(&gate.events().await, What::SecondFactorRefused);
    for code in ["", "123", "letters"] {
        browser.sends(&[("code", code)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    browser.posts(OFF, &[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "no csrf");
    let told = gate.events().await;
    assert_eq!(times(&told, What::SecondFactorRefused), failures, "none is a guess");
    assert_eq!(times(&told, What::TwoFactorOff), 0);
}

#[tokio::test]
async fn of_two_who_turn_it_off_at_once_one_does_and_the_other_is_signed_out() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    let ada = gate.protects("ada").await;
    let mut here = inside(&gate, &ada).await;
    other.waits(Duration::from_secs(60));
    let mut there = other.browser();
    there.signs_in_fully(&other, "ada", &ada).await;
    assert_eq!(here.opens(OFF).await.heading(), "Turn two-factor off");
    assert_eq!(there.opens(OFF).await.heading(), "Turn two-factor off");
    let codes = ada.recovery_codes.clone();
    let theirs = codes[1].clone();
    overtaken.by(async move {
        there.sends(&[("code", &theirs)]).await;
        assert_eq!(there.location().as_deref(), Some("/.doorward/security"));
    });
    here.sends(&[("code", &codes[2])]).await;
    assert!(overtaken.is_played_out());
    assert!(here.location().unwrap().starts_with("/.doorward/sign-in"), "{}", here.page);
    assert_eq!(times(&gate.events().await, What::TwoFactorOff), 1);
}
