//! From the outbox to the provider: once, or not at all.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use doorward::domain::name::Login;
use doorward::domain::texts::{Ledger, LedgerKey};
use doorward::flow::administer;
use doorward::flow::texts::{Came, hand_over};
use doorward::messages::sms::{Attempt, Breaker, Provider};
use doorward::store::memory::Memory;
use doorward::store::{Batch, Expect, Kind, Records};

use super::{
    ACCEPTS, NUMBER, asked, asks, begins, code, code_to, config, presses, protects, texts, types,
};
use crate::flows::log::Log;
use crate::support::gate::{Browser, Gate};
use crate::support::sms_provider::{Mood, SmsProvider};

fn gate(provider: &SmsProvider) -> Gate {
    Gate::configured(&config(provider.address), Arc::new(Memory::new()))
}

async fn hands_over(gate: &Gate) -> Came {
    let provider = Provider::of(gate.env.config.sms.as_ref().unwrap()).unwrap();
    hand_over(&gate.env, &provider).await.unwrap()
}

/// A gateway in which Ada has asked for a code.
async fn with_a_code(mood: Mood) -> (Gate, SmsProvider) {
    let provider = SmsProvider::opens(mood);
    let gate = gate(&provider);
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, NUMBER).await;
    (gate, provider)
}

#[tokio::test]
async fn a_press_is_handed_over_once_whatever_the_provider_does() {
    for mood in [
        Mood::Says(200, ACCEPTS),
        Mood::Says(200, "{\"status\":\"no\"}"),
        Mood::Says(500, ""),
        Mood::Twice,
        Mood::Hangs,
    ] {
        let (gate, provider) = with_a_code(mood.clone()).await;
        assert_ne!(hands_over(&gate).await, Came::Nothing);
        for _ in 0..3 {
            gate.waits(Duration::from_mins(20));
            assert_eq!(hands_over(&gate).await, Came::Nothing, "{mood:?}");
        }
        assert_eq!(provider.requests().len(), 1, "{mood:?}");
    }
}

#[tokio::test]
async fn the_text_has_the_site_the_code_and_the_line_for_the_browser() {
    let (gate, provider) = with_a_code(Mood::Says(200, ACCEPTS)).await;
    let code = code(&gate).await;
    assert_eq!(hands_over(&gate).await, Came::Sent);
    let request = &provider.requests()[0];
    assert_eq!(
        request.field("text").unwrap(),
        format!(
            "{code} is your code for crm.example.com - do not share it.\n\n@crm.example.com #{code}"
        )
    );
    assert_eq!(request.field("to").unwrap(), "+41791234567");
    assert!(!request.line.contains(&code));
}

#[tokio::test]
async fn many_workers_hand_a_text_over_once() {
    let (gate, provider) = with_a_code(Mood::Says(200, ACCEPTS)).await;
    let to = Provider::of(gate.env.config.sms.as_ref().unwrap()).unwrap();
    let came = futures_util::future::join_all((0..20).map(|_| hand_over(&gate.env, &to))).await;
    assert_eq!(came.iter().filter(|came| matches!(came, Ok(Came::Sent))).count(), 1);
    assert_eq!(provider.requests().len(), 1);
}

/// What comes of `future` if it is polled at most so often, and then dropped as at a crash.
async fn cut_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_crash_at_any_step_of_handing_over_sends_nothing_twice() {
    for polls in 1.. {
        let (gate, provider) = with_a_code(Mood::Says(200, ACCEPTS)).await;
        let to = Provider::of(gate.env.config.sms.as_ref().unwrap()).unwrap();
        let cut = cut_after(polls, hand_over(&gate.env, &to)).await;
        while hands_over(&gate).await != Came::Nothing {}
        assert!(provider.requests().len() <= 1, "after {polls} steps");
        assert!(texts(&gate).await.is_empty());
        if let Some(came) = cut {
            assert_eq!(came.unwrap(), Came::Sent);
            assert!(polls > 1, "it was never cut");
            break;
        }
    }
}

#[tokio::test]
async fn a_page_says_that_the_provider_refused_the_text() {
    let (gate, _provider) = with_a_code(Mood::Says(400, "{}")).await;
    assert_eq!(hands_over(&gate).await, Came::Dropped);
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up?kind=sms").await;
    assert!(!browser.page.contains("could not be sent"), "another session");

    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let gate = self::gate(&provider);
    protects(&gate, "ada", NUMBER).await;
    while hands_over(&gate).await != Came::Nothing {}
    gate.waits(Duration::from_mins(1));
    let mut browser = asked(&gate, "ada").await;
    presses(&mut browser).await;
    provider.feels(Mood::Says(400, "{}"));
    assert_eq!(hands_over(&gate).await, Came::Dropped);
    browser.opens("/.doorward/challenge?kind=sms&return_to=/strict/").await;
    assert!(browser.page.contains("The text message could not be sent."), "{}", browser.page);
}

#[tokio::test]
async fn refusals_that_say_200_open_the_breaker_once_several_numbers_meet_them() {
    let provider = SmsProvider::opens(Mood::Says(200, "{\"status\":\"bad credentials\"}"));
    let gate = gate(&provider);
    for number in 0..Breaker::FAILURES {
        let name = format!("user{number}");
        gate.knows(&name).await;
        let mut browser = gate.browser();
        browser.signs_in(&name).await;
        begins(&mut browser, &format!("079 123 45 {}", 10 + number)).await;
        assert!(browser.page.contains("A code is on its way"), "{number}: {}", browser.page);
        assert_eq!(hands_over(&gate).await, Came::Dropped);
    }
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, NUMBER).await;
    assert!(browser.page.contains("Text messages cannot be sent at the moment."));
}

#[tokio::test]
async fn a_text_that_is_too_old_is_dropped() {
    let (gate, provider) = with_a_code(Mood::Says(200, ACCEPTS)).await;
    gate.waits(Duration::from_mins(5));
    assert_eq!(hands_over(&gate).await, Came::Dropped);
    assert!(texts(&gate).await.is_empty() && provider.requests().is_empty());
}

#[tokio::test]
async fn while_the_provider_fails_nobody_waits_for_it_and_visitors_are_told() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let gate = gate(&provider);
    protects(&gate, "ada", NUMBER).await;
    // Texts of one moment are in no order.
    gate.waits(Duration::from_secs(1));
    protects(&gate, "bob", "079 123 45 68").await;
    while hands_over(&gate).await != Came::Nothing {}
    provider.feels(Mood::Says(503, ""));
    let (log, _guard) = Log::start();
    for failed in 0..Breaker::FAILURES {
        gate.waits(Duration::from_mins(1));
        let mut browser = asked(&gate, "ada").await;
        presses(&mut browser).await;
        assert!(browser.page.contains("A code is on its way"), "{failed}: {}", browser.page);
        assert_eq!(hands_over(&gate).await, Came::Dropped);
    }
    let lines = log.lines_about("no text messages are sent for a minute: text messages cannot be");
    assert!(lines.len() == 1 && lines[0].contains("doorward sms test"), "{lines:?}");
    assert!(lines[0].contains("the provider answered 503"), "{lines:?}");
    let metrics = gate.env.metrics.text();
    assert!(metrics.contains("doorward_unavailable_total{kind=\"sms\"} 1\n"), "{metrics}");
    let mut browser = asked(&gate, "bob").await;
    presses(&mut browser).await;
    assert!(browser.page.contains("Text messages cannot be sent at the moment."));
    assert!(texts(&gate).await.is_empty());
    provider.feels(Mood::Says(200, ACCEPTS));
    gate.waits(Breaker::PAUSE);
    presses(&mut browser).await;
    let sent = code(&gate).await;
    assert_eq!(hands_over(&gate).await, Came::Sent);
    types(&mut browser, &sent).await;
    assert!(browser.location().is_some(), "{}", browser.page);
}

/// Changes Ada's number to one that ends in 68, and returns how many texts then wait.
async fn changes_the_number(gate: &Gate, browser: &mut Browser) -> usize {
    browser.opens("/.doorward/security/phone").await;
    asks(browser, "/.doorward/security/phone", "+41 79 123 45 68").await;
    browser.follows().await;
    let sent = code_to(gate, "+41791234568").await;
    types(browser, &sent).await;
    assert!(browser.location().is_some(), "{}", browser.page);
    texts(gate).await.len()
}

fn notices(provider: &SmsProvider) -> Vec<String> {
    let requests = provider.requests().into_iter();
    let notices =
        requests.filter(|one| one.field("text").unwrap().contains("no longer gets your codes"));
    notices.map(|one| one.field("to").unwrap()).collect()
}

#[tokio::test]
async fn who_uses_up_the_codes_cannot_change_the_number_unnoticed() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let gate = gate(&provider);
    let mut browser = protects(&gate, "ada", NUMBER).await;
    for _ in 0..3 {
        gate.waits(Duration::from_mins(1));
        let mut elsewhere = asked(&gate, "ada").await;
        presses(&mut elsewhere).await;
    }
    gate.waits(Duration::from_mins(1));
    assert!(changes_the_number(&gate, &mut browser).await > 0);
    while hands_over(&gate).await != Came::Nothing {}
    assert_eq!(notices(&provider), ["+41791234567"]);
    assert!(texts(&gate).await.is_empty());
}

#[tokio::test]
async fn while_the_provider_fails_texts_wait_and_notices_go_out_afterwards() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let gate = gate(&provider);
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    changes_the_number(&gate, &mut browser).await;
    let now = gate.now();
    for _ in 0..Breaker::FAILURES {
        gate.env.texts.breaker.note(Attempt::Fails, now);
    }
    assert_eq!(hands_over(&gate).await, Came::Nothing);
    assert!(provider.requests().is_empty() && !texts(&gate).await.is_empty());
    gate.waits(Breaker::PAUSE);
    while hands_over(&gate).await != Came::Nothing {}
    assert_eq!(notices(&provider), ["+41791234567"]);
}

#[tokio::test]
async fn a_notice_that_is_withheld_waits_for_a_day() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let limits = "limits: { day: 3 }, countries:";
    let config = config(provider.address).replace("countries:", limits);
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    let mut elsewhere = asked(&gate, "ada").await;
    presses(&mut elsewhere).await;
    changes_the_number(&gate, &mut browser).await;
    while hands_over(&gate).await != Came::Nothing {}
    assert!(notices(&provider).is_empty(), "three texts were sent today");
    assert_eq!(texts(&gate).await.len(), 1);
    gate.waits(Duration::from_hours(23) + Duration::from_mins(59));
    while hands_over(&gate).await != Came::Nothing {}
    assert_eq!(notices(&provider), ["+41791234567"]);
}

#[tokio::test]
async fn a_restored_backup_sends_no_text_again() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let gate = gate(&provider);
    let mut browser = protects(&gate, "ada", NUMBER).await;
    gate.waits(Duration::from_mins(1));
    assert!(changes_the_number(&gate, &mut browser).await > 0);
    let settings = gate.env.config.second_factor;
    gate.env.store.void_what_may_have_been_used(settings, gate.now()).await.unwrap();
    assert_eq!(hands_over(&gate).await, Came::Nothing);
    assert!(texts(&gate).await.is_empty() && provider.requests().is_empty());
}

#[tokio::test]
async fn while_the_limits_cannot_be_read_only_what_they_count_stops() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let memory = Arc::new(Memory::new());
    let gate = Gate::configured(&config(provider.address), Arc::clone(&memory) as Arc<dyn Records>);
    protects(&gate, "ada", NUMBER).await;
    // Texts of one moment are in no order.
    gate.waits(Duration::from_secs(1));
    protects(&gate, "bob", "079 123 45 68").await;
    while hands_over(&gate).await != Came::Nothing {}
    gate.waits(Duration::from_mins(1));
    let mut ada = asked(&gate, "ada").await;
    presses(&mut ada).await;
    let sent = code(&gate).await;
    let key = LedgerKey.as_ref();
    let broken = Batch::new().put(Kind::TextLedger, key, Expect::Any, None, "no record");
    memory.commit(broken).await.unwrap();
    let (log, _guard) = Log::start();

    let mut bob = asked(&gate, "bob").await;
    presses(&mut bob).await;
    assert!(bob.page.contains("Text messages cannot be sent at the moment."), "{}", bob.page);
    assert!(bob.page.contains("Use a recovery code instead"));
    let refused = "no code is sent by text message: a record of the store cannot be read";
    let lines = log.lines_about(refused);
    assert!(lines.len() == 1 && lines[0].contains("doorward sms reset-limits"), "{lines:?}");
    let metrics = gate.env.metrics.text();
    assert!(metrics.contains("doorward_unavailable_total{kind=\"record\"} 1\n"), "{metrics}");

    assert_eq!(hands_over(&gate).await, Came::Sent, "it was counted before");
    types(&mut ada, &sent).await;
    assert!(ada.location().is_some(), "{}", ada.page);
    administer::reset_second_factor(&gate.env, "root", &Login::typed("bob")).await.unwrap();
    assert_eq!(hands_over(&gate).await, Came::Nothing);
    assert_eq!(texts(&gate).await.len(), 1, "the notice waits");
    let lines = log.lines_about("a notice by text message waits: a record of the store");
    assert_eq!(lines.len(), 1);

    gate.env.store.forget::<Ledger>(&LedgerKey).await.unwrap();
    assert_eq!(hands_over(&gate).await, Came::Sent);
    assert_eq!(notices(&provider), ["+41791234568"]);
    gate.waits(Duration::from_mins(1));
    let mut ada = asked(&gate, "ada").await;
    presses(&mut ada).await;
    assert!(ada.page.contains("A code is on its way"), "{}", ada.page);
}

#[tokio::test]
async fn texts_that_cannot_be_read_keep_no_others_back() {
    let provider = SmsProvider::opens(Mood::Says(200, ACCEPTS));
    let memory = Arc::new(Memory::new());
    let gate = Gate::configured(&config(provider.address), Arc::clone(&memory) as Arc<dyn Records>);
    for number in 0..300_u16 {
        let mut key = [0; 25];
        key[1..3].copy_from_slice(&number.to_be_bytes());
        let broken = Batch::new().put(Kind::Text, key, Expect::Absent, None, "no record");
        memory.commit(broken).await.unwrap();
    }
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    begins(&mut browser, NUMBER).await;
    assert_eq!(hands_over(&gate).await, Came::Sent);
}
