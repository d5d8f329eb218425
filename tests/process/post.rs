//! Messages of the real process: they are sent at once, and one in progress is not cut off.

use super::setup::{Process, Setup};
use crate::support::free_address::free_address;
use crate::support::post_office::{Does, END, Peer, header};

/// A configuration that sends mail to `server`.
fn setup(server: &Peer) -> Setup {
    let address = server.address;
    let mail = format!("mail: {{ server: '{address}', tls: none, from: door@example.com }}");
    Setup::with(&mail)
}

/// An operator adds ada, and she sets her password, which a message tells her.
fn somebody_is_written_to(setup: &Setup, process: &Process) {
    let email = ["--email", "ada@example.com"];
    let link = setup.types(&[&["user", "add", "ada", "--json"][..], &email].concat()).link();
    let mut window = process.window();
    window.opens(&link);
    window.sends(&[("password", super::setup::PASSWORD)]);
    assert_eq!(window.answer.status, 303);
}

#[test]
fn a_message_goes_out_as_soon_as_it_is_written() {
    let server = Peer::opens(&[]);
    let setup = setup(&server);
    let process = setup.opens();
    somebody_is_written_to(&setup, &process);
    process.hears("e-mail sent");
    let message = server.arrived.messages().pop().unwrap();
    assert_eq!(header(&message, "Subject"), Some("crm.localhost: your password was set"));
    assert!(!process.said().contains("ada@example.com"), "{}", process.said());
}

#[test]
fn a_mail_server_that_does_not_answer_is_named_in_the_log_and_counted() {
    let nobody = free_address();
    let mail = format!("mail: {{ server: '{nobody}', tls: none, from: door@example.com }}");
    let setup = Setup::with(&mail);
    let process = setup.opens();
    somebody_is_written_to(&setup, &process);
    let line = process.hears("e-mail not delivered, retrying later: mail cannot be sent");
    for says in ["Connection refused", "doorward mail test"] {
        assert!(line.contains(says), "{line}");
    }
    let said = process.tells_operators("/metrics").body;
    assert!(said.contains("doorward_unavailable_total{kind=\"mail\"} 1\n"), "{said}");
}

#[test]
fn told_to_end_it_lets_the_message_under_way_arrive() {
    let server = Peer::opens(&[(END, Does::Waits)]);
    let setup = setup(&server);
    let mut process = setup.opens();
    somebody_is_written_to(&setup, &process);
    server.has_heard("DATA");
    process.signals("TERM");
    process.hears("shutting down");
    server.held.release();
    process.hears("e-mail sent");
    assert_eq!(process.ends().code(), Some(0), "{}", process.said());
    assert_eq!(server.arrived.messages().len(), 1);
}

#[test]
fn a_message_that_was_cut_off_by_a_kill_waits_for_the_next_start() {
    let server = Peer::opens(&[(END, Does::Waits)]);
    let setup = setup(&server);
    let mut process = setup.opens();
    somebody_is_written_to(&setup, &process);
    server.has_heard("DATA");
    process.is_killed();
    let process = setup.opens();
    let waits = |_| {
        let said = process.tells_operators("/metrics").body;
        said.contains("doorward_outbox_messages 1\n")
    };
    assert!((0..10_000).any(waits), "{}", process.tells_operators("/metrics").body);
}
