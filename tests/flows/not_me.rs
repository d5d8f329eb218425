//! "This was not me": whoever set up a factor in another's name is not rid of that link.

use std::sync::Arc;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, PASSWORD, Protected};

fn gate() -> Gate {
    let mail = "mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }";
    let config = format!("{CONFIG}{mail}\nset_up: {{ proof: none }}\n");
    Gate::configured(&config, Arc::new(Memory::new()))
}

/// A thief of Ada's password, who has set up a factor of their own; and what Ada was mailed.
async fn thief(gate: &Gate) -> (Browser, Protected, String) {
    gate.knows("ada").await;
    let mut thief = gate.browser();
    thief.signs_in("ada").await;
    let set_up = thief.sets_up(gate, "/").await;
    thief.sends(&[("saved", "yes")]).await;
    let link = gate.link_mailed_to("ada@example.com").await;
    gate.waits_for_the_next_code();
    (thief, set_up, link)
}

async fn proves_a_new_one(gate: &Gate, browser: &mut Browser, page: &str) {
    browser.opens(page).await;
    let code = browser.secret().code_at(gate.now()).expose().to_owned();
    browser.sends(&[("code", &code)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

async fn freezes(gate: &Gate, link: &str) {
    let mut owner = gate.browser();
    owner.opens(link).await;
    assert_eq!(owner.heading(), "Was this somebody else?", "{}", owner.page);
    owner.sends(&[]).await;
    assert_eq!(owner.heading(), "Two-factor is frozen");
}

#[tokio::test]
async fn a_thief_who_replaces_their_authenticator_is_frozen_all_the_same() {
    let gate = gate();
    let (mut thief, _, link) = thief(&gate).await;
    proves_a_new_one(&gate, &mut thief, "/.doorward/security/replace").await;
    freezes(&gate, &link).await;
    thief.visits("/orders").await;
    assert_eq!(thief.passed, None);
}

#[tokio::test]
async fn nor_does_it_help_to_add_one_and_remove_the_first() {
    let gate = gate();
    let (mut thief, _, link) = thief(&gate).await;
    proves_a_new_one(&gate, &mut thief, "/.doorward/security/factors/add").await;
    thief.opens("/.doorward/security").await;
    let from = thief.page.find("/.doorward/security/factors/").unwrap();
    let rename = thief.page[from..].split('"').next().unwrap().to_owned();
    thief.opens(&rename.replace("/rename", "/remove")).await;
    thief.sends(&[]).await;
    assert!(gate.events().await.contains(&What::FactorRemoved(Kind::Totp)));
    freezes(&gate, &link).await;
}

#[tokio::test]
async fn who_turns_it_off_and_on_again_has_the_owner_told_anew_and_the_old_link_says_nothing() {
    let gate = gate();
    let (mut thief, set_up, first) = thief(&gate).await;
    thief.opens("/.doorward/security/turn-off").await;
    thief.sends(&[("code", &set_up.code(&gate))]).await;
    assert_eq!(gate.browser().opens(&first).await.status, StatusCode::GONE, "nothing to freeze");
    gate.waits_for_the_next_code();
    thief.sets_up(&gate, "/").await;
    let second = gate.link_mailed_to("ada@example.com").await;
    assert_ne!(first, second);
    assert_eq!(gate.browser().opens(&first).await.status, StatusCode::GONE);
    freezes(&gate, &second).await;
}

#[tokio::test]
async fn a_link_of_one_purpose_does_nothing_else() {
    let gate = gate();
    let (thief, _, not_me) = thief(&gate).await;
    let sets_password = gate.makes_a_link("ada").await;
    let mut browser = gate.browser();
    browser.opens(&not_me).await;
    let csrf = browser.field("csrf").unwrap();
    browser.posts(&not_me, &[("password", "four dry sandbanks")]).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER);
    assert!(!gate.events().await.contains(&What::Frozen), "without csrf nothing is done");
    browser.posts(&not_me, &[("csrf", csrf.as_str()), ("password", "four dry sandbanks")]).await;
    let told = gate.events().await;
    assert!(told.contains(&What::Frozen));
    assert_eq!(told.iter().filter(|what| **what == What::PasswordSet).count(), 1, "the first one");
    assert_eq!(
        gate.browser().signs_in("ada").await.location().as_deref(),
        Some("/.doorward/challenge")
    );
    drop(thief);

    let mut browser = gate.browser();
    browser.opens(&sets_password).await;
    assert_eq!(browser.heading(), "Choose a password");
    browser.sends(&[]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "it wants a password");
}

#[tokio::test]
async fn whoever_is_frozen_is_told_so_and_an_administrators_link_signs_in_at_once() {
    let gate = gate();
    let (_, _, link) = thief(&gate).await;
    freezes(&gate, &link).await;
    let mut owner = gate.browser();
    owner.signs_in("ada").await;
    owner.follows().await;
    assert_eq!(owner.status, StatusCode::FORBIDDEN);
    assert!(owner.page.contains("no code is accepted"), "{}", owner.page);
    assert!(!owner.page.contains("<form"), "nothing to type");
    assert!(!owner.page.contains("recovery code instead"), "{}", owner.page);

    owner.opens(&gate.makes_a_link("ada").await).await;
    assert!(owner.page.contains("After that, you are signed in."), "{}", owner.page);
    owner.sends(&[("password", "four dry sandbanks")]).await;
    owner.visits("/.doorward/set-up").await;
    assert!(owner.page.contains("id=\"secret\""), "{}", owner.page);
    let mut thief = gate.browser();
    thief.signs_in_with("ada", PASSWORD).await;
    assert_eq!(thief.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_mailed_link_to_set_a_password_thaws_nothing() {
    let gate = gate();
    let (_, _, link) = thief(&gate).await;
    freezes(&gate, &link).await;
    let mut owner = gate.browser();
    owner.opens("/.doorward/forgot").await;
    owner.sends(&[("email", "ada")]).await;
    gate.settles().await;
    let reset = gate.link_mailed_to("ada@example.com").await;
    owner.opens(&reset).await;
    assert!(owner.page.contains("you enter your second factor"), "{}", owner.page);
    owner.sends(&[("password", "four dry sandbanks")]).await;
    owner.follows().await;
    assert!(owner.page.contains("no code is accepted"), "{}", owner.page);
}
