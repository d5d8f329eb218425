use std::time::Duration;

use doorward::domain::event::What;
use http::StatusCode;

use crate::gate::{Gate, PASSWORD};

const NEW: &str = "four dry sandbanks";

#[tokio::test]
async fn a_new_password_ends_every_other_visit_and_this_one_goes_on() {
    let gate = Gate::new();
    let phone = gate.protects("ada").await;
    let (mut here, mut there) = (gate.browser(), gate.browser());
    there.signs_in_fully(&gate, "ada", &phone).await;
    gate.waits_for_the_next_code();
    here.signs_in_fully(&gate, "ada", &phone).await;
    let before = here.session().cloned();
    here.opens("/.doorward/security/password").await;
    here.sends(&[("new_password", NEW)]).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"));
    assert_ne!(here.session().cloned(), before, "a new id");
    here.visits("/orders").await;
    assert_eq!(here.passed, Some(Some("ada".to_owned())));
    there.visits("/orders").await;
    assert_eq!(there.heading(), "Sign in");
    let mut old = gate.browser();
    assert_eq!(old.signs_in("ada").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(old.signs_in_with("ada", NEW).await.status, StatusCode::SEE_OTHER);
    assert!(gate.events().await.contains(&What::PasswordChanged));
}

#[tokio::test]
async fn the_old_password_is_asked_for_once_it_is_a_quarter_of_an_hour_old() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    gate.waits(Duration::from_mins(16));
    browser.visits("/.doorward/security/password").await;
    assert_eq!(browser.heading(), "Confirm that it is you");
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Change your password");
}

#[tokio::test]
async fn a_password_that_is_guessed_first_is_not_taken() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    for weak in ["short", "password123", "ada@example.com", "crm.example.com"] {
        browser.opens("/.doorward/security/password").await;
        browser.sends(&[("new_password", weak)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{weak}");
        assert!(!browser.page.contains(&format!("value=\"{weak}\"")), "a secret is not shown");
    }
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_trusted_device_is_enough_beside_the_password_and_is_trusted_no_longer() {
    let gate = Gate::new();
    let phone = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    browser.sends(&[("code", &phone.code(&gate)), ("trust_device", "yes")]).await;
    browser.signs_out().await;
    browser.signs_in("ada").await;
    browser.visits("/.doorward/security/password").await;
    assert_eq!(browser.heading(), "Change your password");
    browser.sends(&[("new_password", NEW)]).await;
    browser.signs_out().await;
    browser.signs_in_with("ada", NEW).await;
    assert_eq!(browser.follows().await.heading(), "Enter your code");
}
