use std::time::Duration;

use doorward::domain::secret::Token;
use http::StatusCode;

use crate::gate::{Gate, PASSWORD};

#[tokio::test]
async fn a_link_sets_a_password_once_and_signs_in() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));

    let mut late = gate.browser();
    late.opens(&link).await;
    assert_eq!(late.status, StatusCode::GONE);
    let token = Token::parse(link.rsplit('/').next().unwrap()).unwrap();
    assert_eq!(gate.env.store.link(token.hash()).await.unwrap(), None, "nothing of it is kept");
}

#[tokio::test]
async fn setting_a_password_kills_every_other_link_to_set_one() {
    let gate = Gate::new();
    gate.adds("ada").await;
    let (first, second) = (gate.makes_a_link("ada").await, gate.makes_a_link("ada").await);
    let (mut early, mut late) = (gate.browser(), gate.browser());
    early.opens(&first).await;
    late.opens(&second).await;
    early.sends(&[("password", PASSWORD)]).await;
    assert_eq!(early.status, StatusCode::SEE_OTHER);
    late.sends(&[("password", "four dry umbrellas")]).await;
    assert_eq!((late.status, late.session()), (StatusCode::GONE, None));
}

#[tokio::test]
async fn opening_a_link_uses_nothing_up() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    for _ in 0..3 {
        assert_eq!(gate.browser().opens(&link).await.heading(), "Choose a password");
    }
}

#[tokio::test]
async fn a_link_is_dead_after_seven_days_even_if_nobody_swept() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    gate.waits(Duration::from_hours(7 * 24));
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::GONE);
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn a_weak_password_is_refused_and_the_link_stays_good() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    for weak in ["", "short", "password", "12345678", "aaaaaaaaaa"] {
        browser.sends(&[("password", weak)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{weak}");
    }
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_that_never_was_one_says_no_more_than_a_spent_one() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut spent = gate.browser();
    spent.opens(&link).await;
    spent.sends(&[("password", PASSWORD)]).await;
    spent.opens(&link).await;
    let mut never = gate.browser();
    never.opens("/.doorward/link/aaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    assert_eq!((never.status, &never.page), (spent.status, &spent.page));
}

#[tokio::test]
async fn links_are_never_built_from_what_a_visitor_sends() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    let evil = [("host", "evil.example"), ("x-forwarded-host", "evil.example")];
    let json = [evil[0], evil[1], ("accept", "application/json")];
    for headers in [&evil[..], &json[..]] {
        browser.requests(http::Method::GET, "/", headers, "".into()).await;
        assert!(!format!("{:?} {}", browser.headers, browser.page).contains("evil"));
    }
}
