use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;
use http::header::RETRY_AFTER;

use crate::support::gate::{Gate, PASSWORD, mails};
use crate::support::overtaken::Overtaken;

const NEW: &str = "four dry sandbanks";

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_this_one_goes_on() {
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

#[tokio::test]
async fn a_password_made_of_the_full_name_is_told_so() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/security/password").await;
    browser.sends(&[("new_password", "Ada Example")]).await;
    assert!(browser.page.contains("made of your name"), "{}", browser.page);
}

#[tokio::test]
async fn a_new_password_costs_no_more_hashing_than_one_address_may_have() {
    let gate = Gate::taking(3);
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    for number in 0..3 {
        browser.opens("/.doorward/security/password").await;
        browser.sends(&[("new_password", &format!("{NEW} {number}"))]).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    }
    let hashed = gate.hashed.load(Ordering::SeqCst);
    browser.opens("/.doorward/security/password").await;
    browser.sends(&[("new_password", NEW)]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(browser.headers.contains_key(RETRY_AFTER));
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed);
}

#[tokio::test]
async fn a_new_password_voids_the_address_that_a_thief_has_named() {
    let gate = mails();
    let phone = gate.protects("ada").await;
    let (mut thief, mut owner) = (gate.browser(), gate.browser());
    thief.signs_in_fully(&gate, "ada", &phone).await;
    thief.opens("/.doorward/security/email").await;
    thief.sends(&[("email", "eve@example.org")]).await;
    let link = gate.link_mailed_to("eve@example.org").await;
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::OK);

    gate.waits_for_the_next_code();
    owner.signs_in_fully(&gate, "ada", &phone).await;
    owner.opens("/.doorward/security/password").await;
    owner.sends(&[("new_password", NEW)]).await;
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE);
    owner.opens("/.doorward/security/email").await;
    assert!(!owner.page.contains("eve@example.org"), "{}", owner.page);
}

#[tokio::test]
async fn whoever_it_is_about_is_told_by_mail() {
    let gate = mails();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/security/password").await;
    browser.sends(&[("new_password", NEW)]).await;
    let text = gate.mail_to("ada@example.com", "Your password was changed").await;
    assert!(text.contains("https://crm.example.com/.doorward/forgot"), "{text}");
    assert!(!text.contains(NEW), "a secret is not told");
}

#[tokio::test]
async fn a_session_that_ends_while_the_password_is_hashed_changes_nothing() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    gate.knows("ada").await;
    let link = other.makes_a_link("ada").await;
    let (mut here, mut there) = (gate.browser(), other.browser());
    here.signs_in("ada").await;
    here.opens("/.doorward/security/password").await;
    there.opens(&link).await;
    overtaken.by(async move {
        there.sends(&[("password", "five calm estuaries")]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("new_password", NEW)]).await;
    assert!(overtaken.is_played_out());
    assert!(here.location().is_some_and(|to| to.starts_with("/.doorward/sign-in")));
    let mut owner = other.browser();
    owner.signs_in_with("ada", "five calm estuaries").await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER);
}
