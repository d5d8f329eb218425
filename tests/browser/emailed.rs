//! Codes by e-mail beside text messages in a real browser, with script and without, through a real mail
//! server.

use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;

use super::application;
use super::chromium::Browser;
use super::codes::saves_codes;
use super::main_job::{reaches_the_application, signs_in, signs_out};
use crate::support::instance::{Instance, PASSWORD};
use crate::support::post_office::{Arrived, opens_on};
use crate::support::sms_provider::{Mood, SmsProvider};

/// A gateway that sends texts and messages, and permits codes by e-mail.
pub(super) fn instance(provider: &SmsProvider) -> (Instance, Arrived) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let arrived = opens_on(socket, None);
    let address = provider.address;
    let more = format!(
        "sms: {{ provider: http, url: 'http://{address}/', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         countries: [CH], default_country: CH }}\n\
         mail: {{ server: '{server}', tls: none, from: door@example.com }}\n\
         second_factor: {{ email_codes: backup }}\n"
    );
    (Instance::with_more(application::start(), &more), arrived)
}

pub(super) fn reads(browser: &Browser, words: &str) {
    browser
        .until(&format!("read {words:?}"), || browser.text("main").contains(words).then_some(()));
}

/// The code in the message that says what it is for, once it has arrived.
pub(super) fn mailed(browser: &Browser, arrived: &Arrived, what_for: &str) -> String {
    let message = browser.until(&format!("have a code to {what_for}"), || {
        let messages = arrived.messages();
        let mut messages = messages.iter().rev().map(|message| message.replace("=\r\n", ""));
        messages.find(|message| message.contains(&format!("lets you {what_for}")))
    });
    let (_, after) = message.split_once(&format!("lets you {what_for}")).unwrap();
    let six = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    after.split_whitespace().find(six).unwrap().to_owned()
}

/// Ada, who has an address, sets a password and a phone.
pub(super) fn joins_with_a_phone(browser: &Browser, instance: &Instance, provider: &SmsProvider) {
    let link = instance.adds_with_address("ada", "ada@example.com");
    browser.visits(&link).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer");
    browser.visits("/.doorward/set-up?kind=sms");
    browser.types("number", "079 123 45 67").presses("Text me a code");
    reads(browser, "A code is on its way to +41 79 123 45 67.");
    let text = provider.got(1)[0].field("text").unwrap();
    browser.types("code", text.split(' ').next().unwrap()).presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(browser);
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn a_code_by_email_stands_in_for_a_text_that_does_not_arrive(#[case] script: bool) {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let (instance, arrived) = instance(&provider);
    let browser =
        if script { Browser::before(&instance) } else { Browser::without_script(&instance) };
    joins_with_a_phone(&browser, &instance, &provider);

    browser.visits("/.doorward/security").presses("Turn on codes by e-mail");
    reads(&browser, "Codes by e-mail are weaker than those by text message");
    browser.presses("E-mail me a code");
    reads(&browser, "A code is on its way to ada@example.com.");
    browser.types("code", &mailed(&browser, &arrived, "turn on codes by e-mail")).presses("Add it");
    browser.comes_to("/.doorward/security");
    reads(&browser, "Codes to a…@example.com");
    signs_out(&browser);

    instance.waits(Duration::from_mins(1));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").presses("Text me a code");
    reads(&browser, "If it does not arrive, you can get a code by e-mail after ");
    instance.waits(Duration::from_mins(1));
    browser.presses("get a code by e-mail");
    browser.sees("[value=email]").presses("E-mail me a code");
    reads(&browser, "A code is on its way to a…@example.com.");
    let code = mailed(&browser, &arrived, "sign in, instead of a code by text message");
    browser.types("code", &code).presses("Continue");
    reaches_the_application(&browser, "/strict/", "pwd,email,mfa");

    // It permits no change, not even that it is turned off; a text does.
    browser.visits("/.doorward/security").presses("Remove Codes to a…@example.com");
    browser.comes_to("/.doorward/challenge").presses("Text me a code");
    reads(&browser, "A code is on its way to the number that ends in 67.");
    let text = provider.got(3)[2].field("text").unwrap();
    let code = text.split(' ').next().unwrap();
    if script {
        browser.enters(code);
    } else {
        browser.types("code", code).presses("Continue");
    }
    reads(&browser, "Turn off codes by e-mail?");
    browser.presses("Remove it").comes_to("/.doorward/security");
    reads(&browser, "Turn on codes by e-mail");
    assert!(!browser.text("main").contains("Codes to a…@example.com"));
    assert_eq!(browser.complaints(), [""; 0]);
}
