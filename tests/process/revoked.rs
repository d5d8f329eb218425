//! What somebody ended stays ended, whatever happens to the process in the next moment.

use super::setup::{PASSWORD, Setup};
use crate::support::window::Window;

/// Signs Ada in.
fn signs_in(window: &mut Window) {
    window.visits("/.doorward/sign-in").posts(&[("username", "ada"), ("password", PASSWORD)]);
    if window.at.starts_with("/.doorward/offer") {
        window.posts(&[("not_now", "yes")]);
    }
}

/// Whether the application answers this browser.
fn is_in(window: &mut Window) -> bool {
    window.opens("/orders").answer.status == 200
}

#[test]
fn a_session_that_was_ended_elsewhere_is_over_at_once_and_after_kill_9() {
    let setup = Setup::new();
    let link = setup.adds("ada");
    let mut process = setup.opens();
    let (mut here, mut there) = (process.window(), process.window());
    here.visits(&link).posts(&[("password", PASSWORD)]);
    signs_in(&mut there);
    assert!(is_in(&mut here) && is_in(&mut there));

    here.visits("/.doorward/security");
    let page = here.answer.body.clone();
    let (_, form) = page.split_once("action=\"/.doorward/security/sessions/end-others\"").unwrap();
    here.answer.body = format!("<form action=\"/.doorward/security/sessions/end-others\"{form}");
    here.sends(&[]);
    assert_eq!(here.answer.status, 303, "{}", here.answer.body);
    process.is_killed();

    let process = setup.opens();
    let mut again = process.window();
    again.cookies.clone_from(&there.cookies);
    assert!(!is_in(&mut again), "it was acknowledged, so it is so");
    again.cookies.clone_from(&here.cookies);
    assert!(is_in(&mut again), "whoever ended the others goes on");
}
