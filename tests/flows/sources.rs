//! What follows from each answer of a source of first factors.

use async_trait::async_trait;
use doorward::domain::assurance::FirstFactor;
use doorward::domain::event::What;
use doorward::identity::source::Learnt;
use doorward::identity::{Answer, Broken, Shown, Source};
use http::StatusCode;

use crate::support::gate::{Gate, PASSWORD};

/// A source that gives one answer.
struct Says(Answer);

#[async_trait]
impl Source for Says {
    fn is(&self) -> FirstFactor {
        FirstFactor::Password
    }

    async fn check(&self, _: Shown) -> Answer {
        self.0.clone()
    }
}

async fn sign_ins(gate: &Gate) -> usize {
    gate.events().await.iter().filter(|what| **what == What::SignedIn).count()
}

#[tokio::test]
async fn each_answer_of_a_source_leads_to_its_own_page_and_only_one_signs_in() {
    for (answer, status, said) in [
        (Answer::Right(Learnt::default()), StatusCode::SEE_OTHER, ""),
        (Answer::Wrong, StatusCode::UNPROCESSABLE_ENTITY, "Check the name and the password"),
        (Answer::Unknown, StatusCode::UNPROCESSABLE_ENTITY, "Check the name and the password"),
        (Answer::MustChange, StatusCode::UNPROCESSABLE_ENTITY, "Your password has expired"),
        (Answer::Unavailable(Broken("away")), StatusCode::SERVICE_UNAVAILABLE, "try again"),
    ] {
        let gate = Gate::new();
        gate.knows("ada").await;
        let before = sign_ins(&gate).await;
        let gate = gate.asking(Says(answer.clone()));
        let mut browser = gate.browser();
        browser.opens("/.doorward/sign-in").await;
        browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(browser.status, status, "{answer:?}");
        assert!(browser.page.contains(said), "{answer:?}: {}", browser.page);
        let begun = sign_ins(&gate).await - before;
        assert_eq!(begun, usize::from(status == StatusCode::SEE_OTHER), "{answer:?}");
    }
}

#[tokio::test]
async fn a_password_that_must_be_changed_is_no_failure_and_no_proof() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let gate = gate.asking(Says(Answer::MustChange));
    let mut browser = gate.browser();
    for _ in 0..9 {
        browser.opens("/.doorward/sign-in").await;
        browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "never too many attempts");
    }
    assert!(!gate.events().await.contains(&What::PasswordRefused));
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn a_source_that_cannot_answer_leaves_no_failure_behind() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let away = gate.asking(Says(Answer::Unavailable(Broken("the source is away"))));
    let mut browser = away.browser();
    for _ in 0..9 {
        browser.opens("/.doorward/sign-in").await;
        browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(!away.events().await.contains(&What::PasswordRefused));
    let well = away.asking(Says(Answer::Right(Learnt::default())));
    let mut browser = well.browser();
    browser.opens("/.doorward/sign-in").await;
    browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}
