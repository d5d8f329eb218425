use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::flow::administer;
use http::{HeaderMap, StatusCode};

use crate::gate::{Browser, Gate, PASSWORD, mails};

const NEW: &str = "four dry sandbanks";

/// Asks for a link, and waits until what follows is done.
async fn asks(gate: &Gate, who: &str) -> Browser {
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    browser.sends(&[("email", who)]).await;
    gate.settles().await;
    browser
}

fn without_csrf(browser: &Browser) -> (StatusCode, HeaderMap, String) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let mut headers = browser.headers.clone();
    headers.remove(http::header::SET_COOKIE);
    (browser.status, headers, browser.page.replace(&csrf, ""))
}

#[tokio::test]
async fn a_mailed_link_sets_a_password_and_skips_no_challenge() {
    let gate = mails();
    let phone = gate.protects("ada").await;
    gate.browser().signs_in_fully(&gate, "ada", &phone).await;
    gate.waits_for_the_next_code();
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut browser = gate.browser();
    assert_eq!(browser.opens(&link).await.heading(), "Choose a password");
    browser.sends(&[("password", NEW)]).await;
    assert_eq!(browser.follows().await.heading(), "Enter your code");
    browser.opens("/.doorward/set-up").await;
    assert_eq!(
        browser.location().as_deref().map(|to| to.split('?').next().unwrap().to_owned()),
        Some("/.doorward/challenge".to_owned())
    );
    assert!(gate.events().await.contains(&What::PasswordReset));
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE, "it works once");
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn whoever_never_had_a_password_gets_one_so() {
    let gate = mails();
    gate.adds("ada").await;
    asks(&gate, "Ada@Example.com").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", NEW)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_asks_learns_nothing_of_who_there_is() {
    let gate = mails();
    gate.knows("ada").await;
    let hashed = gate.hashed.load(std::sync::atomic::Ordering::SeqCst);
    let known = asks(&gate, "ada").await;
    let unknown = asks(&gate, "nobody").await;
    let nonsense = asks(&gate, "@@").await;
    assert_eq!(without_csrf(&known), without_csrf(&unknown));
    assert_eq!(without_csrf(&known), without_csrf(&nonsense));
    assert_eq!(gate.hashed.load(std::sync::atomic::Ordering::SeqCst), hashed);
}

#[tokio::test]
async fn the_letter_goes_to_the_address_that_is_known_and_to_no_other() {
    let gate = mails();
    gate.knows("ada").await;
    let before = gate.letters().await.len();
    asks(&gate, "ada@example.com,eve@example.org").await;
    asks(&gate, "ada@example.com\r\nBcc: eve@example.org").await;
    assert_eq!(gate.letters().await.len(), before);
    asks(&gate, "ada").await;
    assert!(gate.letters().await.iter().all(|letter| letter.to.as_str() == "ada@example.com"));
}

#[tokio::test]
async fn three_letters_an_hour_are_sent_and_no_more() {
    let gate = mails();
    gate.knows("ada").await;
    let before = gate.letters().await.len();
    for _ in 0..10 {
        asks(&gate, "ada").await;
    }
    assert_eq!(gate.letters().await.len() - before, 3);
    gate.waits(Duration::from_mins(61));
    asks(&gate, "ada").await;
    assert_eq!(gate.letters().await.len() - before, 4);
}

#[tokio::test]
async fn whoever_asks_voids_no_link_of_an_administrator_and_a_newer_letter_voids_the_older() {
    let gate = mails();
    gate.knows("ada").await;
    let administrators = gate.makes_a_link("ada").await;
    asks(&gate, "ada").await;
    let first = gate.link_mailed_to("ada@example.com").await;
    gate.waits(Duration::from_secs(1));
    asks(&gate, "ada").await;
    let second = gate.link_mailed_to("ada@example.com").await;
    assert_eq!(gate.browser().opens(&first).await.status, StatusCode::GONE);
    assert_eq!(gate.browser().opens(&second).await.status, StatusCode::OK);
    assert_eq!(gate.browser().opens(&administrators).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_letter_is_good_for_a_day_and_for_nobody_who_is_kept_out() {
    let gate = mails();
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut late = gate.browser();
    late.opens(&link).await;
    gate.waits(Duration::from_hours(24));
    late.sends(&[("password", NEW)]).await;
    assert_eq!(late.status, StatusCode::GONE);
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    administer::disable(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE);
    let before = gate.letters().await.len();
    asks(&gate, "ada").await;
    assert_eq!(gate.letters().await.len(), before);
}

#[tokio::test]
async fn a_mailed_link_is_no_proof_that_sets_up_a_first_factor() {
    let gate = Gate::configured(
        &format!(
            "{}\nset_up: {{ proof: link }}\nmail: {{ server: '127.0.0.1:9', tls: none, from: a@example.com }}\n",
            crate::gate::CONFIG
        ),
        std::sync::Arc::new(doorward::store::memory::Memory::new()),
    );
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let mut browser = gate.browser();
    browser.opens(&gate.link_mailed_to("ada@example.com").await).await;
    browser.sends(&[("password", NEW)]).await;
    browser.visits("/.doorward/set-up").await;
    assert!(!browser.page.contains("id=\"secret\""), "{}", browser.page);
    browser.opens(&gate.makes_a_link("ada").await).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.visits("/.doorward/set-up").await;
    assert!(browser.page.contains("id=\"secret\""), "{}", browser.page);
}

#[tokio::test]
async fn where_no_letters_are_sent_the_page_says_what_to_do_instead() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    assert!(browser.page.contains("No letters are sent from here"));
    assert!(!browser.page.contains("<form"));
}
