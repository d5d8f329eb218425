//! Several tabs of one browser at once: each has its own page, all share the cookies.

use doorward::web::ReturnTo;
use http::{Method, StatusCode};

use super::hosts::{CRM, PORTAL, WIKI, Window, gate};
use crate::support::gate::{Browser, Gate, PASSWORD};

/// Another tab of the same browser: the same cookies, a page of its own.
fn shares(from: &Browser, to: &mut Browser) {
    to.cookies.extend(from.cookies.clone());
}

#[tokio::test]
async fn a_form_that_was_open_while_another_tab_signed_in_leads_to_where_it_was_going() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut first = gate.browser();
    first.visits("/a").await;
    let mut second = first.clone();
    second.visits("/b").await;
    shares(&second, &mut first);
    first.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(first.location().as_deref(), Some("/a"), "{}", first.page);

    shares(&first, &mut second);
    for typed in ["ada", "somebody else"] {
        let mut second = second.clone();
        second.sends(&[("username", typed), ("password", "whatever")]).await;
        assert_eq!(second.location().as_deref(), Some("/b"), "{}", second.page);
        second.follows().await;
        assert_eq!(second.passed, Some(Some("ada".to_owned())));
    }
    // A form of a page of another site is none of ours, whoever is signed in.
    let foreign =
        [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    second.requests(Method::POST, "/.doorward/sign-in", &foreign, "return_to=/b".into()).await;
    assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_link_that_was_open_while_somebody_signed_in_sets_its_password_all_the_same() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let link = gate.adds("bob").await;
    let mut first = gate.browser();
    first.opens(&link).await;
    let mut second = first.clone();
    second.signs_in("ada").await;
    shares(&second, &mut first);
    first.sends(&[("password", "four dry umbrellas")]).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.page);
}

#[tokio::test]
async fn two_first_visits_at_once_can_both_sign_in() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let (mut first, mut second) = (gate.browser(), gate.browser());
    first.visits("/a").await;
    second.visits("/b").await;
    // Both answers have come to one browser.
    shares(&second, &mut first);
    shares(&first.clone(), &mut second);
    first.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.page);
    let mut third = second.clone();
    second.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(second.status, StatusCode::SEE_OTHER, "{}", second.page);
    shares(&first, &mut third);
    third.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(third.location().as_deref(), Some("/b"), "{}", third.page);
}

#[tokio::test]
async fn a_code_that_another_tab_has_used_leads_on_and_so_does_the_page_that_asks_for_it() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut first = gate.browser();
    first.signs_in("ada").await;
    first.visits("/a").await;
    let mut second = first.clone();
    second.visits("/b").await;
    let code = ada.code(&gate);
    first.sends(&[("code", &code)]).await;
    assert_eq!(first.location().as_deref(), Some("/a"));

    shares(&first, &mut second);
    let mut reloaded = second.clone();
    second.sends(&[("code", &code)]).await;
    assert_eq!(second.location().as_deref(), Some("/b"), "{}", second.page);
    let at = reloaded.at.clone();
    reloaded.opens(&at).await;
    assert_eq!(reloaded.location().as_deref(), Some("/b"), "{}", reloaded.page);
    // Nobody is led past what is asked: a code that was used is none for a place that wants another.
    gate.waits(std::time::Duration::from_mins(6));
    second.visits("/bank/").await;
    second.sends(&[("code", &code)]).await;
    assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn ten_restored_tabs_over_two_hosts_all_arrive() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{PORTAL}/.doorward/sign-in")).await;
    window.signs_in("ada").await;
    // All are asked for before any answer has come.
    let mut tabs = Vec::new();
    for number in 0..10 {
        let (host, place) = if number % 2 == 0 { (CRM, "") } else { (WIKI, "/open") };
        let mut tab = window.clone();
        tab.opens(&format!("{host}{place}/{number}")).await;
        tabs.push((tab, host, format!("{place}/{number}")));
    }
    let mut at = window.at.clone();
    for (tab, ..) in &tabs {
        for (origin, browser) in &tab.at {
            shares(browser, at.get_mut(origin).unwrap());
        }
    }
    for (tab, host, place) in &mut tabs {
        for (origin, browser) in &mut tab.at {
            shares(&at[origin], browser);
        }
        tab.follows().await;
        assert_eq!(tab.reaches(host, place), "ada");
    }
}

#[tokio::test]
async fn a_ticket_that_is_reloaded_leads_to_its_own_address() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{PORTAL}/.doorward/sign-in")).await;
    window.signs_in("ada").await;
    window.opens(&format!("{WIKI}/open/a?b=c")).await;
    let enter = window.now().location().unwrap();
    window.opens(&enter).await;
    let ticket = window.now().location().unwrap();
    window.visits(&ticket).await;
    assert_eq!(window.reaches(WIKI, "/open/a?b=c"), "ada");
    window.visits(&ticket).await;
    assert_eq!(window.reaches(WIKI, "/open/a?b=c"), "ada");
    // Signed in at the portal, but not there any more: a new one is given out.
    window.at.get_mut(WIKI).unwrap().cookies.remove("__Host-doorward-session");
    window.visits(&ticket).await;
    assert_eq!(window.reaches(WIKI, "/open/a?b=c"), "ada");
    // Without cookies there it ends at a page, with a button to the same address.
    window.opens(&format!("{WIKI}/.doorward/sign-out")).await;
    let mut next = ticket;
    for _ in 0..5 {
        window.at.get_mut(WIKI).unwrap().cookies.clear();
        window.opens(&next).await;
        let Some(onward) = window.now().location() else { break };
        next = onward;
    }
    assert_eq!(window.now().heading(), "Please try again");
    assert!(window.now().page.contains("href=\"/open/a?b=c\""), "{}", window.now().page);
}

/// As long as a head may be (`limits.header_bytes`), with room for the rest of it.
#[tokio::test]
async fn a_long_address_survives_every_step() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    for place in [
        format!("/open/{}", "a".repeat(30_000)),
        format!("/open/?{}", "filter[name]=%C3%A9&x=/a;b+c,d&".repeat(800)),
    ] {
        let origin = WIKI.parse().unwrap();
        let place = ReturnTo::read(&place, &origin).as_str().to_owned();
        let mut window = Window::new(&gate);
        window.visits(&format!("{WIKI}{place}")).await;
        assert!(window.now().at.len() < 64_000, "{}", window.now().at.len());
        assert_eq!(window.now().field("return_to"), None, "the page's own address has it");
        window.signs_in("ada").await;
        let code = ada.code(&gate);
        window.sends(&[("code", &code)]).await;
        window.follows().await;
        assert_eq!(window.reaches(WIKI, &place), "ada");
        gate.waits_for_the_next_code();
    }
}

#[tokio::test]
async fn whoever_signs_out_is_offered_the_way_back() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    // A form does not repeat a long address.
    for place in ["/orders".to_owned(), format!("/orders/{}", "a".repeat(3_000))] {
        browser.signs_in("ada").await;
        let return_to = place.replace('/', "%2F");
        browser.opens(&format!("/.doorward/sign-out?return_to={return_to}")).await;
        browser.sends(&[]).await.follows().await;
        assert_eq!(browser.heading(), "You are signed out");
        assert!(browser.page.contains(&format!("href=\"{place}\"")), "{}", browser.page);
    }
}
