//! How many guesses somebody has who knows a password.

use std::time::Duration;

use http::StatusCode;

use super::{NUMBER, asked, code, gate, presses, protects, types, wrong};
use crate::support::gate::Gate;

/// Counts the wrong codes that were judged.
async fn judged(gate: &Gate) -> usize {
    use doorward::domain::event::What;
    gate.events().await.iter().filter(|what| **what == What::SecondFactorRefused).count()
}

#[tokio::test]
async fn a_hundred_wrong_codes_of_all_kinds_in_parallel_are_counted_together() {
    let gate = gate();
    let mut owner = protects(&gate, "ada", NUMBER).await;
    owner.signs_out().await;
    gate.waits(Duration::from_mins(1));
    let mut texted = asked(&gate, "ada").await;
    presses(&mut texted).await;
    let right = code(&gate).await;
    let mut tries = Vec::new();
    for number in 0..100 {
        let mut browser = asked(&gate, "ada").await;
        browser.address = [198, 51, 100, number].into();
        let kind = ["sms", "totp", "recovery-code"][usize::from(number % 3)];
        let (texted, right) = (texted.cookies.clone(), right.clone());
        tries.push(async move {
            if kind == "sms" {
                browser.cookies = texted;
            }
            browser.opens(&format!("/.doorward/challenge?kind={kind}&return_to=/strict/")).await;
            let csrf = browser.field("csrf").unwrap_or_default();
            let guess =
                if kind == "recovery-code" { "AAAA-AAAA-AAAA".into() } else { wrong(&right) };
            let fields = [("csrf", csrf.as_str()), ("kind", kind), ("code", guess.as_str())];
            browser.posts("/.doorward/challenge", &fields).await;
            browser.status
        });
    }
    let came = futures_util::future::join_all(tries).await;
    assert!(came.iter().all(|status| *status != StatusCode::SEE_OTHER), "{came:?}");
    assert_eq!(judged(&gate).await, 5, "then everybody waits");
    types(&mut texted, &right).await;
    assert_ne!(texted.status, StatusCode::SEE_OTHER, "also who has the right one");

    // The owner's browser is known: it has a count of its own.
    owner.signs_in("ada").await;
    owner.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    gate.waits(Duration::from_mins(1));
    presses(&mut owner).await;
    let sent = code(&gate).await;
    types(&mut owner, &sent).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
}

#[tokio::test]
async fn a_resend_never_resets_the_count() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let mut browser = asked(&gate, "ada").await;
    presses(&mut browser).await;
    for _ in 0..2 {
        let right = code(&gate).await;
        for _ in 0..2 {
            types(&mut browser, &wrong(&right)).await;
        }
        gate.waits(Duration::from_mins(1));
        presses(&mut browser).await;
    }
    let right = code(&gate).await;
    types(&mut browser, &wrong(&right)).await;
    types(&mut browser, &right).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "the sixth try waits");
    assert!(browser.page.contains("There were too many attempts."), "{}", browser.page);
}

#[tokio::test]
async fn a_thief_has_fifty_guesses_at_texts_and_fifty_more_with_the_cookie_of_a_known_browser() {
    let gate = gate();
    let mut owner = protects(&gate, "ada", NUMBER).await;
    owner.signs_out().await;
    for stolen in [false, true] {
        let mut read = 0;
        for _ in 0..80 {
            // Seven texts a day, or ten.
            gate.waits(Duration::from_mins(150));
            let mut thief = gate.browser();
            if stolen {
                thief.cookies = owner.cookies.clone();
            }
            thief.signs_in("ada").await;
            thief.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
            presses(&mut thief).await;
            if !thief.page.contains("name=\"code\"") {
                continue;
            }
            let right = code(&gate).await;
            types(&mut thief, &wrong(&right)).await;
            read += usize::from(thief.page.contains("did not work"));
        }
        assert_eq!(read, 50, "with the cookie: {stolen}");
    }
}
