//! The challenge by text message.

use std::time::Duration;

use http::StatusCode;

use super::{
    NUMBER, USED_UP, asked, asks, code, gate, phones, presses, protects, texts, types, wrong,
};
use crate::support::gate::{Browser, CONFIG};

#[tokio::test]
async fn a_code_is_sent_by_a_press_and_signs_in_once() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let before = texts(&gate).await.len();
    let mut browser = asked(&gate, "ada").await;
    assert!(browser.page.contains("The code goes to the number that ends in 67."));
    assert!(!browser.page.contains("+41"), "the password alone does not tell the number");
    assert_eq!(texts(&gate).await.len(), before, "opening the page sends nothing");
    presses(&mut browser).await;
    assert_eq!(browser.at, "/.doorward/challenge?return_to=%2Fstrict%2F&kind=sms");
    assert!(browser.page.contains("autocomplete=\"one-time-code\""));
    assert_eq!(texts(&gate).await.len(), before + 1);
    let sent = code(&gate).await;
    types(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,sms,mfa");

    let mut other = asked(&gate, "ada").await;
    types(&mut other, &sent).await;
    assert_ne!(other.status, StatusCode::SEE_OTHER, "it was for another session");
}

#[tokio::test]
async fn another_code_waits_for_a_minute_and_the_page_says_until_when() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let mut browser = asked(&gate, "ada").await;
    presses(&mut browser).await;
    gate.waits(Duration::from_secs(20));
    browser.opens("/.doorward/challenge?kind=sms").await;
    assert!(browser.page.contains("data-again=\"40\""), "{}", browser.page);
    let at = gate.now().millis() / 1_000 + 40;
    let says = format!(
        "<span role=\"timer\">40 seconds</span>, at {:02}:{:02}:{:02} UTC.",
        at / 3_600 % 24,
        at / 60 % 60,
        at % 60
    );
    assert!(browser.page.contains(&says), "{says}: {}", browser.page);
    let before = texts(&gate).await.len();
    presses(&mut browser).await;
    assert!(browser.page.contains("A code was sent to this number a moment ago."));
    gate.waits(Duration::from_secs(40));
    let first = code(&gate).await;
    presses(&mut browser).await;
    assert_eq!(texts(&gate).await.len(), before + 1);
    types(&mut browser, &first).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "a new code voids the one before");
    let second = code(&gate).await;
    types(&mut browser, &second).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_without_the_password_causes_a_text() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(2));
    let before = texts(&gate).await.len();
    let mut stranger = gate.browser();
    stranger.opens("/.doorward/sign-in").await;
    asks(&mut stranger, "/.doorward/challenge/send", NUMBER).await;
    assert_eq!(texts(&gate).await.len(), before);
    let mut forged = asked(&gate, "ada").await;
    forged.posts("/.doorward/challenge/send", &[("csrf", "x"), ("text", "yes")]).await;
    assert_eq!(texts(&gate).await.len(), before);
    let mut other = asked(&gate, "ada").await;
    asks(&mut other, "/.doorward/challenge/send", "+41 79 123 45 99").await;
    let sent = texts(&gate).await;
    assert_eq!(sent.last().unwrap().to.as_str(), "+41791234567", "never where a form says");
}

#[tokio::test]
async fn two_factor_is_turned_off_with_a_code_from_the_phone() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/security/turn-off").await;
    assert!(browser.page.contains("The code goes to the number that ends in 67."));
    assert!(browser.page.contains("Use a recovery code instead"));
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "sms"), ("back", "turn-off"), ("text", "yes")];
    browser.posts("/.doorward/challenge/send", &fields).await.follows().await;
    assert_eq!(browser.at, "/.doorward/security/turn-off?kind=sms");
    let sent = code(&gate).await;
    types(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert!(phones(&gate, "ada").await.is_empty());
}

#[tokio::test]
async fn a_code_of_which_none_was_sent_counts_as_nothing_and_writes_nothing() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.knows("bob").await;
    for (name, page) in [("ada", "/.doorward/challenge?kind=sms"), ("bob", "/.doorward/security")] {
        let mut browser = gate.browser();
        browser.signs_in(name).await;
        browser.opens(page).await;
        let csrf = browser.field("csrf").unwrap();
        let before = gate.events().await.len();
        for _ in 0..20 {
            let fields = [("csrf", csrf.as_str()), ("kind", "sms"), ("code", "123456")];
            browser.posts("/.doorward/challenge", &fields).await;
        }
        assert_eq!(gate.events().await.len(), before, "{name}");
    }
    gate.waits(Duration::from_mins(1));
    let mut browser = asked(&gate, "ada").await;
    presses(&mut browser).await;
    let sent = code(&gate).await;
    types(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "nothing was counted");
}

#[tokio::test]
async fn after_five_wrong_codes_a_page_offers_another_one_instead_of_a_field_without_use() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    for back in ["", "turn-off"] {
        gate.waits(Duration::from_mins(2));
        let mut asks = if back.is_empty() { asked(&gate, "ada").await } else { browser.clone() };
        if back.is_empty() {
            presses(&mut asks).await;
        } else {
            presses_for(&mut asks, back).await;
            asks.follows().await;
        }
        let right = code(&gate).await;
        for number in 1..=5 {
            assert!(asks.page.contains("name=\"code\""), "{back} {number}: {}", asks.page);
            types(&mut asks, &wrong(&right)).await;
        }
        assert!(!asks.page.contains("name=\"code\""), "{back}: {}", asks.page);
        assert!(asks.page.contains(USED_UP) && asks.page.contains("Text me a code"), "{back}");
        assert!(asks.page.contains("Use a recovery code instead"), "{back}: {}", asks.page);
    }
    browser.opens("/.doorward/security").await;
    assert_eq!(phones(&gate, "ada").await, ["+41791234567"]);
}

#[tokio::test]
async fn of_a_hundred_equal_codes_at_once_one_is_accepted() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let mut browser = asked(&gate, "ada").await;
    presses(&mut browser).await;
    let sent = code(&gate).await;
    let tries = (0..100).map(|_| {
        let mut tab = gate.browser();
        (tab.cookies, tab.page, tab.at) =
            (browser.cookies.clone(), browser.page.clone(), browser.at.clone());
        let sent = sent.clone();
        async move {
            types(&mut tab, &sent).await;
            tab
        }
    });
    let tabs = futures_util::future::join_all(tries).await;
    let mut opened = 0;
    for mut tab in tabs {
        tab.opens("/strict/").await;
        opened += usize::from(tab.page == "pwd,sms,mfa");
    }
    assert_eq!(opened, 1);
}

/// Presses the button of the page that turns two-factor off, or the one of the challenge in the same
/// session.
async fn presses_for(browser: &mut Browser, back: &str) {
    browser.opens("/.doorward/security/turn-off?kind=sms").await;
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "sms"), ("back", back), ("text", "yes")];
    browser.posts("/.doorward/challenge/send", &fields).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn a_page_that_begins_something_else_does_not_void_what_was_sent() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    presses_for(&mut browser, "turn-off").await;
    let sent = code(&gate).await;
    browser.opens("/.doorward/security/factors/add?kind=totp").await;
    assert!(browser.page.contains("Scan this picture"), "{}", browser.page);
    browser.opens("/.doorward/security/turn-off?kind=sms").await;
    types(&mut browser, &sent).await;
    assert!(phones(&gate, "ada").await.is_empty(), "{}", browser.page);
}

#[tokio::test]
async fn a_code_for_another_purpose_does_not_count() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    presses_for(&mut browser, "").await;
    let to_sign_in = code(&gate).await;
    browser.opens("/.doorward/security/turn-off?kind=sms").await;
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "sms"), ("code", to_sign_in.as_str())];
    browser.posts("/.doorward/security/turn-off", &fields).await;
    assert_eq!(phones(&gate, "ada").await, ["+41791234567"], "{}", browser.page);

    gate.waits(Duration::from_mins(1));
    presses_for(&mut browser, "turn-off").await;
    let to_turn_off = code(&gate).await;
    browser.opens("/.doorward/security/turn-off?kind=sms").await;
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "sms"), ("code", to_turn_off.as_str())];
    browser.posts("/.doorward/challenge", &fields).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.posts("/.doorward/security/turn-off", &fields).await;
    assert!(phones(&gate, "ada").await.is_empty(), "{}", browser.page);
}

#[tokio::test]
async fn without_a_provider_the_visitor_is_told_to_use_another_way() {
    let mut gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let without = doorward::config::Config::read("test.yaml", CONFIG).unwrap();
    gate.changes(|env| doorward::flow::Env { config: without.into(), ..env });
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    presses(&mut browser).await;
    assert!(browser.page.contains("Text messages cannot be sent at the moment."));
    assert!(browser.page.contains("Use a recovery code instead"), "{}", browser.page);
}
