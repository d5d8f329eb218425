use std::sync::Arc;
use std::sync::atomic::Ordering;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, Gate};
use crate::support::overtaken::Overtaken;

async fn all_at_once(browsers: Vec<Browser>, fields: Vec<(&'static str, String)>) -> Vec<Browser> {
    let tasks: Vec<_> = browsers
        .into_iter()
        .map(|mut browser| {
            let fields = fields.clone();
            tokio::spawn(async move {
                let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
                browser.sends(&fields).await;
                browser
            })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// Two gateways over one store, as two nodes; fifty browsers at the challenge of each.
async fn a_hundred_at_the_challenge() -> (Gate, crate::support::gate::Protected, Vec<Browser>) {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let (here, there) = (Gate::over(Arc::clone(&records)), Gate::over(records));
    let ada = here.protects("ada").await;
    there.waits_for_the_next_code();
    assert_eq!(here.now(), there.now());
    let mut browsers = Vec::new();
    for n in 0..100 {
        let mut browser = if n % 2 == 0 { here.browser() } else { there.browser() };
        browser.signs_in("ada").await;
        browser.follows().await;
        browsers.push(browser);
    }
    (here, ada, browsers)
}

async fn events(gate: &Gate, what: What) -> usize {
    gate.env.store.events(1_000).await.unwrap().iter().filter(|event| event.what == what).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_parallel_submissions_of_one_code_one_succeeds() {
    let (gate, ada, browsers) = a_hundred_at_the_challenge().await;
    let shown = events(&gate, What::FactorShown(Kind::Totp)).await;
    let done = all_at_once(browsers, vec![("code", ada.code(&gate))]).await;
    let passed = done.iter().filter(|browser| browser.status == StatusCode::SEE_OTHER).count();
    assert_eq!(passed, 1);
    assert_eq!(events(&gate, What::FactorShown(Kind::Totp)).await, shown + 1);
    let used = done.iter().filter(|browser| browser.page.contains("already used")).count();
    assert_eq!(used, 99, "the rest are told so, and none is counted as a failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_parallel_submissions_of_one_recovery_code_one_succeeds() {
    let (gate, ada, browsers) = a_hundred_at_the_challenge().await;
    let code = ada.recovery_codes[0].clone();
    let fields = vec![("kind", "recovery-code".to_owned()), ("code", code)];
    let done = all_at_once(browsers, fields).await;
    let passed = done.iter().filter(|browser| browser.status == StatusCode::SEE_OTHER).count();
    assert_eq!(passed, 1);
    assert_eq!(events(&gate, What::FactorShown(Kind::RecoveryCode)).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_parallel_wrong_passwords_five_are_hashed() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browsers = Vec::new();
    for _ in 0..100 {
        let mut browser = gate.browser();
        browser.opens("/.doorward/sign-in").await;
        browsers.push(browser);
    }
    let before = gate.hashed.load(Ordering::SeqCst);
    let fields = vec![("username", "ada".to_owned()), ("password", "not the password".to_owned())];
    let done = all_at_once(browsers, fields).await;
    let refused = |status| done.iter().filter(|browser| browser.status == status).count();
    assert_eq!(refused(StatusCode::UNPROCESSABLE_ENTITY), 5);
    assert_eq!(refused(StatusCode::TOO_MANY_REQUESTS), 95);
    assert_eq!(gate.hashed.load(Ordering::SeqCst) - before, 5);
    assert_eq!(events(&gate, What::PasswordRefused).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_opened_by_many_sets_one_password() {
    let gate = Gate::new();
    let link = gate.adds("ada").await;
    let mut browsers = Vec::new();
    for _ in 0..20 {
        let mut browser = gate.browser();
        browser.opens(&link).await;
        browsers.push(browser);
    }
    let done =
        all_at_once(browsers, vec![("password", crate::support::gate::PASSWORD.to_owned())]).await;
    let passed = done.iter().filter(|browser| browser.status == StatusCode::SEE_OTHER).count();
    assert_eq!(passed, 1);
}

#[tokio::test]
async fn a_code_spent_on_another_node_meanwhile_is_spent_here_too() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    let ada = gate.protects("ada").await;
    other.waits_for_the_next_code();
    let (mut here, mut there) = (gate.browser(), other.browser());
    for browser in [&mut here, &mut there] {
        browser.signs_in("ada").await;
        browser.follows().await;
    }
    let code = ada.code(&gate);
    let spent = code.clone();
    overtaken.by(async move {
        there.sends(&[("code", &spent)]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("code", &code)]).await;
    assert!(overtaken.is_played_out());
    assert!(here.page.contains("already used"), "{}", here.page);
}

#[tokio::test]
async fn a_password_that_is_replaced_while_it_is_hashed_opens_nothing() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    gate.knows("ada").await;
    let link = other.makes_a_link("ada").await;
    let (mut here, mut there) = (gate.browser(), other.browser());
    here.opens("/.doorward/sign-in").await;
    there.opens(&link).await;
    // The first commit charges the try; the second comes when the password has been hashed.
    overtaken.by_after(1, async move {
        there.sends(&[("password", "four dry umbrellas")]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("username", "ada"), ("password", crate::support::gate::PASSWORD)]).await;
    assert!(overtaken.is_played_out());
    assert_eq!(here.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(here.session(), None);
}

#[tokio::test]
async fn an_answer_in_a_session_that_a_new_password_ends_meanwhile_changes_nothing() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::over(Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::over(records);
    let ada = gate.protects("ada").await;
    let link = other.makes_a_link("ada").await;
    let (mut here, mut there) = (gate.browser(), other.browser());
    here.signs_in("ada").await;
    here.follows().await;
    there.opens(&link).await;
    overtaken.by(async move {
        there.sends(&[("password", "four dry umbrellas")]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("code", &ada.code(&gate)), ("trust_device", "yes")]).await;
    assert!(overtaken.is_played_out());
    assert_eq!(here.location().as_deref(), Some("/.doorward/sign-in"));
    assert!(here.headers.get("set-cookie").is_none());
    assert_eq!(events(&gate, What::DeviceTrusted).await, 0);
}
