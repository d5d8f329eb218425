//! Text messages, from what they tell until a provider has accepted them, and the phone as a second
//! factor.

mod challenge;
mod command;
mod emailed;
mod guesses;
mod guesses_a_day;
mod limits;
mod moods;
mod outbox;
mod provider;
mod set_up;

use std::net::SocketAddr;
use std::sync::Arc;

use doorward::domain::factor::Factor;
use doorward::domain::name::Login;
use doorward::domain::texts::{About, Text};
use doorward::store::memory::Memory;

use crate::support::gate::{Browser, CONFIG, Gate};
use crate::support::sms_provider::ACCEPTED as ACCEPTS;

/// A configuration whose texts go to `server`.
fn config(server: SocketAddr) -> String {
    format!("{CONFIG}sms: {}\nset_up: {{ proof: none }}\n", http(server))
}

fn http(server: SocketAddr) -> String {
    format!(
        "{{ provider: http, url: 'http://{server}/send', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         success: {{ pointer: /status, value: accepted }}, countries: [CH, GB, US], default_country: CH, \
         own_numbers: ['+41795550000'] }}"
    )
}

/// What a page says when a code was wrong once too often.
const USED_UP: &str = "the one that was sent no longer works.";

/// Ada's number.
const NUMBER: &str = "079 123 45 67";

/// A gateway whose texts stay in its outbox.
fn gate() -> Gate {
    Gate::configured(&config(([127, 0, 0, 1], 9).into()), Arc::new(Memory::new()))
}

/// The texts that wait.
async fn texts(gate: &Gate) -> Vec<Text> {
    let waiting = gate.env.store.waiting_texts(1_000).await.unwrap();
    waiting.into_iter().map(|waiting| waiting.text).collect()
}

/// The newest code in the outbox, if no two were sent at the same time.
async fn code(gate: &Gate) -> String {
    let texts = texts(gate).await;
    let codes = texts.iter().rev().find_map(|text| match &text.about {
        About::Code(code) => Some(code.expose_str().to_owned()),
        About::Removed => None,
    });
    codes.expect("no code was sent")
}

/// The newest code in the outbox that goes to `number`.
async fn code_to(gate: &Gate, number: &str) -> String {
    let texts = texts(gate).await;
    let to_number = texts.iter().rev().filter(|text| text.to.as_str() == number);
    let mut codes = to_number.filter_map(|text| match &text.about {
        About::Code(code) => Some(code.expose_str().to_owned()),
        About::Removed => None,
    });
    codes.next().expect("no code was sent there")
}

/// Another code than `right`.
fn wrong(right: &str) -> String {
    let last = if right.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &right[..5])
}

/// Posts the form of this page that sends a code, to `target`.
async fn asks(browser: &mut Browser, target: &str, number: &str) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let return_to = browser.field("return_to").unwrap_or_default();
    let fields = [
        ("csrf", csrf.as_str()),
        ("return_to", return_to.as_str()),
        ("kind", "sms"),
        ("text", "yes"),
        ("number", number),
    ];
    browser.posts(target, &fields).await;
}

/// Presses the button that sends a code at the challenge.
async fn presses(browser: &mut Browser) {
    asks(browser, "/.doorward/challenge/send", "").await;
    if browser.location().is_some() {
        browser.follows().await;
    }
}

/// Types a code into the form on this page.
async fn types(browser: &mut Browser, code: &str) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let return_to = browser.field("return_to").unwrap_or_default();
    let at = browser.at.clone();
    let fields =
        [("csrf", csrf.as_str()), ("return_to", &return_to), ("kind", "sms"), ("code", code)];
    browser.posts(&at, &fields).await;
}

/// Sets up a phone as the first second factor, up to the page that asks for the code.
async fn begins(browser: &mut Browser, number: &str) {
    browser.opens("/.doorward/set-up?kind=sms&return_to=/page").await;
    asks(browser, "/.doorward/set-up", number).await;
    if browser.location().is_some() {
        browser.follows().await;
    }
}

/// Adds a user with a phone, and returns their browser.
async fn protects(gate: &Gate, name: &str, number: &str) -> Browser {
    gate.knows(name).await;
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    begins(&mut browser, number).await;
    let code = code(gate).await;
    types(&mut browser, &code).await;
    browser.follows().await;
    assert_eq!(browser.recovery_codes().len(), 12, "{}", browser.page);
    browser.sends(&[("saved", "yes")]).await;
    browser
}

/// A browser in which the password was typed, at the challenge by text message.
async fn asked(gate: &Gate, name: &str) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    assert_eq!(browser.heading(), "Get a code by text message", "{}", browser.page);
    browser
}

/// The numbers of the phones that `name` has set up.
async fn phones(gate: &Gate, name: &str) -> Vec<String> {
    let id = gate.env.store.user_named(&Login::typed(name)).await.unwrap().unwrap();
    let snapshot = gate.env.store.user(id).await.unwrap().unwrap();
    let phones = snapshot.user.factors().iter().filter_map(Factor::phone);
    phones.map(|number| number.as_str().to_owned()).collect()
}
