//! Security keys in a real browser, with Chromium's virtual authenticators.

use std::time::Duration;

use serde_json::{Value, json};

use super::accessibility::before_samples;
use super::application;
use super::chromium::Browser;
use super::codes::saves_codes;
use super::main_job::{joins, reaches_the_application, signs_in, signs_out};
use crate::support::instance::Instance;

/// Keys answer only where they are asked for: Chromium's answer at once where autofill offers them.
pub(super) const ASKED: &str = "second_factor: { security_keys: { passkeys: false } }\n";

const SECURITY: &str = "/.doorward/security";

/// A virtual authenticator (Chrome `DevTools` Protocol, domain `WebAuthn`), until it is unplugged.
pub(super) fn plugs_in(browser: &Browser, options: &Value) -> String {
    browser.commands("WebAuthn.enable", &json!({ "enableUI": false }));
    let mut all = json!({ "automaticPresenceSimulation": true, "isUserVerified": true });
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let added = browser.commands("WebAuthn.addVirtualAuthenticator", &json!({ "options": all }));
    added["authenticatorId"].as_str().unwrap().to_owned()
}

pub(super) fn unplugs(browser: &Browser, id: &str) {
    browser.commands("WebAuthn.removeVirtualAuthenticator", &json!({ "authenticatorId": id }));
}

pub(super) fn usb() -> Value {
    json!({
        "protocol": "ctap2", "transport": "usb", "hasResidentKey": true,
        "hasUserVerification": true,
    })
}

pub(super) fn synchronised() -> Value {
    json!({
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal",
        "hasResidentKey": true, "hasUserVerification": true,
        "defaultBackupEligibility": true, "defaultBackupState": true,
    })
}

/// Sets up two-factor by the key that is plugged in.
pub(super) fn sets_up(browser: &Browser) {
    browser.visits("/.doorward/set-up").presses("Security key or passkey");
    browser.sees("[data-security-key=create]").presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(browser);
}

fn answers(browser: &Browser) {
    browser.comes_to("/.doorward/challenge").sees("[data-security-key=get]");
    browser.presses("Use the security key");
}

pub(super) fn reads(browser: &Browser, words: &str) {
    browser
        .until(&format!("read {words:?}"), || browser.text("main").contains(words).then_some(()));
}

#[test]
fn every_sort_of_key_is_set_up_asked_for_and_turned_off() {
    let instance = Instance::with_more(application::start(), ASKED);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let u2f = json!({
        "protocol": "u2f", "transport": "usb", "hasResidentKey": false,
        "hasUserVerification": false,
    });
    let touched = json!({
        "protocol": "ctap2", "transport": "usb", "hasResidentKey": false,
        "hasUserVerification": false,
    });
    let platform = json!({
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal",
        "hasResidentKey": true, "hasUserVerification": true,
    });
    for (name, sort, note) in [
        ("U2F", u2f, "Stays on one device"),
        ("CTAP2 without user verification", touched, "Stays on one device"),
        ("CTAP2 with user verification", usb(), "Stays on one device"),
        ("platform", platform, "Stays on one device"),
        ("synchronised", synchronised(), "Copied to your other devices"),
    ] {
        let key = plugs_in(&browser, &sort);
        sets_up(&browser);
        browser.visits(SECURITY);
        reads(&browser, note);
        signs_out(&browser);
        signs_in(&browser, "/strict/");
        answers(&browser);
        let amr = if name == "synchronised" { "pwd,swk,mfa" } else { "pwd,hwk,mfa" };
        reaches_the_application(&browser, "/strict/", amr);
        browser.visits("/.doorward/security/turn-off").sees("[data-security-key=get]");
        browser.presses("Turn two-factor off").comes_to(SECURITY);
        reads(&browser, "Two-factor is off.");
        unplugs(&browser, &key);
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn keys_are_added_named_removed_and_replaced_and_a_device_is_trusted_after_one() {
    let instance = Instance::with_more(application::start(), ASKED);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let first = plugs_in(&browser, &usb());
    sets_up(&browser);
    signs_out(&browser);
    signs_in(&browser, "/page");
    browser.comes_to("/.doorward/challenge").ticks("trust_device");
    answers(&browser);
    browser.comes_to("/page");
    signs_out(&browser);
    signs_in(&browser, "/page");
    reaches_the_application(&browser, "/page", "pwd,trusted-device");

    // The same key is not taken twice: the browser says so.
    browser.visits("/.doorward/security/factors/add?kind=security-key");
    answers(&browser);
    browser.comes_to("/.doorward/security/factors/add").sees("[data-security-key=create]");
    browser.clicks("Add it");
    reads(&browser, "This key is set up here already.");
    unplugs(&browser, &first);

    let second = plugs_in(&browser, &synchronised());
    browser.visits("/.doorward/security/factors/add?kind=security-key");
    browser.types("name", "Password manager").presses("Add it").comes_to(SECURITY);
    reads(&browser, "Password manager");
    browser.presses("Rename").types("name", "Key ring").presses("Save the name");
    browser.comes_to(SECURITY);
    reads(&browser, "Key ring");
    browser.presses("Remove").presses("Remove it").comes_to(SECURITY);
    assert!(!browser.text("main").contains("Key ring"));

    browser.visits("/.doorward/security/replace?kind=security-key");
    browser.sees("[data-security-key=create]").clicks("Replace all");
    reads(&browser, "This key is set up here already.");
    unplugs(&browser, &second);
    let third = plugs_in(&browser, &usb());
    browser.presses("Replace all").comes_to(SECURITY);
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    answers(&browser);
    browser.comes_to("/strict/");
    unplugs(&browser, &third);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_key_that_does_not_answer_is_spoken_of_and_other_ways_stay() {
    let instance = Instance::with_more(application::start(), ASKED);
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let key = plugs_in(&browser, &usb());
    sets_up(&browser);
    unplugs(&browser, &key);
    signs_out(&browser);
    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge");
    let other = plugs_in(&browser, &usb());
    browser.clicks("Use the security key");
    reads(&browser, "The key did not answer");
    browser.presses("What helps if a key does not work").sees("h1");
    reads(&browser, "If a security key does not work");
    unplugs(&browser, &other);

    // The page waited for too long: it asks anew before the key is asked.
    browser.visits("/.doorward/challenge?return_to=/strict/");
    browser.runs("document.querySelector('[data-security-key]').dataset.seconds = -1");
    browser.presses("Use the security key").sees("[data-seconds='210']");
    // It does so after a refused answer, too, whose address says nothing of the way.
    browser.leads(|browser| {
        browser.runs(
            "document.querySelector('[data-security-key] [name=code]').value = '{}';\
             document.querySelector('form').requestSubmit()",
        );
    });
    browser.sees("#problem");
    browser.runs("document.querySelector('[data-security-key]').dataset.seconds = -1");
    browser.presses("Use the security key");
    assert_eq!(browser.counts("#problem"), 0, "nothing was sent again");
    assert!(browser.at().contains("return_to=%2Fstrict%2F"), "{}", browser.at());
    browser.presses("Use a recovery code instead").sees("#code");

    let without = Browser::without_script(&instance);
    signs_in(&without, "/strict/");
    without.comes_to("/.doorward/challenge");
    reads(&without, "only with JavaScript");
    without.presses("Use the security key").sees("#problem");
    without.presses("Use a recovery code instead").sees("#code");
    instance.waits(Duration::from_secs(1));
}

/// A sample page that sets up a key, and its button.
pub(super) const SET_UP: (&str, &str) = ("/page/set-up-key", "Turn on two-factor");
/// A sample page that asks for a key, and its button.
pub(super) const CHALLENGE: (&str, &str) = ("/page/challenge-key", "Use the security key");

/// The errors that browsers tell apart (WebAuthn §5.1.3, §5.1.4), and how what we say of each begins: at a
/// set-up, and at a challenge.
pub(super) const ERRORS: [(&str, &str, &str); 8] = [
    ("NotAllowedError", "The key was not set up: nobody", "The key did not answer: nobody"),
    ("AbortError", "Your browser stopped", "Your browser stopped"),
    ("InvalidStateError", "This key is set up here already.", "The key cannot answer now."),
    ("NotSupportedError", "This key is of a kind", "This key is of a kind"),
    ("ConstraintError", "The key cannot check who", "The key cannot check who"),
    ("SecurityError", "Your browser does not let", "Your browser does not let"),
    ("NotReadableError", "Your browser cannot read", "Your browser cannot read"),
    (
        "UnknownError",
        "The key did not answer (UnknownError)",
        "The key did not answer (UnknownError)",
    ),
];

/// Whatever a page asks of a key fails, with the error that `meets` names.
pub(super) fn fails(browser: &Browser) {
    let source = "navigator.credentials.create = navigator.credentials.get = async () => { throw new \
                  DOMException('', window.failure); };";
    browser.commands("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
}

/// Presses the button of a sample page where keys fail with this error.
pub(super) fn meets(browser: &Browser, (page, button): (&str, &str), error: &str) {
    browser.visits(page).sees("[data-security-key]");
    browser.runs(&format!(
        "const asked = {{ challenge: 'AAAA', user: {{ id: 'AAAA' }} }};
         document.querySelector('[data-security-key]').dataset.options = JSON.stringify(asked);
         window.failure = '{error}'"
    ));
    browser.clicks(button).sees("[data-key-problems]:not([hidden])");
}

#[test]
fn each_error_that_browsers_tell_apart_has_its_sentence_and_leads_on() {
    let (browser, _) = before_samples();
    fails(&browser);
    for (error, at_set_up, at_challenge) in ERRORS {
        for (page, begins) in [(SET_UP, at_set_up), (CHALLENGE, at_challenge)] {
            meets(&browser, page, error);
            let said = browser.texts("[data-key-error]:not([hidden])");
            assert!(said.len() == 1 && said[0].starts_with(begins), "{page:?} {error}: {said:?}");
            let help = browser.text("[data-key-problems] a");
            assert_eq!(help, "What helps if a key does not work");
            assert_eq!(browser.counts("button:disabled"), 0, "it can be tried again");
        }
    }
}

#[test]
fn a_passkey_signs_in_by_autofill_and_by_its_button_and_confirms() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    let _key = plugs_in(&browser, &synchronised());
    sets_up(&browser);
    signs_out(&browser);
    browser.visits("/strict/");
    reaches_the_application(&browser, "/strict/", "swk,mfa");
    signs_out(&browser);

    let source = "PublicKeyCredential.isConditionalMediationAvailable = async () => false";
    let source = json!({ "source": source });
    browser.commands("Page.addScriptToEvaluateOnNewDocument", &source);
    browser.visits("/strict/").comes_to("/.doorward/sign-in");
    browser.presses("Sign in with a passkey");
    reaches_the_application(&browser, "/strict/", "swk,mfa");

    instance.waits(Duration::from_mins(16));
    browser.visits("/.doorward/security/turn-off").comes_to("/.doorward/confirm");
    browser.presses("Use your passkey").comes_to("/.doorward/security/turn-off");
    browser.sees("[data-security-key=get]");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_browser_is_told_which_passkeys_there_are() {
    let instance = Instance::with_more(application::start(), ASKED);
    let browser = Browser::before(&instance);
    let source = "window.told = []; for (const name of ['AllAcceptedCredentials', \
                  'CurrentUserDetails']) PublicKeyCredential['signal' + name] = async (said) => \
                  { window.told.push(said); throw new Error('not today'); }";
    let source = json!({ "source": source });
    browser.commands("Page.addScriptToEvaluateOnNewDocument", &source);
    joins(&browser, &instance);
    let key = plugs_in(&browser, &synchronised());
    sets_up(&browser);
    let told = |keys: usize| {
        browser.until(&format!("tell of {keys} keys"), || {
            let told = browser.runs("return window.told");
            let all = told[0]["allAcceptedCredentialIds"].as_array()?;
            assert_eq!(told[1]["displayName"], told[1]["name"]);
            (all.len() == keys).then(|| told[0]["rpId"].clone())
        })
    };
    browser.visits(SECURITY);
    assert_eq!(told(1), "crm.localhost");
    browser.visits("/.doorward/security/turn-off").sees("[data-security-key=get]");
    browser.presses("Turn two-factor off").comes_to(SECURITY);
    told(0);
    unplugs(&browser, &key);
    assert_eq!(browser.complaints(), [""; 0]);
}
