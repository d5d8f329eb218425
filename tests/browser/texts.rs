//! Codes by text message in a real browser, with script and without.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::application;
use super::chromium::Browser;
use super::codes::saves_codes;
use super::emailed;
use super::main_job::{joins, reaches_the_application, signs_in, signs_out};
use crate::support::instance::Instance;
use crate::support::sms_provider::{Mood, SmsProvider};

/// The code in the text with this number, counted from one.
fn code(provider: &SmsProvider, count: usize) -> String {
    let text = provider.got(count)[count - 1].field("text").unwrap();
    text.split(' ').next().unwrap().to_owned()
}

fn reads(browser: &Browser, words: &str) {
    browser
        .until(&format!("read {words:?}"), || browser.text("main").contains(words).then_some(()));
}

/// Stands in for a phone that reads texts for the browser (WebOTP): it gives the code that is written to
/// `window.texted`.
const PHONE: &str = "
    window.OTPCredential ??= class {};
    const get = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = (options) => !options.otp ? get(options) : new Promise((give) => {
        window.reads = options.otp.transport.join();
        const look = () => window.texted ? give({ code: window.texted }) : setTimeout(look, 20);
        look();
    });";

#[test]
fn a_phone_that_reads_texts_for_the_browser_fills_the_code_in() {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let instance = instance(&provider);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    browser.commands("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": PHONE }));
    browser.visits("/.doorward/set-up?kind=sms");
    browser.types("number", "079 123 45 67").presses("Text me a code");
    reads(&browser, "A code is on its way to +41 79 123 45 67.");
    let code = code(&provider, 1);
    assert_eq!(browser.runs("return window.reads"), "sms");
    browser.runs(&format!("window.texted = '{code}'"));
    browser.until("a filled field", || {
        (browser.runs("return document.getElementById('code').value") == *code).then_some(())
    });
    browser.presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn instance(provider: &SmsProvider) -> Instance {
    let address = provider.address;
    let sms = format!(
        "sms: {{ provider: http, url: 'http://{address}/', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         countries: [CH, GB], default_country: CH, own_numbers: ['+41795550000'] }}\n"
    );
    Instance::with_more(application::start(), &sms)
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn a_phone_is_set_up_asked_for_and_asked_for_again(#[case] script: bool) {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let instance = instance(&provider);
    let browser =
        if script { Browser::before(&instance) } else { Browser::without_script(&instance) };
    joins(&browser, &instance);
    browser.visits("/.doorward/set-up").presses("Text message");
    reads(&browser, "Text messages are a weak second factor");
    browser.types("number", "079 123 45 67").presses("Text me a code");
    reads(&browser, "A code is on its way to +41 79 123 45 67.");
    browser.types("code", &code(&provider, 1)).presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(&browser);
    signs_out(&browser);

    instance.waits(Duration::from_mins(1));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").presses("Text me a code");
    reads(&browser, "A code is on its way to the number that ends in 67.");
    reads(&browser, "You can send another one in ");
    let first = code(&provider, 2);
    let is_disabled = browser.counts("[data-again]:disabled") == 1;
    assert_eq!(is_disabled, script, "without script, the page only says when");
    instance.waits(Duration::from_mins(1));
    browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
    assert_eq!(browser.counts("[data-again]"), 0);
    browser.presses("Send another code");
    let second = code(&provider, 3);
    assert_ne!(first, second);
    if script {
        browser.enters(&second);
    } else {
        browser.types("code", &second).presses("Continue");
    }
    reaches_the_application(&browser, "/strict/", "pwd,sms,mfa");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn a_number_that_gets_no_texts_is_refused_with_the_reason(#[case] script: bool) {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let instance = instance(&provider);
    let browser =
        if script { Browser::before(&instance) } else { Browser::without_script(&instance) };
    joins(&browser, &instance);
    browser.visits("/.doorward/set-up?kind=sms");
    for (number, why) in [
        ("044 668 18 00", "That is a landline."),
        ("0900 123 456", "That is a service number."),
        ("074 012 34 56", "That is a pager."),
        ("+44 56 1234 5678", "That is an internet phone number."),
        ("079 555 00 00", "That is one of our own numbers."),
        ("+43 664 123456", "No text messages are sent to that country."),
    ] {
        browser.types("number", number).presses("Text me a code");
        reads(&browser, why);
        let abroad = "Use a number in another country, or another way.";
        let advice =
            if number.starts_with("+43") { abroad } else { "Use the number of a mobile phone" };
        reads(&browser, advice);
    }
    browser.types("number", "079 123").presses("Text me a code");
    reads(&browser, "That is not a complete phone number.");
    assert!(provider.requests().is_empty());
    browser.types("number", "079 123 45 67").presses("Text me a code");
    browser.types("code", &code(&provider, 1)).presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|said| said.contains("status of 422")), "{complaints:?}");
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn a_number_is_changed_the_old_one_is_told_and_two_factor_is_turned_off(#[case] script: bool) {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let (instance, arrived) = emailed::instance(&provider);
    let browser =
        if script { Browser::before(&instance) } else { Browser::without_script(&instance) };
    emailed::joins_with_a_phone(&browser, &instance, &provider);

    instance.waits(Duration::from_mins(1));
    browser.visits("/.doorward/security").presses("Change Phone ending in 67");
    reads(&browser, "Codes go to +41 79 123 45 67 now.");
    browser.types("number", "079 123 45 68").presses("Text me a code");
    reads(&browser, "A code is on its way to +41 79 123 45 68.");
    browser.types("code", &code(&provider, 2)).presses("Use this number");
    browser.comes_to("/.doorward/security");
    reads(&browser, "Phone ending in 68");
    provider.got_one(|request| {
        let says = request.field("text").unwrap().contains("no longer gets your codes");
        says && request.field("to").as_deref() == Some("+41791234567")
    });
    browser.until("be told by mail", || {
        let messages = arrived.messages();
        let is_told = |subject| messages.iter().any(|message| message.contains(subject));
        (is_told("a phone number was removed") && is_told("a phone number was added")).then_some(())
    });

    instance.waits(Duration::from_mins(1));
    browser.visits("/.doorward/security").presses("Turn two-factor off");
    reads(&browser, "The code goes to the number that ends in 68.");
    browser.presses("Text me a code");
    reads(&browser, "A code is on its way to the number that ends in 68.");
    browser.types("code", &code(&provider, 4)).presses("Turn two-factor off");
    browser.comes_to("/.doorward/security");
    reads(&browser, "Two-factor is off.");
    assert_eq!(browser.complaints(), [""; 0]);
}
