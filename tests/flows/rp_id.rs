//! Security keys for the former address of the portal, after it has moved.

use std::sync::Arc;
use std::time::Duration;

use doorward::config::Config;
use doorward::flow::Env;
use doorward::flow::rp_id::{moved, note};
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, PASSWORD, Protected};
use crate::support::security_key::{SoftKey, options};

const ADD: &str = "/.doorward/security/factors/add?kind=security-key";
const PROOF: &str = "set_up: { proof: link }\n";

/// A gateway with a path that takes what cannot be phished, over more lines.
fn written(more: &str) -> String {
    let rule = "      - { paths: [/keys/], require: { second_factor: { kinds: [phishing-resistant] } } }\n    otherwise";
    format!("{}{PROOF}{more}", CONFIG.replacen("    otherwise", rule, 1))
}

/// A line that binds keys to the domain above the portal.
const WIDER: &str = "second_factor: { security_keys: { rp_id: example.com } }\n";

async fn gate() -> Gate {
    let gate = Gate::configured(&written(""), Arc::new(Memory::new()));
    note(&gate.env.store, &gate.env.config).await.unwrap();
    gate
}

/// Restarts with these lines more, as an operator does who accepts the new RP ID.
async fn moves(gate: &mut Gate, more: &str) {
    let config = Arc::new(Config::read("test.yaml", &written(more)).unwrap());
    note(&gate.env.store, &config).await.unwrap();
    gate.changes(|env| Env { config, ..env });
}

/// Somebody with an authenticator and a key that counts; a browser with both.
async fn has_both(gate: &Gate, key: &mut SoftKey) -> Protected {
    let mut browser = by_link(gate).await;
    let ada = browser.sets_up(gate, "/").await;
    browser.sends(&[("saved", "yes")]).await;
    adds(&mut browser, key).await;
    gate.waits(Duration::from_hours(73));
    ada
}

async fn by_link(gate: &Gate) -> Browser {
    let is_new = gate.env.store.users(None, 1).await.unwrap().is_empty();
    let link = if is_new { gate.adds("ada").await } else { gate.makes_a_link("ada").await };
    let mut browser = gate.browser();
    browser.opens(&link).await.sends(&[("password", PASSWORD)]).await;
    browser
}

async fn by_code(gate: &Gate, ada: &Protected) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    shows_code(gate, &mut browser, ada).await;
    browser
}

async fn shows_code(gate: &Gate, browser: &mut Browser, ada: &Protected) {
    browser.opens("/.doorward/challenge?kind=totp").await;
    browser.sends(&[("code", &ada.code(gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    gate.waits_for_the_next_code();
}

async fn adds(browser: &mut Browser, key: &mut SoftKey) {
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent), ("name", "Drawer")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

/// The removal pages of both factors: of the authenticator, and of the key.
fn removals(security: &str) -> [String; 2] {
    let ids = security.split("/.doorward/security/factors/").skip(1);
    let ids: Vec<_> =
        ids.filter_map(|rest| rest.split_once("/remove\"")).map(|(id, _)| id).collect();
    [ids[0], ids[1]].map(|id| format!("/.doorward/security/factors/{id}/remove"))
}

#[tokio::test]
async fn a_key_for_the_former_address_is_neither_asked_for_nor_the_last_factor() {
    let mut gate = gate().await;
    let mut key = SoftKey::new(1);
    let ada = has_both(&gate, &mut key).await;
    let mut browser = by_code(&gate, &ada).await;
    browser.visits(ADD).await;
    assert_eq!(browser.heading(), "Use your security key", "a change takes the strongest");
    moves(&mut gate, WIDER).await;

    let mut browser = gate.browser();
    browser.signs_in("ada").await.follows().await;
    assert_eq!(browser.heading(), "Enter your code");
    assert!(!browser.page.contains("security key instead"), "{}", browser.page);
    shows_code(&gate, &mut browser, &ada).await;
    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("former address of this site"), "{}", browser.page);
    assert!(browser.page.contains("you are also asked for a code."), "{}", browser.page);
    assert!(!browser.page.contains("Rename Drawer"), "{}", browser.page);
    let [of_app, of_key] = removals(&browser.page);
    browser.opens(&of_app).await;
    assert_eq!(browser.heading(), "This is your only second factor");
    let csrf = browser.field("csrf").unwrap_or_default();
    browser.posts(&of_app, &[("csrf", &*csrf)]).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);

    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Set up a security key");
    assert!(browser.page.contains("a link from an administrator"), "{}", browser.page);
    browser.opens(&of_key).await.sends(&[]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens("/.doorward/security").await;
    assert!(!browser.page.contains("former address of this site"), "{}", browser.page);
}

#[tokio::test]
async fn whoever_has_only_keys_for_the_former_address_gets_in_by_a_recovery_code() {
    let mut gate = gate().await;
    let mut browser = by_link(&gate).await;
    browser.opens("/.doorward/set-up?kind=security-key").await;
    let mut key = SoftKey::new(1);
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    let codes = browser.recovery_codes();
    browser.sends(&[("saved", "yes")]).await;
    moves(&mut gate, WIDER).await;
    let mut browser = by_link(&gate).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Use a recovery code");
    browser.sends(&[("code", &codes[0])]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Add a security key");
    let mut new = SoftKey::new(2);
    let sent = new.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())), "{}", browser.page);
}

#[tokio::test]
async fn the_last_recovery_code_leads_whoever_has_only_such_keys_to_the_set_up_of_another() {
    let mut gate = gate().await;
    let mut browser = by_link(&gate).await;
    browser.opens("/.doorward/set-up?kind=security-key").await;
    let sent = SoftKey::new(1).is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    let codes = browser.recovery_codes();
    browser.sends(&[("saved", "yes")]).await;
    moves(&mut gate, WIDER).await;
    let (last, others) = codes.split_last().unwrap();
    for code in others {
        let mut browser = gate.browser();
        browser.signs_in("ada").await;
        browser.opens("/.doorward/challenge?kind=recovery-code").await;
        browser.sends(&[("code", code)]).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    }
    let mut browser = by_link(&gate).await;
    browser.follows().await.sends(&[("code", last)]).await;
    browser.visits("/keys/").await;
    assert_eq!(browser.heading(), "Add a security key", "{}", browser.page);
    let mut new = SoftKey::new(2);
    let sent = new.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())), "{}", browser.page);
}

#[tokio::test]
async fn a_portal_without_keys_forgets_no_rp_id_and_its_keys_work_again_afterwards() {
    let gate = gate().await;
    let ada = has_both(&gate, &mut SoftKey::new(1)).await;
    let wide = Config::read("test.yaml", &written(WIDER)).unwrap();
    let by_address = format!("{CONFIG}{PROOF}portal: https://192.0.2.1\n");
    let by_address = Config::read("test.yaml", &by_address).unwrap();
    let left = moved(&gate.env.store, &by_address).await.unwrap().unwrap();
    assert_eq!((&*left.from, left.to.clone(), left.people), ("crm.example.com", None, 1));
    let same = Arc::clone(&gate.env.config);
    note(&gate.env.store, &by_address).await.unwrap();
    assert_eq!(moved(&gate.env.store, &by_address).await.unwrap(), None, "accepted once");
    let wider = moved(&gate.env.store, &wide).await.unwrap().unwrap();
    assert_eq!((&*wider.from, wider.people), ("crm.example.com", 1));
    let mut browser = by_code(&gate, &ada).await;
    browser.visits(ADD).await;
    assert_ne!(browser.heading(), "Use your security key");

    assert_eq!(moved(&gate.env.store, &same).await.unwrap(), None);
    note(&gate.env.store, &same).await.unwrap();
    let mut browser = by_code(&gate, &ada).await;
    browser.visits(ADD).await;
    assert_eq!(browser.heading(), "Use your security key");
}

#[tokio::test]
async fn keys_of_people_count_where_no_rp_id_is_stored() {
    let gate = Gate::configured(&written(""), Arc::new(Memory::new()));
    has_both(&gate, &mut SoftKey::new(1)).await;
    assert_eq!(moved(&gate.env.store, &gate.env.config).await.unwrap(), None);
    let wider = Config::read("test.yaml", &written(WIDER)).unwrap();
    let left = moved(&gate.env.store, &wider).await.unwrap().unwrap();
    assert_eq!((&*left.from, left.people), ("crm.example.com", 1));
}
