//! Starting, and why it does not.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use doorward::cli::serve::{Gateway, World};
use doorward::config::Config;
use doorward::os;

use super::setup::{PASSWORD, Setup};

#[test]
fn a_second_gateway_over_one_state_says_that_it_is_taken_and_disturbs_nobody() {
    let setup = Setup::new();
    let process = setup.opens();
    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another doorward process uses this store"), "{said}");
    let mut ada = process.window();
    ada.visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    assert_eq!(ada.answer.status, 200);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    setup.configures(&address, "");
    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert!(!setup.state().exists(), "nothing was made");
    drop(taken);
    setup.opens();
}

#[test]
fn a_configuration_that_is_not_valid_is_not_served() {
    let setup = Setup::with("shutdown: { withn: 1s }");
    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("withn"), "{said}");
    let (code, said) = setup.does_not_open(&["--config", "nowhere.yaml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nowhere.yaml"), "{said}");
}

#[test]
fn a_clock_that_was_put_back_is_accepted_once_for_good() {
    let setup = Setup::new();
    let config = Config::load(&|_| None, &setup.file()).unwrap();
    let tomorrow = Arc::new(|| os::system_time().plus(Duration::from_hours(24)));
    let world = World { clock: tomorrow, ..World::real() };
    assert!(Gateway::start(config, world).unwrap().stop());

    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the system clock is more than five minutes behind"), "{said}");
    assert!(said.contains("--accept-clock"), "{said}");

    let mut process = setup.opens_with(&["--accept-clock"]);
    process.window().visits(&setup.adds("ada")).posts(&[("password", PASSWORD)]);
    process.is_killed();
    let process = setup.opens();
    assert_eq!(process.tells_operators("/readyz").status, 200);
}

#[test]
fn a_damaged_store_is_named_and_nobody_is_let_in() {
    let setup = Setup::new();
    let mut process = setup.opens();
    setup.adds("ada");
    process.is_killed();
    let file = setup.state().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    // What steers redb stands at the beginning of a page: only checksums cover this.
    for page in bytes.chunks_mut(4096).skip(1) {
        page[200..].iter_mut().filter(|byte| **byte != 0).for_each(|byte| *byte ^= 1);
    }
    fs::write(&file, &bytes).unwrap();
    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the store is damaged"), "{said}");
    assert!(said.contains("restore it from a backup"), "{said}");
}

/// Its object is linked only to provide `malloc`: nothing else refers to it.
#[test]
fn the_allocator_is_the_malloc_of_the_program() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let done = command.arg("--version").env("MIMALLOC_VERBOSE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("mimalloc: "), "{said}");
}
