//! The first factor of a person is the moment a thief of passwords waits for.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::message::About;
use doorward::domain::name::{Email, Login};
use doorward::domain::user::Change;
use doorward::flow::administer;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, CONFIG, Gate, PASSWORD};

const SET_UP: &str = "/.doorward/set-up";

fn gate(proof: &str) -> Gate {
    let mail = "mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }";
    let config = format!("{CONFIG}{mail}\nset_up: {{ proof: {proof} }}\n");
    Gate::configured(&config, Arc::new(Memory::new()))
}

/// Whether the page shows a secret to set up.
fn shows_a_secret(browser: &Browser) -> bool {
    browser.page.contains("id=\"secret\"")
}

/// Ada with her password, in a browser of hers.
async fn ada(gate: &Gate) -> Browser {
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser
}

async fn sets_up(gate: &Gate, browser: &mut Browser) {
    browser.opens(SET_UP).await;
    let code = browser.secret().code_at(gate.now()).expose().to_owned();
    browser.sends(&[("code", &code)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

#[tokio::test]
async fn a_code_from_ones_mailbox_comes_before_the_secret() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    browser.opens(SET_UP).await;
    assert!(!shows_a_secret(&browser) && browser.page.contains("a…@example.com"));
    let before = gate.messages().await.len();
    browser.opens(SET_UP).await;
    assert_eq!(gate.messages().await.len(), before, "looking sends nothing");
    browser.sends(&[("send", "yes")]).await;
    browser.follows().await;
    let code = gate.code_mailed_to("ada@example.com").await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    browser.sends(&[("mailed_code", wrong)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    browser.sends(&[("mailed_code", &code)]).await;
    browser.follows().await;
    assert!(shows_a_secret(&browser), "{}", browser.page);
    sets_up(&gate, &mut browser).await;
}

#[tokio::test]
async fn a_first_code_is_worth_nothing_where_the_proof_is_missing() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    browser.opens(SET_UP).await;
    browser.sends(&[("code", "123456")]).await;
    assert!(!shows_a_secret(&browser));
    browser.opens(SET_UP).await;
    browser.sends(&[("send", "yes")]).await;
    browser.follows().await;
    browser.sends(&[("mailed_code", &gate.code_mailed_to("ada@example.com").await)]).await;
    browser.follows().await;
    let key = browser.secret();
    gate.waits(Duration::from_mins(16));
    browser.visits(SET_UP).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert!(!shows_a_secret(&browser), "the proof is as old as the password was");
    browser.sends(&[("code", key.code_at(gate.now()).expose())]).await;
    browser.opens("/strict/").await;
    assert_eq!(browser.passed, None);
}

#[tokio::test]
async fn a_link_from_an_administrator_is_proof_enough() {
    for proof in ["mail", "link", "none"] {
        let gate = gate(proof);
        let link = gate.adds("ada").await;
        let mut browser = gate.browser();
        browser.opens(&link).await;
        browser.sends(&[("password", PASSWORD)]).await;
        sets_up(&gate, &mut browser).await;
    }
}

#[tokio::test]
async fn where_a_link_is_asked_for_nothing_else_will_do() {
    let gate = gate("link");
    let mut browser = ada(&gate).await;
    browser.opens(SET_UP).await;
    assert!(!shows_a_secret(&browser));
    assert!(browser.page.contains("you need a link from an administrator"));
    let before = gate.messages().await.len();
    browser.sends(&[("send", "yes"), ("mailed_code", "123456"), ("code", "123456")]).await;
    assert!(!shows_a_secret(&browser));
    assert_eq!(gate.messages().await.len(), before);
}

#[tokio::test]
async fn without_an_address_or_after_a_reset_it_takes_a_link() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    administer::reset_second_factor(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    browser.opens(SET_UP).await;
    assert!(browser.page.contains("a…@example.com"), "nothing was on, nothing was reset");
    let protected = gate.adds("bob").await;
    let mut bob = gate.browser();
    bob.opens(&protected).await;
    bob.sends(&[("password", PASSWORD)]).await;
    sets_up(&gate, &mut bob).await;
    administer::reset_second_factor(&gate.env, "root", &Login::typed("bob")).await.unwrap();
    bob.signs_in("bob").await;
    bob.visits(SET_UP).await;
    assert!(bob.page.contains("you need a link"), "{}", bob.page);
}

#[tokio::test]
async fn whoever_it_was_not_freezes_the_factor_and_an_administrator_leads_on() {
    let gate = gate("none");
    let mut thief = ada(&gate).await;
    thief.opens(SET_UP).await;
    let key = thief.secret();
    sets_up(&gate, &mut thief).await;
    thief.follows().await;
    let codes = thief.recovery_codes();
    thief.sends(&[("saved", "yes")]).await;

    let link = gate.link_mailed_to("ada@example.com").await;
    let mut owner = gate.browser();
    owner.opens(&link).await;
    assert_eq!(owner.heading(), "Was this somebody else?");
    thief.opens("/orders").await;
    assert!(thief.passed.is_some(), "looking does nothing");
    owner.sends(&[]).await;
    assert_eq!(owner.heading(), "Two-factor is frozen");
    thief.opens("/orders").await;
    assert_eq!(thief.passed, None, "sessions are over");

    gate.waits_for_the_next_code();
    thief.signs_in("ada").await;
    thief.follows().await;
    let code = key.code_at(gate.now()).expose().to_owned();
    for (kind, code) in [("totp", code.as_str()), ("recovery-code", codes[0].as_str())] {
        thief.opens(&format!("/.doorward/challenge?kind={kind}")).await;
        assert!(thief.page.contains("no code is accepted"), "{}", thief.page);
        let csrf = gate_csrf(&gate, &mut thief).await;
        thief
            .posts(
                "/.doorward/challenge",
                &[("csrf", csrf.as_str()), ("kind", kind), ("code", code)],
            )
            .await;
        assert_ne!(thief.status, StatusCode::SEE_OTHER);
    }
    thief.opens("/orders").await;
    assert_eq!(thief.passed, None);
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE, "it works once");
    assert!(gate.events().await.contains(&What::Frozen));

    owner.opens(&gate.makes_a_link("ada").await).await;
    owner.sends(&[("password", "four dry sandbanks")]).await;
    sets_up(&gate, &mut owner).await;
}

/// The hidden field of some form that this browser may open.
async fn gate_csrf(_: &Gate, browser: &mut Browser) -> String {
    browser.opens("/.doorward/sign-out").await;
    browser.field("csrf").unwrap()
}

#[tokio::test]
async fn the_news_of_a_first_factor_is_one_message_with_a_way_to_say_not_me() {
    let gate = gate("none");
    let mut browser = ada(&gate).await;
    sets_up(&gate, &mut browser).await;
    let messages = gate.messages().await;
    let news: Vec<_> = messages
        .iter()
        .filter(|message| message.happened().is_some_and(|event| event.what == What::TwoFactorOn))
        .collect();
    assert_eq!(news.len(), 1);
    assert!(matches!(&news[0].about, About::Happened { not_me: Some(_), .. }));
}

#[tokio::test]
async fn a_link_from_an_administrator_is_proof_in_the_session_that_it_began_and_nowhere_else() {
    let gate = gate("link");
    let link = gate.adds("ada").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", PASSWORD)]).await;
    gate.waits(Duration::from_mins(50));
    browser.visits(SET_UP).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert!(shows_a_secret(&browser), "the password is asked again, the link cannot be");
    let mut thief = gate.browser();
    thief.signs_in("ada").await;
    thief.visits(SET_UP).await;
    assert!(!shows_a_secret(&thief), "{}", thief.page);
    browser.signs_out().await.signs_in("ada").await.visits(SET_UP).await;
    assert!(!shows_a_secret(&browser), "{}", browser.page);
}

/// A gateway without mail that says nothing of what a first second factor takes.
fn silent(hosts: &[&str], portal: &str) -> Gate {
    let apps = hosts.iter().enumerate().map(|(number, host)| {
        format!(
            "  - {{ name: app{number}, hosts: ['{host}'], upstream: 'http://127.0.0.1:{}', \
             otherwise: sign-in, insecure: true }}\n",
            9 + number
        )
    });
    let apps: String = apps.collect();
    let config = format!(
        "listen: [{{ address: 127.0.0.1:0 }}]\nstate: /nowhere\nportal: '{portal}'\n\
         apps:\n{apps}set_up: {{}}\n"
    );
    Gate::configured(&config, Arc::new(Memory::new()))
}

#[tokio::test]
async fn without_mail_a_password_alone_sets_up_nothing_unless_every_host_is_localhost() {
    let (here, there) = ("http://crm.localhost:8080", "https://crm.example.com");
    for (hosts, portal, takes_a_link) in [
        (&[there][..], "https://id.example.com", true),
        (&[there], there, true),
        (&[here, "https://wiki.example.com"], "https://id.localhost:8443", true),
        (&[here], "https://id.example.com", true),
        (&["http://127.0.0.1:8080"], "http://127.0.0.1:8080", true),
        (&["http://[::1]:8080"], "http://[::1]:8080", true),
        (&["http://localhost.example.com"], "http://localhost.example.com", true),
        (&["http://localhost:8080"], "http://localhost:8080", false),
        (&[here, "http://wiki.localhost:8080"], "http://id.localhost:8080", false),
    ] {
        let gate = silent(hosts, portal);
        let link = gate.adds("ada").await;
        let mut owner = gate.browser();
        owner.opens(&link).await.sends(&[("password", PASSWORD)]).await;
        owner.opens(SET_UP).await;
        assert!(shows_a_secret(&owner), "{hosts:?}: {}", owner.page);
        let mut thief = gate.browser();
        thief.signs_in("ada").await.opens(SET_UP).await;
        assert_eq!(!shows_a_secret(&thief), takes_a_link, "{hosts:?} {portal}");
        assert_eq!(thief.page.contains("you need a link"), takes_a_link, "{}", thief.page);
    }
}

#[tokio::test]
async fn a_code_goes_to_the_stored_address_alone_once_a_minute_and_thrice_an_hour() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    let codes = async || {
        let messages = gate.messages().await;
        let codes = messages.iter().filter(|one| matches!(one.about, About::Code { .. }));
        codes.map(|one| one.to.to_string()).collect::<Vec<_>>()
    };
    let chosen = [("send", "yes"), ("email", "thief@example.org"), ("to", "thief@example.org")];
    browser.opens(SET_UP).await;
    browser.sends(&chosen).await;
    assert_eq!(codes().await, ["ada@example.com"]);
    browser.follows().await;
    assert!(browser.page.contains("data-again=\"60\""), "{}", browser.page);
    browser.sends(&[("send", "yes")]).await;
    assert_eq!(codes().await.len(), 1, "not before a minute is over");
    for sent in 2..=3 {
        gate.waits(Duration::from_mins(1));
        browser.opens(SET_UP).await.sends(&[("send", "yes")]).await;
        assert_eq!(codes().await.len(), sent);
    }
    gate.waits(Duration::from_mins(1));
    browser.opens(SET_UP).await.sends(&[("send", "yes")]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(codes().await.len(), 3);
}

#[tokio::test]
async fn a_newer_code_voids_the_older_and_wrong_ones_are_counted() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    browser.opens(SET_UP).await.sends(&[("send", "yes")]).await;
    let first = gate.code_mailed_to("ada@example.com").await;
    gate.waits(Duration::from_mins(1));
    browser.opens(SET_UP).await.sends(&[("send", "yes")]).await;
    let second = gate.code_mailed_to("ada@example.com").await;
    assert_ne!(first, second);
    browser.opens(SET_UP).await;
    for _ in 0..5 {
        browser.sends(&[("mailed_code", &first)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    browser.sends(&[("mailed_code", &second)]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS, "unread, though it is right");
    assert!(gate.events().await.contains(&What::WaitBegan));
    let mut elsewhere = gate.browser();
    elsewhere.signs_in("ada").await;
    elsewhere.opens(SET_UP).await;
    gate.waits(Duration::from_secs(31));
    elsewhere
        .posts(
            SET_UP,
            &[("csrf", elsewhere.field("csrf").unwrap()), ("mailed_code", second.clone())],
        )
        .await;
    assert!(!shows_a_secret(&elsewhere), "it is bound to the session that asked");
    assert_ne!(elsewhere.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_right_code_gives_the_session_a_new_id_and_works_once() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    browser.opens(SET_UP).await.sends(&[("send", "yes")]).await;
    let code = gate.code_mailed_to("ada@example.com").await;
    let mut before = browser.clone();
    browser.opens(SET_UP).await.sends(&[("mailed_code", &code)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    before.opens(SET_UP).await;
    assert!(before.location().unwrap().starts_with("/.doorward/sign-in"), "the old id is dead");
    assert!(gate.events().await.contains(&What::MailedCodeShown));
    browser.opens(SET_UP).await;
    assert!(shows_a_secret(&browser));
}

#[tokio::test]
async fn an_address_that_an_operator_gave_counts_and_none_at_all_takes_a_link() {
    let gate = gate("mail");
    let mut browser = ada(&gate).await;
    let lives_at = async |email: Option<Email>| {
        let change = Change { email: Some(email), ..Change::default() };
        let login = Login::typed("ada");
        administer::change(&gate.env, "root", &login, &change).await.unwrap().unwrap();
    };
    lives_at(Some(Email::parse("lovelace@example.org").unwrap())).await;
    browser.opens(SET_UP).await;
    assert!(browser.page.contains("l…@example.org"), "{}", browser.page);
    lives_at(None).await;
    browser.opens(SET_UP).await;
    assert!(browser.page.contains("you need a link"), "{}", browser.page);
}
