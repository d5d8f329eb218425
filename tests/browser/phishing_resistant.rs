//! Pages that take only what cannot be phished, in a real browser with Chromium's virtual authenticators.

use std::time::Duration;

use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::main_job::{joins, reaches_the_application, signs_in, signs_out};
use super::security_keys::{plugs_in, reads, usb};
use super::tools::code;
use crate::support::instance::{HOST, Instance};

pub(super) const ADD: &str = "/.doorward/security/factors/add";

/// A gateway whose `/keys/` takes only a key that counts as phishing-resistant. `proof`: what the set-up of
/// a first factor requires besides the password.
pub(super) fn instance(proof: &str, passkeys: bool) -> Instance {
    let upstream = application::start();
    Instance::with(|folder| {
        format!(
            "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
mail: {{ server: '127.0.0.1:9', tls: none, from: door@example.com }}
set_up: {{ proof: {proof} }}
second_factor: {{ security_keys: {{ passkeys: {passkeys} }} }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{upstream}
    rules:
      - {{ paths: [/keys/], require: {{ second_factor: {{ kinds: [phishing-resistant] }} }} }}
      - {{ paths: [/strict/], require: second-factor }}
    otherwise: sign-in
",
            folder.join("state").display(),
        )
    })
}

/// Goes where only keys are taken, with an authenticator app alone, and adds the key that is plugged in.
fn adds_a_key(browser: &Browser) {
    browser.visits("/keys/").comes_to(ADD).sees("[data-security-key=create]");
    assert_eq!(browser.text("h1"), "Add a security key");
    browser.presses("Add it");
}

#[test]
fn a_key_that_a_link_vouches_for_counts_at_once() {
    let instance = instance("link", false);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    sets_up(&browser, &instance);
    saves_codes(&browser);
    plugs_in(&browser, &usb());
    adds_a_key(&browser);
    reaches_the_application(&browser, "/keys/", "pwd,otp,hwk,mfa");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_key_that_is_the_first_factor_counts_at_once_and_the_device_that_it_trusts_never() {
    let instance = instance("none", false);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    plugs_in(&browser, &usb());
    browser.visits("/keys/").comes_to("/.doorward/set-up");
    if browser.counts("[data-security-key=create]") == 0 {
        browser.presses("Security key or passkey");
    }
    browser.sees("[data-security-key=create]").presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(&browser);
    reaches_the_application(&browser, "/keys/", "pwd,hwk,mfa");
    signs_out(&browser);

    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").ticks("trust_device");
    browser.presses("Use the security key").comes_to("/strict/");
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    reaches_the_application(&browser, "/strict/", "pwd,trusted-device");
    browser.visits("/keys/").comes_to("/.doorward/challenge").sees("[data-security-key=get]");
    assert_eq!(browser.counts("[name=trust_device]"), 0, "that would not count here");
    browser.presses("Use the security key");
    reaches_the_application(&browser, "/keys/", "pwd,hwk,trusted-device,mfa");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_key_that_only_a_code_vouches_for_counts_after_three_days_and_the_page_says_when() {
    let instance = instance("none", false);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    signs_out(&browser);
    instance.waits(Duration::from_secs(30));
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge").enters(&code(&secret, instance.now()));
    browser.comes_to("/strict/");
    plugs_in(&browser, &usb());
    adds_a_key(&browser);
    reads(&browser, "Your security key does not count here yet");
    // The clock shows 15 January 2027, 08:00:30.
    reads(&browser, "You can use it here from 18 January 2027, 08:00 UTC on.");
    signs_out(&browser);

    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge");
    browser.visits("/.doorward/challenge?kind=security-key&return_to=/strict/");
    browser.presses("Use the security key");
    reaches_the_application(&browser, "/strict/", "pwd,hwk,mfa");
    browser.visits("/keys/");
    reads(&browser, "Your security key does not count here yet");
    signs_out(&browser);

    instance.waits(Duration::from_hours(72));
    signs_in(&browser, "/keys/");
    browser.comes_to("/.doorward/challenge").sees("[data-security-key=get]");
    browser.presses("Use the security key");
    reaches_the_application(&browser, "/keys/", "pwd,hwk,mfa");
}
