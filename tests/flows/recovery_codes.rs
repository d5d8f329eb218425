//! Looking at the recovery codes again, as a page and as a file.

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use http::StatusCode;

use crate::support::gate::Gate;

fn views(told: &[What]) -> usize {
    told.iter().filter(|what| **what == What::RecoveryCodesViewed).count()
}

#[tokio::test]
async fn whoever_looks_again_is_recorded_be_it_the_page_or_the_file_and_set_up_is_no_looking() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    assert_eq!(views(&gate.events().await), 0);
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    browser.opens("/.doorward/recovery-codes").await;
    assert_eq!(views(&gate.events().await), 1);
    browser.opens("/.doorward/recovery-codes.txt").await;
    let named = browser.headers["content-disposition"].to_str().unwrap();
    assert_eq!(named, "attachment; filename=\"recovery-codes-crm.example.com.txt\"");
    assert!(ada.recovery_codes.iter().all(|code| browser.page.contains(code)));
    assert_eq!(views(&gate.events().await), 2);
}

#[tokio::test]
async fn a_used_code_is_not_shown_again() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/challenge?kind=recovery-code").await;
    browser.sends(&[("code", &ada.recovery_codes[4])]).await;
    browser.opens("/.doorward/recovery-codes").await;
    assert_eq!(browser.recovery_codes().len(), 11, "a recovery code is proof enough");
    assert!(!browser.recovery_codes().contains(&ada.recovery_codes[4]));
}

#[tokio::test]
async fn new_codes_are_led_to_in_every_session_until_they_are_saved() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut other = gate.browser();
    other.signs_in_fully(&gate, "ada", &ada).await;
    gate.waits_for_the_next_code();
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    browser.opens("/.doorward/security/recovery-codes/regenerate").await;
    browser.sends(&[]).await;
    other.visits("/orders").await;
    assert_eq!(other.heading(), "Save your recovery codes");
    other.sends(&[("saved", "yes")]).await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
    browser.visits("/orders").await;
    assert!(browser.passed.is_some(), "{}", browser.page);
    let told = gate.events().await;
    assert!(
        told.contains(&What::FactorReplaced(Kind::RecoveryCode))
            && !told.contains(&What::TwoFactorOff)
    );
}
