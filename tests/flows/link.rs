use std::time::Duration;

use doorward::domain::secret::Token;
use http::StatusCode;

use crate::support::gate::{Gate, PASSWORD};

#[tokio::test]
async fn a_link_sets_a_password_once_and_signs_in() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await.declines().await.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));

    let mut late = gate.browser();
    late.opens(&link).await;
    assert_eq!(late.status, StatusCode::GONE);
    let token = Token::parse(link.rsplit('/').next().unwrap()).unwrap();
    assert_eq!(gate.env.store.link(token.hash()).await.unwrap(), None, "nothing of it is kept");
}

#[tokio::test]
async fn a_new_link_voids_the_earlier_ones() {
    let gate = Gate::new();
    let first = gate.adds("ada").await;
    let second = gate.makes_a_link("ada").await;
    let third = gate.makes_a_link("ada").await;
    let mut half_way = gate.browser();
    half_way.opens(&third).await;
    let last = gate.makes_a_link("ada").await;
    half_way.sends(&[("password", PASSWORD)]).await;
    assert_eq!(half_way.status, StatusCode::GONE, "it was good when the page was opened");
    for earlier in [first, second, third] {
        assert_eq!(gate.browser().opens(&earlier).await.status, StatusCode::GONE);
    }
    let mut browser = gate.browser();
    browser.opens(&last).await;
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
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
async fn a_password_made_of_the_name_is_told_so() {
    let gate = Gate::new();
    let link = gate.adds("bob").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", "bob bob bob bob")]).await;
    assert!(browser.page.contains("made of your name"), "{}", browser.page);
    browser.sends(&[("password", "aaaaaaaaaa")]).await;
    assert!(browser.page.contains("repeats itself"), "{}", browser.page);
}

#[tokio::test]
async fn whoever_has_two_factor_is_not_promised_to_be_signed_in_at_once() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let link = gate.makes_a_link("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    assert!(!browser.page.contains("After that, you are signed in"));
    browser.sends(&[("password", "four dry umbrellas")]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Enter your code");
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
