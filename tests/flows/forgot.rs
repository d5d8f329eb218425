use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::name::Login;
use doorward::domain::user::Change;
use doorward::flow::administer;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::{HeaderMap, Method, StatusCode};

use crate::support::gate::{Browser, CONFIG, Gate, MAILS, PASSWORD, mailing, mails};
use crate::support::overtaken::Overtaken;

const NEW: &str = "four dry sandbanks";

/// Asks for a link, and waits until what follows is done.
async fn asks(gate: &Gate, who: &str) -> Browser {
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    browser.sends(&[("email", who)]).await;
    gate.settles().await;
    browser
}

fn without_csrf(browser: &Browser) -> (StatusCode, HeaderMap, String) {
    let csrf = browser.field("csrf").unwrap_or_default();
    let mut headers = browser.headers.clone();
    headers.remove(http::header::SET_COOKIE);
    (browser.status, headers, browser.page.replace(&csrf, ""))
}

#[tokio::test]
async fn a_mailed_link_sets_a_password_and_skips_no_challenge() {
    let gate = mails();
    let phone = gate.protects("ada").await;
    gate.browser().signs_in_fully(&gate, "ada", &phone).await;
    gate.waits_for_the_next_code();
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut browser = gate.browser();
    assert_eq!(browser.opens(&link).await.heading(), "Choose a password");
    browser.sends(&[("password", NEW)]).await;
    assert_eq!(browser.follows().await.heading(), "Enter your code");
    browser.opens("/.doorward/set-up").await;
    assert_eq!(
        browser.location().as_deref().map(|to| to.split('?').next().unwrap().to_owned()),
        Some("/.doorward/challenge".to_owned())
    );
    assert!(gate.events().await.contains(&What::PasswordReset));
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE, "it works once");
    assert_eq!(gate.browser().signs_in("ada").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn whoever_never_had_a_password_gets_one_so() {
    let gate = mails();
    gate.adds("ada").await;
    asks(&gate, "Ada@Example.com").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut browser = gate.browser();
    browser.opens(&link).await;
    browser.sends(&[("password", NEW)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_asks_learns_nothing_of_who_there_is() {
    let gate = mails();
    gate.knows("ada").await;
    let hashed = gate.hashed.load(std::sync::atomic::Ordering::SeqCst);
    let known = asks(&gate, "ada").await;
    let unknown = asks(&gate, "nobody").await;
    let nonsense = asks(&gate, "@@").await;
    assert_eq!(without_csrf(&known), without_csrf(&unknown));
    assert_eq!(without_csrf(&known), without_csrf(&nonsense));
    assert_eq!(gate.hashed.load(std::sync::atomic::Ordering::SeqCst), hashed);
}

#[tokio::test]
async fn the_message_goes_to_the_address_that_is_known_and_to_no_other() {
    let gate = mails();
    gate.knows("ada").await;
    let before = gate.messages().await.len();
    asks(&gate, "ada@example.com,eve@example.org").await;
    asks(&gate, "ada@example.com\r\nBcc: eve@example.org").await;
    assert_eq!(gate.messages().await.len(), before);
    asks(&gate, "ada").await;
    assert!(gate.messages().await.iter().all(|message| message.to.as_str() == "ada@example.com"));
}

#[tokio::test]
async fn three_messages_an_hour_are_sent_and_no_more() {
    let gate = mails();
    gate.knows("ada").await;
    let before = gate.messages().await.len();
    for _ in 0..10 {
        asks(&gate, "ada").await;
    }
    assert_eq!(gate.messages().await.len() - before, 3);
    gate.waits(Duration::from_mins(61));
    asks(&gate, "ada").await;
    assert_eq!(gate.messages().await.len() - before, 4);
}

#[tokio::test]
async fn whoever_asks_voids_no_link_of_an_administrator_and_a_newer_message_voids_the_older() {
    let gate = mails();
    gate.knows("ada").await;
    let administrators = gate.makes_a_link("ada").await;
    asks(&gate, "ada").await;
    let first = gate.link_mailed_to("ada@example.com").await;
    gate.waits(Duration::from_secs(1));
    asks(&gate, "ada").await;
    let second = gate.link_mailed_to("ada@example.com").await;
    assert_eq!(gate.browser().opens(&first).await.status, StatusCode::GONE);
    assert_eq!(gate.browser().opens(&second).await.status, StatusCode::OK);
    assert_eq!(gate.browser().opens(&administrators).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_message_is_good_for_a_day_and_for_nobody_who_is_kept_out() {
    let gate = mails();
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut late = gate.browser();
    late.opens(&link).await;
    gate.waits(Duration::from_hours(24));
    late.sends(&[("password", NEW)]).await;
    assert_eq!(late.status, StatusCode::GONE);
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    administer::disable(&gate.env, "root", &Login::typed("ada")).await.unwrap();
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE);
    let before = gate.messages().await.len();
    asks(&gate, "ada").await;
    assert_eq!(gate.messages().await.len(), before);
}

#[tokio::test]
async fn a_mailed_link_is_no_proof_that_sets_up_a_first_factor() {
    let config = format!("{CONFIG}{MAILS}\nset_up: {{ proof: link }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let mut browser = gate.browser();
    browser.opens(&gate.link_mailed_to("ada@example.com").await).await;
    browser.sends(&[("password", NEW)]).await;
    browser.visits("/.doorward/set-up").await;
    assert!(!browser.page.contains("id=\"secret\""), "{}", browser.page);
    browser.opens(&gate.makes_a_link("ada").await).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.visits("/.doorward/set-up").await;
    assert!(browser.page.contains("id=\"secret\""), "{}", browser.page);
}

#[tokio::test]
async fn where_no_messages_are_sent_the_page_says_what_to_do_instead() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    assert!(browser.page.contains("This site does not send e-mail"));
    assert!(!browser.page.contains("<form"));
}

#[tokio::test]
async fn a_reset_ends_every_session_and_is_told_by_mail() {
    let gate = mails();
    gate.knows("ada").await;
    let mut elsewhere = gate.browser();
    elsewhere.signs_in("ada").await;
    elsewhere.visits("/orders").await;
    assert!(elsewhere.passed.is_some());
    asks(&gate, "ada").await;
    let mut browser = gate.browser();
    browser.opens(&gate.link_mailed_to("ada@example.com").await).await;
    browser.sends(&[("password", NEW)]).await;
    assert_eq!(elsewhere.opens("/orders").await.passed, None);
    gate.mail_to("ada@example.com", "changed with a link that was sent by e-mail").await;
}

#[tokio::test]
async fn whoever_said_that_a_factor_is_not_theirs_stays_shut_out_after_a_reset() {
    let gate = mails();
    gate.knows("ada").await;
    let mut thief = gate.browser();
    thief.signs_in("ada").await;
    let stolen = thief.sets_up(&gate, "/").await;
    let mut owner = gate.browser();
    owner.opens(&gate.link_mailed_to("ada@example.com").await).await;
    owner.sends(&[]).await;
    assert_eq!(owner.heading(), "Two-factor is frozen");

    gate.waits(Duration::from_secs(1));
    asks(&gate, "ada").await;
    thief.opens(&gate.link_mailed_to("ada@example.com").await).await;
    thief.sends(&[("password", NEW)]).await;
    thief.follows().await;
    let code = stolen.code(&gate);
    thief.sends(&[("code", &code)]).await;
    assert_ne!(thief.status, StatusCode::SEE_OTHER);
    assert_eq!(thief.opens("/orders").await.passed, None);
}

#[tokio::test]
async fn one_persons_message_is_worth_nothing_for_another() {
    let gate = mails();
    gate.knows("ada").await;
    gate.knows("bob").await;
    asks(&gate, "ada").await;
    let mut browser = gate.browser();
    browser.signs_in("bob").await;
    browser.opens(&gate.link_mailed_to("ada@example.com").await).await;
    let named = [("username", "bob"), ("user", "bob"), ("email", "bob@example.com")];
    browser.sends(&[&named[..], &[("password", NEW)]].concat()).await;
    browser.visits("/orders").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    let mut bob = gate.browser();
    assert_eq!(bob.signs_in_with("bob", NEW).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bob.signs_in("bob").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_message_that_is_used_twice_at_once_sets_one_password() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::configured(&mailing(), Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::configured(&mailing(), records);
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let (mut here, mut there) = (gate.browser(), other.browser());
    here.opens(&link).await;
    there.opens(&link).await;
    overtaken.by(async move {
        there.sends(&[("password", "five calm estuaries")]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("password", NEW)]).await;
    assert!(overtaken.is_played_out());
    assert_eq!((here.status, here.session()), (StatusCode::GONE, None));
    let mut browser = other.browser();
    browser.signs_in_with("ada", "five calm estuaries").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_message_leads_where_the_configuration_says_whatever_the_visitor_does() {
    let gate = mails();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.opens("/.doorward/forgot").await;
    let csrf = browser.field("csrf").unwrap();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example;proto=http"),
        ("origin", "https://evil.example"),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("csrf", csrf.as_str()), ("email", "ada")])
        .finish();
    browser.requests(Method::POST, "/.doorward/forgot", &headers, body.into()).await;
    assert_eq!(browser.status, StatusCode::OK);
    gate.settles().await;
    let text = gate.mail_to("ada@example.com", "/.doorward/link/").await;
    assert!(text.contains("https://crm.example.com/.doorward/link/"), "{text}");
    assert!(!text.contains("evil") && !text.contains("http://"), "{text}");
}

#[tokio::test]
async fn a_new_address_voids_the_message_that_lies_at_the_old_one() {
    let gate = mails();
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let email = Some(Some("ada@example.org".parse().unwrap()));
    let change = Change { email, ..Change::default() };
    administer::change(&gate.env, "root", &Login::typed("ada"), &change).await.unwrap();
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_form_that_comes_from_elsewhere_mails_nobody() {
    let gate = mails();
    gate.knows("ada").await;
    let before = gate.messages().await.len();
    let mut browser = gate.browser();
    browser.posts("/.doorward/forgot", &[("email", "ada")]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    gate.settles().await;
    assert_eq!(gate.messages().await.len(), before);
}

#[tokio::test]
async fn one_address_asks_so_often_and_no_more_whoever_it_names() {
    let gate = Gate::mailing_and_taking(3);
    let mut browser = gate.browser();
    for name in ["ada", "bob", "nobody"] {
        browser.opens("/.doorward/forgot").await;
        browser.sends(&[("email", name)]).await;
        assert_eq!(browser.status, StatusCode::OK);
    }
    browser.opens("/.doorward/forgot").await;
    browser.sends(&[("email", "ada")]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn whoever_reads_the_mailbox_alone_sets_up_no_first_factor() {
    let config = format!("{CONFIG}{MAILS}\nset_up: {{ proof: mail }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    asks(&gate, "ada").await;
    let link = gate.link_mailed_to("ada@example.com").await;
    let mut thief = gate.browser();
    thief.opens(&link).await.sends(&[("password", NEW)]).await;
    thief.opens("/.doorward/set-up").await;
    assert!(thief.page.contains("a link from an administrator"), "{}", thief.page);
    let before = gate.messages().await.len();
    thief.sends(&[("send", "yes")]).await;
    assert_eq!(gate.messages().await.len(), before, "no code is mailed");
    gate.waits(Duration::from_hours(72));
    let mut ada = gate.browser();
    ada.signs_in_with("ada", NEW).await;
    ada.opens("/.doorward/set-up").await.sends(&[("send", "yes")]).await.follows().await;
    gate.code_mailed_to("ada@example.com").await;
}

#[tokio::test]
async fn a_stranger_who_asks_for_links_uses_up_no_message_that_the_person_asks_for() {
    let config = format!("{CONFIG}{MAILS}\nset_up: {{ proof: mail }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    let before = gate.messages().await.len();
    for _ in 0..9 {
        let mut stranger = gate.browser();
        stranger.opens("/.doorward/forgot").await.sends(&[("email", "ada@example.com")]).await;
        gate.settles().await;
    }
    assert_eq!(gate.messages().await.len(), before + 3, "three in an hour");
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    ada.opens("/.doorward/set-up").await.sends(&[("send", "yes")]).await.follows().await;
    let code = gate.code_mailed_to("ada@example.com").await;
    ada.sends(&[("mailed_code", &code)]).await;
    ada.follows().await;
    assert!(ada.page.contains("id=\"secret\""), "{}", ada.page);
    // Nor the other way round.
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    for _ in 0..4 {
        ada.opens("/.doorward/set-up").await.sends(&[("send", "yes")]).await;
        gate.waits(Duration::from_secs(61));
    }
    assert!(ada.page.contains("role=\"alert\""), "a fourth is not sent: {}", ada.page);
    gate.browser().opens("/.doorward/forgot").await.sends(&[("email", "ada@example.com")]).await;
    gate.settles().await;
    gate.link_mailed_to("ada@example.com").await;
}
