//! The security page: what it tells, and to whom.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::flow::administer;
use doorward::store::Records;
use doorward::store::memory::Memory;

use crate::support::gate::{Browser, CONFIG, Gate};

const PAGE: &str = "/.doorward/security";

async fn shows(browser: &mut Browser) -> &str {
    browser.opens(PAGE).await;
    assert_eq!(browser.heading(), "Your security", "{}", browser.page);
    &browser.page
}

#[tokio::test]
async fn it_says_at_one_glance_whether_two_factor_is_on() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let page = shows(&mut browser).await;
    assert!(page.contains("<b>Two-factor is off.</b>"), "{page}");
    assert!(page.contains("href=\"/.doorward/set-up?return_to=%2F.doorward%2Fsecurity\""));
    for absent in ["Recovery codes", "Trusted devices", "Authenticator apps", "turn-off"] {
        assert!(!page.contains(absent), "{absent}");
    }

    let ada = browser.sets_up(&gate, PAGE).await;
    browser.sends(&[("saved", "yes")]).await;
    assert_eq!(browser.location().as_deref(), Some(PAGE), "and back to this page");
    let page = shows(&mut browser).await;
    for said in [
        "<b>Two-factor is on.</b>",
        "<bdi>Authenticator app</bdi>",
        "Added <time datetime=\"2027-01-15T08:00Z\">15 January 2027, 08:00 UTC</time>",
        "12 codes are left.",
        "None. You need a code at every sign-in.",
        "ada@example.com",
        "href=\"/.doorward/security/turn-off\"",
        "href=\"/.doorward/security/replace\"",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("/remove"), "the last one cannot be removed");
    let secret = ada.key.expose_base32();
    let tells = |secret: &str| page.contains(secret);
    assert!(!tells(&secret) && !ada.recovery_codes.iter().any(|code| tells(code)));
}

#[tokio::test]
async fn every_link_on_it_leads_somewhere() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    let page = shows(&mut browser).await.to_owned();
    let links =
        page.split("href=\"/.doorward/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: Vec<_> = links.filter(|link| !link.starts_with("assets/")).collect();
    assert!(links.len() >= 10, "{links:?}");
    for link in links {
        browser.opens(&format!("/.doorward/{link}")).await;
        assert_eq!(browser.status, http::StatusCode::OK, "{link}");
    }
}

#[tokio::test]
async fn where_two_factor_is_demanded_it_says_by_whom_and_offers_no_way_to_turn_it_off() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let ada = Gate::over(Arc::clone(&records)).protects("ada").await;
    for (day, demand, said) in [
        (1, "{ everyone: true, groups: [staff] }", "required for everyone here."),
        (2, "{ groups: [staff], users: [ada] }", "for everyone in the group <bdi>staff</bdi>."),
        (3, "{ users: [Ada] }", "required for you."),
    ] {
        let config = format!("{CONFIG}second_factor: {{ demanded_of: {demand} }}\n");
        let gate = Gate::configured(&config, Arc::clone(&records));
        gate.waits(Duration::from_hours(24 * day));
        let mut browser = gate.browser();
        browser.signs_in_fully(&gate, "ada", &ada).await;
        let page = shows(&mut browser).await;
        assert!(page.contains(said), "{demand}: {page}");
        assert!(!page.contains("turn-off"), "{demand}");
        assert!(page.contains("/.doorward/security/replace"), "that leaves no gap");
    }
}

#[tokio::test]
async fn three_recovery_codes_or_fewer_are_warned_of() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    for (used, code) in ada.recovery_codes.iter().enumerate() {
        browser.signs_in("ada").await;
        browser.opens("/.doorward/challenge?kind=recovery-code").await;
        browser.sends(&[("code", code)]).await;
        let page = shows(&mut browser).await;
        let warned = page.contains("Make new ones soon");
        assert_eq!(warned, used >= 8, "{} left", 11 - used);
        browser.signs_out().await;
    }
    assert!(browser.page.contains("You are signed out"));
}

#[tokio::test]
async fn the_last_thirty_things_that_happened_are_told_in_plain_words() {
    let gate = Gate::new();
    gate.knows("ada").await;
    gate.browser().signs_in_with("ada", "not the password").await;
    gate.waits(Duration::from_secs(1));
    administer::unlock(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    gate.waits(Duration::from_secs(1));
    let mut browser = gate.browser();
    browser.agent = Some("Mozilla/5.0 (X11; OpenBSD amd64) Firefox/140.0");
    browser.signs_in("ada").await;
    let address = browser.address;
    let page = shows(&mut browser).await;
    let told = page.split("id=\"happened\"").nth(1).unwrap();
    let sentences: Vec<_> =
        ["You signed in with a new browser", "You signed in.", "An administrator cleared"]
            .map(|sentence| told.find(sentence).unwrap_or_else(|| panic!("{sentence}: {told}")))
            .into();
    assert!(sentences.is_sorted(), "the newest first: {told}");
    assert!(told.contains(&format!("<bdi>Firefox on OpenBSD, {address}</bdi>")), "{told}");
    assert!(told.contains("A wrong password was typed."));
    assert!(!told.contains("root"), "nobody is told which administrator");

    for _ in 0..40 {
        browser.does("sessions/end-others").await;
        gate.waits(Duration::from_secs(1));
    }
    let page = shows(&mut browser).await;
    assert_eq!(page.matches("You ended all other sessions.").count(), 30);
}

#[tokio::test]
async fn a_sign_in_in_a_browser_that_was_not_known_is_news_but_the_first_is_not() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let news = async || gate.events().await.iter().filter(|e| **e == What::NewBrowser).count();
    // The link was opened in one browser, two-factor set up in another.
    assert_eq!(news().await, 1);
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    assert_eq!(news().await, 1, "nobody is in yet");
    browser.follows().await.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(news().await, 2);
    gate.waits_for_the_next_code();
    browser.signs_out().await;
    browser.signs_in_fully(&gate, "ada", &ada).await;
    assert_eq!(news().await, 2, "it is known by now");

    let gate = Gate::new();
    gate.knows("bob").await;
    assert!(!gate.events().await.contains(&What::NewBrowser), "the very first sign-in");
}

#[tokio::test]
async fn it_is_found_from_the_first_page() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.visits("/.doorward/").await;
    assert!(browser.page.contains("href=\"/.doorward/security\""), "{}", browser.page);
}

#[tokio::test]
async fn whoever_has_shown_the_password_alone_sees_nothing_of_it() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let mut half = gate.browser();
    half.signs_in("ada").await;
    half.visits(PAGE).await;
    assert_eq!(half.heading(), "Enter your code");
    let fetched = [("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    half.requests(http::Method::GET, PAGE, &fetched, "".into()).await;
    assert_eq!(half.status, http::StatusCode::FORBIDDEN);
}
