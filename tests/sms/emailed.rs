//! Codes by e-mail beside text messages.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::{Factor, Kind};
use doorward::domain::message::{About, WhatFor};
use doorward::domain::name::{Email, Login};
use doorward::domain::provider::Account;
use doorward::domain::user::{Change, User};
use doorward::flow::administer;
use doorward::store::Reads;
use doorward::store::memory::Memory;
use http::StatusCode;

use super::{
    NUMBER, USED_UP, asked, asks, code, config, gate, presses, protects, texts, types, wrong,
};
use crate::support::gate::{Browser, Gate, MAILS};

const ADDRESS: &str = "ada@example.com";
const ADD: &str = "/.doorward/security/factors/add?kind=email";
const SEND: &str = "/.doorward/challenge/send";
const BY_MAIL: &str = "/.doorward/challenge?kind=email&return_to=/strict/";
/// The link to a code by e-mail.
const OFFER: &str = "Use a code by e-mail instead";

/// A gateway that permits codes by e-mail; texts and messages stay in its outboxes.
pub(super) fn gate_with_mail() -> Gate {
    let config = config(([127, 0, 0, 1], 9).into());
    let permits = format!("{config}{MAILS}\nsecond_factor: {{ email_codes: backup }}\n");
    Gate::configured(&permits, Arc::new(Memory::new()))
}

/// Presses the button of this page that e-mails a code, which posts to `target`.
pub(super) async fn presses_mail(browser: &mut Browser, target: &str) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let return_to = browser.field("return_to").unwrap_or_default();
    let fields = [
        ("csrf", csrf.as_str()),
        ("return_to", return_to.as_str()),
        ("kind", "email"),
        ("text", "yes"),
    ];
    browser.posts(target, &fields).await;
    if browser.location().is_some() {
        browser.follows().await;
    }
}

/// Types a code from an e-mail into the form on this page.
pub(super) async fn types_mailed(browser: &mut Browser, code: &str) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let return_to = browser.field("return_to").unwrap_or_default();
    let at = browser.at.clone();
    let fields =
        [("csrf", csrf.as_str()), ("return_to", &return_to), ("kind", "email"), ("code", code)];
    browser.posts(&at, &fields).await;
}

/// Turns codes by e-mail on in a browser that has just shown its factor.
pub(super) async fn backs_up(gate: &Gate, browser: &mut Browser) {
    browser.opens(ADD).await;
    presses_mail(browser, "/.doorward/security/factors/add").await;
    let code = gate.code_mailed_to(ADDRESS).await;
    types_mailed(browser, &code).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    gate.waits(Duration::from_mins(1));
}

/// A user with a phone and codes by e-mail, and their browser, signed out.
pub(super) async fn protected(gate: &Gate) -> Browser {
    let mut owner = protects(gate, "ada", NUMBER).await;
    backs_up(gate, &mut owner).await;
    owner.signs_out().await;
    owner
}

/// A browser at the challenge to which a text was sent a minute ago.
async fn texted(gate: &Gate) -> Browser {
    let mut browser = asked(gate, "ada").await;
    presses(&mut browser).await;
    gate.waits(Duration::from_mins(1));
    browser
}

/// The same to which a code was e-mailed, and the code.
pub(super) async fn mailed(gate: &Gate) -> (Browser, String) {
    let mut browser = texted(gate).await;
    browser.opens(BY_MAIL).await;
    presses_mail(&mut browser, SEND).await;
    let code = gate.code_mailed_to(ADDRESS).await;
    (browser, code)
}

/// How many codes to sign in were e-mailed.
async fn count(gate: &Gate) -> usize {
    let messages = gate.messages().await;
    let is_one = |about: &About| matches!(about, About::Code { what_for: WhatFor::SignIn, .. });
    messages.iter().filter(|message| is_one(&message.about)).count()
}

async fn ada(gate: &Gate) -> User {
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    gate.env.store.user(id).await.unwrap().unwrap().user.clone()
}

async fn kinds(gate: &Gate) -> Vec<Kind> {
    ada(gate).await.factors().iter().map(Factor::kind).collect()
}

#[tokio::test]
async fn codes_by_email_are_turned_on_beside_a_phone_once_one_was_typed() {
    let gate = gate_with_mail();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up?kind=email&return_to=/page").await;
    assert!(!browser.page.contains("E-mail me a code"), "{}", browser.page);
    browser.opens("/.doorward/set-up?return_to=/page").await;
    assert!(!browser.page.contains("kind=email"), "never as the first: {}", browser.page);

    let mut browser = {
        browser.opens("/.doorward/set-up?kind=sms&return_to=/page").await;
        asks(&mut browser, "/.doorward/set-up", NUMBER).await;
        browser.follows().await;
        let sent = code(&gate).await;
        types(&mut browser, &sent).await;
        browser.follows().await.sends(&[("saved", "yes")]).await;
        browser
    };
    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("Turn on codes by e-mail"), "{}", browser.page);
    browser.opens(ADD).await;
    assert!(browser.page.contains("Codes by e-mail are weaker than those by text message"));
    assert!(browser.page.contains(ADDRESS) && !browser.page.contains("name=\"code\""));
    presses_mail(&mut browser, "/.doorward/security/factors/add").await;
    let sent = gate.code_mailed_to(ADDRESS).await;
    assert!(!browser.page.contains(&sent) && !browser.at.contains(&sent));
    types_mailed(&mut browser, &wrong(&sent)).await;
    assert!(browser.page.contains("That code did not work."), "{}", browser.page);
    assert_eq!(kinds(&gate).await, [Kind::Sms]);
    types_mailed(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert_eq!(kinds(&gate).await, [Kind::Sms, Kind::Email]);
    assert!(gate.events().await.contains(&What::FactorAdded(Kind::Email)));
    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("Codes to a…@example.com"), "{}", browser.page);
    assert!(!browser.page.contains("Turn on codes by e-mail"));

    gate.waits(Duration::from_mins(16));
    browser.opens(ADD).await;
    assert!(browser.location().is_some(), "it asks what every change asks");
}

#[tokio::test]
async fn only_an_operator_permits_codes_by_email() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    browser.opens("/.doorward/security").await;
    assert!(!browser.page.contains("Turn on codes by e-mail"));
    browser.opens(ADD).await;
    assert!(!browser.page.contains("E-mail me a code"), "{}", browser.page);

    let mut gate = gate_with_mail();
    protected(&gate).await;
    let (mut browser, sent) = mailed(&gate).await;
    let without = config(([127, 0, 0, 1], 9).into()) + MAILS + "\n";
    let without = doorward::config::Config::read("test.yaml", &without).unwrap();
    gate.changes(|env| doorward::flow::Env { config: without.into(), ..env });
    browser.goes_to(&gate);
    types_mailed(&mut browser, &sent).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "who permits it no longer ends it at once");
    browser.opens("/.doorward/challenge?return_to=/strict/").await;
    assert!(!browser.page.contains(OFFER), "{}", browser.page);
}

#[tokio::test]
async fn one_is_offered_once_a_text_of_this_challenge_is_a_minute_old() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let mut browser = asked(&gate, "ada").await;
    assert!(!browser.page.contains("e-mail"), "{}", browser.page);
    for _ in 0..2 {
        presses_mail(&mut browser, SEND).await;
        let says = "A code by e-mail can be sent one minute after a text message.";
        assert!(browser.page.contains(says), "{}", browser.page);
        assert_eq!(count(&gate).await, 0);
        if texts(&gate).await.len() == 1 {
            presses(&mut browser).await;
            assert!(browser.page.contains("If it does not arrive, you can <a "));
            gate.waits(Duration::from_secs(59));
        }
    }
    gate.waits(Duration::from_secs(1));
    let mut other = asked(&gate, "ada").await;
    presses_mail(&mut other, SEND).await;
    assert_eq!(count(&gate).await, 0, "that text was of another challenge");

    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    assert!(browser.page.contains(OFFER), "{}", browser.page);
    browser.opens(BY_MAIL).await;
    assert_eq!(count(&gate).await, 0, "opening the page sends nothing");
    presses_mail(&mut browser, SEND).await;
    assert_eq!(browser.at, "/.doorward/challenge?return_to=%2Fstrict%2F&kind=email");
    assert!(
        browser.page.contains("way to <bdi class=\"whole\">a…@example.com.</bdi>"),
        "{}",
        browser.page
    );
    assert!(!browser.page.contains(ADDRESS), "the password alone does not tell the address");
    let sent = gate.code_mailed_to(ADDRESS).await;
    types_mailed(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,email,mfa");

    types_mailed(&mut other, &sent).await;
    assert_ne!(other.status, StatusCode::SEE_OTHER, "it was for another session");
}

#[tokio::test]
async fn another_email_needs_another_minute_and_a_newer_text_voids_none() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let (mut browser, first) = mailed(&gate).await;
    presses_mail(&mut browser, SEND).await;
    assert!(browser.page.contains("A code was sent to this address a moment ago."));
    assert_eq!(count(&gate).await, 1);
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    presses(&mut browser).await;
    let text = code(&gate).await;
    presses_mail(&mut browser, SEND).await;
    assert_eq!(count(&gate).await, 1, "the newest text is not a minute old");
    browser.opens(BY_MAIL).await;
    types_mailed(&mut browser, &text).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "it came by the other channel");
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    types(&mut browser, &first).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "it came by the other channel");
    browser.opens(BY_MAIL).await;
    types_mailed(&mut browser, &first).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn a_code_by_email_is_for_one_purpose() {
    let gate = gate_with_mail();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    browser.opens(ADD).await;
    presses_mail(&mut browser, "/.doorward/security/factors/add").await;
    let to_turn_on = gate.code_mailed_to(ADDRESS).await;
    browser.opens("/.doorward/challenge?kind=email&return_to=/strict/").await;
    types_mailed(&mut browser, &to_turn_on).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens(ADD).await;
    types_mailed(&mut browser, &to_turn_on).await;
    assert_eq!(kinds(&gate).await, [Kind::Sms, Kind::Email]);

    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    presses(&mut browser).await;
    gate.waits(Duration::from_mins(1));
    browser.opens(BY_MAIL).await;
    presses_mail(&mut browser, SEND).await;
    let to_sign_in = gate.code_mailed_to(ADDRESS).await;
    browser.opens("/.doorward/security/turn-off?kind=email").await;
    assert!(!browser.page.contains("by e-mail"), "{}", browser.page);
    types_mailed(&mut browser, &to_sign_in).await;
    assert_eq!(kinds(&gate).await, [Kind::Sms, Kind::Email], "it turns nothing off");
}

#[tokio::test]
async fn a_changed_address_voids_what_was_sent_and_what_was_shown() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let (mut shown, sent) = mailed(&gate).await;
    types_mailed(&mut shown, &sent).await;
    shown.opens("/strict/").await;
    assert_eq!(shown.page, "pwd,email,mfa");
    let (mut waits, sent) = mailed(&gate).await;

    moves(&gate).await;
    assert_eq!(kinds(&gate).await, [Kind::Sms], "the new address gets no codes by itself");
    types_mailed(&mut waits, &sent).await;
    assert_ne!(waits.status, StatusCode::SEE_OTHER);
    shown.opens("/strict/").await;
    assert!(shown.location().is_some(), "{}", shown.page);
}

/// An operator changes the address of Ada.
async fn moves(gate: &Gate) {
    let email = Some(Some(Email::parse("ada@example.org").unwrap()));
    let change = Change { email, ..Change::default() };
    administer::change(&gate.env, "root", &Login::typed("ada"), &change).await.unwrap();
}

#[tokio::test]
async fn a_changed_address_voids_the_code_that_would_turn_them_on() {
    let gate = gate_with_mail();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    browser.opens(ADD).await;
    presses_mail(&mut browser, "/.doorward/security/factors/add").await;
    let sent = gate.code_mailed_to(ADDRESS).await;
    moves(&gate).await;
    types_mailed(&mut browser, &sent).await;
    assert_eq!(kinds(&gate).await, [Kind::Sms], "{}", browser.page);
    browser.opens(ADD).await;
    assert!(browser.page.contains("ada@example.org"), "{}", browser.page);
    assert!(browser.page.contains("E-mail me a code") && !browser.page.contains("on its way"));
}

#[tokio::test]
async fn a_code_by_email_permits_no_change_of_what_protects_somebody() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let (mut browser, sent) = mailed(&gate).await;
    types_mailed(&mut browser, &sent).await;
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,email,mfa");
    for page in ["recovery-codes", "security/replace", "security/phone", "security/turn-off"] {
        browser.opens(&format!("/.doorward/{page}")).await;
        let to = browser.location().unwrap_or_default();
        assert!(to.starts_with("/.doorward/challenge?"), "{page}: {}", browser.page);
    }
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge?kind=sms&return_to=/.doorward/recovery-codes").await;
    presses(&mut browser).await;
    assert!(!browser.page.contains("e-mail"), "none would help here: {}", browser.page);
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge?kind=email&return_to=/.doorward/recovery-codes").await;
    assert_eq!(browser.heading(), "Enter the code from your phone");
    let text = code(&gate).await;
    types(&mut browser, &text).await;
    browser.opens("/.doorward/recovery-codes").await;
    assert_eq!(browser.recovery_codes().len(), 12, "{}", browser.page);
}

#[tokio::test]
async fn what_a_code_by_email_has_shown_ends_with_the_permission() {
    let mut gate = gate_with_mail();
    protected(&gate).await;
    let (mut browser, sent) = mailed(&gate).await;
    types_mailed(&mut browser, &sent).await;
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,email,mfa");
    let without = config(([127, 0, 0, 1], 9).into()) + MAILS + "\n";
    let without = doorward::config::Config::read("test.yaml", &without).unwrap();
    gate.changes(|env| doorward::flow::Env { config: without.into(), ..env });
    browser.goes_to(&gate);
    browser.opens("/strict/").await;
    assert!(browser.location().is_some(), "{}", browser.page);
}

#[tokio::test]
async fn where_only_a_code_by_email_opens_a_text_can_be_sent_first() {
    let config = config(([127, 0, 0, 1], 9).into());
    let rule = "- { paths: [/mailed/], require: { second_factor: { kinds: [email] } } }";
    let config = config.replace("    otherwise:", &format!("      {rule}\n    otherwise:"));
    let permits = format!("{config}{MAILS}\nsecond_factor: {{ email_codes: backup }}\n");
    let gate = Gate::configured(&permits, Arc::new(Memory::new()));
    let mut owner = protects(&gate, "ada", NUMBER).await;
    backs_up(&gate, &mut owner).await;
    owner.opens("/.doorward/security/factors/add?kind=totp").await;
    let right = owner.secret().code_at(gate.now()).expose().to_owned();
    owner.sends(&[("kind", "totp"), ("code", &right)]).await;
    gate.waits(Duration::from_mins(1));

    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/challenge?return_to=/mailed/").await;
    assert_eq!(browser.heading(), "Get a code by text message", "{}", browser.page);
    presses(&mut browser).await;
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge?kind=email&return_to=/mailed/").await;
    presses_mail(&mut browser, SEND).await;
    let sent = gate.code_mailed_to(ADDRESS).await;
    types_mailed(&mut browser, &sent).await;
    browser.opens("/mailed/").await;
    assert_eq!(browser.page, "pwd,email,mfa");
}

#[tokio::test]
async fn one_mailbox_is_not_two_factors() {
    const NEW: &str = "four dry sandbanks";
    let gate = gate_with_mail();
    protected(&gate).await;
    let mut thief = gate.browser();
    thief.opens("/.doorward/forgot").await;
    thief.sends(&[("email", ADDRESS)]).await;
    gate.settles().await;
    let link = gate.link_mailed_to(ADDRESS).await;
    thief.opens(&link).await;
    thief.sends(&[("password", NEW)]).await;
    for hours in [0, 71] {
        gate.waits(Duration::from_hours(hours));
        let mut thief = gate.browser();
        thief.signs_in_with("ada", NEW).await;
        thief.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
        presses(&mut thief).await;
        gate.waits(Duration::from_mins(1));
        thief.opens(BY_MAIL).await;
        assert!(!thief.page.contains("by e-mail"), "{}", thief.page);
        presses_mail(&mut thief, SEND).await;
        assert!(thief.page.contains("Codes by e-mail cannot be used now."), "{}", thief.page);
        assert_eq!(count(&gate).await, 0, "after {hours} hours");
    }
    gate.waits(Duration::from_hours(1));
    let mut owner = gate.browser();
    owner.signs_in_with("ada", NEW).await;
    owner.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    presses(&mut owner).await;
    gate.waits(Duration::from_mins(1));
    owner.opens(BY_MAIL).await;
    presses_mail(&mut owner, SEND).await;
    let sent = gate.code_mailed_to(ADDRESS).await;
    types_mailed(&mut owner, &sent).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
}

#[tokio::test]
async fn whoever_a_provider_speaks_for_gets_no_code_by_email() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let (mut browser, sent) = mailed(&gate).await;
    let account = Account::new("https://id.example.com", "7").unwrap();
    let id = ada(&gate).await.id();
    let connect = |tx: &mut doorward::store::Transaction| tx.user.connect(account.clone());
    gate.env.store.update(Reads::user(id), connect).await.unwrap();
    types_mailed(&mut browser, &sent).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "nor does one count that was sent before");
    gate.waits(Duration::from_mins(1));
    let mut browser = texted(&gate).await;
    presses_mail(&mut browser, SEND).await;
    assert!(browser.page.contains("Codes by e-mail cannot be used now."), "{}", browser.page);
    assert_eq!(count(&gate).await, 1);
}

#[tokio::test]
async fn without_the_phone_there_is_no_code_by_email() {
    let gate = gate_with_mail();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    backs_up(&gate, &mut browser).await;
    let phone = ada(&gate).await.factors()[0].id();
    let remove = format!("/.doorward/security/factors/{phone}/remove");
    browser.opens(&remove).await;
    browser.sends(&[]).await;
    assert_eq!(kinds(&gate).await, [Kind::Sms, Kind::Email], "it is the last factor");

    browser.opens("/.doorward/security/factors/add?kind=totp").await;
    let key = browser.secret();
    let right = key.code_at(gate.now()).expose().to_owned();
    browser.sends(&[("kind", "totp"), ("code", &right)]).await;
    browser.opens(&remove).await;
    browser.sends(&[]).await;
    assert_eq!(kinds(&gate).await, [Kind::Totp], "{}", browser.page);
    let events = gate.events().await;
    assert!(events.contains(&What::FactorRemoved(Kind::Email)), "it is told, too");
    browser.opens(ADD).await;
    assert!(!browser.page.contains("E-mail me a code"), "{}", browser.page);
}

#[tokio::test]
async fn what_was_not_sent_is_no_guess_and_five_wrong_ones_void_what_was() {
    let gate = gate_with_mail();
    protected(&gate).await;
    let mut browser = texted(&gate).await;
    let before = gate.events().await.len();
    for _ in 0..20 {
        types_mailed(&mut browser, "123456").await;
    }
    assert_eq!(gate.events().await.len(), before, "nothing was sent: nothing is written");

    browser.opens(BY_MAIL).await;
    presses_mail(&mut browser, SEND).await;
    let sent = gate.code_mailed_to(ADDRESS).await;
    for number in 1..=5 {
        assert!(browser.page.contains("name=\"code\""), "{number}: {}", browser.page);
        types_mailed(&mut browser, &wrong(&sent)).await;
    }
    assert!(!browser.page.contains("name=\"code\""), "{}", browser.page);
    assert!(browser.page.contains(USED_UP) && browser.page.contains("E-mail me a code"));
    gate.waits(Duration::from_mins(1));
    browser.opens(BY_MAIL).await;
    types_mailed(&mut browser, &sent).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "the fifth wrong one voided it");

    presses_mail(&mut browser, SEND).await;
    let another = gate.code_mailed_to(ADDRESS).await;
    types_mailed(&mut browser, &wrong(&another)).await;
    types_mailed(&mut browser, &another).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "another code resets no count");
    assert!(browser.page.contains("There were too many attempts."), "{}", browser.page);
}
