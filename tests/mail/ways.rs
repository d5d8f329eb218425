//! How a mail server is spoken with, and what its answers mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use doorward::domain::message::Message;
use doorward::messages::{Done, Outlook, Patience, Post, Smtp, Step, Unsent};

use super::{config, smtp};
use crate::support::gate::START;
use crate::support::post_office::{Does, END, GREETING, Peer, opens, speaks_tls_at_once};

/// A message that says nothing.
fn trial(to: &str) -> Message {
    Message::trial(to.parse().unwrap(), START)
}

/// What came of a message to ada.
async fn sends(smtp: &Smtp) -> Result<(), Unsent> {
    smtp.send(&trial("ada@example.com"), &[1; 16]).await
}

/// A certificate for localhost that signs itself, and its key.
fn certified(home: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |kind: &str| home.join(format!("{name}.{kind}"));
    std::fs::write(file("pem"), made.cert.pem()).unwrap();
    std::fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
    (file("pem"), file("key"))
}

/// A way to localhost at the port of `server`.
fn to_localhost(server: std::net::SocketAddr, more: &str) -> Smtp {
    let local = format!("server: 'localhost:{}'", server.port());
    smtp(&config(server, more).replace(&format!("server: '{server}'"), &local))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_is_encrypted_with_whom_the_operator_believes_and_with_nobody_else() {
    // The server asks the process for one.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let home = tempfile::tempdir().unwrap();
    let (ours, another) = (certified(home.path(), "ours"), certified(home.path(), "another"));
    let (server, arrived) = opens(Some((&ours.0, &ours.1)));
    let secret = |name: &str, password: &str| {
        let file = home.path().join(name);
        std::fs::write(&file, password).unwrap();
        file
    };
    let (right, wrong) = (secret("right", "open sesame\n"), secret("wrong", "open barley\n"));
    let way = |authority: &Path, password: &Path| {
        let (authority, password) = (authority.display(), password.display());
        let more = format!("authority: '{authority}', user: doorward, password_file: '{password}'");
        to_localhost(server, &more)
    };
    let refused = sends(&way(&another.0, &right)).await.unwrap_err();
    assert_eq!((refused.step, refused.outlook), (Step::Encrypt, Outlook::Away), "{refused}");
    let refused = sends(&way(&ours.0, &wrong)).await.unwrap_err();
    assert_eq!((refused.step, refused.outlook), (Step::SignIn, Outlook::Away), "{refused}");
    assert!(arrived.messages().is_empty());

    let mut done = Vec::new();
    let sent = way(&ours.0, &right);
    let message = trial("ada@example.com");
    sent.send_and_say(&message, &[1; 16], &mut |step| done.push(step)).await.unwrap();
    assert_eq!(arrived.messages().len(), 1);
    assert_eq!(done[1..3], [Done::Encrypted("TLS 1.3"), Done::SignedIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_not_believed() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let home = tempfile::tempdir().unwrap();
    let (certificate, key) = certified(home.path(), "ours");
    let (server, arrived) = opens(Some((&certificate, &key)));
    let more = format!("authority: '{}'", certificate.display());
    // The server is called by its address, the certificate is for localhost.
    let refused = sends(&smtp(&config(server, &more))).await.unwrap_err();
    assert_eq!(refused.step, Step::Encrypt, "{refused}");
    assert!(arrived.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_be_encrypted_from_the_first_byte() {
    let home = tempfile::tempdir().unwrap();
    let (certificate, key) = certified(home.path(), "ours");
    let (server, arrived) = speaks_tls_at_once(&certificate, &key);
    let more = format!("tls: implicit, authority: '{}'", certificate.display());
    sends(&to_localhost(server, &more)).await.unwrap();
    assert_eq!(arrived.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_encrypt_is_sent_nothing() {
    let server = Peer::opens(&[]);
    let refused = sends(&smtp(&config(server.address, "tls: starttls"))).await.unwrap_err();
    assert_eq!((refused.step, refused.outlook), (Step::Encrypt, Outlook::Away), "{refused}");
    assert!(!server.was_told("MAIL"));
}

/// Whoever sits on the way could otherwise answer in the server's place once it is encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_slipped_in_before_the_encryption_ends_the_connection() {
    let server = Peer::opens(&[
        ("EHLO", Does::Says("250-mail.example.com\r\n250 STARTTLS")),
        ("STARTTLS", Does::Says("220 go on\r\n250 AUTH PLAIN")),
    ]);
    let refused = sends(&smtp(&config(server.address, "tls: starttls"))).await.unwrap_err();
    assert_eq!(refused.step, Step::Encrypt);
    assert_eq!(refused.why, "the server sent data before the TLS handshake (STARTTLS injection)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_holds_nobody_for_ever() {
    const STEPS: [(&[(&str, Does)], Step); 6] = [
        (&[(GREETING, Does::FallsSilent)], Step::Greet),
        (&[("EHLO", Does::FallsSilent)], Step::Greet),
        (&[("MAIL", Does::FallsSilent)], Step::Sender),
        (&[("RCPT", Does::FallsSilent)], Step::Recipient),
        (&[("DATA", Does::FallsSilent)], Step::Message),
        (&[(END, Does::FallsSilent)], Step::Message),
    ];
    let patience = Patience { step: Duration::from_secs(2), message: Duration::from_secs(2) };
    let all = STEPS.map(|(does, step)| async move {
        let server = Peer::opens(does);
        let smtp = smtp(&config(server.address, "tls: none")).with_patience(patience);
        let refused = sends(&smtp).await.unwrap_err();
        assert_eq!((refused.step, refused.outlook), (step, Outlook::Away), "{refused}");
    });
    let all: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    for one in all {
        one.await.unwrap();
    }
}

/// What a server does at which command, and where that ends, and how.
type Answered = (&'static [(&'static str, Does)], Step, Outlook);

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_means_something_for_the_message_or_for_all_of_them() {
    use Does::Says;
    use Outlook::{Away, Later, Never};
    const ANSWERS: [Answered; 13] = [
        (&[(GREETING, Says("554 no service here"))], Step::Greet, Away),
        (&[("MAIL", Says("550 not from you"))], Step::Sender, Away),
        (&[("MAIL", Says("451 not now"))], Step::Sender, Away),
        (&[("RCPT", Says("550 5.1.1 nobody is called so"))], Step::Recipient, Never),
        (&[("RCPT", Says("450 4.2.0 greylisted"))], Step::Recipient, Later),
        (&[("RCPT", Says("452 4.2.2 full"))], Step::Recipient, Later),
        (&[("RCPT", Says("530 5.7.0 sign in first"))], Step::Recipient, Away),
        (&[("RCPT", Says("554 5.7.1 relaying denied"))], Step::Recipient, Later),
        (&[("RCPT", Says("421 too busy"))], Step::Recipient, Away),
        (&[("DATA", Says("451 not now"))], Step::Message, Later),
        (&[(END, Says("452 the disk is full"))], Step::Message, Later),
        (&[(END, Says("554 it looks like spam"))], Step::Message, Never),
        (&[(END, Says("nonsense"))], Step::Message, Away),
    ];
    for (does, step, outlook) in ANSWERS {
        let server = Peer::opens(does);
        let refused = sends(&smtp(&config(server.address, "tls: none"))).await.unwrap_err();
        assert_eq!((refused.step, refused.outlook), (step, outlook), "{does:?}: {refused}");
        assert!(server.arrived.messages().is_empty(), "{does:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_write_lines_of_its_own_into_the_log() {
    let server = Peer::opens(&[("RCPT", Does::Says("550-one\r\n550 two\u{1b}[31m\tthree"))]);
    let refused = sends(&smtp(&config(server.address, "tls: none"))).await.unwrap_err();
    assert!(!refused.to_string().contains(|c: char| c.is_control()), "{refused}");
    assert!(refused.why.contains("one") && refused.why.contains("three"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_ascii_goes_to_a_server_that_takes_such() {
    let plain = Peer::opens(&[]);
    let refused = smtp(&config(plain.address, "tls: none"));
    let message = trial("zoë@example.com");
    let refused = refused.send(&message, &[1; 16]).await.unwrap_err();
    assert_eq!((refused.step, refused.outlook), (Step::Recipient, Outlook::Later));
    let offers = "250-mail.example.com\r\n250-8BITMIME\r\n250 SMTPUTF8";
    let taking = Peer::opens(Box::leak(Box::new([("EHLO", Does::Says(offers))])));
    smtp(&config(taking.address, "tls: none")).send(&message, &[1; 16]).await.unwrap();
    assert!(taking.was_told("RCPT TO:<zoë@example.com>"));
    assert!(taking.was_told("MAIL FROM:<door@example.com> SMTPUTF8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_only_a_dot_does_not_end_a_message() {
    let server = Peer::opens(&[]);
    let text = config(server.address, "tls: none") + "support: \"a\\n.\\nRSET\"\n";
    sends(&smtp(&text)).await.unwrap();
    assert!(!server.was_told("RSET"));
    assert_eq!(server.arrived.messages().len(), 1);
}
