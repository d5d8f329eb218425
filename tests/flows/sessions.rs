use std::sync::Arc;
use std::time::Duration;

use doorward::store::Records;
use doorward::store::memory::Memory;
use http::{Method, StatusCode};

use crate::gate::{Gate, PASSWORD};

#[tokio::test]
async fn signing_out_ends_the_session_for_whoever_has_its_cookie() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let mut copy = browser.clone();
    browser.signs_out().await;
    assert_eq!(browser.heading(), "You are signed out");
    copy.visits("/").await;
    assert_eq!(copy.heading(), "Sign in");
}

#[tokio::test]
async fn a_new_sign_in_ends_the_visit_that_the_browser_had() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let link = gate.adds("bob").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;

    let mut before = browser.clone();
    let csrf = browser.opens("/.doorward/confirm").await.field("csrf").unwrap();
    let fields = [("username", "ada"), ("password", PASSWORD), ("csrf", csrf.as_str())];
    browser.posts("/.doorward/sign-in", &fields).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert_eq!(before.visits("/").await.heading(), "Sign in");

    let mut before = browser.clone();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.visits("/").await.passed, Some(Some("bob".to_owned())));
    assert_eq!(before.visits("/").await.heading(), "Sign in");
}

#[tokio::test]
async fn a_link_cannot_sign_anybody_out() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/sign-out").await;
    assert!(browser.visits("/").await.passed.is_some());
}

#[tokio::test]
async fn an_idle_session_ends_after_an_hour_and_a_busy_one_after_a_day() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (mut idle, mut busy) = (gate.browser(), gate.browser());
    idle.signs_in("ada").await;
    busy.signs_in("ada").await;
    for _ in 0..2 {
        gate.waits(Duration::from_mins(31));
        busy.opens("/").await;
        // The use is noted by a task of its own.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert!(busy.visits("/").await.passed.is_some());
    assert_eq!(idle.visits("/").await.heading(), "Sign in");
    for _ in 0..47 {
        gate.waits(Duration::from_mins(30));
        busy.opens("/").await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(busy.visits("/").await.heading(), "Sign in");
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut first = gate.browser();
    first.opens(&link).await;
    first.sends(&[("password", PASSWORD)]).await;
    assert!(first.visits("/").await.passed.is_some());

    let ada = gate.env.store.user_named(&doorward::domain::name::Login::typed("ada")).await;
    let id = ada.unwrap().unwrap();
    let set = |held: &mut doorward::store::Held| {
        let hash = held.user.password().cloned().unwrap();
        held.user.set_password(hash);
    };
    gate.env.store.update(doorward::store::Reads::user(id), set).await.unwrap();
    assert_eq!(first.visits("/").await.heading(), "Sign in");
}

#[tokio::test]
async fn a_session_is_worth_nothing_on_another_host() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let gate = Gate::over(Arc::clone(&records));
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let elsewhere = crate::gate::CONFIG.replace("crm.example.com", "erp.example.com");
    let other = Gate::configured(&elsewhere, records);
    let mut thief = other.browser();
    thief.cookies = browser.cookies;
    assert_eq!(thief.visits("/").await.heading(), "Sign in");
}

#[tokio::test]
async fn crooked_cookies_are_a_stranger_and_never_a_pass() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let real = browser.session().unwrap().clone();
    let mut tail = real.clone();
    tail.pop();
    for crooked in ["", "=", "junk", &tail, &format!("{real}A"), &real.to_lowercase(), "\u{e9}"] {
        browser.cookies.insert("__Host-doorward-session".to_owned(), crooked.to_owned());
        browser.opens("/").await;
        assert_eq!(browser.passed, None, "{crooked}");
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{crooked}");
    }
}

#[tokio::test]
async fn a_return_address_of_another_origin_leads_to_the_front_door() {
    let gate = Gate::new();
    gate.knows("ada").await;
    for evil in ["//evil.example", "/%5Cevil.example", "https:%2F%2Fevil.example", "%09//evil"] {
        let mut browser = gate.browser();
        browser.opens(&format!("/.doorward/sign-in?return_to={evil}")).await;
        browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
        let location = browser.location().unwrap();
        assert!(!location.contains("evil") || location == "/%5Cevil.example", "{location}");
    }
}

#[tokio::test]
async fn whoami_tells_scripts_who_is_there_and_how_they_proved_it() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let script = [("accept", "*/*"), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    browser.requests(Method::GET, "/.doorward/whoami", &script, "".into()).await;
    let body: serde_json::Value = serde_json::from_str(&browser.page).unwrap();
    assert_eq!(body["user"], "ada");
    assert_eq!(body["groups"], serde_json::json!(["staff"]));
    assert_eq!(body["proofs"]["password"], "2027-01-15T08:00:00Z");
}
