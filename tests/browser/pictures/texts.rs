//! Pictures of the pages of codes by text message and by e-mail.

use std::time::Duration;

use super::super::chromium::Browser;
use super::super::codes::saves_codes;
use super::super::emailed::{instance, mailed, reads};
use super::super::main_job::{signs_in, signs_out};
use super::takes;
use crate::support::instance::PASSWORD;
use crate::support::sms_provider::{Mood, SmsProvider};

/// The code in the text with this number, counted from one.
fn texted(provider: &SmsProvider, count: usize) -> String {
    let text = provider.got(count)[count - 1].field("text").unwrap();
    text.split(' ').next().unwrap().to_owned()
}

/// Types a code that is none, by hand: its last digit may send it.
fn is_wrong(browser: &Browser, button: &str) {
    browser.leads(|browser| {
        let sends_itself = browser.counts("[data-digits]") > 0;
        browser.types("code", "000000");
        if !sends_itself {
            browser.clicks(button);
        }
    });
    browser.sees("#problem");
}

#[test]
#[ignore = "a tool: writes pictures of codes by text message and e-mail to target/screenshots/"]
fn every_page_of_sent_codes() {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let (instance, arrived) = instance(&provider);
    let browser = Browser::before(&instance);
    let takes = |name: &str| takes(&browser, name);
    let link = instance.adds_with_address("ada", "ada@example.com");
    browser.visits(&link).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").visits("/.doorward/set-up");
    takes("text-choice");
    browser.visits("/.doorward/set-up?kind=sms").sees("#number");
    takes("text-set-up");
    for (number, name) in
        [("079 123", "malformed"), ("044 668 18 00", "landline"), ("+49 151 23456789", "country")]
    {
        browser.types("number", number).presses("Text me a code").sees("#problem");
        takes(&format!("text-set-up-{name}"));
    }
    browser.types("number", "079 123 45 67").presses("Text me a code");
    reads(&browser, "A code is on its way to +41 79 123 45 67.");
    takes("text-set-up-sent");
    is_wrong(&browser, "Turn on two-factor");
    takes("text-set-up-wrong");
    browser.types("code", &texted(&provider, 1)).presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(&browser);

    browser.visits("/.doorward/security");
    takes("text-security");
    browser.visits("/.doorward/security/phone").sees("#number");
    takes("text-change");
    browser.types("number", "044 668 18 00").presses("Text me a code").sees("#problem");
    takes("text-change-refused");
    instance.waits(Duration::from_mins(1));
    browser.visits("/.doorward/security/phone");
    browser.types("number", "079 765 43 21").presses("Text me a code").sees("#code");
    takes("text-change-sent");
    browser.visits("/.doorward/security").presses("Rename").sees("#name");
    takes("text-rename");

    browser.visits("/.doorward/security").presses("Turn on codes by e-mail").sees("h1");
    takes("email-add");
    browser.presses("E-mail me a code").sees("#code");
    takes("email-add-sent");
    is_wrong(&browser, "Add it");
    takes("email-add-wrong");
    browser.types("code", &mailed(&browser, &arrived, "turn on codes by e-mail")).presses("Add it");
    browser.comes_to("/.doorward/security");
    takes("email-security");
    browser.visits("/.doorward/security/turn-off").sees("h1");
    takes("text-turn-off");
    browser.visits("/.doorward/security").presses("Remove").sees("h1");
    takes("text-remove");
    signs_out(&browser);

    instance.waits(Duration::from_hours(1));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").sees("button");
    takes("text-challenge");
    browser.presses("Text me a code").sees("#code");
    takes("text-challenge-sent");
    instance.waits(Duration::from_mins(1));
    browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
    takes("text-challenge-again");
    browser.presses("Use a code by e-mail instead").sees("[value=email]");
    takes("email-challenge");
    browser.presses("E-mail me a code").sees("#code");
    takes("email-challenge-sent");
    is_wrong(&browser, "Continue");
    takes("email-challenge-wrong");
    browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
    for count in 2..=5 {
        is_wrong(&browser, "Continue");
        takes(&format!("text-challenge-wrong-{count}"));
    }
    browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/").sees("h1");
    takes("text-challenge-wait");
    instance.waits(Duration::from_secs(61));
    browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
    is_wrong(&browser, "Continue");
    takes("text-challenge-last-wrong");
    instance.waits(Duration::from_hours(2));

    let browser = Browser::before(&instance);
    let takes = |name: &str| super::takes(&browser, name);
    provider.feels(Mood::Says(500, "{}"));
    signs_in(&browser, "/strict/");
    for count in 1..=3 {
        let button = if count == 1 { "Text me a code" } else { "Send another code" };
        browser.comes_to("/.doorward/challenge").presses(button);
        browser.until("read that it was not sent", || {
            browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
            browser.text("main").contains("could not be sent").then_some(())
        });
        if count == 1 {
            takes("text-challenge-not-sent");
        }
        if count < 3 {
            instance.waits(Duration::from_mins(1));
            browser.visits("/.doorward/challenge?kind=sms&return_to=/strict/");
        }
    }
    let other = Browser::before(&instance);
    signs_in(&other, "/strict/");
    other.comes_to("/.doorward/challenge").presses("Text me a code").sees("#problem");
    super::takes(&other, "text-challenge-away");
}
