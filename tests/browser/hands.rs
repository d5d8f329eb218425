//! What hands do: keys instead of a mouse, and digits that are sent by themselves.

use std::time::Duration;

use fantoccini::key::Key;

use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::emailed::{self, mailed, reads};
use super::main_job::{joins, reaches_the_application, signs_in, signs_out};
use super::security_keys::{self, plugs_in, unplugs, usb};
use super::tools::code;
use crate::support::instance::{Instance, PASSWORD};
use crate::support::sms_provider::{Mood, SmsProvider};

#[test]
fn the_keyboard_is_enough_to_sign_in_and_to_answer() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let secret = sets_up(&browser, &instance);
    let recovery_code = browser.text(".recovery-code");
    saves_codes(&browser);
    signs_out(&browser);

    let signs_in_by_keys = || {
        // The address is there before the page: keys go where the focus is.
        browser.visits("/page").comes_to("/.doorward/sign-in").sees("#username:focus");
        browser.strikes("ada").tabs(1).strikes(PASSWORD).leads(|browser| {
            browser.strikes(&Key::Enter);
        });
        browser.comes_to("/.doorward/challenge").sees("#code:focus");
    };
    signs_in_by_keys();
    browser.tabs(2).leads(|browser| {
        browser.strikes(&Key::Enter);
    });
    browser.comes_to("/.doorward/challenge?kind=recovery-code&return_to=%2Fpage");
    browser.sees("#code:focus").strikes(&recovery_code).leads(|browser| {
        browser.strikes(&Key::Enter);
    });
    browser.comes_to("/.doorward/offer?return_to=%2Fpage").presses("I still have it");
    reaches_the_application(&browser, "/page", "pwd,recovery-code,mfa");
    signs_out(&browser);

    instance.waits(Duration::from_secs(30));
    signs_in_by_keys();
    browser.tabs_back(1).strikes(" ").tabs(1).leads(|browser| {
        browser.strikes(&code(&secret, instance.now()));
    });
    reaches_the_application(&browser, "/page", "pwd,otp,mfa");
    signs_out(&browser);

    // The box that the space bar ticked counts.
    signs_in(&browser, "/page");
    reaches_the_application(&browser, "/page", "pwd,trusted-device");
}

/// Goes on with the Tab key until the button, link or field of this label has the focus.
fn tabs_to(browser: &Browser, label: &str) {
    browser.until(&format!("focus {label:?}"), || {
        browser.tabs(1);
        let focused = browser.runs(
            "const one = document.activeElement;
             return (one.labels?.[0] ?? one).textContent.trim()",
        );
        (focused == label).then_some(())
    });
}

/// Presses the Enter key, which leads to another page.
fn enters(browser: &Browser) {
    browser.leads(|browser| {
        browser.strikes(&Key::Enter);
    });
}

#[test]
fn the_keyboard_is_enough_for_codes_by_text_message_and_email() {
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let (instance, arrived) = emailed::instance(&provider);
    let browser = Browser::before(&instance);
    let texted = |count: usize| {
        let text = provider.got(count)[count - 1].field("text").unwrap();
        text.split(' ').next().unwrap().to_owned()
    };
    let link = instance.adds_with_address("ada", "ada@example.com");
    browser.visits(&link).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").visits("/.doorward/set-up").sees("#secret");
    tabs_to(&browser, "Text message");
    enters(&browser);
    browser.sees("#number");
    tabs_to(&browser, "Mobile phone number");
    browser.strikes("079 123 45 67");
    enters(&browser);
    browser.sees("#code:focus").strikes(&texted(1));
    enters(&browser);
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    tabs_to(&browser, "I have saved them");
    enters(&browser);

    browser.visits("/.doorward/security").sees("#factors");
    tabs_to(&browser, "Turn on codes by e-mail");
    enters(&browser);
    tabs_to(&browser, "E-mail me a code");
    enters(&browser);
    browser.sees("#code:focus").strikes(&mailed(&browser, &arrived, "turn on codes by e-mail"));
    enters(&browser);
    browser.comes_to("/.doorward/security");
    reads(&browser, "Codes to a…@example.com");
    signs_out(&browser);

    instance.waits(Duration::from_mins(1));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge");
    tabs_to(&browser, "Text me a code");
    enters(&browser);
    browser.sees("#code:focus");
    instance.waits(Duration::from_mins(1));
    tabs_to(&browser, "get a code by e-mail");
    enters(&browser);
    browser.sees("[value=email]");
    tabs_to(&browser, "E-mail me a code");
    enters(&browser);
    let code = mailed(&browser, &arrived, "sign in, instead of a code by text message");
    browser.sees("#code:focus").strikes(&code);
    enters(&browser);
    reaches_the_application(&browser, "/strict/", "pwd,email,mfa");
    signs_out(&browser);

    instance.waits(Duration::from_mins(1));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").sees("h1");
    if browser.text("h1") != "Get a code by text message" {
        tabs_to(&browser, "Use a text message instead");
        enters(&browser);
    }
    tabs_to(&browser, "Text me a code");
    enters(&browser);
    browser.sees("#code:focus").leads(|browser| {
        // Its last digit sends it.
        browser.strikes(&texted(3));
    });
    reaches_the_application(&browser, "/strict/", "pwd,sms,mfa");
}

#[test]
fn the_keyboard_is_enough_to_use_a_key() {
    let instance = Instance::with_more(application::start(), security_keys::ASKED);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let key = plugs_in(&browser, &usb());
    security_keys::sets_up(&browser);
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").sees("[data-security-key=get]");
    tabs_to(&browser, "Use the security key");
    enters(&browser);
    reaches_the_application(&browser, "/strict/", "pwd,hwk,mfa");
    unplugs(&browser, &key);
}

#[test]
fn the_sixth_digit_sends_the_code_once() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    signs_out(&browser);

    instance.waits(Duration::from_secs(30));
    signs_in(&browser, "/page");
    browser.comes_to("/.doorward/challenge").sees("[data-digits]");
    browser.runs(
        "const field = document.querySelector('[data-digits]');
         field.form.addEventListener('submit', () => { sessionStorage.sent += 'once '; });
         sessionStorage.sent = '';
         for (const typed of ['00000', '000000', '00000', '000000']) {
           field.value = typed;
           field.dispatchEvent(new Event('input'));
         }",
    );
    browser.sees("#problem");
    assert_eq!(browser.runs("return sessionStorage.sent"), "once ");

    // Whoever comes back types another, and it is sent the same way.
    browser.enters(&code(&secret, instance.now()));
    reaches_the_application(&browser, "/page", "pwd,otp,mfa");
}
