use std::sync::Arc;
use std::time::Duration;

use doorward::store::Records;
use doorward::store::memory::Memory;
use doorward::web::On;
use doorward::web::routes::ROUTES;
use http::StatusCode;

use crate::support::away::Away;
use crate::support::gate::{Gate, PASSWORD};

#[tokio::test]
async fn while_the_store_is_away_nobody_is_let_through_and_nothing_is_lost() {
    let away = Arc::new(Away::over(Arc::new(Memory::new())));
    let gate = Gate::over(Arc::clone(&away) as Arc<dyn Records>);
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    let forgetful = Gate::over(Arc::clone(&away) as Arc<dyn Records>);
    forgetful.waits_for_the_next_code();
    let mut elsewhere = forgetful.browser();
    elsewhere.cookies = browser.cookies.clone();

    away.goes();
    elsewhere.opens("/").await;
    assert_eq!((elsewhere.status, &elsewhere.passed), (StatusCode::SERVICE_UNAVAILABLE, &None));
    assert!(elsewhere.headers.contains_key("retry-after"));
    for route in
        ROUTES.iter().filter(|route| !route.path.contains("{file}") && route.on != On::Others)
    {
        let path = route.path.replace("{token}", "aaaaaaaaaaaaaaaaaaaaaaaaaa");
        let path = path.replace("{id}", &"0".repeat(32));
        elsewhere.opens(&path).await;
        if elsewhere.status == StatusCode::METHOD_NOT_ALLOWED {
            elsewhere.posts(&path, &[("csrf", "")]).await;
        }
        assert_eq!(elsewhere.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }

    away.comes_back();
    assert!(elsewhere.visits("/").await.passed.is_some());
}

#[tokio::test]
async fn a_change_that_could_not_be_written_was_not_made() {
    let away = Arc::new(Away::over(Arc::new(Memory::new())));
    let gate = Gate::over(Arc::clone(&away) as Arc<dyn Records>);
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    let form = browser.clone();
    away.cannot_be_written();
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(browser.headers.get("set-cookie").is_none());
    away.comes_back();
    let mut browser = form;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "the code was not used up");
}

#[tokio::test]
async fn what_was_ended_although_nobody_was_told_so_has_ended() {
    let away = Arc::new(Away::over(Arc::new(Memory::new())));
    let gate = Gate::over(Arc::clone(&away) as Arc<dyn Records>);
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    assert!(browser.visits("/").await.passed.is_some());
    let mut copy = browser.clone();
    browser.opens("/.doorward/sign-out").await;
    away.falls_silent();
    browser.sends(&[]).await;
    assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE);
    away.comes_back();
    assert_eq!(copy.visits("/").await.heading(), "Sign in", "the session is gone from the store");
}

#[tokio::test]
async fn a_clock_that_was_put_back_lets_nobody_through() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    gate.is_put_back(Duration::from_mins(6));
    assert_eq!(browser.opens("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.passed, None);
    gate.waits(Duration::from_mins(2));
    assert!(browser.visits("/").await.passed.is_some());
}

#[tokio::test]
async fn a_browser_that_lost_its_cookies_gets_a_form_that_works() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in").await;
    browser.cookies.clear();
    browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}
