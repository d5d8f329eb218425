use std::time::Duration;

use http::StatusCode;

use crate::gate::{Gate, PASSWORD};

#[tokio::test]
async fn the_password_is_asked_again_after_a_quarter_of_an_hour_and_then_not_again() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    gate.waits(Duration::from_mins(16));
    browser.visits("/.doorward/set-up").await;
    assert_eq!(browser.heading(), "Confirm that it is you");
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Set up two-factor");
    gate.waits(Duration::from_mins(14));
    browser.visits("/.doorward/set-up").await;
    assert_eq!(browser.heading(), "Set up two-factor");
}

#[tokio::test]
async fn wrong_passwords_here_are_charged_as_at_sign_in() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/confirm").await;
    for _ in 0..5 {
        browser.sends(&[("password", "not the password")]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    browser.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn confirming_proves_the_password_and_nothing_else() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/confirm").await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.visits("/").await;
    assert_eq!(browser.heading(), "Enter your code");
}
