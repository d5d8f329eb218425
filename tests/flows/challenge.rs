use std::time::Duration;

use doorward::domain::event::What;
use http::StatusCode;

use crate::support::gate::{Browser, Gate, Protected};

async fn at_the_challenge(gate: &Gate) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    browser
}

async fn refused(browser: &mut Browser, code: &str) -> String {
    browser.sends(&[("code", code)]).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER);
    let from = browser.page.find("role=\"alert\"").expect("an alert");
    browser.page[from..].to_owned()
}

#[tokio::test]
async fn the_same_code_twice_is_refused_and_is_no_failure() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let code = ada.code(&gate);
    at_the_challenge(&gate).await.sends(&[("code", &code)]).await;
    let mut browser = at_the_challenge(&gate).await;
    for _ in 0..10 {
        assert!(refused(&mut browser, &code).await.contains("already used"));
    }
    gate.waits_for_the_next_code();
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_rejected_code_says_how_to_mend_the_clock() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    let said = refused(&mut browser, &ada.wrong_code(&gate)).await;
    assert!(said.contains("date and time automatically"), "{said}");
}

#[tokio::test]
async fn a_recovery_code_is_taken_instead_by_a_visible_switch_and_works_once() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    assert!(browser.page.contains("Use a recovery code instead"));
    browser.opens("/.doorward/challenge?kind=recovery-code").await;
    browser.sends(&[("code", &ada.recovery_codes[3])]).await;
    browser.visits("/strict/").await;
    assert_eq!(browser.page, "pwd,recovery-code,mfa");

    let mut again = at_the_challenge(&gate).await;
    again.opens("/.doorward/challenge?kind=recovery-code").await;
    assert!(refused(&mut again, &ada.recovery_codes[3]).await.contains("already used"));
}

#[tokio::test]
async fn after_five_wrong_codes_comes_a_wait_that_only_a_recovery_code_ends() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    for _ in 0..5 {
        refused(&mut browser, &ada.wrong_code(&gate)).await;
    }
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(browser.headers["retry-after"], "30");
    browser.opens("/.doorward/challenge?kind=recovery-code").await;
    browser.sends(&[("code", &ada.recovery_codes[0])]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_count_goes_on_in_a_new_session_and_is_forgotten_only_by_full_success() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    for _ in 0..5 {
        let mut browser = at_the_challenge(&gate).await;
        refused(&mut browser, &ada.wrong_code(&gate)).await;
    }
    let mut browser = at_the_challenge(&gate).await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    gate.waits(Duration::from_secs(30));
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_empty_or_crooked_form_moves_nothing() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    for fields in [
        vec![],
        vec![("code", "")],
        vec![("kind", "recovery-code"), ("code", "")],
        vec![("kind", "trusted-device"), ("code", "1")],
        vec![("trust_device", "yes")],
        vec![("saved", "yes")],
    ] {
        browser.sends(&fields).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
    }
    browser.visits("/").await;
    assert_eq!(browser.heading(), "Enter your code");
}

#[tokio::test]
async fn while_the_challenge_is_owed_nothing_else_answers() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    for target in [
        "/",
        "/.doorward/",
        "/.doorward/set-up",
        "/.doorward/set-up/recovery-codes",
        "/.doorward/recovery-codes.txt",
        "/.doorward/whoami",
    ] {
        browser.visits(target).await;
        assert_eq!(browser.heading(), "Enter your code", "{target}");
    }
    browser.opens("/public/").await;
    assert_eq!(browser.passed, Some(None), "a public place is told nobody's name");
}

#[tokio::test]
async fn a_fresh_code_is_asked_where_the_last_is_too_old() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    assert!(browser.visits("/bank/").await.passed.is_some());
    gate.waits(Duration::from_mins(6));
    assert!(browser.visits("/").await.passed.is_some());
    browser.visits("/bank/").await;
    assert_eq!(browser.heading(), "Enter your code");
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.location().as_deref(), Some("/bank/"));
    assert!(browser.visits("/bank/").await.passed.is_some());
}

#[tokio::test]
async fn every_rise_gives_a_new_session_and_kills_the_old_one() {
    let gate = Gate::new();
    let ada: Protected = gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    let before = browser.clone();
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_ne!(browser.session(), before.session());
    let mut old = before;
    old.visits("/").await;
    assert_eq!(old.heading(), "Sign in");
}

#[tokio::test]
async fn the_beginning_of_a_wait_and_of_a_lock_is_on_record() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = at_the_challenge(&gate).await;
    for wrong in 1..=50 {
        let code = ada.wrong_code(&gate);
        browser.sends(&[("code", &code)]).await;
        let mut told = gate.events().await;
        told.retain(|what| *what != What::CodesGuessed);
        let expected = match wrong {
            1..5 => What::SecondFactorRefused,
            5..50 => What::WaitBegan,
            _ => What::Locked,
        };
        assert_eq!(told.last(), Some(&expected), "after {wrong}");
        gate.waits(Duration::from_hours(1));
        browser = at_the_challenge(&gate).await;
    }
}

#[tokio::test]
async fn a_place_that_takes_no_recovery_code_does_not_offer_one_but_the_way_in_elsewhere() {
    let rule =
        "rules:\n      - { paths: [/vault/], require: { second_factor: { kinds: [totp] } } }";
    let config = crate::support::gate::CONFIG.replace("rules:", rule);
    let memory = std::sync::Arc::new(doorward::store::memory::Memory::new());
    let gate = Gate::configured(&config, memory);
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.visits("/vault/").await;
    assert!(!browser.page.contains("Use a recovery code instead"), "{}", browser.page);
    assert!(browser.page.contains("href=\"/.doorward/challenge?kind=recovery-code\""));
    browser.opens("/.doorward/challenge?kind=recovery-code").await;
    browser.sends(&[("code", &ada.recovery_codes[0])]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "who lost the phone gets in elsewhere");

    browser.visits("/vault/").await;
    assert_eq!(browser.heading(), "Enter your code");
    assert!(!browser.page.contains("kind=recovery-code"), "{}", browser.page);
    browser.opens("/.doorward/challenge?kind=recovery-code&return_to=%2Fvault%2F").await;
    assert_eq!(browser.heading(), "Enter your code", "nor by the address");
    browser.visits("/strict/").await;
    assert!(browser.passed.is_some());
}

/// The subjects of what ada was told by mail of wrong codes.
async fn told_of_guesses(gate: &Gate) -> usize {
    let messages = gate.messages().await;
    let happened = messages.iter().filter_map(|message| message.happened());
    happened.filter(|event| event.what == What::CodesGuessed).count()
}

#[tokio::test]
async fn who_has_the_password_and_guesses_codes_is_told_of_by_mail_at_the_third_and_once_a_day() {
    let gate = crate::support::gate::mails();
    let ada = gate.protects("ada").await;
    for (hour, told) in [(0, 0), (1, 0), (2, 1), (3, 1), (25, 1), (26, 2)] {
        gate.waits_until(hour);
        let mut thief = at_the_challenge(&gate).await;
        refused(&mut thief, &ada.wrong_code(&gate)).await;
        assert_eq!(told_of_guesses(&gate).await, told, "after {hour} hours");
        // What the owner does at a browser of hers hides nothing.
        gate.browser().signs_in_fully(&gate, "ada", &ada).await;
    }
    let mail = gate.mail_to("ada@example.com", "three or more wrong codes").await;
    assert!(mail.contains("Change your password"), "{mail}");
}

#[tokio::test]
async fn a_thief_of_the_password_has_fifty_guesses_a_month_whatever_the_owner_does() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut home = gate.browser();
    home.signs_in_fully(&gate, "ada", &ada).await;
    let mut read = 0;
    for hour in 1..72 {
        gate.waits_until(hour);
        // The owner signs in, by other browsers at first and then at home.
        if hour < 6 {
            gate.browser().signs_in_fully(&gate, "ada", &ada).await;
        } else {
            home.signs_in_fully(&gate, "ada", &ada).await;
        }
        for _ in 0..3 {
            let mut thief = at_the_challenge(&gate).await;
            let said = refused(&mut thief, &ada.wrong_code(&gate)).await;
            read += usize::from(said.contains("did not work"));
        }
    }
    assert_eq!(read, 50);
    let mut thief = at_the_challenge(&gate).await;
    assert!(thief.page.contains("no longer accepted in this browser"), "{}", thief.page);
    thief.sends(&[("kind", "totp"), ("code", &ada.code(&gate))]).await;
    assert_ne!(thief.status, StatusCode::SEE_OTHER, "nor is a right one");
    gate.waits_for_the_next_code();
    home.signs_out().await.signs_in_fully(&gate, "ada", &ada).await;
    let mut recovers = at_the_challenge(&gate).await;
    recovers.opens("/.doorward/challenge?kind=recovery-code").await;
    recovers.sends(&[("code", &ada.recovery_codes[0])]).await;
    assert_eq!(recovers.status, StatusCode::SEE_OTHER, "and a recovery code is read");
    assert!(gate.events().await.contains(&What::Locked));
}
