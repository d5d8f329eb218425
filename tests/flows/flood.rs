//! A flood of strangers takes every place in which passwords are hashed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::identity::Place;
use doorward::store::memory::Memory;
use doorward::store::record::KeyRange;
use doorward::store::{Batch, Expect, Kind, Records};
use http::StatusCode;
use http::header::RETRY_AFTER;

use crate::support::gate::{Browser, Gate, PASSWORD};

/// Strangers from as many addresses as it takes; their places are theirs until they are dropped.
fn flood(gate: &Gate) -> Vec<Place> {
    let everywhere =
        (0..=u32::from(u16::MAX)).map(|n| IpAddr::from((0x0a00_0000 | n).to_be_bytes()));
    everywhere.map_while(|address| gate.env.hashing.place(address, None).ok()).collect()
}

#[tokio::test]
async fn in_a_flood_a_known_browser_signs_in_and_a_stranger_is_turned_away_for_nothing() {
    let gate = Gate::impatient();
    gate.knows("ada").await;
    let mut home = gate.browser();
    home.signs_in("ada").await.signs_out().await;

    let strangers = flood(&gate);
    let hashed = gate.hashed.load(Ordering::SeqCst);
    let mut elsewhere = gate.browser();
    for _ in 0..9 {
        elsewhere.signs_in_with("ada", "not the password").await;
        assert_eq!(elsewhere.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(elsewhere.headers.contains_key(RETRY_AFTER));
    }
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed);
    assert_eq!(home.signs_in("ada").await.status, StatusCode::SEE_OTHER);
    home.opens("/.doorward/confirm").await.sends(&[("password", PASSWORD)]).await;
    assert_eq!(home.status, StatusCode::SEE_OTHER, "and confirms who they are");
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed + 2);

    drop(strangers);
    elsewhere.signs_in("ada").await;
    assert_eq!(
        elsewhere.status,
        StatusCode::SEE_OTHER,
        "nine tries that were not read cost nothing"
    );
}

#[tokio::test]
async fn in_a_flood_the_cookie_of_one_person_keeps_no_place_for_another() {
    let gate = Gate::impatient();
    gate.knows("mallory").await;
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("mallory").await.signs_out().await;
    let _strangers = flood(&gate);
    for name in ["ada", "nobody"] {
        assert_eq!(browser.signs_in(name).await.status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
    }
    assert_eq!(browser.signs_in("Mallory@Example.com").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn in_a_flood_a_cookie_that_the_user_has_forgotten_keeps_no_place() {
    let gate = Gate::impatient();
    gate.knows("ada").await;
    let mut first = gate.browser();
    first.signs_in("ada").await.signs_out().await;
    // Ten are known, and each of these is one more.
    for _ in 0..10 {
        gate.waits(std::time::Duration::from_secs(1));
        gate.browser().signs_in("ada").await;
    }
    let _strangers = flood(&gate);
    assert_eq!(first.signs_in("ada").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Each has a browser that restores ten tabs: all are asked for before any answer has come. One tab
/// signs in; the others send the form that they show, or are loaded again.
#[tokio::test]
async fn three_hundred_people_behind_one_address_sign_in_within_five_minutes_ten_tabs_each() {
    let gate = Gate::taking(30);
    let people: Vec<String> = (0..300).map(|number| format!("person{number}")).collect();
    for name in &people {
        gate.knows(name).await;
    }
    let (office, hashed) = (gate.browser().address, gate.hashed.load(Ordering::SeqCst));
    for (number, name) in people.iter().enumerate() {
        let mut tabs: Vec<Browser> = (0..10).map(|_| gate.browser()).collect();
        for (tab, browser) in tabs.iter_mut().enumerate() {
            browser.address = office;
            browser.visits(&format!("/orders/{tab}")).await;
        }
        share(&mut tabs);
        // One in ten mistypes once.
        if number % 10 == 0 {
            let mut mistyped = tabs[0].clone();
            mistyped.sends(&[("username", name), ("password", "not the password")]).await;
            assert_eq!(mistyped.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        }
        tabs[0].sends(&[("username", name), ("password", PASSWORD)]).await;
        assert_eq!(tabs[0].status, StatusCode::SEE_OTHER, "{name}: {}", tabs[0].page);
        share(&mut tabs);
        for (tab, browser) in tabs.iter_mut().enumerate() {
            let place = format!("/orders/{tab}");
            match tab % 2 {
                0 if tab > 0 => {
                    browser.sends(&[("username", name), ("password", PASSWORD)]).await;
                    browser.follows().await
                }
                0 => browser.follows().await.declines().await.follows().await,
                _ => browser.visits(&place).await,
            };
            assert_eq!(browser.at, place, "{name}: {}", browser.page);
            assert_eq!(browser.passed, Some(Some(name.clone())));
        }
        gate.waits(Duration::from_secs(1));
    }
    assert!(gate.now() <= crate::support::gate::START.plus(Duration::from_mins(5)));
    assert_eq!(gate.hashed.load(Ordering::SeqCst) - hashed, 300 + 30, "once for all tabs");
}

/// The answers of all tabs have come to one browser.
fn share(tabs: &mut [Browser]) {
    let all: Vec<_> = tabs.iter().flat_map(|tab| tab.cookies.clone()).collect();
    for tab in tabs {
        tab.cookies.extend(all.iter().cloned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_who_sign_in_at_the_same_moment_all_get_in() {
    let gate = Gate::taking(30);
    let people: Vec<String> = (0..300).map(|number| format!("person{number}")).collect();
    for name in &people {
        gate.knows(name).await;
    }
    let office = gate.browser().address;
    let all = people.into_iter().map(|name| {
        let mut browser = gate.browser();
        browser.address = office;
        tokio::spawn(async move { browser.signs_in(&name).await.status })
    });
    let all: Vec<_> = all.collect();
    for one in all {
        assert_eq!(one.await.unwrap(), StatusCode::SEE_OTHER);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_guesses_at_once_from_one_address_thirty_are_read() {
    let gate = Gate::taking(30);
    for number in 0..100 {
        gate.knows(&format!("person{number}")).await;
    }
    let (hashed, from) = (gate.hashed.load(Ordering::SeqCst), gate.browser().address);
    let all: Vec<_> = (0..100)
        .map(|number| {
            let mut browser = gate.browser();
            browser.address = from;
            tokio::spawn(async move {
                browser.signs_in_with(&format!("person{number}"), "wrong").await.status
            })
        })
        .collect();
    let mut refused = 0;
    for one in all {
        refused += usize::from(one.await.unwrap() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(gate.hashed.load(Ordering::SeqCst) - hashed, 30);
    assert_eq!(refused, 70);
}

/// A gateway that takes thirty wrong passwords a minute from one address, and a browser there in
/// which somebody has signed in before.
async fn office_with(name: &str) -> (Gate, Browser) {
    let gate = Gate::taking(30);
    gate.knows(name).await;
    let mut browser = gate.browser();
    browser.signs_in(name).await.signs_out().await;
    (gate, browser)
}

/// Somebody behind the address of `browser` guesses until nothing more is read from there.
async fn guesses_behind(gate: &Gate, browser: &Browser) -> Browser {
    let mut guesser = gate.browser();
    guesser.address = browser.address;
    for number in 0..30 {
        guesser.signs_in_with(&format!("name{number}"), "wrong").await;
        assert_eq!(guesser.status, StatusCode::UNPROCESSABLE_ENTITY, "{number}");
    }
    guesser.signs_in_with("nobody", "wrong").await;
    assert_eq!(guesser.status, StatusCode::TOO_MANY_REQUESTS);
    guesser
}

#[tokio::test]
async fn who_guesses_behind_an_office_does_not_shut_out_a_known_browser_there() {
    let (gate, mut home) = office_with("ada").await;
    let mut guesser = guesses_behind(&gate, &home).await;
    assert_eq!(guesser.signs_in("ada").await.status, StatusCode::TOO_MANY_REQUESTS);
    home.signs_in_with("ada", "mistyped").await;
    assert_eq!(home.status, StatusCode::UNPROCESSABLE_ENTITY, "it is read");
    assert_eq!(home.signs_in("ada").await.status, StatusCode::SEE_OTHER);
    home.opens("/.doorward/confirm").await.sends(&[("password", PASSWORD)]).await;
    assert_eq!(home.status, StatusCode::SEE_OTHER, "and confirms who they are");
    assert_eq!(guesser.signs_in("ada").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_cookie_of_a_known_browser_gives_no_more_guesses_than_its_own_count() {
    let (gate, mut thief) = office_with("mallory").await;
    gate.knows("ada").await;
    guesses_behind(&gate, &thief).await;
    let hashed = gate.hashed.load(Ordering::SeqCst);
    for name in ["ada", "nobody", "ada@example.com"] {
        let status = thief.signs_in_with(name, "wrong").await.status;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{name} is counted by the address");
    }
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed);
    // Of copies of the cookie, wherever they are, five guesses at its own user are read.
    for guess in 0..40 {
        let mut copy = thief.clone();
        copy.address = gate.browser().address;
        copy.signs_in_with("mallory", "wrong").await;
        let read = copy.status == StatusCode::UNPROCESSABLE_ENTITY;
        assert_eq!(read, guess < 5, "{guess}: {}", copy.status);
    }
    assert_eq!(gate.hashed.load(Ordering::SeqCst), hashed + 5);
    gate.waits(Duration::from_secs(30));
    assert_eq!(thief.signs_in_with("mallory", "wrong").await.status.as_u16(), 422);
    assert_eq!(thief.signs_in_with("mallory", "wrong").await.status.as_u16(), 429);
}

#[tokio::test]
async fn a_browser_that_its_user_has_forgotten_is_counted_by_its_address() {
    let (gate, mut first) = office_with("ada").await;
    guesses_behind(&gate, &first).await;
    for _ in 0..10 {
        gate.waits(Duration::from_millis(1));
        gate.browser().signs_in("ada").await;
    }
    assert_eq!(first.signs_in("ada").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_damaged_sum_of_refused_names_does_not_stop_the_clock_mark() {
    let records = Arc::new(Memory::new());
    let gate = Gate::remembering_in(250, Arc::clone(&records) as Arc<dyn Records>);
    let store = &gate.env.store;
    gate.browser().signs_in_with("stranger", "a guess").await;
    store.note_time(gate.now()).await.unwrap();
    let sum = records.scan(Kind::Event, KeyRange::all(), 2).await.unwrap().remove(0);
    let replaced = async |body: Vec<u8>| {
        let batch = Batch::new().put(Kind::Event, sum.key.clone(), Expect::Any, None, body);
        records.commit(batch).await.unwrap();
    };
    replaced(b"damaged".to_vec()).await;
    gate.browser().signs_in_with("stranger", "a guess").await;
    gate.waits(Duration::from_mins(1));
    store.note_time(gate.now()).await.unwrap();
    assert_eq!(store.time_seen().await.unwrap(), Some(gate.now()));
    replaced(sum.record.body.clone()).await;
    assert_eq!(gate.events().await, [What::PasswordRefused; 2], "the sum was kept for later");
}
