//! Pictures of the pages of security keys and passkeys.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::super::accessibility::before_samples;
use super::super::application;
use super::super::chromium::Browser;
use super::super::codes::{saves_codes, sets_up};
use super::super::main_job::{joins, signs_in, signs_out};
use super::super::phishing_resistant::{self, ADD};
use super::super::security_keys::{
    CHALLENGE, ERRORS, SET_UP, fails, meets, plugs_in, unplugs, usb,
};
use super::super::tools::code;
use super::takes;
use crate::support::instance::{Instance, PASSWORD};
use crate::support::security_key::Maker;

#[test]
#[ignore = "a tool: writes pictures of the pages of security keys to target/screenshots/"]
fn every_page_of_security_keys() {
    let home = tempfile::tempdir().unwrap();
    let authorities = home.path().join("keys.pem");
    fs::write(&authorities, Maker::new().authority).unwrap();
    let only = format!(
        "second_factor: {{ security_keys: {{ only: {{ aaguids: [2fc0579f-8113-47ea-b116-bb5a8db9202a, \
         d8522d9f-575b-4866-88a9-ba99fa02f35b], authorities: {} }} }} }}\n",
        authorities.display()
    );
    let strict = Instance::with_more(application::start(), &only);
    let browser = Browser::before(&strict);
    browser.visits(&strict.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.visits("/.doorward/set-up?kind=security-key").sees("[data-security-key=create]");
    takes(&browser, "set-up-key-only");
    plugs_in(&browser, &usb());
    browser.presses("Turn on two-factor").sees("#problem");
    takes(&browser, "set-up-key-other-model");

    let proof = "mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }\n\
                 set_up: { proof: mail }\n\
                 second_factor: { security_keys: { passkeys: false } }\n";
    let instance = Instance::with_more(application::start(), proof);
    let browser = Browser::before(&instance);
    let takes = |name| takes(&browser, name);
    let link = instance.adds_with_address("ada", "ada@example.com");
    browser.visits(&link).types("password", PASSWORD).presses("Save the password");
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    instance.waits(Duration::from_secs(30));
    browser.comes_to("/.doorward/challenge").enters(&code(&secret, instance.now()));
    browser.visits("/.doorward/security/factors/add?kind=security-key").sees("main form");
    takes("key-prove");
    browser.presses("Send the code").sees("#code");
    takes("key-prove-code");
    let text = instance.mail_to("ada@example.com", "This code lets you");
    let six = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    browser.types("mailed_code", text.split_whitespace().find(six).unwrap()).presses("Continue");
    browser.sees("[data-security-key=create]");
    takes("key-add");
    let key = plugs_in(&browser, &usb());
    browser.types("name", "Key ring").presses("Add it").comes_to("/.doorward/security");
    takes("security-key-and-app");

    // A copy of the key answers, whose counter is behind.
    let of = json!({ "authenticatorId": key });
    let held = &browser.commands("WebAuthn.getCredentials", &of)["credentials"][0];
    let mut copy = held.clone();
    copy["signCount"] = 0.into();
    let id = json!({ "authenticatorId": key, "credentialId": held["credentialId"] });
    browser.commands("WebAuthn.removeCredential", &id);
    browser
        .commands("WebAuthn.addCredential", &json!({ "authenticatorId": key, "credential": copy }));
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge");
    browser.visits("/.doorward/challenge?kind=security-key&return_to=/strict/");
    browser.sees("[data-security-key=get]");
    takes("challenge-key");
    browser.presses("Use the security key").sees("#problem");
    takes("challenge-key-doubted");
    browser.visits("/.doorward/challenge?kind=totp&return_to=/.doorward/security");
    instance.waits(Duration::from_secs(60));
    browser.enters(&code(&secret, instance.now())).comes_to("/.doorward/security");
    takes("security-key-doubted");
    browser.presses("Allow again").sees("h1");
    takes("key-keep");
    browser.tabs(1).presses("Allow it again").comes_to("/.doorward/security");
    takes("security-key-kept");
}

#[test]
#[ignore = "a tool: writes pictures of what is said if a key does not work to target/screenshots/"]
fn every_error_of_a_key() {
    let (browser, _) = before_samples();
    fails(&browser);
    for (error, ..) in ERRORS {
        for (page, name) in [(SET_UP, "set-up"), (CHALLENGE, "challenge")] {
            meets(&browser, page, error);
            takes(&browser, &format!("key-error-{name}-{error}"));
        }
    }
    meets(&browser, ("/page/sign-in-passkey", "Sign in with a passkey"), "NotAllowedError");
    takes(&browser, "passkey-error");
    let source = json!({ "source": "delete window.PublicKeyCredential" });
    browser.commands("Page.addScriptToEvaluateOnNewDocument", &source);
    browser.visits(SET_UP.0).sees("[data-key-error=unable]:not([hidden])");
    takes(&browser, "key-error-set-up-unable");
}

#[test]
#[ignore = "a tool: writes pictures of passkeys and of keys that wait to target/screenshots/"]
fn every_page_of_passkeys() {
    let instance = phishing_resistant::instance("none", true);
    let browser = Browser::before(&instance);
    let takes_it = |name| takes(&browser, name);
    joins(&browser, &instance);
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    instance.waits(Duration::from_secs(30));
    browser.comes_to("/.doorward/challenge").enters(&code(&secret, instance.now()));
    browser.comes_to("/strict/");
    let key = plugs_in(&browser, &usb());
    browser.visits("/keys/").comes_to(ADD).sees("[data-security-key=create]");
    takes_it("phishing-resistant-add");
    browser.presses("Add it").sees("time");
    takes_it("phishing-resistant-not-yet");
    browser.visits("/.doorward/security-key-help");
    takes_it("key-help");
    signs_out(&browser);
    instance.waits(Duration::from_hours(72));

    // While a key is there, it answers where autofill asks.
    unplugs(&browser, &key);
    browser.visits("/strict/").comes_to("/.doorward/sign-in");
    takes_it("passkey-sign-in");
    let other = plugs_in(&browser, &usb());
    browser.clicks("Sign in with a passkey").sees("[data-key-problems]:not([hidden])");
    takes_it("passkey-sign-in-other-key");
    unplugs(&browser, &other);
    signs_in(&browser, "/strict/");
    instance.waits(Duration::from_secs(30));
    browser.comes_to("/.doorward/challenge");
    browser.visits("/.doorward/challenge?kind=totp&return_to=/strict/");
    browser.enters(&code(&secret, instance.now())).comes_to("/strict/");
    instance.waits(Duration::from_mins(16));
    browser.visits("/.doorward/security/turn-off").comes_to("/.doorward/confirm");
    takes_it("passkey-confirm");

    let without = Browser::without_script(&instance);
    signs_in(&without, "/strict/");
    without.comes_to("/.doorward/challenge");
    without.visits("/.doorward/challenge?kind=security-key&return_to=/strict/");
    takes(&without, "key-challenge-without-script");
}
