//! A portal that moves away from the security keys that people have.

use super::setup::{HOST, PASSWORD, Process, Setup};
use crate::support::security_key::{SoftKey, options};

/// Somebody sets up a key.
fn sets_up_a_key(setup: &Setup, process: &Process) {
    let mut window = process.window();
    window.opens(&setup.adds("ada"));
    window.sends(&[("password", PASSWORD)]);
    window.opens("/.doorward/set-up?kind=security-key");
    let asked = options(&window.answer.body);
    let sent =
        SoftKey::new(1).is_set_up_as(&asked, |draft| draft.origin = format!("http://{HOST}"));
    window.sends(&[("code", &sent)]);
    assert_eq!(window.answer.status, 303, "{}", window.answer.body);
}

/// Moves the portal to another host.
fn moves(setup: &Setup) {
    let yaml = std::fs::read_to_string(setup.file()).unwrap();
    let moved = yaml.replace("apps:", "portal: http://id.localhost:8080\napps:");
    std::fs::write(setup.file(), moved).unwrap();
}

#[test]
fn a_portal_that_leaves_the_keys_of_people_behind_is_refused_or_accepted_on_purpose() {
    let setup = Setup::new();
    let mut process = setup.opens();
    let same = setup.types(&["check"]);
    assert_eq!((same.code, same.out.contains("security keys")), (Some(0), false), "{same:?}");
    moves(&setup);
    assert_eq!(setup.types(&["check"]).code, Some(0), "nobody has a key");
    setup.configures("127.0.0.1:0", "");
    sets_up_a_key(&setup, &process);
    moves(&setup);
    let says = "the RP ID would change from `crm.localhost` to `id.localhost`: the security keys of \
                one person would stop working";
    let checked = setup.types(&["check"]);
    assert!(checked.code == Some(1) && checked.out.contains(says), "{checked:?}");
    let checked = setup.types(&["check", "--json"]);
    assert!(checked.out.contains(says), "{checked:?}");
    let reloaded = setup.types(&["reload"]);
    assert!(reloaded.code == Some(1) && reloaded.notes.contains(says), "{reloaded:?}");
    process.signals("TERM");
    assert!(process.ends().success());

    let (code, said) = setup.does_not_open(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(says) && said.contains("--accept-new-rp-id"), "{said}");
    let checked = setup.types(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("(RP ID), because no gateway is running"), "{checked:?}");
    let mut process = setup.opens_with(&["--accept-new-rp-id"]);
    let says = "RP ID changed from `crm.localhost` to `id.localhost`: security keys of one person";
    assert!(process.said().contains(says), "{}", process.said());
    process.signals("TERM");
    assert!(process.ends().success());
    setup.opens();
}
