//! Turning two-factor off, recovery codes again and anew, and further authenticators.

use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, Protected};

const OFF: &str = "/.doorward/security/turn-off";
const REPLACE: &str = "/.doorward/security/replace";
const ADD: &str = "/.doorward/security/factors/add";

/// Ada, who has just shown everything; and another browser of hers, which is a trusted device.
async fn ada(gate: &Gate) -> (Protected, Browser, Browser) {
    let phone = gate.protects("ada").await;
    let mut trusted = gate.browser();
    trusted.signs_in("ada").await;
    trusted.follows().await;
    trusted.sends(&[("code", &phone.code(gate)), ("trust_device", "yes")]).await;
    gate.waits_for_the_next_code();
    let mut here = gate.browser();
    here.signs_in_fully(gate, "ada", &phone).await;
    gate.waits_for_the_next_code();
    (phone, here, trusted)
}

/// Whether this browser's next sign-in ends without a challenge.
async fn is_let_in_by_the_password(browser: &mut Browser) -> bool {
    browser.signs_in("ada").await;
    browser.follows().await;
    browser.heading() != "Enter your code"
}

#[tokio::test]
async fn two_factor_is_turned_off_by_a_current_code_and_takes_everything_along() {
    let gate = Gate::new();
    let (phone, mut here, mut trusted) = ada(&gate).await;
    here.opens(OFF).await;
    assert!(here.page.contains("A stolen password is then enough to sign in as you."));
    here.sends(&[("code", &phone.wrong_code(&gate))]).await;
    assert_eq!(here.status, StatusCode::UNPROCESSABLE_ENTITY);
    let before = here.session().cloned();
    here.sends(&[("code", &phone.code(&gate))]).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"));
    assert_ne!(here.session().cloned(), before, "a new id");
    here.visits("/orders").await;
    assert_eq!(here.passed, Some(Some("ada".to_owned())), "whoever acts goes on");
    trusted.opens("/orders").await;
    assert_eq!(trusted.passed, None, "every other session is over");
    assert!(is_let_in_by_the_password(&mut gate.browser()).await);
    let told = gate.events().await;
    assert!(told.contains(&What::TwoFactorOff) && told.contains(&What::SecondFactorRefused));
    here.opens("/.doorward/recovery-codes").await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"), "nothing is left to see");
}

#[tokio::test]
async fn a_recovery_code_turns_it_off_too_for_the_phone_may_be_lost() {
    let gate = Gate::new();
    let (phone, mut here, _) = ada(&gate).await;
    here.opens(OFF).await;
    here.sends(&[("code", &phone.recovery_codes[0])]).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"));
    let told = gate.events().await;
    assert!(
        told.contains(&What::FactorShown(Kind::RecoveryCode)) && told.contains(&What::TwoFactorOff)
    );
}

#[tokio::test]
async fn guesses_there_are_counted_with_those_at_the_challenge() {
    let gate = Gate::new();
    let (phone, mut here, _) = ada(&gate).await;
    here.opens(OFF).await;
    for _ in 0..5 {
        here.sends(&[("code", &phone.wrong_code(&gate))]).await;
    }
    here.sends(&[("code", &phone.code(&gate))]).await;
    assert_eq!(here.status, StatusCode::TOO_MANY_REQUESTS);
    here.visits("/bank/").await;
    gate.waits(Duration::from_mins(6));
    here.visits("/bank/").await;
    assert_eq!(here.heading(), "Enter your code");
}

#[tokio::test]
async fn where_it_is_demanded_it_cannot_be_turned_off() {
    let config = format!("{CONFIG}second_factor: {{ demanded_of: {{ groups: [staff] }} }}\n");
    let gate = Gate::configured(&config, std::sync::Arc::new(Memory::new()));
    let (phone, mut here, _) = ada(&gate).await;
    here.opens(OFF).await;
    assert!(here.page.contains("cannot be turned off"), "{}", here.page);
    let csrf = here.opens("/.doorward/security/replace").await.field("csrf").unwrap();
    here.posts(OFF, &[("csrf", csrf.as_str()), ("code", &phone.code(&gate))]).await;
    assert!(here.page.contains("cannot be turned off"), "{}", here.page);
    assert!(!is_let_in_by_the_password(&mut gate.browser()).await);
}

#[tokio::test]
async fn unused_recovery_codes_can_be_seen_again_behind_the_password() {
    let gate = Gate::new();
    let (phone, mut here, _) = ada(&gate).await;
    here.opens("/.doorward/recovery-codes").await;
    assert_eq!(here.recovery_codes(), phone.recovery_codes);
    assert!(gate.events().await.contains(&What::RecoveryCodesViewed));
    gate.waits(Duration::from_mins(16));
    here.visits("/.doorward/recovery-codes").await;
    assert_eq!(here.heading(), "Confirm that it is you");
}

#[tokio::test]
async fn new_recovery_codes_kill_the_old_ones_at_once_and_are_to_be_saved() {
    let gate = Gate::new();
    let (phone, mut here, _) = ada(&gate).await;
    here.opens("/.doorward/security/recovery-codes/regenerate").await;
    assert!(here.page.contains("12 of your recovery codes are left."));
    here.sends(&[]).await;
    here.follows().await;
    assert_eq!(here.heading(), "Save your recovery codes");
    let new = here.recovery_codes();
    assert!(new.len() == 12 && new.iter().all(|code| !phone.recovery_codes.contains(code)));
    let mut other = gate.browser();
    other.signs_in("ada").await;
    other.opens("/.doorward/challenge?kind=recovery-code").await;
    other.sends(&[("code", &phone.recovery_codes[3])]).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    other.sends(&[("code", &new[3])]).await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_old_authenticator_works_until_the_new_one_is_proven_and_never_after() {
    let gate = Gate::new();
    let (phone, mut here, mut trusted) = ada(&gate).await;
    here.opens(REPLACE).await;
    let key = here.secret();
    assert_ne!(key, phone.key, "the secret in use is never shown again");
    here.opens(REPLACE).await;
    assert_eq!(here.secret(), key, "a reload shows the same");
    here.sends(&[("code", &phone.code(&gate))]).await;
    assert_eq!(here.status, StatusCode::UNPROCESSABLE_ENTITY, "a code of the old one");
    gate.browser().signs_in_fully(&gate, "ada", &phone).await;
    gate.waits_for_the_next_code();
    let code = key.code_at(gate.now()).expose().to_owned();
    here.sends(&[("code", &code), ("name", "New phone"), ("forget_devices", "yes")]).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"), "{}", here.page);
    here.follows().await;
    assert!(here.page.contains("New phone"));
    assert!(!is_let_in_by_the_password(&mut trusted).await, "no device is trusted any longer");
    gate.waits_for_the_next_code();
    trusted.sends(&[("code", &phone.code(&gate))]).await;
    assert_eq!(trusted.status, StatusCode::UNPROCESSABLE_ENTITY);
    trusted.sends(&[("code", key.code_at(gate.now()).expose())]).await;
    assert_eq!(trusted.status, StatusCode::SEE_OTHER);
    assert!(gate.events().await.contains(&What::FactorReplaced(Kind::Totp)));
}

#[tokio::test]
async fn devices_stay_trusted_if_their_owner_wishes_so() {
    let gate = Gate::new();
    let (_, mut here, mut trusted) = ada(&gate).await;
    here.opens(REPLACE).await;
    let code = here.secret().code_at(gate.now()).expose().to_owned();
    here.sends(&[("code", &code), ("asked_devices", "yes")]).await;
    assert_eq!(here.status, StatusCode::SEE_OTHER);
    assert!(is_let_in_by_the_password(&mut trusted).await);
}

#[tokio::test]
async fn several_authenticators_work_side_by_side_each_under_its_name() {
    let gate = Gate::new();
    let (phone, mut here, _) = ada(&gate).await;
    here.opens(ADD).await;
    let tablet = here.secret();
    let code = tablet.code_at(gate.now()).expose().to_owned();
    here.sends(&[("code", &code), ("name", "Tablet")]).await;
    here.follows().await;
    assert!(here.page.contains("Tablet") && here.page.contains("Authenticator app"));
    gate.waits_for_the_next_code();
    for code in [phone.code(&gate), tablet.code_at(gate.now()).expose().to_owned()] {
        let mut browser = gate.browser();
        browser.signs_in("ada").await;
        browser.follows().await;
        browser.sends(&[("code", &code)]).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER);
    }
    let rename = link(&here, "/rename").pop().unwrap();
    here.opens(&rename).await;
    here.sends(&[("name", "\u{7}")]).await;
    assert_eq!(here.status, StatusCode::UNPROCESSABLE_ENTITY);
    here.sends(&[("name", "Old tablet")]).await;
    here.follows().await;
    assert!(here.page.contains("Old tablet"));

    let remove = link(&here, "/remove").remove(0);
    here.opens(&remove).await;
    here.sends(&[]).await;
    assert_eq!(here.location().as_deref(), Some("/.doorward/security"));
    gate.waits_for_the_next_code();
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    browser.sends(&[("code", &phone.code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    here.follows().await;
    assert!(link(&here, "/remove").is_empty(), "the last one stays");
    here.opens(&rename.replace("/rename", "/remove")).await;
    assert_eq!(here.heading(), "This is your only second factor");
    assert!(here.page.contains(OFF), "that is another action");
}

/// The addresses on the page that end so.
fn link(browser: &Browser, end: &str) -> Vec<String> {
    let hrefs = browser.page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    hrefs.filter(|href| href.ends_with(end)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_person_has_five_authenticators_at_most() {
    let gate = Gate::new();
    let (_, mut here, _) = ada(&gate).await;
    for n in 0..5 {
        here.opens(ADD).await;
        let code = here.secret().code_at(gate.now()).expose().to_owned();
        here.sends(&[("code", &code)]).await;
        assert_eq!(here.status == StatusCode::SEE_OTHER, n < 4, "{}", here.page);
    }
}

#[tokio::test]
async fn whoever_has_shown_the_password_alone_reads_and_changes_nothing_of_it() {
    let gate = Gate::new();
    let (phone, mut full, _) = ada(&gate).await;
    full.opens("/.doorward/security").await;
    let id = link(&full, "/rename").remove(0);
    let mut thief = gate.browser();
    thief.signs_in("ada").await;
    let pages = [
        OFF,
        REPLACE,
        ADD,
        "/.doorward/security",
        "/.doorward/security/password",
        "/.doorward/security/email",
        "/.doorward/security/recovery-codes/regenerate",
        "/.doorward/recovery-codes",
        "/.doorward/recovery-codes.txt",
        "/.doorward/set-up",
        "/.doorward/set-up/recovery-codes",
        &id,
        &id.replace("/rename", "/remove"),
    ];
    for page in pages {
        thief.opens(page).await;
        let to = thief.location().unwrap_or_default();
        assert!(to.starts_with("/.doorward/challenge"), "{page}: {}", thief.page);
        let fields = [("code", "123456"), ("new_password", "four dry sandbanks"), ("name", "x")];
        thief.posts(page, &fields).await;
        assert_ne!(thief.status, StatusCode::OK, "{page}");
        assert!(!phone.recovery_codes.iter().any(|code| thief.page.contains(code)), "{page}");
    }
    gate.browser().signs_in_fully(&gate, "ada", &phone).await;
}
