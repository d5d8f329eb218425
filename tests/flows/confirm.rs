use std::sync::Arc;
use std::time::Duration;

use doorward::domain::name::Login;
use doorward::domain::password::PasswordHash;
use doorward::identity::local::Cost;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Gate, PASSWORD};

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

async fn stored_hash(gate: &Gate) -> PasswordHash {
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    gate.env.store.user(id).await.unwrap().unwrap().user.password().unwrap().clone()
}

#[tokio::test]
async fn a_password_that_is_shown_is_kept_with_todays_parameters_here_as_at_sign_in() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let before = Gate::over(Arc::clone(&records));
    before.knows("ada").await;
    let mut signed_in = before.browser();
    signed_in.signs_in("ada").await;
    let old = stored_hash(&before).await;

    let dearer = Gate::hashing_at(Cost::new(16, 1, 1).unwrap(), Arc::clone(&records));
    let mut browser = dearer.browser();
    browser.cookies = signed_in.cookies;
    browser.opens("/.doorward/confirm").await.sends(&[("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    let confirmed = stored_hash(&dearer).await;
    assert!(confirmed != old, "kept as it was");

    let dearest = Gate::hashing_at(Cost::new(24, 1, 1).unwrap(), records);
    dearest.browser().signs_in("ada").await;
    assert!(stored_hash(&dearest).await != confirmed, "kept as it was");
}
