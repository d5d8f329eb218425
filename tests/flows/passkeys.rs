//! Passkeys that sign in without a password, told with a key in software.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::flow::administer;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate};
use crate::support::security_key::{Draft, PRESENT, SoftKey, VERIFIED, options};

/// Somebody who has set up this key.
async fn protects(gate: &Gate, name: &str, key: &mut SoftKey) {
    gate.knows(name).await;
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    browser.sets_up_key(key).await;
}

async fn signs_in(gate: &Gate, key: &mut SoftKey, forge: impl FnOnce(&mut Draft)) -> Browser {
    let mut browser = gate.browser();
    browser.visits("/strict/").await;
    let sent = key.signs_as(&options(&browser.page), forge);
    browser.sends_passkey(&sent).await;
    browser
}

#[tokio::test]
async fn a_passkey_is_both_factors_in_one() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = gate.browser();
    browser.visits("/strict/").await;
    let asks = options(&browser.page);
    assert_eq!(asks["userVerification"], "required");
    assert!(asks.get("allowCredentials").is_none(), "nobody says who has which key");
    let sent = key.signs(&asks);
    browser.sends_passkey(&sent).await;
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    assert_eq!(browser.page, "hwk,mfa");
    let told = gate.events().await;
    assert!(told.contains(&What::SignedInByPasskey));

    let mut synchronised = SoftKey::synchronised(2);
    protects(&gate, "bob", &mut synchronised).await;
    let mut browser = signs_in(&gate, &mut synchronised, |_| {}).await;
    browser.follows().await;
    assert_eq!((browser.passed.clone(), &*browser.page), (Some(Some("bob".into())), "swk,mfa"));
}

#[tokio::test]
async fn what_a_passkey_must_not_do_is_refused_in_the_same_words() {
    let gate = Gate::new();
    let (mut key, mut other) = (SoftKey::new(1), SoftKey::new(2));
    protects(&gate, "ada", &mut key).await;
    protects(&gate, "bob", &mut other).await;
    let mut touched = SoftKey { flags: PRESENT, ..SoftKey::new(3) };
    protects(&gate, "eve", &mut touched).await;
    let mut mute = SoftKey::new(1);
    mute.handle = Some(vec![5; 16]);
    let bobs = other.handle.clone();

    let mut words = std::collections::BTreeSet::new();
    let mut refused = |browser: &Browser, name: &str| {
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert!(browser.session().is_none(), "{name}");
        let page = browser.page.split("id=\"problem\"").nth(1).unwrap();
        words.insert(page.split("</div>").next().unwrap().to_owned());
    };
    refused(&signs_in(&gate, &mut key, |d| d.flags &= !VERIFIED).await, "no verification");
    refused(&signs_in(&gate, &mut touched, |d| d.flags |= VERIFIED).await, "a PIN of later");
    refused(&signs_in(&gate, &mut key, |d| d.handle = None).await, "no user");
    refused(&signs_in(&gate, &mut key, |d| d.handle = bobs).await, "another user's");
    refused(&signs_in(&gate, &mut mute, |_| {}).await, "nobody's");
    refused(
        &signs_in(&gate, &mut key, |d| d.origin = "https://evil.example".into()).await,
        "origin",
    );
    refused(&signs_in(&gate, &mut key, |d| d.rp_id = "example.com".into()).await, "RP ID");
    refused(&signs_in(&gate, &mut key, |d| d.challenge = "AAAA".into()).await, "challenge");
    refused(&signs_in(&gate, &mut key, |d| d.flags &= !PRESENT).await, "no touch");

    let (mut here, mut there) = (gate.browser(), gate.browser());
    here.visits("/strict/").await;
    there.visits("/strict/").await;
    let (token, sent) = (here.field("passkey").unwrap(), key.signs(&options(&here.page)));
    there.sends(&[("passkey", &token), ("code", &sent)]).await;
    refused(&there, "another browser's challenge");
    gate.waits(Duration::from_secs(301));
    here.sends_passkey(&sent).await;
    refused(&here, "too late");

    administer::disable(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    refused(&signs_in(&gate, &mut key, |_| {}).await, "disabled");
    assert_eq!(words.len(), 1, "{words:?}");
}

#[tokio::test]
async fn only_answers_that_name_a_key_of_somebody_are_their_events() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let refusals = async || {
        gate.events().await.iter().filter(|what| **what == What::SecondFactorRefused).count()
    };
    let mut strangers = SoftKey::new(9);
    strangers.handle.clone_from(&key.handle);
    signs_in(&gate, &mut strangers, |_| {}).await;
    assert_eq!(refusals().await, 0, "anybody can name ada");
    signs_in(&gate, &mut key, |draft| draft.flags = 0).await;
    assert_eq!(refusals().await, 1);
}

#[tokio::test]
async fn a_sign_in_by_passkey_is_accepted_once() {
    let gate = Gate::new();
    let mut key = SoftKey::synchronised(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = gate.browser();
    browser.visits("/strict/").await;
    let sent = key.signs(&options(&browser.page));
    let tries = (0..50).map(|_| {
        let (mut browser, sent) = (browser.clone(), sent.clone());
        tokio::spawn(async move {
            browser.sends_passkey(&sent).await;
            browser.status
        })
    });
    let mut accepted = 0;
    for tried in tries.collect::<Vec<_>>() {
        accepted += usize::from(tried.await.unwrap() == StatusCode::SEE_OTHER);
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn guesses_of_others_keep_no_passkey_out() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut thief = gate.browser();
    for _ in 0..8 {
        thief.signs_in_with("ada", "four dry sandbanks").await;
    }
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    let browser = signs_in(&gate, &mut key, |_| {}).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn wrong_answers_are_counted_by_the_address() {
    let gate = Gate::taking(3);
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    gate.waits(Duration::from_mins(2));
    let mut thief = gate.browser();
    for _ in 0..3 {
        thief.visits("/strict/").await;
        let sent = key.signs_as(&options(&thief.page), |draft| draft.flags = 0);
        thief.sends_passkey(&sent).await;
    }
    thief.visits("/strict/").await;
    let sent = key.signs(&options(&thief.page));
    thief.sends_passkey(&sent).await;
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(signs_in(&gate, &mut key, |_| {}).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_counter_that_goes_back_at_a_sign_in_ends_the_key() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    assert_eq!(signs_in(&gate, &mut key, |_| {}).await.status, StatusCode::SEE_OTHER);
    let copied = signs_in(&gate, &mut key, |draft| draft.counter = 1).await;
    assert_eq!(copied.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(gate.events().await.contains(&What::KeyDoubted));
    let owner = signs_in(&gate, &mut key, |_| {}).await;
    assert_eq!(owner.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_passkey_confirms_a_change() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = signs_in(&gate, &mut key, |_| {}).await;
    gate.waits(Duration::from_mins(16));
    browser.visits("/.doorward/security/factors/add").await;
    assert_eq!(browser.heading(), "Confirm that it is you");
    let asks = options(&browser.page);
    assert_eq!(asks["allowCredentials"].as_array().unwrap().len(), 1);
    let sent = key.signs_as(&asks, |draft| draft.flags &= !VERIFIED);
    browser.sends(&[("passkey", "yes"), ("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "not verified");
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("passkey", "yes"), ("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.follows().await;
    assert_eq!(browser.heading(), "Add another authenticator");
    assert!(gate.events().await.contains(&What::ConfirmedByPasskey));
}

#[tokio::test]
async fn passkeys_can_be_switched_off() {
    let config = format!("{CONFIG}second_factor: {{ security_keys: {{ passkeys: false }} }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = gate.browser();
    browser.visits("/strict/").await;
    assert!(!browser.page.contains("passkey"), "{}", browser.page);
    let on = Gate::new();
    let mut elsewhere = on.browser();
    elsewhere.visits("/strict/").await;
    let sent = key.signs(&options(&elsewhere.page));
    browser.sends(&[("passkey", "AAAA"), ("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
}
