use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::message::Message;
use doorward::domain::name::Login;
use doorward::domain::user::Change;
use doorward::flow::administer;
use doorward::store::Records;
use doorward::store::memory::Memory;
use http::StatusCode;

use crate::support::gate::{Browser, Gate, PASSWORD, mailing, mails};
use crate::support::overtaken::Overtaken;

const EMAIL: &str = "/.doorward/security/email";

/// Ada, who has no second factor, has shown that she reads her address.
async fn ada_reads_her_mail(gate: &Gate) -> Browser {
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("send", "yes")]).await;
    browser.follows().await;
    let code = gate.code_mailed_to("ada@example.com").await;
    browser.sends(&[("code", &code)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.follows().await;
    browser
}

#[tokio::test]
async fn a_new_address_counts_once_its_link_was_followed_and_the_old_one_is_told() {
    let gate = mails();
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "ada@example.org")]).await;
    browser.follows().await;
    assert!(browser.page.contains("ada@example.org"), "it waits");
    let told = gate.messages().await;
    let asked =
        |message: &&Message| message.happened().is_some_and(|event| event.what == What::EmailAsked);
    assert_eq!(told.iter().find(asked).unwrap().to.as_str(), "ada@example.com");
    assert_eq!(
        gate.browser().signs_in("ada@example.org").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    let link = gate.link_mailed_to("ada@example.org").await;
    let mut elsewhere = gate.browser();
    assert_eq!(elsewhere.opens(&link).await.heading(), "Is this your address?");
    elsewhere.opens(&link).await;
    elsewhere.sends(&[]).await;
    assert_eq!(elsewhere.location().as_deref(), Some("/.doorward/security"));
    assert_eq!(elsewhere.session(), None, "it signs nobody in");
    let told = gate.messages().await;
    let of_the_change = |message: &&Message| {
        message.happened().is_some_and(|event| event.what == What::EmailChanged)
    };
    let changed = told.iter().find(of_the_change).unwrap();
    assert_eq!(changed.to.as_str(), "ada@example.com", "the old one is told");
    assert_eq!(gate.browser().signs_in("ada@example.org").await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        gate.browser().signs_in("ada@example.com").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(gate.browser().opens(&link).await.status, StatusCode::GONE, "it works once");
}

#[tokio::test]
async fn without_a_second_factor_the_old_address_is_asked_first() {
    let gate = mails();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(EMAIL).await;
    assert!(browser.page.contains("a…@example.com"), "{}", browser.page);
    browser.sends(&[("email", "eve@example.org")]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(gate.messages().await.iter().all(|message| message.to.as_str() == "ada@example.com"));
}

#[tokio::test]
async fn wrong_codes_are_counted_and_a_new_code_voids_the_old() {
    let gate = mails();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("send", "yes")]).await;
    let first = gate.code_mailed_to("ada@example.com").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("send", "yes")]).await;
    assert_eq!(gate.code_mailed_to("ada@example.com").await, first, "not within a minute");
    gate.waits(Duration::from_mins(1));
    browser.opens(EMAIL).await;
    browser.sends(&[("send", "yes")]).await;
    let second = gate.code_mailed_to("ada@example.com").await;
    assert_ne!(first, second);
    browser.opens(EMAIL).await;
    for _ in 0..5 {
        browser.sends(&[("code", &first)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    browser.sends(&[("code", &second)]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    gate.waits(Duration::from_secs(30));
    browser.sends(&[("code", &second)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_and_in_no_other_session() {
    let gate = mails();
    gate.knows("ada").await;
    let (mut browser, mut thief) = (gate.browser(), gate.browser());
    browser.signs_in("ada").await;
    thief.signs_in("ada").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("send", "yes")]).await;
    let code = gate.code_mailed_to("ada@example.com").await;
    thief.opens(EMAIL).await;
    thief.sends(&[("code", &code)]).await;
    assert_eq!(thief.status, StatusCode::UNPROCESSABLE_ENTITY);
    gate.waits(Duration::from_secs(601));
    browser.opens(EMAIL).await;
    browser.sends(&[("code", &code)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_address_that_somebody_has_cannot_be_had() {
    let gate = mails();
    gate.knows("bob").await;
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "bob@example.com")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "nobody is told who there is");
    let link = gate.link_mailed_to("bob@example.com").await;
    let mut elsewhere = gate.browser();
    elsewhere.opens(&link).await;
    elsewhere.sends(&[]).await;
    assert_eq!(elsewhere.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(elsewhere.page.contains("cannot be used here"), "{}", elsewhere.page);
    assert!(!elsewhere.page.contains("<bdi>bob</bdi>"), "nobody is told whose it is");
    assert_eq!(gate.browser().signs_in("ada@example.com").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_is_no_address_is_not_mailed() {
    let gate = mails();
    let mut browser = ada_reads_her_mail(&gate).await;
    for wrong in
        ["", "ada", "a@b@c.example", "ada@example.org\r\nBcc: x@example.org", "<a@example.org>"]
    {
        browser.sends(&[("email", wrong)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn a_newer_address_voids_the_link_of_the_older() {
    let gate = mails();
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "one@example.org")]).await;
    let first = gate.link_mailed_to("one@example.org").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("email", "two@example.org")]).await;
    assert_eq!(gate.browser().opens(&first).await.status, StatusCode::GONE);
    let second = gate.link_mailed_to("two@example.org").await;
    assert_eq!(gate.browser().opens(&second).await.status, StatusCode::OK);
}

#[tokio::test]
async fn where_no_messages_are_sent_an_administrator_changes_it() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(EMAIL).await;
    assert!(browser.page.contains("An administrator can change it."), "{}", browser.page);
}

#[tokio::test]
async fn whoever_has_a_second_factor_shows_that_and_no_code_from_the_mailbox() {
    let gate = mails();
    let phone = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &phone).await;
    browser.opens(EMAIL).await;
    assert!(!browser.page.contains("name=\"send\""), "{}", browser.page);
    browser.sends(&[("email", "ada@example.org")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    gate.link_mailed_to("ada@example.org").await;
}

#[tokio::test]
async fn whoever_has_no_address_yet_names_one_and_confirms_it() {
    let gate = mails();
    gate.knows("ada").await;
    let none = Change { email: Some(None), ..Change::default() };
    administer::change(&gate.env, "root", &Login::typed("ada"), &none).await.unwrap();
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(EMAIL).await;
    browser.sends(&[("email", "ada@example.net")]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens(&gate.link_mailed_to("ada@example.net").await).await;
    browser.sends(&[]).await;
    browser.follows().await;
    assert_eq!(browser.at, "/.doorward/security");
    assert_eq!(gate.browser().signs_in("ada@example.net").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn opening_the_link_changes_nothing_and_after_a_day_nothing_does() {
    let gate = mails();
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "ada@example.org")]).await;
    let link = gate.link_mailed_to("ada@example.org").await;
    let mut late = gate.browser();
    for _ in 0..3 {
        assert_eq!(late.opens(&link).await.heading(), "Is this your address?");
    }
    assert!(!gate.events().await.contains(&What::EmailChanged));
    gate.waits(Duration::from_hours(24));
    late.sends(&[]).await;
    assert_eq!(late.status, StatusCode::GONE);
    assert!(!gate.events().await.contains(&What::EmailChanged));
}

#[tokio::test]
async fn a_link_for_an_address_sets_no_password_and_one_for_a_password_no_address() {
    let gate = mails();
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "ada@example.org")]).await;
    let verification = gate.link_mailed_to("ada@example.org").await;
    let reset = {
        let mut stranger = gate.browser();
        stranger.opens("/.doorward/forgot").await;
        stranger.sends(&[("email", "ada")]).await;
        gate.settles().await;
        gate.link_mailed_to("ada@example.com").await
    };
    let mut elsewhere = gate.browser();
    elsewhere.opens(&reset).await;
    elsewhere.sends(&[("email", "eve@example.org"), ("purpose", "verify-email")]).await;
    assert_eq!(elsewhere.status, StatusCode::UNPROCESSABLE_ENTITY, "a password is missing");
    elsewhere.opens(&verification).await;
    elsewhere.sends(&[("password", "four dry sandbanks")]).await;
    assert_eq!(elsewhere.session(), None);
    let mut ada = gate.browser();
    assert_eq!(ada.signs_in_with("ada@example.org", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert!(!gate.events().await.contains(&What::PasswordReset));
}

#[tokio::test]
async fn a_link_that_is_followed_twice_at_once_is_followed_once() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::configured(&mailing(), Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::configured(&mailing(), records);
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "ada@example.org")]).await;
    let link = gate.link_mailed_to("ada@example.org").await;
    let (mut here, mut there) = (gate.browser(), other.browser());
    here.opens(&link).await;
    there.opens(&link).await;
    overtaken.by(async move {
        there.sends(&[]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[]).await;
    assert!(overtaken.is_played_out());
    assert_eq!(here.status, StatusCode::GONE);
    let changed = gate.events().await.into_iter().filter(|what| *what == What::EmailChanged);
    assert_eq!(changed.count(), 1);
}

#[tokio::test]
async fn a_code_that_is_shown_twice_at_once_is_shown_once() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::configured(&mailing(), Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::configured(&mailing(), records);
    gate.knows("ada").await;
    let mut here = gate.browser();
    here.signs_in("ada").await;
    here.opens(EMAIL).await;
    here.sends(&[("send", "yes")]).await;
    here.follows().await;
    let code = gate.code_mailed_to("ada@example.com").await;
    let mut there = other.browser();
    there.cookies = here.cookies.clone();
    there.opens(EMAIL).await;
    let same = code.clone();
    overtaken.by(async move {
        there.sends(&[("code", &same)]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[("code", &code)]).await;
    assert!(overtaken.is_played_out());
    assert!(here.headers.get("set-cookie").is_none(), "nothing is given twice");
    let shown = gate.events().await.into_iter().filter(|what| *what == What::MailedCodeShown);
    assert_eq!(shown.count(), 1);
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded_by_naming_it() {
    let gate = mails();
    let phone = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &phone).await;
    for number in 0..5 {
        browser.opens(EMAIL).await;
        browser.sends(&[("email", &format!("ada{number}@example.org"))]).await;
    }
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(browser.page.contains("Too many e-mails"), "{}", browser.page);
    let messages = gate.messages().await;
    let named = messages.iter().filter(|message| message.to.as_str() != "ada@example.com");
    assert_eq!(named.count(), 3);
}

#[tokio::test]
async fn a_link_that_is_voided_while_it_is_followed_confirms_neither_address() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let overtaken = Arc::new(Overtaken::over(Arc::clone(&records)));
    let gate = Gate::configured(&mailing(), Arc::clone(&overtaken) as Arc<dyn Records>);
    let other = Gate::configured(&mailing(), records);
    let mut browser = ada_reads_her_mail(&gate).await;
    browser.sends(&[("email", "one@example.org")]).await;
    let link = gate.link_mailed_to("one@example.org").await;
    let mut here = gate.browser();
    here.opens(&link).await;
    let mut there = other.browser();
    there.cookies = browser.cookies.clone();
    there.opens(EMAIL).await;
    overtaken.by(async move {
        there.sends(&[("email", "two@example.org")]).await;
        assert_eq!(there.status, StatusCode::SEE_OTHER);
    });
    here.sends(&[]).await;
    assert!(overtaken.is_played_out());
    assert_eq!(here.status, StatusCode::GONE);
    assert!(!gate.events().await.contains(&What::EmailChanged));
    assert_eq!(other.browser().signs_in("ada@example.com").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_works_once_even_while_it_is_good() {
    let config = format!("{}confirm: {{ for: 5m }}\n", mailing());
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let mut browser = ada_reads_her_mail(&gate).await;
    let code = gate.code_mailed_to("ada@example.com").await;
    gate.waits(Duration::from_mins(6));
    browser.visits(EMAIL).await;
    browser.sends(&[("password", PASSWORD)]).await;
    browser.follows().await;
    assert_eq!(browser.heading(), "Your e-mail address");
    browser.sends(&[("code", &code)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", browser.page);
}
