//! The whole way of a newcomer in a real browser, with script and without.

use std::time::Duration;

use rstest::rstest;

use super::application;
use super::chromium::Browser;
use super::tools::{code, scan};
use crate::support::instance::{Instance, PASSWORD};

/// Asserts that the application got the page's request in the name of `ada`, by `amr`.
pub(crate) fn reaches_the_application(browser: &Browser, path: &str, amr: &str) {
    browser.comes_to(path);
    assert_eq!(browser.text("h1"), "Orders");
    assert_eq!(browser.text("#remote-user"), "ada");
    assert_eq!(browser.text("#remote-amr"), amr);
}

pub(crate) fn signs_in(browser: &Browser, target: &str) {
    browser.visits(target).comes_to("/.doorward/sign-in");
    browser.types("username", "ada").types("password", PASSWORD).presses("Sign in");
}

pub(crate) fn signs_out(browser: &Browser) {
    browser.visits("/.doorward/").presses("Sign out");
    browser.until("be signed out", || (browser.text("h1") == "You are signed out").then_some(()));
}

/// The operator's one-time link sets the password, and two-factor can wait; then everything begins
/// as for anybody.
pub(crate) fn joins(browser: &Browser, instance: &Instance) {
    browser.visits(&instance.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").presses("Not now");
    reaches_the_application(browser, "/", "pwd");
}

/// Scans the picture on the page, in every light and width; the secret within it.
fn scans(browser: &Browser) -> String {
    let views = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")];
    let read = views.map(|(width, light)| scan(&browser.shows(width, 1600, light).picture()));
    browser.shows(1280, 1400, "light");
    let url = url::Url::parse(&read[0]).unwrap();
    assert!(read.iter().all(|other| *other == read[0]), "{read:?}");
    assert_eq!((url.scheme(), url.host_str()), ("otpauth", Some("totp")));
    let label = percent(url.path());
    assert_eq!(label, "/crm.localhost:ada");
    let said = |name: &str| {
        url.query_pairs().find(|(said, _)| said == name).map(|(_, value)| value.into_owned())
    };
    assert_eq!(said("issuer").as_deref(), Some("crm.localhost"));
    let secret = said("secret").unwrap();
    assert_eq!(browser.texts("#secret span").concat(), secret, "the same to type as to scan");
    secret
}

fn percent(text: &str) -> String {
    let pair = format!("x={text}");
    let (_, read) = url::form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    read.into_owned()
}

/// Whether the browser sends a code at its last digit, or the person presses the button.
#[derive(Clone, Copy, PartialEq)]
enum Script {
    On,
    Off,
}

impl Script {
    fn browser(self, instance: &Instance) -> Browser {
        match self {
            Self::On => Browser::before(instance),
            Self::Off => Browser::without_script(instance),
        }
    }

    fn answers(self, browser: &Browser, code: &str) {
        browser.comes_to("/.doorward/challenge");
        match self {
            Self::On => browser.enters(code),
            Self::Off => browser.types("code", code).presses("Continue"),
        };
    }
}

#[rstest]
#[case::with_script(Script::On)]
#[case::without_script(Script::Off)]
fn a_newcomer_sets_up_two_factor_trusts_a_device_and_is_not_asked_again_there(
    #[case] script: Script,
) {
    let instance = Instance::before(application::start());
    let home = script.browser(&instance);
    joins(&home, &instance);
    signs_out(&home);

    // A stranger is sent to sign in, and from there to set up what the place asks for.
    signs_in(&home, "/strict/report?year=1");
    home.comes_to("/.doorward/set-up").sees("#secret");
    let secret = scans(&home);
    home.types("code", &code(&secret, instance.now())).presses("Turn on two-factor");

    // Recovery codes come back until they are saved; then the application.
    home.comes_to("/.doorward/set-up/recovery-codes").sees("[name=saved]");
    assert_eq!(home.counts(".recovery-code"), 12);
    home.visits("/strict/report?year=1").comes_to("/.doorward/set-up/recovery-codes");
    home.presses("I have saved them");
    reaches_the_application(&home, "/strict/report?year=1", "pwd,otp,mfa");
    assert_eq!(home.counts("#cookie"), 0, "our cookies are kept back");
    signs_out(&home);

    // From now on the code is asked for everywhere; this device is to be trusted.
    instance.waits(Duration::from_secs(30));
    signs_in(&home, "/page");
    home.comes_to("/.doorward/challenge").ticks("trust_device");
    script.answers(&home, &code(&secret, instance.now()));
    reaches_the_application(&home, "/page", "pwd,otp,mfa");
    signs_out(&home);

    // No challenge on the trusted device, but where a place does not accept it.
    instance.waits(Duration::from_secs(30));
    signs_in(&home, "/page");
    reaches_the_application(&home, "/page", "pwd,trusted-device");
    home.visits("/bank/");
    script.answers(&home, &code(&secret, instance.now()));
    reaches_the_application(&home, "/bank/", "pwd,otp,trusted-device,mfa");
    assert_eq!(home.complaints(), [""; 0]);
    drop(home);

    // In another browser the code is asked for.
    instance.waits(Duration::from_secs(30));
    let cafe = script.browser(&instance);
    signs_in(&cafe, "/page");
    script.answers(&cafe, &code(&secret, instance.now()));
    reaches_the_application(&cafe, "/page", "pwd,otp,mfa");
    assert_eq!(cafe.complaints(), [""; 0]);
}
