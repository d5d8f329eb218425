//! Two applications on two hosts and a portal: one sign-in, and one end.

use std::time::Duration;

use rstest::rstest;

use super::application;
use super::chromium::Browser;
use super::codes::saves_codes;
use super::main_job::reaches_the_application;
use super::tools::code;
use crate::support::instance::{Instance, PASSWORD};

const CRM: &str = "http://crm.localhost:8080";
const WIKI: &str = "http://wiki.localhost:8080";

#[test]
fn one_sign_in_is_for_both_and_the_stricter_one_asks_for_more() {
    let instance = Instance::before_two(application::start(), application::start());
    let browser = Browser::before_several(&instance, true);
    let wiki = |path: &str| format!("{WIKI}{path}");
    browser.visits(&instance.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").presses("Not now").sees(".apps");

    // Signed in at the portal is signed in at the lax one; the strict one sends to set-up.
    browser.goes_to(&format!("{CRM}/page?a=1"));
    reaches_the_application(&browser, &format!("{CRM}/page?a=1"), "pwd");
    browser.goes_to(&wiki("/page?a=%C3%A9")).comes_to("/.doorward/set-up").sees("#secret");
    let secret = browser.texts("#secret span").concat();
    browser.ticks("trust_device").types("code", &code(&secret, instance.now()));
    browser.presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    saves_codes(&browser);
    reaches_the_application(&browser, &wiki("/page?a=%C3%A9"), "pwd,otp,mfa");

    // Out on one is out on all.
    browser.goes_to(&format!("{CRM}/.doorward/sign-out")).presses("Sign out");
    browser.until("be signed out", || (browser.text("h1") == "You are signed out").then_some(()));
    browser.goes_to(&format!("{CRM}/page")).comes_to("/.doorward/sign-in");
    browser.goes_to(&wiki("/page")).comes_to("/.doorward/sign-in");

    // A trusted device is enough there, and is not where no device is trusted.
    instance.waits(Duration::from_secs(30));
    browser.types("username", "ada").types("password", PASSWORD).presses("Sign in");
    reaches_the_application(&browser, &wiki("/page"), "pwd,trusted-device");
    browser.goes_to(&wiki("/untrusting/page")).comes_to("/.doorward/challenge");
    browser.enters(&code(&secret, instance.now()));
    reaches_the_application(&browser, &wiki("/untrusting/page"), "pwd,otp,trusted-device,mfa");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[rstest]
fn back_after_signing_out_shows_no_page_of_another_host(
    #[values(true, false)] script: bool,
    #[values("http://id.localhost:8080", CRM)] out_at: &str,
) {
    let instance = Instance::before_two(application::start(), application::start());
    let browser = Browser::before_several(&instance, script);
    browser.visits(&instance.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").presses("Not now").sees(".apps");
    for page in [format!("{CRM}/page"), format!("{WIKI}/plain/page")] {
        browser.goes_to(&page);
        reaches_the_application(&browser, &page, "pwd");
    }
    browser.goes_to(&format!("{out_at}/.doorward/sign-out")).presses("Sign out");
    let is_out = || (browser.text("h1") == "You are signed out").then_some(());
    browser.until("be signed out", is_out);
    browser.leads(|browser| {
        browser.goes_back();
    });
    if script {
        // The form is fetched again, which would undo a second step back that comes before.
        browser.until("see that the form is old", is_out);
    }
    browser.goes_back().comes_to("/.doorward/sign-in");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn back_after_signing_out_at_the_portal_shows_nobodys_page() {
    let instance = Instance::before_two(application::start(), application::start());
    let browser = Browser::before_several(&instance, true);
    browser.visits(&instance.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").presses("Not now").sees(".apps");
    browser.goes_to("http://id.localhost:8080/.doorward/").sees(".apps").presses("Sign out");
    browser.until("be signed out", || (browser.text("h1") == "You are signed out").then_some(()));
    browser.goes_back().comes_to("/.doorward/sign-in");
    assert_eq!(browser.complaints(), [""; 0]);
}
