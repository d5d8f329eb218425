//! A tool: pictures of every page, narrow and wide, in light and dark.

mod security_keys;
mod texts;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::accessibility::before_samples;
use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::main_job::{signs_in, signs_out};
use super::tools::code;
use crate::support::free_address::free_address;
use crate::support::instance::{Instance, PASSWORD};

/// Takes a picture of the whole page in each of the four ways.
fn takes(browser: &Browser, name: &str) {
    for (width, height) in [(360, 740), (1280, 800)] {
        for light in ["light", "dark"] {
            browser.shows(width, height, light);
            let whole = &browser.commands("Page.getLayoutMetrics", &json!({}))["cssContentSize"];
            let size = |side| u32::try_from(whole[side].as_u64().unwrap()).unwrap();
            assert!(size("width") <= width, "{name} is wider than its window");
            let picture = browser.shows(width, size("height"), light).picture();
            keeps(&format!("{name}-{width}-{light}"), &picture);
        }
    }
    browser.shows(1280, 1400, "light");
}

/// Takes a picture of the page as it is printed.
fn prints(browser: &Browser, name: &str) {
    browser.commands("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    keeps(name, &browser.picture());
    browser.shows(1280, 1400, "light");
}

fn keeps(name: &str, picture: &[u8]) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.png")), picture).unwrap();
}

#[test]
#[ignore = "a tool: writes a picture of every page in every state to target/screenshots/"]
fn every_sample_page() {
    let (browser, names) = before_samples();
    for name in &names {
        browser.visits(&format!("/page/{name}"));
        takes(&browser, &format!("sample-{name}"));
    }
}

#[test]
#[ignore = "a tool: writes a picture of every page to target/screenshots/"]
fn every_page_of_ours() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    let takes = |name| takes(&browser, name);

    let link = instance.adds("ada");
    browser.visits(&link);
    takes("set-password");
    browser.types("password", "password").presses("Save the password").sees("#problem");
    takes("set-password-refused");
    joins_by(&browser, &link);
    browser.visits(&link);
    takes("link-spent");
    browser.visits("/.doorward/");
    takes("home-without-two-factor");
    browser.visits("/.doorward/security");
    takes("security-without-two-factor");
    browser.visits("/.doorward/sign-out");
    takes("sign-out");
    signs_out(&browser);
    takes("signed-out");
    browser.visits("/strict/");
    takes("sign-in");
    browser.types("username", "ada").types("password", "wrong umbrellas").presses("Sign in");
    browser.sees("#problem");
    takes("sign-in-refused");

    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/set-up");
    takes("set-up");
    browser.types("code", "000000").presses("Turn on two-factor").sees("#problem");
    takes("set-up-refused");
    let secret = sets_up(&browser, &instance);
    takes("recovery-codes");
    let codes = browser.texts(".recovery-code");
    prints(&browser, "recovery-codes-printed");
    saves_codes(&browser);
    browser.visits("/.doorward/");
    takes("home");
    browser.visits("/.doorward/nowhere");
    takes("not-found");
    instance.waits(Duration::from_mins(16));
    browser.visits("/.doorward/set-up").comes_to("/.doorward/confirm");
    takes("confirm");
    signs_out(&browser);

    signs_in(&browser, "/strict/");
    browser.comes_to("/.doorward/challenge");
    takes("challenge");
    browser.enters("000000").sees("#problem");
    takes("challenge-refused");
    browser.visits("/.doorward/challenge?kind=recovery-code");
    takes("challenge-recovery-code");
    for _ in 0..4 {
        browser.visits("/.doorward/challenge?return_to=/page").enters("000000").sees("#problem");
    }
    browser.visits("/.doorward/challenge").sees("[data-wait]");
    takes("challenge-wait");
    instance.waits(Duration::from_secs(60));
    browser
        .visits("/.doorward/challenge?return_to=/page")
        .ticks("trust_device")
        .enters(&code(&secret, instance.now()));
    browser.comes_to("/page");
    let elsewhere = Browser::before(&instance);
    signs_in(&elsewhere, "/page");
    elsewhere.comes_to("/.doorward/challenge");
    instance.waits(Duration::from_secs(30));
    elsewhere.enters(&code(&secret, instance.now()));
    elsewhere.comes_to("/page");
    browser.visits("/.doorward/security");
    takes("security");

    let recovers = |recovery_code: &String| {
        signs_out(&browser);
        signs_in(&browser, "/page");
        browser.visits("/.doorward/challenge?kind=recovery-code&return_to=/page");
        browser.types("code", recovery_code).presses("Continue").comes_to("/.doorward/offer");
    };
    browser.visits("/.doorward/security").presses("Stop trusting");
    recovers(&codes[0]);
    takes("offer-replace");
    codes[1..10].iter().for_each(recovers);
    instance.waits(Duration::from_secs(30));
    signs_out(&browser);
    signs_in(&browser, "/page");
    browser.comes_to("/.doorward/challenge").enters(&code(&secret, instance.now()));
    browser.comes_to("/.doorward/offer");
    takes("offer-new-codes");
    browser.visits("/.doorward/security");
    takes("security-with-few-codes");

    let sends = "document.body.innerHTML = '<form method=post><button>Order</button></form>'";
    browser.visits("/page").runs(sends);
    instance.waits(Duration::from_hours(25));
    browser.presses("Order").sees("h1");
    takes("unsent");
}

#[test]
#[ignore = "a tool: writes a picture of every page about password and address to target/screenshots/"]
fn every_page_about_password_and_address() {
    let here = application::start();
    let silent = Instance::before(here);
    let browser = Browser::before(&silent);
    browser.visits("/.doorward/forgot");
    takes(&browser, "forgot-no-mail");
    joins_by(&browser, &silent.adds("ada"));
    browser.visits("/.doorward/security/email");
    takes(&browser, "email-no-mail");

    let instance = Instance::with_more(here, MAILS);
    let browser = Browser::before(&instance);
    let takes = |name| takes(&browser, name);
    joins_by(&browser, &instance.adds_with_address("ada", "ada@example.com"));
    browser.visits("/.doorward/security/password");
    takes("password");
    browser.types("new_password", "password").presses("Save the password").sees("#problem");
    takes("password-refused");
    browser.visits("/.doorward/security/email");
    takes("email-old-address");
    browser.presses("Send the code").sees("#code");
    takes("email-code");
    browser.types("code", "000000").presses("Continue").sees("#problem");
    takes("email-code-refused");
    let text = instance.mail_to("ada@example.com", "This code lets you");
    let six = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    browser.types("code", text.split_whitespace().find(six).unwrap()).presses("Continue");
    browser.sees("#email");
    takes("email");
    browser.types("email", "ada@example.com").presses("Send the e-mail").sees("#problem");
    takes("email-refused");
    browser.types("email", "countess.of.lovelace@mathematics.example.org");
    browser.presses("Send the e-mail");
    browser.until("wait for the new address", || {
        browser.text("dl").contains("mathematics").then_some(())
    });
    takes("email-waiting");
    let link = instance.link_mailed_to("countess.of.lovelace@mathematics.example.org");
    browser.visits(&link);
    takes("link-verify-email");
    signs_out(&browser);

    browser.visits("/.doorward/forgot");
    takes("forgot");
    browser.types("email", "ada").presses("Send the e-mail");
    browser.sees("[role=status]");
    takes("forgot-asked");
    browser.visits(&instance.link_mailed_to("ada@example.com"));
    takes("link-reset-password");
    browser.types("password", "four dry sandbanks").presses("Save the password");
    browser.comes_to("/");
    browser.visits(&link);
    takes("link-voided");
}

#[test]
#[ignore = "a tool: writes pictures of the changes to one's own protection to target/screenshots/"]
fn every_change_to_ones_own_protection() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    let takes = |name| takes(&browser, name);
    browser.visits(&instance.adds("ada")).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer");
    let secret = sets_up(&browser, &instance);
    saves_codes(&browser);
    instance.waits(Duration::from_secs(30));

    browser.visits("/.doorward/recovery-codes").sees(".recovery-code");
    takes("recovery-codes-again");
    prints(&browser, "recovery-codes-again-printed");
    browser.visits("/.doorward/security/recovery-codes/regenerate").sees("form");
    takes("new-recovery-codes");
    browser.visits("/.doorward/security/replace").sees("#secret");
    takes("replace");
    browser.types("code", "000000").presses("Replace all").sees("#problem");
    takes("replace-refused");
    browser.visits("/.doorward/security/factors/add").sees("#secret");
    takes("add");
    browser.visits("/.doorward/security").presses("Rename").sees("#name");
    takes("rename");
    browser.visits(&browser.at().replace("/rename", "/remove")).sees("h1");
    takes("only-authenticator");
    browser.visits("/.doorward/security/turn-off").sees("#code");
    takes("turn-off");
    for _ in 0..6 {
        browser.visits("/.doorward/security/turn-off").types("code", "000000");
        browser.presses("Turn two-factor off").sees("#problem");
    }
    takes("turn-off-wait");
    instance.waits(Duration::from_secs(60));
    browser.visits("/.doorward/security/turn-off").types("code", &code(&secret, instance.now()));
    browser.presses("Turn two-factor off").comes_to("/.doorward/security");
    takes("security-off");
}

/// Messages are sent, to a server that is away: they wait.
const MAILS: &str = "
mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }
set_up: { proof: none }
";

/// Somebody follows the operator's link.
fn joins_by(browser: &Browser, link: &str) {
    browser.visits(link).types("password", PASSWORD).presses("Save the password");
    browser.comes_to("/.doorward/offer").sees("[name=not_now]");
    takes(browser, "offer-set-up");
    browser.presses("Not now").comes_to("/").sees("#remote-user");
}

#[test]
#[ignore = "a tool: writes a picture of an application that is away to target/screenshots/"]
fn an_application_that_is_away() {
    let nobody = free_address();
    let instance = Instance::before(nobody);
    let browser = Browser::before(&instance);
    browser.visits("/open/");
    takes(&browser, "unreachable");
}

/// The demo, as its own process.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        self.0.wait().ok();
    }
}

#[test]
#[ignore = "a tool: writes pictures of the demo's application to target/screenshots/"]
fn every_page_of_the_demo() {
    let port = free_address().port();
    let process = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["demo", "--port", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut demo = Demo(process.unwrap());
    let mut typed = demo.0.stdin.take().unwrap();
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.starts_with("Press Enter")).unwrap();
    writeln!(typed).unwrap();
    let shown = lines.find_map(|line| line.strip_prefix("Alan's code: ").map(str::to_owned));
    let code = shown.unwrap()[..6].to_owned();

    let browser = Browser::at_origin(&format!("http://localhost:{port}"));
    browser.visits("/news");
    takes(&browser, "demo-news");
    browser.visits("/").comes_to("/.doorward/sign-in");
    takes(&browser, "demo-sign-in");
    browser.types("username", "alan").types("password", "marble canoe thunder");
    browser.presses("Sign in").comes_to("/.doorward/challenge").enters(&code);
    browser.until("be let in", || (browser.at() == "/").then_some(()));
    for (path, name) in [
        ("/", "demo-welcome"),
        ("/board", "demo-board"),
        ("/chat", "demo-chat"),
        ("/clock", "demo-clock"),
        ("/payroll/", "demo-payroll"),
        ("/bank/", "demo-bank"),
        ("/nowhere", "demo-missing"),
        ("/.doorward/", "demo-home"),
    ] {
        browser.visits(path).sees("h1");
        takes(&browser, name);
    }
}
