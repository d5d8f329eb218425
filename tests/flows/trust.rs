use std::time::Duration;

use http::StatusCode;

use crate::support::gate::{Browser, Gate, Protected};

const DAY: Duration = Duration::from_hours(24);
const TRUST: (&str, &str) = ("trust_device", "yes");

async fn trusted(gate: &Gate, ada: &Protected) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    browser.sends(&[("code", &ada.code(gate)), TRUST]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    gate.waits_for_the_next_code();
    browser
}

fn is_challenged(browser: &Browser) -> bool {
    browser.location().as_deref() == Some("/.doorward/challenge")
}

#[tokio::test]
async fn a_trusted_device_skips_the_second_factor_for_thirty_days_and_never_longer() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    for _ in 0..29 {
        gate.waits(DAY);
        browser.signs_in("ada").await;
        assert!(!is_challenged(&browser));
        browser.visits("/strict/").await;
        assert_eq!(browser.page, "pwd,trusted-device");
    }
    gate.waits(DAY);
    assert!(is_challenged(browser.signs_in("ada").await));
}

#[tokio::test]
async fn it_never_replaces_the_password() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    browser.visits("/").await;
    assert_eq!(browser.heading(), "Sign in");
    browser.signs_in_with("ada", "not the password").await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_place_that_takes_no_trusted_device_still_asks() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    browser.signs_in("ada").await;
    for place in ["/untrusting/", "/bank/"] {
        browser.visits(place).await;
        assert_eq!(browser.heading(), "Enter your code", "{place}");
    }
    browser.sends(&[("code", &ada.code(&gate))]).await;
    assert!(browser.visits("/untrusting/").await.passed.is_some());
}

#[tokio::test]
async fn it_does_not_open_the_pages_that_change_protection() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    browser.signs_in("ada").await;
    browser.visits("/.doorward/recovery-codes.txt").await;
    assert_eq!(browser.heading(), "Enter your code");
}

#[tokio::test]
async fn trust_can_be_given_at_set_up() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up").await;
    let code = browser.secret().code_at(gate.now()).expose().to_owned();
    browser.sends(&[("code", &code), TRUST]).await;
    browser.follows().await;
    browser.sends(&[("saved", "yes")]).await;
    browser.signs_out().await;
    assert!(!is_challenged(browser.signs_in("ada").await));
}

#[tokio::test]
async fn another_browser_and_another_user_are_challenged() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    gate.protects("bob").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    assert!(is_challenged(gate.browser().signs_in("ada").await));
    assert!(is_challenged(browser.signs_in("bob").await));
    browser.signs_out().await;
    assert!(!is_challenged(browser.signs_in("ada").await), "ignored, not deleted");
}

#[tokio::test]
async fn a_copied_cookie_kills_the_series_at_its_second_use() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut owner = trusted(&gate, &ada).await;
    owner.signs_out().await;
    let mut thief = gate.browser();
    thief.cookies = owner.cookies.clone();
    assert!(!is_challenged(thief.signs_in("ada").await));
    gate.waits(Duration::from_mins(10));
    thief.signs_in("ada").await;
    thief.signs_out().await;
    assert!(!is_challenged(thief.signs_in("ada").await));
    gate.waits(Duration::from_mins(10));
    assert!(is_challenged(owner.signs_in("ada").await), "the owner finds out");
    thief.signs_out().await;
    assert!(is_challenged(thief.signs_in("ada").await), "and the copy is dead");
}

#[tokio::test]
async fn a_lost_answer_raises_no_alarm() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    let before = browser.cookies.clone();
    assert!(!is_challenged(browser.signs_in("ada").await));
    browser.cookies = before;
    gate.waits(Duration::from_mins(10));
    assert!(!is_challenged(browser.signs_in("ada").await));
}

#[tokio::test]
async fn a_session_by_trusted_device_does_not_outlive_the_trust() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    gate.waits(29 * DAY + Duration::from_mins(23 * 60 + 50));
    assert!(!is_challenged(browser.signs_in("ada").await));
    assert!(browser.visits("/").await.passed.is_some());
    gate.waits(Duration::from_mins(11));
    browser.visits("/").await;
    assert_eq!(browser.heading(), "Enter your code");
}

const OFFER: &str = "name=\"trust_device\"";

#[tokio::test]
async fn trust_is_offered_only_where_it_would_spare_a_code() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    for place in ["/untrusting/", "/bank/", "/.doorward/recovery-codes.txt"] {
        browser.visits(place).await;
        assert_eq!(browser.heading(), "Enter your code", "{place}");
        assert!(!browser.page.contains(OFFER), "{place} asks all the same");
    }
    for place in ["/", "/strict/", "/.doorward/"] {
        browser.visits(place).await;
        assert!(browser.page.contains(OFFER), "{place}");
    }

    let mut trusted = trusted(&gate, &ada).await;
    trusted.opens("/.doorward/challenge").await;
    assert!(!trusted.page.contains(OFFER), "this device is trusted already");
    gate.waits(31 * DAY);
    trusted.signs_in("ada").await;
    trusted.follows().await;
    assert!(trusted.page.contains(OFFER), "it was, but is no longer");
}

#[tokio::test]
async fn whoever_is_let_in_already_is_told_why_a_code_is_wanted() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let said = |browser: &Browser| {
        let again = browser.page.contains("you must show your second factor again");
        (again, browser.page.contains("Signed in as"))
    };
    let mut browser = trusted(&gate, &ada).await;
    browser.signs_out().await;
    browser.signs_in("ada").await;
    browser.visits("/untrusting/").await;
    assert_eq!(said(&browser), (true, true));
    browser.opens("/.doorward/challenge").await;
    assert_eq!(said(&browser), (false, true), "nothing is owed");
    let mut other = gate.browser();
    other.signs_in("ada").await;
    other.visits("/untrusting/").await;
    assert_eq!(said(&other), (false, false), "not let in yet");
}

#[tokio::test]
async fn the_first_page_says_until_when_this_device_is_asked_for_no_code() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada).await;
    browser.visits("/.doorward/").await;
    assert!(browser.page.contains("until 14 February 2027"), "{}", browser.page);
    let mut other = gate.browser();
    other.signs_in_fully(&gate, "ada", &ada).await;
    other.visits("/.doorward/").await;
    assert!(!other.page.contains("This device is trusted"));
}
