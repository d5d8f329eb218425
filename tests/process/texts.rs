//! Text messages of the real process: sent at once, and never twice, also after a kill.

use super::setup::{PASSWORD, Process, Setup};
use crate::support::sms_provider::{ACCEPTED, Mood, SmsProvider};
use crate::support::window::Window;

const ACCEPTS: Mood = Mood::Says(200, ACCEPTED);

/// The settings with which texts go to `provider`.
fn sms(provider: &SmsProvider) -> String {
    let address = provider.address;
    format!(
        "sms: {{ provider: http, url: 'http://{address}/', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         success: {{ pointer: /status, value: accepted }}, countries: [CH] }}"
    )
}

fn setup(provider: &SmsProvider) -> Setup {
    Setup::with(&sms(provider))
}

/// The numbers to which texts were handed over, in order.
fn numbers(provider: &SmsProvider) -> Vec<String> {
    provider.requests().iter().map(|request| request.field("to").unwrap()).collect()
}

fn number(of: usize) -> String {
    format!("+4179123450{of}")
}

/// Somebody sets a password and opens the page that asks for a number.
fn is_about_to_ask(setup: &Setup, process: &Process, name: &str) -> Window {
    let mut window = process.window();
    window.opens(&setup.adds(name));
    window.sends(&[("password", PASSWORD)]);
    window.opens("/.doorward/set-up?kind=sms");
    window
}

/// The same, who then asks for a code to their phone.
fn asks_for_a_code(setup: &Setup, process: &Process, name: &str, number: &str) {
    let mut window = is_about_to_ask(setup, process, name);
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
    let report = || setup.types(&["report", "sms", "--json"]).json();
    assert_eq!(report()[0]["codes"], 1);
    let done = setup.types(&["sms", "reset-limits"]);
    assert_eq!(done.out, "The limits of text messages were reset.\n", "{done:?}");
    assert_eq!(report(), serde_json::json!([]));
}

/// Where the hand-over of a text stands when the process is killed.
const STEPS: [Mood; 5] = [Mood::Deaf, Mood::Silent, Mood::Drips, Mood::Resets, ACCEPTS];

#[test]
fn a_kill_at_any_step_of_a_hand_over_sends_nothing_twice() {
    let provider = SmsProvider::opens(ACCEPTS);
    let setup = setup(&provider);
    for (of, step) in STEPS.into_iter().enumerate() {
        provider.feels(ACCEPTS);
        let mut process = setup.opens();
        provider.feels(step.clone());
        let before = provider.connections();
        asks_for_a_code(&setup, &process, &format!("user{of}"), &number(of));
        match step {
            Mood::Deaf => provider.connected(before + 1),
            Mood::Says(..) => drop(process.hears("text message sent")),
            _ => drop(provider.got_one(|request| request.field("to") == Some(number(of)))),
        }
        process.is_killed();
    }
    let process = setup.opens();
    asks_for_a_code(&setup, &process, "ada", &number(9));
    // Texts go out in their order: this one is the last.
    provider.got_one(|request| request.field("to") == Some(number(9)));
    let handed_over = numbers(&provider);
    assert_eq!(
        handed_over,
        [1, 2, 3, 4, 9].map(number),
        "the first was not read, nor is it sent again"
    );
}

#[test]
fn a_kill_before_a_text_is_taken_sends_it_at_the_next_start_once() {
    let provider = SmsProvider::opens(Mood::Silent);
    let setup = setup(&provider);
    let mut process = setup.opens();
    let ask = |of| is_about_to_ask(&setup, &process, &format!("user{of}"));
    for (of, mut window) in (0..5).map(ask).collect::<Vec<_>>().into_iter().enumerate() {
        window.posts(&[("text", "yes"), ("number", &number(of))]);
        assert!(window.answer.body.contains("A code is on its way"), "{}", window.answer.body);
        // Four are handed over at once, and have no answer.
        provider.got((of + 1).min(4));
    }
    process.is_killed();
    provider.feels(ACCEPTS);

    // Without a provider it waits, and the metrics say so.
    setup.configures("127.0.0.1:0", "");
    let mut process = setup.opens();
    let waits = |_| {
        let said = process.tells_operators("/metrics").body;
        said.contains("doorward_outbox_texts 1\n")
    };
    assert!((0..10_000).any(waits), "{}", process.tells_operators("/metrics").body);
    process.is_killed();

    setup.configures("127.0.0.1:0", &sms(&provider));
    let process = setup.opens();
    provider.got(5);
    process.hears("text message sent");
    asks_for_a_code(&setup, &process, "ada", &number(9));
    provider.got(6);
    assert_eq!(numbers(&provider), [0, 1, 2, 3, 4, 9].map(number));
}

#[test]
fn a_kill_at_any_moment_after_a_press_sends_nothing_twice() {
    let provider = SmsProvider::opens(ACCEPTS);
    let setup = setup(&provider);
    for of in 0..3 {
        let mut process = setup.opens();
        asks_for_a_code(&setup, &process, &format!("user{of}"), &number(of));
        process.is_killed();
    }
    let process = setup.opens();
    asks_for_a_code(&setup, &process, "ada", &number(9));
    provider.got_one(|request| request.field("to") == Some(number(9)));
    let mut to = numbers(&provider);
    let count = to.len();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), count, "a number got two texts for one press: {to:?}");
}
