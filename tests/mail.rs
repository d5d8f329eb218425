//! Letters, from what they tell of until a mail server has taken them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "support/gate.rs"]
mod gate;
#[path = "support/post_office.rs"]
mod post_office;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use doorward::domain::letter::{About, Letter};
use doorward::domain::name::{Email, Login};
use doorward::domain::user::Change;
use doorward::flow::administer;
use doorward::flow::deliver::{Round, deliver};
use doorward::messages::{Post, Smtp, Unsent};
use doorward::store::memory::Memory;
use gate::{CONFIG, Gate};
use post_office::{Arrived, Dies, dies, header, opens, opens_on};

fn config(server: SocketAddr, more: &str) -> String {
    let mail = format!("mail: {{ server: '{server}', from: Door <door@example.com>, {more} }}");
    format!("{CONFIG}{mail}\nset_up: {{ proof: none }}\n")
}

fn gate(server: SocketAddr) -> Gate {
    Gate::configured(&config(server, "tls: none"), Arc::new(Memory::new()))
}

async fn delivers(gate: &Gate) -> Round {
    let smtp = Smtp::of(&gate.env.config).unwrap().unwrap();
    deliver(&gate.env, &smtp).await.unwrap()
}

fn trial(to: &str) -> Letter {
    let id = doorward::domain::user::UserId::from([1; 16]);
    let to = Email::parse(to).unwrap();
    let written = gate::START;
    Letter { user: id, to, name: "ada".to_owned(), about: About::Trial, written }
}

async fn waiting(gate: &Gate) -> usize {
    gate.env.store.letters(100).await.unwrap().len()
}

/// An operator gives somebody another address.
async fn lives_at(gate: &Gate, name: &str, address: &str) {
    let email = Some(Some(Email::parse(address).unwrap()));
    let change = Change { email, ..Change::default() };
    let login = Login::typed(name);
    administer::change(&gate.env, "root", &login, &change).await.unwrap().unwrap();
}

/// What people are told, by subject.
fn subjects(arrived: &Arrived) -> Vec<String> {
    let letters = arrived.letters();
    letters.iter().map(|letter| header(letter, "Subject").unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_ones_protection_is_told_by_mail_once() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.protects("ada").await;
    assert!(delivers(&gate).await.sent > 0);
    assert_eq!(delivers(&gate).await, Round::default(), "nothing is left to send");
    let told = subjects(&arrived);
    assert_eq!(
        told,
        ["crm.example.com: your password was set", "crm.example.com: two-factor is on"]
    );
    let letter = arrived.letters().pop().unwrap();
    assert_eq!(header(&letter, "To"), Some("ada@example.com"));
    assert_eq!(header(&letter, "From"), Some("Door <door@example.com>"));
    assert_eq!(header(&letter, "Auto-Submitted"), Some("auto-generated"));
    assert!(header(&letter, "Message-ID").unwrap().ends_with("@crm.example.com>"));
    assert!(letter.contains("multipart/alternative"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_an_hour_loses_nothing_and_gets_nothing_twice() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    drop(socket);
    let gate = gate(server);
    gate.protects("ada").await;
    let written = waiting(&gate).await;
    for _ in 0..60 {
        let round = delivers(&gate).await;
        assert_eq!(round.sent, 0);
        gate.waits(Duration::from_mins(1));
    }
    assert_eq!(waiting(&gate).await, written);
    let arrived = opens_on(TcpListener::bind(server).unwrap(), None);
    gate.waits(Duration::from_mins(10));
    delivers(&gate).await;
    assert_eq!(arrived.letters().len(), written);
    assert_eq!(waiting(&gate).await, 0);
    gate.waits(Duration::from_hours(1));
    delivers(&gate).await;
    assert_eq!(arrived.letters().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_gets_each_letter_afterwards() {
    for when in [Dies::AtOnce, Dies::BeforeTheLetter, Dies::BeforeItKeepsTheLetter] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = socket.local_addr().unwrap();
        let gate = gate(server);
        gate.knows("ada").await;
        let dying = dies(socket, when, Arrived::default());
        let round = delivers(&gate).await;
        assert!((round.sent, round.put_off, round.away) == (0, 1, true), "{round:?}");
        dying.join().unwrap();
        let arrived = opens_on(TcpListener::bind(server).unwrap(), None);
        gate.waits(Duration::from_secs(15));
        assert_eq!(delivers(&gate).await.sent, 1);
        assert_eq!(arrived.letters().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_taken_by_a_server_that_could_not_say_so_comes_again_under_the_same_name()
{
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let gate = gate(server);
    gate.knows("ada").await;
    let first = Arrived::default();
    let dying = dies(socket, Dies::BeforeItSaysSo, first.clone());
    assert!(delivers(&gate).await.away);
    dying.join().unwrap();
    let second = opens_on(TcpListener::bind(server).unwrap(), None);
    gate.waits(Duration::from_secs(15));
    delivers(&gate).await;
    let names = [first, second].map(|arrived| {
        let letter = arrived.letters().pop().unwrap();
        header(&letter, "Message-ID").unwrap().to_owned()
    });
    assert_eq!(names[0], names[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_send_each_letter_once() {
    let (server, arrived) = opens(None);
    let records = Arc::new(Memory::new());
    let one = Gate::configured(&config(server, "tls: none"), records.clone());
    let other = Gate::configured(&config(server, "tls: none"), records);
    for name in ["ada", "bob", "eve"] {
        one.protects(name).await;
    }
    let written = waiting(&one).await;
    other.waits(one.now().since(other.now()).unwrap());
    let (smtp, another) = (
        Smtp::of(&one.env.config).unwrap().unwrap(),
        Smtp::of(&other.env.config).unwrap().unwrap(),
    );
    let rounds = tokio::join!(deliver(&one.env, &smtp), deliver(&other.env, &another));
    assert_eq!(rounds.0.unwrap().sent + rounds.1.unwrap().sent, written);
    let mut names: Vec<String> = arrived
        .letters()
        .iter()
        .map(|letter| header(letter, "Message-ID").unwrap().to_owned())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), written);
    assert_eq!(arrived.letters().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_by_whoever_died_is_sent_ten_minutes_later() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    let due = gate.env.store.due_letters(gate.now(), 1).await.unwrap().pop().unwrap();
    let until = gate.now().plus(Duration::from_mins(10));
    gate.env.store.put_off(due.clone(), until).await.unwrap().unwrap();
    assert!(gate.env.store.put_off(due, until).await.unwrap().is_none(), "one claims it");
    assert_eq!(delivers(&gate).await, Round::default());
    gate.waits(Duration::from_mins(10));
    assert_eq!(delivers(&gate).await.sent, 1);
    assert_eq!(arrived.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_ever_is_given_up_and_holds_nobody_up() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    lives_at(&gate, "ada", "ada@example.org").await;
    gate.knows("bob").await;
    gate.waits_for_the_next_code();
    gate.makes_a_link("ada").await;
    let link = gate.makes_a_link("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", "another wet umbrella")]).await;
    let round = delivers(&gate).await;
    assert_eq!((round.sent, round.given_up), (2, 1), "{:?}", arrived.letters());
    assert_eq!(waiting(&gate).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_three_days_ago_are_no_news() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    gate.waits(Letter::NEWS_LASTS);
    assert_eq!(delivers(&gate).await.given_up, 1);
    assert!(arrived.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_is_encrypted_with_whom_the_operator_believes_and_with_nobody_else() {
    // The server asks the process for one.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let home = tempfile::tempdir().unwrap();
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) =
            (home.path().join(format!("{name}.pem")), home.path().join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    };
    let (ours, another) = (certified("ours"), certified("another"));
    let (server, arrived) = opens(Some((&ours.0, &ours.1)));
    let password = home.path().join("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    let smtp = |authority: &std::path::Path, password: &std::path::Path| {
        let (authority, password) = (authority.display(), password.display());
        let more = format!("authority: '{authority}', user: doorward, password_file: '{password}'");
        let text = config(server, &more).replace("127.0.0.1:", "localhost:");
        // Visitors are listened for on an address.
        let text = text.replace("address: localhost:0", "address: 127.0.0.1:0");
        let text = text.replace("upstream: http://localhost:9", "upstream: http://127.0.0.1:9");
        Smtp::of(&doorward::config::Config::read("test.yaml", &text).unwrap()).unwrap().unwrap()
    };
    let letter = trial("ada@example.com");
    let refused = smtp(&another.0, &password).send(&letter, &[1; 16]).await;
    assert!(matches!(refused, Err(Unsent::Away(_))), "{refused:?}");
    let wrong = home.path().join("wrong");
    std::fs::write(&wrong, "open barley\n").unwrap();
    let refused = smtp(&ours.0, &wrong).send(&letter, &[1; 16]).await;
    assert!(matches!(refused, Err(Unsent::Away(_))), "{refused:?}");
    assert!(arrived.letters().is_empty());
    smtp(&ours.0, &password).send(&letter, &[1; 16]).await.unwrap();
    assert_eq!(arrived.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_encrypt_is_sent_nothing() {
    let (server, arrived) = opens(None);
    let text = config(server, "tls: starttls");
    let smtp = Smtp::of(&doorward::config::Config::read("test.yaml", &text).unwrap());
    let refused = smtp.unwrap().unwrap().send(&trial("ada@example.com"), &[1; 16]).await;
    assert!(matches!(refused, Err(Unsent::Away(_))), "{refused:?}");
    assert!(arrived.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_address_is_told_of_the_new_one() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    delivers(&gate).await;
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let changed = gate.env.store.change_user(id, |user| {
        user.verification_link(Email::parse("new@example.com").unwrap(), gate.now());
        user.take_new_email(gate.now());
        let what = doorward::domain::event::What::EmailChanged;
        let whom = doorward::domain::event::Whom::User(id);
        let (at, from, by, agent) = (gate.now(), None, None, None);
        ((), vec![doorward::domain::event::Event { at, whom, what, from, by, agent }])
    });
    changed.await.unwrap().unwrap();
    delivers(&gate).await;
    let letter = arrived.letters().pop().unwrap();
    assert_eq!(header(&letter, "To"), Some("ada@example.com"));
    assert_eq!(
        header(&letter, "Subject"),
        Some("crm.example.com: your e-mail address was changed")
    );
}
