//! `doorward sms test`: how far a text comes.

use std::process::ExitCode;

use doorward::cli;

use super::{ACCEPTS, config};
use crate::support::gate::CONFIG;
use crate::support::sms_provider::{Mood, SmsProvider};

/// What a command came to: whether it was done, what it printed, and what it noted.
fn types(text: &str, words: &[&str]) -> (bool, String, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("doorward.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let line = ["doorward", "--config", &file, "sms"].into_iter().chain(words.iter().copied());
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let code = cli::run(line.map(Into::into), &mut out, &mut notes);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code == ExitCode::SUCCESS, text(out), text(notes))
}

#[test]
fn it_says_step_by_step_how_far_the_text_came() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let (done, out, notes) = types(&config(provider.address), &["test", "079 123 45 67"]);
    assert!(done, "{notes}");
    assert_eq!(
        out,
        "+41 79 123 45 67 is a number of CH that may get texts.\nhttp answered 200 OK: it accepted \
         the text.\n"
    );
    let text = provider.requests()[0].field("text").unwrap();
    assert!(text.starts_with("Test text from "), "{text}");
}

#[test]
fn a_number_that_gets_no_texts_reaches_no_provider() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let (done, out, notes) = types(&config(provider.address), &["test", "044 668 18 00"]);
    assert!(!done && out.is_empty());
    assert_eq!(
        notes,
        "doorward: no text is sent to this number: it is a landline, which gets no texts\n  choose \
         the number of a mobile phone\n"
    );
    assert!(provider.requests().is_empty());
}

#[test]
fn a_script_reads_why_the_provider_refused() {
    let provider = SmsProvider::opens(Mood::Says(401, "{\"message\":\"who are you?\"}"));
    let (done, out, _) = types(&config(provider.address), &["test", "+41791234567", "--json"]);
    assert!(!done);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["taken"], false);
    assert_eq!(said["failed"]["why"], "the provider answered 401: who are you?");
    assert_eq!(said["failed"]["cure"], "check `sms.account` and its token");
}

#[test]
fn without_a_provider_it_says_so() {
    let (done, _, notes) = types(CONFIG, &["test", "+41791234567"]);
    assert!(!done);
    assert!(notes.contains("no provider of text messages is configured"), "{notes}");
}

#[test]
fn an_authority_that_cannot_be_read_is_a_problem_of_the_configuration() {
    let text = config(([127, 0, 0, 1], 9).into());
    let text = text.replace("countries: [CH", "authority: /nowhere/ca.pem, countries: [CH");
    let (done, _, notes) = types(&text, &["test", "+41791234567"]);
    assert!(!done);
    assert!(notes.contains("sms.authority: "), "{notes}");
}
