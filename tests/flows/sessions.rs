use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::{Method, StatusCode};

use crate::support::gate::{Gate, PASSWORD};

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
async fn a_new_sign_in_ends_the_session_that_the_browser_had() {
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
    let set = |held: &mut doorward::store::Transaction| {
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
    let elsewhere = crate::support::gate::CONFIG.replace("crm.example.com", "erp.example.com");
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
async fn a_return_address_of_another_origin_leads_to_the_start_page() {
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

const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0 Safari/537.36";
const HERE: &str = "<span class=\"mark\">This session</span>";

#[tokio::test]
async fn sessions_are_listed_with_browser_place_and_times_and_this_one_first() {
    let gate = Gate::new();
    gate.knows("ada").await;
    // The session that set the password was used before.
    gate.waits(Duration::from_secs(1));
    let (mut desk, mut phone) = (gate.browser(), gate.browser());
    desk.agent = Some(CHROME);
    desk.signs_in("ada").await;
    gate.waits(Duration::from_mins(20));
    phone.signs_in("ada").await;
    for (browser, named) in [(&mut desk, "Chrome on Linux"), (&mut phone, "A browser")] {
        browser.opens("/.doorward/security").await;
        assert!(browser.page.contains(&format!("<b>{named}</b> {HERE}")), "{}", browser.page);
        assert_eq!(browser.page.matches(HERE).count(), 1);
    }
    let (desks, phones) = (desk.listed("sessions"), phone.listed("sessions"));
    assert_eq!((&desks[0], &phones[0]), (&phones[1], &desks[1]));
    let began = "Began <time datetime=\"2027-01-15T08:00Z\">15 January 2027, 08:00 UTC</time>";
    assert!(phone.page.contains(&format!("{began} from <bdi>{}</bdi>", desk.address)));
    // One that is over is not listed, nor one of somebody else.
    gate.knows("bob").await;
    gate.browser().signs_in("bob").await;
    desk.signs_out().await;
    assert_eq!(phone.opens("/.doorward/security").await.listed("sessions").len(), 2);
}

#[tokio::test]
async fn a_session_that_is_ended_elsewhere_is_refused_at_its_next_request() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (mut here, mut there) = (gate.browser(), gate.browser());
    here.signs_in("ada").await;
    there.signs_in("ada").await;
    let open = there.keeps_open("/stream").await;
    assert!(there.may_go_on(&open).await);
    let id = there.opens("/.doorward/security").await.listed("sessions").remove(0);

    here.does(&format!("sessions/{id}/end")).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security#sessions"));
    assert!(!there.may_go_on(&open).await, "no byte passes any more");
    assert_eq!(there.visits("/").await.heading(), "Sign in");
    assert!(here.visits("/").await.passed.is_some());
    assert!(gate.events().await.contains(&What::SessionEnded));
    // Once more changes nothing, and tells nothing.
    here.does(&format!("sessions/{id}/end")).await;
    let told = gate.events().await;
    assert_eq!(told.iter().filter(|event| **event == What::SessionEnded).count(), 1);
}

#[tokio::test]
async fn ending_this_session_is_signing_out() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (mut here, mut there) = (gate.browser(), gate.browser());
    here.signs_in("ada").await;
    there.signs_in("ada").await;
    let copy = here.clone();
    let id = here.opens("/.doorward/security").await.listed("sessions").remove(0);
    here.does(&format!("sessions/{id}/end")).await.follows().await;
    assert_eq!(here.heading(), "You are signed out");
    for mut browser in [here, copy] {
        assert_eq!(browser.visits("/").await.heading(), "Sign in");
    }
    assert!(there.visits("/").await.passed.is_some());
    assert!(gate.events().await.contains(&What::SignedOut));
}

#[tokio::test]
async fn nobody_ends_the_session_of_another_whatever_id_they_name() {
    let gate = Gate::new();
    gate.knows("ada").await;
    gate.knows("mallory").await;
    let (mut ada, mut mallory) = (gate.browser(), gate.browser());
    ada.signs_in("ada").await;
    mallory.signs_in("mallory").await;
    let id = ada.opens("/.doorward/security").await.listed("sessions").remove(0);
    for id in [id.as_str(), &"0".repeat(32), "x"] {
        mallory.does(&format!("sessions/{id}/end")).await;
        assert_eq!(mallory.location().as_deref(), Some("/.doorward/security#sessions"));
    }
    mallory.does("sessions/end-others").await;
    assert!(ada.visits("/").await.passed.is_some());
    assert!(mallory.visits("/").await.passed.is_some());
    assert!(!gate.events().await.contains(&What::SessionEnded));
}

#[tokio::test]
async fn all_other_sessions_end_at_once_and_this_one_goes_on_under_a_new_id() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let (mut here, mut there, mut half) = (gate.browser(), gate.browser(), gate.browser());
    here.signs_in_fully(&gate, "ada", &ada).await;
    gate.waits_for_the_next_code();
    there.signs_in_fully(&gate, "ada", &ada).await;
    half.signs_in("ada").await;
    let (mine, theirs) = (here.keeps_open("/stream").await, there.keeps_open("/stream").await);
    let mut copy = here.clone();

    here.does("sessions/end-others").await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security#sessions"));
    assert_ne!(here.session(), copy.session());
    assert!(here.visits("/strict/").await.passed.is_some());
    assert!(here.may_go_on(&mine).await && !there.may_go_on(&theirs).await);
    for browser in [&mut there, &mut half, &mut copy] {
        assert_eq!(browser.visits("/").await.heading(), "Sign in");
    }
    assert_eq!(here.opens("/.doorward/security").await.listed("sessions").len(), 1);
    assert!(gate.events().await.contains(&What::SessionsEnded));
}

#[tokio::test]
async fn a_session_that_owes_its_second_factor_ends_none() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let (mut full, mut half) = (gate.browser(), gate.browser());
    full.signs_in_fully(&gate, "ada", &ada).await;
    half.signs_in("ada").await;
    let id = full.opens("/.doorward/security").await.listed("sessions").remove(0);
    half.opens("/.doorward/challenge").await;
    let csrf = half.field("csrf").unwrap();
    for operation in [format!("sessions/{id}/end"), "sessions/end-others".to_owned()] {
        half.posts(&format!("/.doorward/security/{operation}"), &[("csrf", &csrf)]).await;
        assert_eq!(half.status, StatusCode::UNAUTHORIZED);
    }
    assert!(full.visits("/").await.passed.is_some());
}
