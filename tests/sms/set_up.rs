//! Setting up a phone, and changing it.

use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::domain::texts::About;
use http::StatusCode;

use super::{
    NUMBER, USED_UP, asked, asks, begins, code, code_to, gate, phones, presses, protects, texts,
    types, wrong,
};

const ON_ITS_WAY: &str = "A code is on its way to <bdi class=\"whole\">+41 79 123 45 67.</bdi>";

#[tokio::test]
async fn a_phone_counts_once_the_code_that_was_sent_to_it_was_typed() {
    let gate = gate();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up?kind=sms&return_to=/page").await;
    assert!(browser.page.contains("Text messages are a weak second factor"));
    assert!(browser.page.contains("?kind=totp&amp;"), "the others are offered");
    assert!(browser.page.contains("Text me a code") && !browser.page.contains("name=\"code\""));
    assert!(texts(&gate).await.is_empty(), "a page that is only opened sends nothing");

    begins(&mut browser, NUMBER).await;
    assert_eq!(browser.at, "/.doorward/set-up?return_to=%2Fpage&kind=sms", "no code in a URL");
    assert!(browser.page.contains(ON_ITS_WAY), "{}", browser.page);
    let sent = texts(&gate).await;
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, "+41791234567"));
    assert!(phones(&gate, "ada").await.is_empty());

    let right = code(&gate).await;
    assert!(!browser.page.contains(&right));
    types(&mut browser, &wrong(&right)).await;
    assert!(browser.page.contains("That code did not work."), "{}", browser.page);
    types(&mut browser, &right).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert_eq!(phones(&gate, "ada").await, ["+41791234567"]);
    browser.follows().await.sends(&[("saved", "yes")]).await;
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,sms,mfa");
    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("Phone ending in 67"), "{}", browser.page);
    assert!(!browser.page.contains("+41 79"), "the whole number is shown behind a change only");
    assert!(gate.events().await.contains(&What::CodeTexted));
}

#[tokio::test]
async fn a_number_that_gets_no_texts_is_refused_with_the_reason() {
    let gate = gate();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    for (number, why) in [
        ("044 668 18 00", "That is a landline."),
        ("0900 123 456", "That is a service number."),
        ("074 012 34 56", "That is a pager."),
        ("+44 56 1234 5678", "That is an internet phone number."),
        ("+41 79 555 00 00", "is one of our own numbers"),
        ("+43 664 123456", "No text messages are sent to that country."),
        ("079 123", "is not a complete phone number"),
        ("", "is not a complete phone number"),
    ] {
        begins(&mut browser, number).await;
        assert!(browser.page.contains(why), "{number}: {}", browser.page);
        let typed = format!("value=\"{number}\"");
        assert!(browser.page.contains(&typed), "what was typed can be corrected: {}", browser.page);
    }
    assert!(texts(&gate).await.is_empty());
}

#[tokio::test]
async fn the_number_can_be_changed_before_the_code_is_typed_and_voids_what_was_sent() {
    let gate = gate();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, "079 123 45 68").await;
    let first = code_to(&gate, "+41791234568").await;
    assert!(browser.page.contains("value=\"+41 79 123 45 68\""), "it is shown, to be changed");
    asks(&mut browser, "/.doorward/set-up", NUMBER).await;
    browser.follows().await;
    assert!(browser.page.contains(ON_ITS_WAY));
    types(&mut browser, &first).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "the code of the other number");
    let second = code_to(&gate, "+41791234567").await;
    types(&mut browser, &second).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    assert_eq!(phones(&gate, "ada").await, ["+41791234567"]);
}

#[tokio::test]
async fn a_code_is_good_for_its_purpose_its_session_and_ten_minutes() {
    let gate = gate();
    gate.knows("ada").await;
    gate.knows("bob").await;
    let (mut ada, mut bob) = (gate.browser(), gate.browser());
    ada.signs_in("ada").await;
    bob.signs_in("bob").await;
    begins(&mut bob, "079 123 45 68").await;
    begins(&mut ada, NUMBER).await;
    let sent = code_to(&gate, "+41791234567").await;
    types(&mut bob, &sent).await;
    assert_ne!(bob.status, StatusCode::SEE_OTHER, "somebody else's");
    gate.waits(Duration::from_secs(601));
    types(&mut ada, &sent).await;
    assert_ne!(ada.status, StatusCode::SEE_OTHER, "too late");
    assert!(phones(&gate, "ada").await.is_empty() && phones(&gate, "bob").await.is_empty());
}

#[tokio::test]
async fn five_wrong_codes_void_the_right_one() {
    let gate = gate();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, NUMBER).await;
    let right = code(&gate).await;
    for number in 1..=5 {
        assert!(browser.page.contains("name=\"code\""), "{number}: {}", browser.page);
        types(&mut browser, &wrong(&right)).await;
    }
    assert!(browser.page.contains(USED_UP), "{}", browser.page);
    assert!(browser.page.contains("Text me a code") && !browser.page.contains("name=\"code\""));
    types(&mut browser, &right).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER);
    assert!(phones(&gate, "ada").await.is_empty());
}

#[tokio::test]
async fn wrong_codes_at_a_set_up_count_and_a_resend_does_not_reset_them() {
    let gate = gate();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, NUMBER).await;
    for _ in 0..3 {
        let right = code(&gate).await;
        types(&mut browser, &wrong(&right)).await;
    }
    gate.waits(Duration::from_mins(1));
    asks(&mut browser, "/.doorward/set-up", NUMBER).await;
    browser.follows().await;
    let right = code(&gate).await;
    for _ in 0..2 {
        types(&mut browser, &wrong(&right)).await;
    }
    types(&mut browser, &right).await;
    assert!(browser.page.contains("There were too many attempts."), "{}", browser.page);
    assert!(phones(&gate, "ada").await.is_empty());
    assert!(gate.events().await.contains(&What::WaitBegan));
}

#[tokio::test]
async fn a_changed_number_is_told_to_the_old_one_and_ends_what_rested_on_it() {
    let gate = gate();
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let mut elsewhere = asked(&gate, "ada").await;
    presses(&mut elsewhere).await;
    let to_old = code(&gate).await;
    types(&mut elsewhere, &to_old).await;
    elsewhere.opens("/strict/").await;
    assert_eq!(elsewhere.page, "pwd,sms,mfa");
    gate.waits(Duration::from_mins(1));
    let mut asked_before = asked(&gate, "ada").await;
    presses(&mut asked_before).await;
    let to_old = code(&gate).await;

    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("href=\"/.doorward/security/phone\""), "{}", browser.page);
    browser.opens("/.doorward/security/phone").await;
    assert_eq!(browser.heading(), "Change the phone number");
    assert!(browser.page.contains("Codes go to <bdi class=\"whole\">+41 79 123 45 67</bdi> now."));
    asks(&mut browser, "/.doorward/security/phone", "+41 79 123 45 68").await;
    browser.follows().await;
    assert!(browser.at.starts_with("/.doorward/security/phone"), "{}", browser.at);
    assert_eq!(phones(&gate, "ada").await, ["+41791234567"], "not before the code is typed");
    let sent = code_to(&gate, "+41791234568").await;
    types(&mut browser, &sent).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert_eq!(phones(&gate, "ada").await, ["+41791234568"]);
    types(&mut asked_before, &to_old).await;
    asked_before.opens("/strict/").await;
    assert_ne!(asked_before.page, "pwd,sms,mfa", "a code to the number before");
    elsewhere.opens("/strict/").await;
    let to = elsewhere.location().unwrap_or_default();
    assert!(to.starts_with("/.doorward/sign-in"), "other sessions have ended: {to}");
    browser.opens("/strict/").await;
    assert_eq!(browser.page, "pwd,sms,mfa");
    let told = texts(&gate).await;
    let told: Vec<_> = told.iter().filter(|text| text.about == About::Removed).collect();
    assert_eq!((told.len(), told[0].to.as_str()), (1, "+41791234567"));
    let events = gate.events().await;
    assert!(events.contains(&What::FactorRemoved(Kind::Sms)));
    assert!(events.contains(&What::FactorAdded(Kind::Sms)));
    assert!(What::FactorRemoved(Kind::Sms).is_told_by_mail());
}
