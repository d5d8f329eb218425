//! `doorward mail test`: whether messages arrive.

use std::path::Path;
use std::process::ExitCode;

use doorward::cli;

use super::config;
use crate::support::gate::CONFIG;
use crate::support::post_office::{Does, Peer};

/// What a command came to: whether it was done, what it printed, and what it noted.
fn types(text: &str, words: &[&str]) -> (bool, String, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("doorward.yaml");
    std::fs::write(&file, text).unwrap();
    types_at(&file, words)
}

fn types_at(file: &Path, words: &[&str]) -> (bool, String, String) {
    let file = file.display().to_string();
    let line = ["doorward", "--config", &file, "mail"].into_iter().chain(words.iter().copied());
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let code = cli::run(line.map(Into::into), &mut out, &mut notes);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code == ExitCode::SUCCESS, text(out), text(notes))
}

#[test]
fn it_says_step_by_step_how_far_the_message_came() {
    let server = Peer::opens(&[]);
    let (done, out, notes) =
        types(&config(server.address, "tls: none"), &["test", "ada@example.com"]);
    assert!(done, "{notes}");
    let address = server.address;
    let told = format!(
        "Connected to 127.0.0.1 at {address}.\nThe server accepted the e-mail to ada@example.com: taken\n"
    );
    assert_eq!(out, told);
    let message = server.arrived.messages().pop().unwrap();
    assert!(message.contains("Your e-mail works. There is nothing to do."), "{message}");
}

#[test]
fn it_says_what_failed_and_what_to_change() {
    let server = Peer::opens(&[("RCPT", Does::Says("554 5.7.1 relaying denied"))]);
    let (done, out, notes) =
        types(&config(server.address, "tls: none"), &["test", "ada@example.com"]);
    assert!(!done);
    assert_eq!(out, format!("Connected to 127.0.0.1 at {}.\n", server.address));
    let told = "doorward: the mail server rejected the recipient: 554 5.7.1 relaying denied\n  \
                check the address; a relaying server may need `mail.user`\n";
    assert_eq!(notes, told);
}

#[test]
fn a_script_reads_the_same() {
    let server = Peer::opens(&[("MAIL", Does::Says("550 not from you"))]);
    let (done, out, _) =
        types(&config(server.address, "tls: none"), &["test", "ada@example.com", "--json"]);
    assert!(!done);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["taken"], false);
    assert_eq!(said["failed"]["why"], "550 not from you");
    assert_eq!(said["failed"]["cure"], "allow door@example.com as a sender on the mail server");
}

#[test]
fn without_a_mail_server_it_says_so() {
    let (done, out, notes) = types(CONFIG, &["test", "ada@example.com"]);
    assert!(!done && out.is_empty());
    assert!(notes.contains("no mail server is configured"), "{notes}");
}

#[test]
fn an_authority_that_cannot_be_read_is_a_problem_of_the_configuration() {
    let text = config(([127, 0, 0, 1], 25).into(), "authority: /nowhere/ca.pem");
    let (done, _, notes) = types(&text, &["test", "ada@example.com"]);
    assert!(!done);
    assert!(notes.contains("mail.authority: "), "{notes}");
    assert!(notes.contains("name a PEM file"), "{notes}");
}
