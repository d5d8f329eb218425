//! What hands do: keys instead of a mouse, and digits that are sent by themselves.

use std::time::Duration;

use fantoccini::key::Key;

use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::main_job::{joins, reaches_the_application, signs_in, signs_out};
use super::security_keys::{self, plugs_in, unplugs, usb};
use super::tools::code;
use crate::support::instance::{Instance, PASSWORD};

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
    browser.until("focus the button", || {
        browser.tabs(1);
        let focused = browser.runs("return document.activeElement.textContent.trim()");
        (focused == "Use the security key").then_some(())
    });
    browser.leads(|browser| {
        browser.strikes(&Key::Enter);
    });
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
