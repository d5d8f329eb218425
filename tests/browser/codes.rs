//! The recovery codes on their page: to copy, to download, to print.

use serde_json::json;

use super::application;
use super::chromium::Browser;
use super::main_job::joins;
use super::tools::code;
use crate::support::instance::{HOST, Instance};

/// Somebody who is signed in sets up two-factor; the secret. The recovery codes are on the page.
pub(crate) fn sets_up(browser: &Browser, instance: &Instance) -> String {
    browser.visits("/.doorward/set-up").sees("#secret");
    let secret = browser.texts("#secret span").concat();
    browser.types("code", &code(&secret, instance.now())).presses("Turn on two-factor");
    browser.comes_to("/.doorward/set-up/recovery-codes").sees(".recovery-code");
    secret
}

pub(crate) fn saves_codes(browser: &Browser) {
    browser.presses("I have saved them");
}

#[test]
fn the_secret_and_the_recovery_codes_can_be_taken_along() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    let clipboard = ["clipboardReadWrite", "clipboardSanitizedWrite"];
    let allowed = json!({ "origin": format!("http://{HOST}"), "permissions": clipboard });
    browser.commands("Browser.grantPermissions", &allowed);
    let copies = || {
        browser.clicks("Copy");
        browser.until("have copied", || {
            browser.texts("button").contains(&"Copied".into()).then_some(())
        });
        browser.runs("return await navigator.clipboard.readText()")
    };
    joins(&browser, &instance);

    browser.visits("/.doorward/set-up").sees("#secret");
    assert_eq!(copies(), browser.texts("#secret span").concat());

    sets_up(&browser, &instance);
    let codes = browser.texts(".recovery-code");
    assert_eq!(codes.len(), 12);
    assert_eq!(copies(), codes.join("\n"));

    browser.clicks("Download");
    let file = browser.downloaded("recovery-codes-crm.localhost.txt");
    assert!(codes.iter().all(|code| file.contains(code)), "{file}");

    browser.runs("window.print = () => { document.title = 'printed'; }");
    browser.clicks("Print");
    assert_eq!(browser.runs("return document.title"), "printed");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn without_script_the_codes_can_be_downloaded_and_no_dead_button_is_shown() {
    let instance = Instance::before(application::start());
    let browser = Browser::without_script(&instance);
    joins(&browser, &instance);
    sets_up(&browser, &instance);
    let shown: Vec<_> =
        browser.texts("button").into_iter().filter(|label| !label.is_empty()).collect();
    assert_eq!(shown, ["I have saved them"]);

    let codes = browser.texts(".recovery-code");
    browser.clicks("Download");
    let file = browser.downloaded("recovery-codes-crm.localhost.txt");
    assert!(codes.iter().all(|code| file.contains(code)), "{file}");
}
