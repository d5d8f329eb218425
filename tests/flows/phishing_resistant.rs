//! Pages that ask for a factor that cannot be phished, and who has one when.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::flow::administer::{self, Counting};
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, MAILS, PASSWORD, Protected};
use crate::support::security_key::{SoftKey, options};

const ADD: &str = "/.doorward/security/factors/add?kind=security-key";

fn gate() -> Gate {
    let rule = "      - { paths: [/keys/], require: { second_factor: { kinds: [phishing-resistant] } } }\n    otherwise";
    Gate::configured(&CONFIG.replacen("    otherwise", rule, 1), Arc::new(Memory::new()))
}

/// Somebody whose only factor is this key.
async fn has_a_key(gate: &Gate, name: &str, key: &mut SoftKey) {
    gate.knows(name).await;
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    browser.sets_up_key(key).await;
}

/// A browser in which the authenticator was shown.
async fn by_code(gate: &Gate, ada: &Protected) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/challenge?kind=totp").await;
    browser.sends(&[("code", &ada.code(gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    gate.waits_for_the_next_code();
    browser
}

/// A browser in which the key was shown.
async fn by_key(gate: &Gate, name: &str, key: &mut SoftKey) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    browser.opens("/.doorward/challenge?kind=security-key").await;
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser
}

async fn adds(browser: &mut Browser, key: &mut SoftKey) {
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent), ("name", "Drawer")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn a_first_key_counts_at_once_and_a_trusted_device_never() {
    let gate = gate();
    let mut key = SoftKey::new(1);
    has_a_key(&gate, "ada", &mut key).await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await.follows().await;
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("code", &sent), ("trust_device", "yes")]).await;
    browser.opens("/keys/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    browser.signs_out().await.signs_in("ada").await;
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,trusted-device");
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Use your security key");
    assert!(!browser.page.contains("trust_device"), "no trust is offered that would not count");
}

#[tokio::test]
async fn somebody_with_an_authenticator_sets_up_a_key_which_counts_after_three_days() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut browser = by_code(&gate, &ada).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Add a security key");
    let mut key = SoftKey::new(1);
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert_eq!(browser.heading(), "Your security key does not count here yet");
    let mut browser = by_key(&gate, "ada", &mut key).await;
    browser.opens("/strict/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())), "elsewhere it counts");
    browser.visits("/keys/").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    gate.waits(Duration::from_hours(72));
    let mut browser = by_key(&gate, "ada", &mut key).await;
    browser.opens("/keys/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    let mut by_code = by_code(&gate, &ada).await;
    by_code.visits("/keys/").await;
    assert_eq!(by_code.heading(), "Use your security key", "a code is not enough");
    assert!(!by_code.page.contains("authenticator app instead"), "{}", by_code.page);
}

/// The same gate, where a first factor takes this proof besides the password.
fn proving(proof: &str) -> Gate {
    let rule = "      - { paths: [/keys/], require: { second_factor: { kinds: [phishing-resistant] } } }\n    otherwise";
    let config = CONFIG.replacen("    otherwise", rule, 1);
    let proof = format!("set_up: {{ proof: {proof} }}\n");
    Gate::configured(&format!("{config}{MAILS}\n{proof}"), Arc::new(Memory::new()))
}

/// Somebody with an authenticator, which was set up by the link that set the password; the browser.
async fn by_link(gate: &Gate) -> (Browser, Protected) {
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    let ada = browser.sets_up(gate, "/").await;
    browser.sends(&[("saved", "yes")]).await;
    gate.waits_for_the_next_code();
    (browser, ada)
}

#[tokio::test]
async fn a_first_key_beside_a_code_takes_a_link_where_set_up_does_and_counts_at_once() {
    let gate = proving("link");
    let (_, ada) = by_link(&gate).await;
    let mut browser = by_code(&gate, &ada).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Set up a security key");
    assert!(browser.page.contains("a link from an administrator"), "{}", browser.page);
    browser.opens("/.doorward/security").await;
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", &*csrf), ("kind", "security-key"), ("code", "{}")];
    for page in ["factors/add", "replace"] {
        browser.posts(&format!("/.doorward/security/{page}"), &fields).await;
        assert_eq!(browser.heading(), "Set up a security key", "{page}");
    }
    browser.opens("/.doorward/security/factors/add?kind=totp").await;
    assert_eq!(browser.heading(), "Add another authenticator", "that is no first key");

    let link = gate.makes_a_link("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    browser.opens("/.doorward/challenge?kind=totp").await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    let mut key = SoftKey::new(1);
    adds(&mut browser, &mut key).await;
    let mut browser = by_key(&gate, "ada", &mut key).await;
    browser.opens("/keys/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    adds(&mut browser, &mut SoftKey::new(2)).await;
}

#[tokio::test]
async fn a_first_key_beside_a_code_takes_a_mailed_code_where_set_up_does() {
    let gate = proving("mail");
    let (_, ada) = by_link(&gate).await;
    let mut browser = by_code(&gate, &ada).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Set up a security key");
    browser.sends(&[("send", "yes")]).await.follows().await;
    gate.mail_to("ada@example.com", "This code lets you set up a security key").await;
    browser.sends(&[("mailed_code", "000000")]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", browser.page);
    let code = gate.code_mailed_to("ada@example.com").await;
    browser.sends(&[("mailed_code", &code)]).await.follows().await;
    assert_eq!(browser.heading(), "Add a security key");
    let mut key = SoftKey::new(1);
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert_eq!(browser.heading(), "Your security key does not count here yet");
}

#[tokio::test]
async fn a_second_key_counts_at_once_if_the_first_was_shown_and_not_after_a_recovery_code() {
    let gate = gate();
    let (mut first, mut second) = (SoftKey::new(1), SoftKey::new(2));
    has_a_key(&gate, "ada", &mut first).await;
    let mut browser = by_key(&gate, "ada", &mut first).await;
    adds(&mut browser, &mut second).await;
    let mut browser = by_key(&gate, "ada", &mut second).await;
    browser.opens("/keys/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));

    let gate = self::gate();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/challenge?kind=recovery-code").await;
    browser.sends(&[("code", &ada.recovery_codes[0])]).await;
    let mut third = SoftKey::new(3);
    adds(&mut browser, &mut third).await;
    let mut browser = by_key(&gate, "ada", &mut third).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Your security key does not count here yet");
}

#[tokio::test]
async fn an_operator_ends_the_wait_and_the_owner_is_told() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut key = SoftKey::new(1);
    let mut browser = by_code(&gate, &ada).await;
    adds(&mut browser, &mut key).await;
    let trust = async |key: &str| {
        administer::trust_key(&gate.env, "root", &Login::typed("ada"), key).await.unwrap().unwrap()
    };
    assert!(matches!(trust("Cellar").await, Counting::NoSuchKey(_)));
    assert!(matches!(trust("Drawer").await, Counting::Now(_)));
    assert!(matches!(trust("Drawer").await, Counting::Already(_)));
    assert!(gate.events().await.contains(&What::KeyTrusted));
    let mut browser = by_key(&gate, "ada", &mut key).await;
    browser.opens("/keys/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
}

#[tokio::test]
async fn a_change_asks_for_the_strongest_factor_and_takes_a_recovery_code_for_a_lost_one() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut key = SoftKey::new(1);
    let mut browser = by_code(&gate, &ada).await;
    adds(&mut browser, &mut key).await;
    let mut soon = by_code(&gate, &ada).await;
    soon.opens(ADD).await;
    assert_eq!(
        soon.heading(),
        "Add a security key",
        "a key that does not count yet is not stronger"
    );

    gate.waits(Duration::from_hours(73));
    let mut thief = by_code(&gate, &ada).await;
    thief.visits(ADD).await;
    assert_eq!(thief.heading(), "Use your security key");
    assert!(!thief.page.contains("authenticator app instead"), "{}", thief.page);
    assert!(thief.page.contains("Use a recovery code instead"), "{}", thief.page);
    let mut owner = by_key(&gate, "ada", &mut key).await;
    owner.opens(ADD).await;
    assert_eq!(owner.heading(), "Add a security key");
}

#[tokio::test]
async fn a_rule_that_names_keys_alone_sends_others_to_set_one_up() {
    let rule = "      - { paths: [/keys/], require: { second_factor: { kinds: [security-key] } } }\n    otherwise";
    let config = CONFIG.replacen("    otherwise", rule, 1);
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let ada = gate.protects("ada").await;
    let mut browser = by_code(&gate, &ada).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Add a security key");
    let mut key = SoftKey::new(1);
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())), "any key counts there at once");
}

#[tokio::test]
async fn a_key_that_a_code_added_does_not_sign_in_alone_for_three_days() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut key = SoftKey::new(1);
    let mut browser = by_code(&gate, &ada).await;
    adds(&mut browser, &mut key).await;
    let early = by_passkey(&gate, &mut key).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", early.page);
    gate.waits(Duration::from_hours(72));
    let mut browser = by_passkey(&gate, &mut key).await;
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
}

#[tokio::test]
async fn turning_two_factor_off_and_on_is_no_way_round_the_three_days() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut browser = by_code(&gate, &ada).await;
    browser.opens("/.doorward/security/turn-off?kind=totp").await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    let mut key = SoftKey::new(1);
    browser.sets_up_key(&mut key).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Your security key does not count here yet");
}

#[tokio::test]
async fn a_device_that_a_code_made_trusted_is_not_one_of_the_key_that_replaces_it() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut trusted = gate.browser();
    trusted.signs_in("ada").await.follows().await;
    trusted.sends(&[("code", &ada.code(&gate)), ("trust_device", "yes")]).await;
    gate.waits_for_the_next_code();
    let mut browser = by_code(&gate, &ada).await;
    browser.opens("/.doorward/security/replace?kind=security-key").await;
    let sent = SoftKey::new(1).is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent), ("asked_devices", "yes")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    trusted.signs_out().await.signs_in("ada").await;
    trusted.visits("/strict/").await;
    assert_eq!(trusted.heading(), "Use your security key");
}

/// A browser that has signed in with nothing but the key.
async fn by_passkey(gate: &Gate, key: &mut SoftKey) -> Browser {
    let mut browser = gate.browser();
    browser.visits("/strict/").await;
    let sent = key.signs(&options(&browser.page));
    browser.sends_passkey(&sent).await;
    browser
}
