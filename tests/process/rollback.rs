//! An older store that is put back: it is refused, or used with everything void that may have been
//! used up since.

use std::fs;
use std::path::PathBuf;

use super::person::{code, now};
use super::setup::{PASSWORD, Process, Setup};
use crate::support::window::Window;

const SESSION: &str = "doorward-session";

/// Copies the store of a gateway that is not running.
fn copied(setup: &Setup) -> PathBuf {
    let copy = setup.file().with_file_name("copy.redb");
    fs::copy(setup.state().join("store.redb"), &copy).unwrap();
    copy
}

fn puts_back(setup: &Setup, copy: &PathBuf) {
    fs::copy(copy, setup.state().join("store.redb")).unwrap();
}

fn ends(mut process: Process) {
    process.signals("TERM");
    assert!(process.ends().success(), "{}", process.said());
}

/// Somebody with two-factor, a trusted browser, and recovery codes.
struct Ada {
    browser: Window,
    secret: Vec<u8>,
    codes: Vec<String>,
}

fn moves_in(setup: &Setup, process: &Process) -> Ada {
    let mut window = process.window();
    window.opens(&setup.adds("ada"));
    window.sends(&[("password", PASSWORD)]);
    window.opens("/.doorward/set-up");
    let secret = window.secret();
    window.sends(&[("code", &code(&secret, now())), ("trust_device", "yes")]);
    window.visits("/");
    let codes: Vec<String> = window.recovery_codes().into_iter().map(str::to_owned).collect();
    window.sends(&[("saved", "yes")]);
    assert_eq!(window.answer.status, 303, "{}", window.answer.body);
    Ada { browser: window, secret, codes }
}

fn is_signed_in(process: &Process, cookies: &Window) -> bool {
    let mut window = process.window();
    window.cookies = cookies.cookies.clone();
    window.opens("/").answer.status == 200
}

#[test]
fn an_older_store_is_refused_and_used_on_purpose_it_revives_nothing() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let mut ada = moves_in(&setup, &process);
    let link = setup.adds("bob");
    assert!(is_signed_in(&process, &ada.browser));
    ends(process);
    let copy = copied(&setup);
    // Somebody uses the link, and somebody else a code.
    let process = setup.opens();
    let mut bob = process.window();
    bob.opens(&link);
    bob.sends(&[("password", PASSWORD)]);
    let spent = ada.codes.pop().unwrap();
    let mut elsewhere = process.window();
    signs_in(&mut elsewhere);
    elsewhere.opens("/.doorward/challenge?kind=recovery-code");
    assert_eq!(elsewhere.sends(&[("code", &spent)]).answer.status, 303);
    ends(process);

    puts_back(&setup, &copy);
    let (code_of_exit, said) = setup.does_not_open(&[]);
    assert_eq!(code_of_exit, Some(1), "{said}");
    assert!(said.contains("this store is older than the one used before"), "{said}");
    assert!(said.contains("--accept-older-store"), "{said}");
    // Asking again changes nothing, and commands are refused alike.
    assert_eq!(setup.does_not_open(&[]).0, Some(1));
    let said = setup.types(&["user", "list"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.notes.contains("--accept-older-store"), "{said:?}");

    let step = now();
    let process = setup.opens_with(&["--accept-older-store"]);
    assert!(process.said().contains("older store accepted"), "{}", process.said());
    assert_eq!(process.window().opens(&link).answer.status, 410);
    assert!(!is_signed_in(&process, &ada.browser));
    let mut browser = process.window();
    browser.cookies = ada.browser.cookies.clone();
    browser.cookies.remove(SESSION);
    signs_in(&mut browser);
    assert!(browser.answer.header("location").contains("/challenge"), "the device is not trusted");
    for code in ada.codes.iter().chain([&spent]) {
        browser.opens("/.doorward/challenge?kind=recovery-code");
        browser.sends(&[("code", code)]);
        assert_eq!(browser.answer.status, 422, "{}", browser.answer.body);
        setup.types(&["user", "unlock", "ada"]);
    }
    for step in [step - 1, step, step + 1] {
        browser.opens("/.doorward/challenge?kind=totp");
        let status = browser.sends(&[("code", &code(&ada.secret, step))]).answer.status;
        assert_eq!(status, 422, "{}", browser.answer.body);
        setup.types(&["user", "unlock", "ada"]);
    }
    ends(process);
    // From then on it is the newest, whatever else is put back.
    let newest = copied_as(&setup, "newest.redb");
    puts_back(&setup, &copy);
    assert_eq!(setup.does_not_open(&[]).0, Some(1));
    puts_back(&setup, &newest);
    setup.opens();
}

fn copied_as(setup: &Setup, name: &str) -> PathBuf {
    let copy = setup.file().with_file_name(name);
    fs::copy(setup.state().join("store.redb"), &copy).unwrap();
    copy
}

fn signs_in(window: &mut Window) {
    window.opens("/.doorward/sign-in");
    window.sends(&[("username", "ada"), ("password", PASSWORD)]);
    assert_eq!(window.answer.status, 303, "{}", window.answer.body);
}

#[test]
fn an_older_store_is_refused_after_a_crash_too_once_it_was_noted() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    setup.adds("ada");
    ends(process);
    let copy = copied(&setup);
    let mut process = setup.opens();
    setup.adds("bob");
    let mark = setup.state().join("store.mark");
    let before = fs::read_to_string(&mark).unwrap();
    while fs::read_to_string(&mark).unwrap() == before {
        assert!(process.runs());
        std::thread::yield_now();
    }
    process.is_killed();
    // What a crash leaves is the newest that there is.
    let mut process = setup.opens();
    process.is_killed();
    puts_back(&setup, &copy);
    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is older than"), "{said}");
}

#[test]
fn what_commands_write_without_a_gateway_is_noted_too() {
    let setup = Setup::with("log: { format: json }");
    setup.adds("ada");
    let copy = copied(&setup);
    setup.adds("bob");
    puts_back(&setup, &copy);
    let said = setup.types(&["user", "list"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.notes.contains("is older than"), "{said:?}");
}

#[test]
fn a_store_that_is_begun_anew_is_no_older_one_but_what_was_there_before_is() {
    let setup = Setup::with("log: { format: json }");
    setup.adds("ada");
    setup.adds("bob");
    let copy = copied(&setup);
    fs::remove_file(setup.state().join("store.redb")).unwrap();
    setup.adds("eve");
    ends(setup.opens());
    puts_back(&setup, &copy);
    assert_eq!(setup.does_not_open(&[]).0, Some(1));
}

#[test]
fn a_note_that_cannot_be_read_is_named() {
    let setup = Setup::with("log: { format: json }");
    setup.adds("ada");
    let mark = setup.state().join("store.mark");
    fs::write(&mark, "doorward store mark 1\n").unwrap();
    for _ in 0..2 {
        let (code, said) = setup.does_not_open(&[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("store.mark is damaged"), "{said}");
    }
    fs::remove_file(&mark).unwrap();
    setup.opens();
}

#[test]
fn an_operator_who_puts_back_the_whole_folder_can_say_so() {
    let setup = Setup::with("log: { format: json }");
    let process = setup.opens();
    let ada = moves_in(&setup, &process);
    ends(process);
    ends(setup.opens());
    let process = setup.opens_with(&["--accept-older-store"]);
    assert!(!is_signed_in(&process, &ada.browser));
    ends(process);
    setup.opens();
}
