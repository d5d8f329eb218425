//! Text messages of the real process: sent at once, and never twice, also after a kill.

use super::setup::{PASSWORD, Process, Setup};
use crate::support::sms_provider::{Mood, SmsProvider};

const ACCEPTS: Mood = Mood::Says(200, "{\"status\":\"accepted\"}");

fn setup(provider: &SmsProvider) -> Setup {
    let address = provider.address;
    Setup::with(&format!(
        "sms: {{ provider: http, url: 'http://{address}/', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         success: {{ pointer: /status, value: accepted }}, countries: [CH] }}"
    ))
}

/// Somebody sets a password and asks for a code to their phone.
fn asks_for_a_code(setup: &Setup, process: &Process, name: &str, number: &str) {
    let mut window = process.window();
    window.opens(&setup.adds(name));
    window.sends(&[("password", PASSWORD)]);
    window.opens("/.doorward/set-up?kind=sms");
    window.posts(&[("text", "yes"), ("number", number)]);
    assert!(window.answer.body.contains("A code is on its way"), "{}", window.answer.body);
}

#[test]
fn a_text_goes_out_as_soon_as_it_is_written_and_the_log_keeps_its_secrets() {
    let provider = SmsProvider::opens(ACCEPTS);
    let setup = setup(&provider);
    let process = setup.opens();
    asks_for_a_code(&setup, &process, "ada", "+41 79 123 45 67");
    process.hears("text message sent");
    let text = provider.got(1)[0].field("text").unwrap();
    let code = text.split(' ').next().unwrap();
    assert!(!process.said().contains(code) && !process.said().contains("791234567"));
    let metrics = process.tells_operators("/metrics").body;
    assert!(
        metrics.contains("doorward_texts_total{outcome=\"sent\",country=\"CH\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn a_text_that_was_being_handed_over_at_a_kill_is_never_handed_over_again() {
    let provider = SmsProvider::opens(Mood::Silent);
    let setup = setup(&provider);
    let mut process = setup.opens();
    asks_for_a_code(&setup, &process, "ada", "+41 79 123 45 67");
    provider.got(1);
    process.is_killed();
    provider.feels(ACCEPTS);
    let process = setup.opens();
    asks_for_a_code(&setup, &process, "bob", "+41 79 123 45 68");
    process.hears("text message sent");
    let numbers: Vec<_> =
        provider.got(2).iter().map(|request| request.field("to").unwrap()).collect();
    assert_eq!(numbers, ["+41791234567", "+41791234568"]);
}

#[test]
fn a_kill_at_any_moment_after_a_press_sends_nothing_twice() {
    let provider = SmsProvider::opens(ACCEPTS);
    let setup = setup(&provider);
    let number = |of: u32| format!("+4179123450{of}");
    for of in 0..5 {
        let mut process = setup.opens();
        asks_for_a_code(&setup, &process, &format!("user{of}"), &number(of));
        process.is_killed();
    }
    let process = setup.opens();
    asks_for_a_code(&setup, &process, "ada", &number(9));
    provider.got_one(|request| request.field("to") == Some(number(9)));
    let mut numbers: Vec<_> =
        provider.requests().iter().map(|request| request.field("to").unwrap()).collect();
    let count = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "a number got two texts for one press: {numbers:?}");
}
