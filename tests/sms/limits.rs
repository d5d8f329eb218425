//! The limits against toll fraud.

use std::time::Duration;

use super::{NUMBER, asked, begins, code, gate, presses, protects, texts, types};

#[tokio::test]
async fn five_an_hour_and_ten_a_day_whatever_browser_asks() {
    let gate = gate();
    let mut owner = protects(&gate, "ada", NUMBER).await;
    owner.signs_out().await;
    let before = texts(&gate).await.len();
    assert_eq!(before, 1);
    let mut sent = Vec::new();
    for quarter in 0..96 {
        gate.waits(Duration::from_mins(15));
        let mut browser = asked(&gate, "ada").await;
        let had = texts(&gate).await.len();
        presses(&mut browser).await;
        if texts(&gate).await.len() > had {
            sent.push(quarter);
        } else {
            assert!(browser.page.contains("No more text messages are sent for now."));
            assert!(browser.page.contains("Use a recovery code instead"));
        }
    }
    // The first one was for the set-up, and is a day old at the end.
    assert_eq!(sent, [0, 1, 2, 3, 4, 5, 95], "three are kept for known browsers");
    for _ in 0..4 {
        gate.waits(Duration::from_mins(1));
        let mut home = gate.browser();
        home.cookies = owner.cookies.clone();
        home.signs_in("ada").await;
        home.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
        let had = texts(&gate).await.len();
        presses(&mut home).await;
        if texts(&gate).await.len() > had {
            sent.push(96);
        }
    }
    assert_eq!(sent[7..], [96, 96, 96]);
}

#[tokio::test]
async fn one_address_causes_ten_an_hour() {
    let gate = gate();
    for number in 0..11 {
        let name = format!("user{number}");
        gate.knows(&name).await;
        let mut browser = gate.browser();
        browser.signs_in(&name).await;
        browser.address = [192, 0, 2, 1].into();
        begins(&mut browser, &format!("079 123 45 {}", 10 + number)).await;
        let is_refused = browser.page.contains("No more text messages are sent for now.");
        assert_eq!(is_refused, number == 10, "{number}: {}", browser.page);
    }
    assert_eq!(texts(&gate).await.len(), 10);
}

#[tokio::test]
async fn a_country_is_braked_and_numbers_that_entered_a_code_are_spared() {
    let gate = gate();
    protects(&gate, "ada", NUMBER).await;
    for number in 0..30 {
        let name = format!("user{number}");
        gate.knows(&name).await;
        let mut browser = gate.browser();
        browser.signs_in(&name).await;
        begins(&mut browser, &format!("079 123 40 {}", 10 + number)).await;
        let is_refused = browser.page.contains("No more text messages are sent for now.");
        // Ada's is one of the thirty.
        assert_eq!(is_refused, number == 29, "{number}: {}", browser.page);
    }
    let mut browser = gate.browser();
    browser.signs_in("user29").await;
    begins(&mut browser, "+1 201 555 0123").await;
    assert!(browser.page.contains("A code is on its way"), "another country");
    gate.waits(Duration::from_mins(1));
    let mut ada = asked(&gate, "ada").await;
    presses(&mut ada).await;
    assert!(ada.page.contains("A code is on its way"), "{}", ada.page);
    let sent = code(&gate).await;
    types(&mut ada, &sent).await;
    let ledger = gate.env.store.ledger().await.unwrap();
    let limits = gate.env.config.sms.as_ref().unwrap().limits;
    let swiss = &ledger.by_country(limits, gate.now())[0];
    assert_eq!((swiss.country.as_str(), swiss.codes, swiss.entered), ("CH", 31, 2));
    assert!(swiss.is_braked);
}
