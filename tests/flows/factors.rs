//! Keys that wait for their first code, and who is faster.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::domain::factor::totp::Key;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, Gate, Protected};
use crate::support::overtaken::Overtaken;

const REPLACE: &str = "/.doorward/security/replace";
const ADD: &str = "/.doorward/security/factors/add";

async fn inside(gate: &Gate, ada: &Protected) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in_fully(gate, "ada", ada).await;
    gate.waits_for_the_next_code();
    browser
}

fn code(key: &Key, gate: &Gate) -> String {
    key.code_at(gate.now()).expose().to_owned()
}

#[tokio::test]
async fn a_key_that_is_to_stand_beside_the_old_one_cannot_take_its_place() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(ADD).await;
    let beside = browser.secret();
    let csrf = browser.field("csrf").unwrap();
    let first = code(&beside, &gate);
    browser.posts(REPLACE, &[("csrf", csrf.as_str()), ("code", &first)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_ne!(browser.secret(), beside, "another key waits there");
    browser.posts(ADD, &[("csrf", csrf.as_str()), ("code", &first)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "and it has made the first void");
    let told = gate.events().await;
    assert!(!told.contains(&What::FactorAdded(Kind::Totp)), "{told:?}");
    assert!(!told.contains(&What::FactorReplaced(Kind::Totp)), "{told:?}");
}

#[tokio::test]
async fn a_key_that_waited_is_gone_when_two_factor_is_off() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(REPLACE).await;
    let waited = browser.secret();
    browser.opens("/.doorward/security/turn-off").await;
    browser.sends(&[("code", &ada.code(&gate))]).await;
    browser.opens(REPLACE).await;
    assert_eq!(browser.location().as_deref(), Some("/.doorward/security"));
    browser.opens("/.doorward/set-up").await;
    assert_ne!(browser.secret(), waited);
}

#[tokio::test]
async fn a_new_key_waits_a_quarter_of_an_hour_and_a_late_code_gets_another() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    gate.waits(Duration::from_mins(5));
    browser.opens(REPLACE).await;
    let key = browser.secret();
    gate.waits(Duration::from_mins(9));
    browser.opens(REPLACE).await;
    assert_eq!(browser.secret(), key, "the same after a reload");
    let mut later = inside(&gate, &ada).await;
    later.opens(REPLACE).await;
    assert_ne!(later.secret(), key, "each session has its own");
}

#[tokio::test]
async fn of_two_replacements_at_once_one_counts_and_the_other_session_is_over() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    let ada = gate.protects("ada").await;
    let mut here = inside(&gate, &ada).await;
    other.waits(Duration::from_secs(60));
    let mut there = other.browser();
    there.signs_in_fully(&other, "ada", &ada).await;
    here.opens(REPLACE).await;
    there.opens(REPLACE).await;
    let (ours, theirs) = (here.secret(), there.secret());
    let first = code(&theirs, &other);
    overtaken.by(async move {
        there.sends(&[("code", &first)]).await;
        assert_eq!(there.location().as_deref(), Some("/.doorward/security"), "{}", there.page);
    });
    here.sends(&[("code", &code(&ours, &gate))]).await;
    assert!(overtaken.is_played_out());
    assert!(here.location().unwrap().starts_with("/.doorward/sign-in"), "{}", here.page);
    let replaced = gate.events().await;
    let replaced =
        replaced.iter().filter(|what| **what == What::FactorReplaced(Kind::Totp)).count();
    assert_eq!(replaced, 1);
    gate.waits_for_the_next_code();
    for (key, lets_in) in [(ours, false), (ada.key, false), (theirs, true)] {
        let mut browser = gate.browser();
        browser.signs_in("ada").await;
        browser.follows().await;
        browser.sends(&[("code", &code(&key, &gate))]).await;
        assert_eq!(browser.status == StatusCode::SEE_OTHER, lets_in);
    }
}

#[tokio::test]
async fn nobody_touches_the_authenticator_of_another() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let bob = gate.protects("bob").await;
    let mut hers = inside(&gate, &ada).await;
    hers.opens("/.doorward/security").await;
    let from = hers.page.find("/.doorward/security/factors/").unwrap();
    let rename = hers.page[from..].split('"').next().unwrap().to_owned();
    let mut his = gate.browser();
    his.signs_in_fully(&gate, "bob", &bob).await;
    his.opens(REPLACE).await;
    let csrf = his.field("csrf").unwrap();
    for page in [rename.clone(), rename.replace("/rename", "/remove")] {
        assert_eq!(his.opens(&page).await.status, StatusCode::NOT_FOUND, "{page}");
        his.posts(&page, &[("csrf", csrf.as_str()), ("name", "mine")]).await;
        assert_eq!(his.status, StatusCode::NOT_FOUND, "{page}");
    }
}

#[tokio::test]
async fn a_replacement_without_a_form_of_ours_changes_nothing() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = inside(&gate, &ada).await;
    browser.opens(REPLACE).await;
    let first = code(&browser.secret(), &gate);
    for page in [REPLACE, ADD, "/.doorward/security/recovery-codes/regenerate"] {
        browser.posts(page, &[("code", &first)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    }
    browser.opens("/.doorward/recovery-codes").await;
    assert_eq!(browser.recovery_codes(), ada.recovery_codes);
    assert!(!gate.events().await.contains(&What::FactorReplaced(Kind::Totp)));
}
