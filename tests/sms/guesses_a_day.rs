//! How many guesses at a second factor somebody has who knows the password: with codes of every kind,
//! from everywhere, and with a copy of the cookie of a known browser.

use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::lockout::{Failures, WrongCodes};
use doorward::domain::name::Login;
use doorward::domain::user::User;
use http::StatusCode;

use super::emailed::{gate_with_mail, mailed, presses_mail, protected, types_mailed};
use super::{asked, code, presses, types, wrong};
use crate::support::gate::{Browser, Gate};

const DAY: Duration = Duration::from_hours(24);

/// The most guesses from one class of browsers in a day in which nobody signs in there, computed from
/// the constants: those that are free, and one after each wait.
fn in_a_day() -> u32 {
    let (mut guesses, mut at, mut wait) = (Failures::FREE, Duration::ZERO, Failures::FIRST_WAIT);
    loop {
        at += wait;
        if at >= DAY {
            return guesses;
        }
        guesses += 1;
        wait = (wait * 2).min(Failures::LONGEST_WAIT);
    }
}

async fn refused(gate: &Gate) -> usize {
    gate.events().await.iter().filter(|what| **what == What::SecondFactorRefused).count()
}

async fn ada(gate: &Gate) -> User {
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    gate.env.store.user(id).await.unwrap().unwrap().user.clone()
}

/// Types a code of this kind, right or wrong, and returns whether it was accepted.
async fn guesses(browser: &mut Browser, kind: &str, code: &str) -> bool {
    let csrf = browser.field("csrf").unwrap_or_default();
    let fields = [("csrf", csrf.as_str()), ("kind", kind), ("code", code)];
    browser.posts("/.doorward/challenge", &fields).await;
    browser.status == StatusCode::SEE_OTHER
}

#[test]
fn the_documents_say_how_many_guesses_there_are() {
    let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let says = format!("at most {} of these guesses in one day", in_a_day());
    assert!(readme.contains(&says), "{says}");
    let in_words =
        if WrongCodes::AT_MOST == 50 { "fifty guesses at the code a month" } else { "?" };
    assert!(readme.contains(in_words), "{}", WrongCodes::AT_MOST);
    let says = format!(
        "{} more guesses in a day, and at most {} until the user signs in there again",
        in_a_day(),
        Failures::LOCKING
    );
    assert!(readme.contains(&says), "{says}");
}

/// Guesses for a day, as soon as each guess is accepted, at every kind of code that can be guessed.
async fn guesses_for_a_day(gate: &Gate, owner: Option<&Browser>) -> usize {
    let before = refused(gate).await;
    let end = gate.now().plus(DAY);
    let mut turn = 0;
    loop {
        let user = ada(gate).await;
        let known = user.known_browsers().iter().max_by_key(|known| known.last_seen());
        let tries = owner.map_or(user.strangers(), |_| known.unwrap().tries());
        if let Some(until) = tries.second_factor.closed_until(gate.now()) {
            gate.waits(gate.now().until(until));
        }
        if gate.now() >= end {
            return refused(gate).await - before;
        }
        let mut thief = gate.browser();
        thief.cookies = owner.map(|owner| owner.cookies.clone()).unwrap_or_default();
        thief.signs_in("ada").await;
        thief.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
        // There are not enough texts for all guesses, and a code by e-mail costs a minute.
        turn += 1;
        assert!(turn < 100, "they are read without end");
        if turn % 3 == 0 {
            presses(&mut thief).await;
        }
        let has_text = thief.page.contains("name=\"code\"");
        if has_text && turn % 6 == 0 && turn > 12 {
            gate.waits(Duration::from_mins(1));
            thief.opens("/.doorward/challenge?kind=email&return_to=/strict/").await;
            presses_mail(&mut thief, "/.doorward/challenge/send").await;
            let right = gate.code_mailed_to("ada@example.com").await;
            types_mailed(&mut thief, &wrong(&right)).await;
        } else if has_text {
            let right = code(gate).await;
            types(&mut thief, &wrong(&right)).await;
        } else {
            assert!(!guesses(&mut thief, "totp", "123456").await);
        }
    }
}

#[tokio::test]
async fn so_many_guesses_a_day_are_read_at_all_kinds_of_codes_with_and_without_a_stolen_cookie() {
    let gate = gate_with_mail();
    let owner = protected(&gate).await;
    assert_eq!(guesses_for_a_day(&gate, None).await, in_a_day() as usize);
    // Who has the cookie of a known browser has a count of its own.
    assert_eq!(guesses_for_a_day(&gate, Some(&owner)).await, in_a_day() as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_wrong_codes_of_four_kinds_from_a_hundred_addresses_leave_the_owner_a_way() {
    let gate = gate_with_mail();
    let mut owner = protected(&gate).await;
    let (mailed, sent) = mailed(&gate).await;
    let text = code(&gate).await;
    let mut thieves = Vec::new();
    for number in 0..100_u8 {
        let mut thief = asked(&gate, "ada").await;
        thief.address = [198, 51, 100, number].into();
        let kind = ["sms", "email", "totp", "recovery-code"][usize::from(number % 4)];
        // Only in one session were codes sent, so the thieves share it.
        if matches!(kind, "sms" | "email") {
            thief.cookies = mailed.cookies.clone();
        }
        thief.opens(&format!("/.doorward/challenge?kind={kind}&return_to=/strict/")).await;
        let guess = match kind {
            "sms" => wrong(&text),
            "email" => wrong(&sent),
            "totp" => "123456".to_owned(),
            _ => "AAAA-AAAA-AAAAA".to_owned(),
        };
        thieves.push((thief, kind, guess));
    }
    let before = refused(&gate).await;
    let tries = thieves.into_iter().map(|(mut thief, kind, guess)| {
        tokio::spawn(async move { guesses(&mut thief, kind, &guess).await })
    });
    let accepted = futures_util::future::join_all(tries).await;
    assert!(accepted.into_iter().all(|accepted| !accepted.unwrap()));
    let free = usize::try_from(Failures::FREE).unwrap();
    assert_eq!(refused(&gate).await - before, free, "then everybody waits");
    let mut mailed = mailed;
    types_mailed(&mut mailed, &sent).await;
    assert_ne!(mailed.status, StatusCode::SEE_OTHER, "also who has the right one");

    // The owner's browser is known: it has a count of its own.
    owner.signs_in("ada").await;
    owner.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    presses(&mut owner).await;
    let sent = code(&gate).await;
    types(&mut owner, &sent).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
}
