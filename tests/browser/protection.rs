//! Looking after one's own protection in a real browser, with script and without.

use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;

use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::main_job::{joins, reaches_the_application, signs_in};
use super::tools::code;
use crate::support::instance::{Instance, PASSWORD};
use crate::support::post_office::{Arrived, opens_on};

const SECURITY: &str = "/.doorward/security";
/// The forms that end one session.
const ENDS: &str = "form[action$='/end']";

/// A browser, with or without script.
fn browser(instance: &Instance, script: bool) -> Browser {
    if script { Browser::before(instance) } else { Browser::without_script(instance) }
}

/// Follows a link of the security page.
fn follows<'b>(browser: &'b Browser, label: &str) -> &'b Browser {
    browser.visits(SECURITY).presses(label)
}

/// Answers the challenge: with script, the last digit sends the code.
fn answers(browser: &Browser, script: bool, code: &str) {
    if script {
        browser.enters(code);
    } else {
        browser.types("code", code).presses("Continue");
    }
}

/// The page says this somewhere.
fn reads(browser: &Browser, words: &str) {
    browser
        .until(&format!("read {words:?}"), || browser.text("main").contains(words).then_some(()));
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn everything_about_the_second_factor_is_done_on_ones_own(#[case] script: bool) {
    let instance = Instance::before(application::start());
    let browser = browser(&instance, script);
    joins(&browser, &instance);
    browser.visits(SECURITY);
    reads(&browser, "Two-factor is off.");
    sets_up(&browser, &instance);
    saves_codes(&browser);
    browser.visits(SECURITY);
    reads(&browser, "Two-factor is on.");

    // The unused codes again, and then new ones.
    follows(&browser, "Show them").comes_to("/.doorward/recovery-codes").sees("nav");
    let old = browser.texts(".recovery-code");
    assert_eq!(old.len(), 12);
    follows(&browser, "Make new ones");
    reads(&browser, "New codes replace all of them at once");
    browser.presses("Make new ones");
    browser.comes_to("/.doorward/set-up/recovery-codes?return_to=%2F.doorward%2Fsecurity");
    browser.sees("[name=saved]");
    let new = browser.texts(".recovery-code");
    assert!(new.len() == 12 && !new.contains(&old[0]));
    browser.presses("I have saved them").comes_to(SECURITY);

    // A tablet beside the phone, under another name, and away again.
    instance.waits(Duration::from_secs(30));
    follows(&browser, "Add another").sees("#secret");
    let tablet = browser.texts("#secret span").concat();
    browser.types("code", &code(&tablet, instance.now())).types("name", "Tablet");
    browser.presses("Add it").comes_to(SECURITY);
    reads(&browser, "Tablet");
    browser.presses("Rename").sees("#name");
    browser.types("name", "Phone").presses("Save the name").comes_to(SECURITY);
    reads(&browser, "Phone");
    browser.presses("Remove").sees("form").presses("Remove it").comes_to(SECURITY);
    assert!(!browser.text("#factors ~ .rows").contains("Phone"));

    // A new phone in the place of all before.
    instance.waits(Duration::from_secs(30));
    follows(&browser, "Replace").sees("#secret");
    let phone = browser.texts("#secret span").concat();
    assert_ne!(phone, tablet);
    browser.types("code", &code(&phone, instance.now())).presses("Replace all");
    browser.comes_to(SECURITY);

    // The password is asked again before a change, once it is a quarter of an hour old.
    instance.waits(Duration::from_mins(16));
    follows(&browser, "Turn two-factor off");
    browser.sees("#password").types("password", PASSWORD).presses("Confirm");
    browser.sees("#code");
    answers(&browser, script, &code(&phone, instance.now()));
    browser.comes_to("/.doorward/security/turn-off").sees(".warning");
    instance.waits(Duration::from_secs(30));
    browser.types("code", &code(&phone, instance.now())).presses("Turn two-factor off");
    browser.comes_to(SECURITY);
    reads(&browser, "Two-factor is off.");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn what_is_ended_in_one_browser_is_refused_in_the_other_at_its_next_request(#[case] script: bool) {
    let instance = Instance::before(application::start());
    let (here, there) = (browser(&instance, script), browser(&instance, script));
    joins(&here, &instance);
    let secret = sets_up(&here, &instance);
    saves_codes(&here);
    instance.waits(Duration::from_secs(30));
    signs_in(&there, "/page");
    there.comes_to("/.doorward/challenge").ticks("trust_device");
    answers(&there, script, &code(&secret, instance.now()));
    reaches_the_application(&there, "/page", "pwd,otp,mfa");

    // What was asked for is done once the page is there again without it.
    here.visits(SECURITY).sees("#sessions");
    let sessions = here.counts(ENDS);
    here.presses("End").sees("#happened");
    assert!(here.counts(ENDS) < sessions);
    there.visits("/page").comes_to("/.doorward/sign-in");
    there.types("username", "ada").types("password", PASSWORD).presses("Sign in");
    reaches_the_application(&there, "/page", "pwd,trusted-device");

    here.visits(SECURITY).sees("#devices").presses("Stop trusting");
    reads(&here, "None. You need a code at every sign-in.");
    there.visits("/page").comes_to("/.doorward/challenge");
    assert_eq!(here.complaints(), [""; 0]);
}

/// A gateway that sends messages to a real mail server, and asks for a mailed code at set-up.
fn mails() -> (Instance, Arrived) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let arrived = opens_on(socket, None);
    let application = application::start();
    let mail = format!("mail: {{ server: '{server}', tls: none, from: door@example.com }}\n");
    let instance = Instance::with_more(application, &mail);
    (instance, arrived)
}

/// The last message with this subject, once it is there, as its text.
fn message(browser: &Browser, arrived: &Arrived, subject: &str) -> String {
    browser.until(&format!("have a message: {subject}"), || {
        let messages = arrived.messages();
        messages.iter().rev().find(|one| one.contains(subject)).map(|one| one.replace("=\r\n", ""))
    })
}

/// The path of the link in a message.
fn link(message: &str) -> String {
    let (_, token) = message.split_once("/.doorward/link/").unwrap();
    format!("/.doorward/link/{}", token.split_whitespace().next().unwrap())
}

#[rstest]
#[case::with_script(true)]
#[case::without_script(false)]
fn messages_lead_to_a_new_password_a_first_factor_and_another_address(#[case] script: bool) {
    let (instance, arrived) = mails();
    let browser = browser(&instance, script);
    instance.adds_with_address("ada", "ada@example.com");

    // Whoever never had a password asks for a message.
    browser.visits("/page").presses("Forgot your password, or never had one?");
    browser.comes_to("/.doorward/forgot").types("email", "ada").presses("Send the e-mail");
    reads(&browser, "an e-mail with a link is on its way");
    browser.visits(&link(&message(&browser, &arrived, "Set a new password")));
    browser.types("password", PASSWORD).presses("Save the password");

    // A first factor takes a code from the mailbox; but one mailbox is not two proofs.
    browser.visits("/.doorward/set-up");
    reads(&browser, "you need a link from an administrator");
    instance.waits(Duration::from_hours(72));
    signs_in(&browser, "/.doorward/set-up");
    browser.comes_to("/.doorward/set-up").presses("Send the code").sees("#code");
    reads(&browser, "a…@example.com");
    assert_eq!(browser.counts("#secret"), 0);
    let text = message(&browser, &arrived, "Your code for");
    let six = text
        .split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()));
    browser.types("mailed_code", six.unwrap()).presses("Continue");
    sets_up(&browser, &instance);
    saves_codes(&browser);

    // Another address counts once its link was followed.
    browser.visits("/.doorward/security/email");
    browser.types("email", "lovelace@example.com").presses("Send the e-mail");
    reads(&browser, "Not confirmed yet");
    browser.visits(&link(&message(&browser, &arrived, "Is this your address")));
    browser.presses("This is my address").comes_to(SECURITY);
    reads(&browser, "lovelace@example.com");

    // And it was somebody else after all.
    browser.visits(&link(&message(&browser, &arrived, "two-factor is on")));
    reads(&browser, "Was this somebody else?");
    browser.presses("This was not me");
    reads(&browser, "Two-factor is frozen");
    assert_eq!(browser.complaints(), [""; 0]);
    instance.waits(Duration::from_secs(30));
    signs_in(&browser, "/page");
    browser.comes_to("/.doorward/challenge");
    reads(&browser, "no code is accepted");
    assert_eq!(browser.counts("#code"), 0);
}
