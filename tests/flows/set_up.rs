use std::time::Duration;

use http::StatusCode;

use crate::support::gate::Gate;

#[tokio::test]
async fn a_place_that_asks_for_a_second_factor_leads_to_set_up_and_back() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.visits("/strict/").await;
    assert_eq!(browser.heading(), "Set up two-factor");
    assert!(browser.page.contains("<bdi>crm</bdi> requires it"), "{}", browser.page);
    browser.sets_up(&gate, "%2Fstrict%2F").await;
    assert_eq!(browser.heading(), "Save your recovery codes");
    browser.sends(&[("saved", "yes")]).await;
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    assert_eq!(browser.page, "pwd,otp,mfa");
}

#[tokio::test]
async fn two_factor_is_on_only_after_a_first_right_code() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up").await;
    let key = browser.secret();
    for wrong in ["", "12345", "abcdef", "000000"] {
        browser.sends(&[("code", wrong)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(browser.secret(), key, "the same after a wrong code");
    }
    assert!(browser.page.contains("date and time automatically"));
    assert_eq!(gate.browser().signs_in("ada").await.location().as_deref(), Some("/"));
}

#[tokio::test]
async fn the_secret_is_the_same_after_a_reload_and_new_after_a_quarter_of_an_hour() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up").await;
    let key = browser.secret();
    gate.waits(Duration::from_mins(14));
    browser.opens("/.doorward/set-up").await;
    assert_eq!(browser.secret(), key);
    // The quarter of an hour of the password is over as well: it is asked again first.
    gate.waits(Duration::from_mins(2));
    browser.visits("/.doorward/set-up").await;
    browser.sends(&[("password", crate::support::gate::PASSWORD)]).await;
    browser.follows().await;
    assert_ne!(browser.secret(), key);
}

#[tokio::test]
async fn once_chosen_it_is_asked_for_everywhere() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/challenge"));
    browser.visits("/anywhere").await;
    assert_eq!(browser.heading(), "Enter your code");
    let code = ada.code(&gate);
    browser.sends(&[("code", &code)]).await;
    browser.follows().await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
}

#[tokio::test]
async fn the_secret_of_a_factor_in_use_is_never_shown_again() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let secret = ada.key.expose_base32();
    let mut half = gate.browser();
    half.signs_in("ada").await;
    half.visits("/.doorward/set-up").await;
    assert_eq!(half.heading(), "Enter your code");
    let mut full = gate.browser();
    full.signs_in_fully(&gate, "ada", &ada).await;
    full.visits("/.doorward/set-up").await;
    assert!(full.passed.is_some(), "led on to the application");
    for browser in [half, full] {
        assert!(!browser.page.contains(&secret[..4]));
    }
}

#[tokio::test]
async fn recovery_codes_come_back_until_they_are_saved_and_nothing_else_is_cut_off() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let ada = browser.sets_up(&gate, "/").await;
    assert_eq!(ada.recovery_codes.len(), 12);
    browser.visits("/reports").await;
    assert_eq!(browser.recovery_codes(), ada.recovery_codes);
    browser.opens("/public/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    let script = [("accept", "*/*")];
    browser.requests(http::Method::GET, "/reports.json", &script, "".into()).await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    browser.visits("/.doorward/").await;
    assert_eq!(browser.heading(), "Save your recovery codes");
    browser.sends(&[("saved", "yes")]).await;
    assert!(browser.visits("/reports").await.passed.is_some());
    browser.visits("/.doorward/set-up/recovery-codes").await;
    assert!(browser.recovery_codes().is_empty(), "shown once they are saved");
}

#[tokio::test]
async fn the_codes_can_be_downloaded_as_a_text_file() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let ada = browser.sets_up(&gate, "/").await;
    browser.opens("/.doorward/recovery-codes.txt").await;
    assert_eq!(browser.headers["content-type"], "text/plain; charset=utf-8");
    assert!(browser.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert!(ada.recovery_codes.iter().all(|code| browser.page.contains(code)));
}

#[tokio::test]
async fn a_session_without_a_fresh_password_reaches_no_set_up_page() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    gate.waits(Duration::from_mins(16));
    browser.visits("/.doorward/set-up").await;
    assert_eq!(browser.heading(), "Confirm that it is you");
}
