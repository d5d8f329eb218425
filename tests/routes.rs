//! Every URL of ours × every kind of visitor: who gets what.
//!
//! The routes come from the table that makes the router, so that one that is missing here fails.

use std::time::Duration;

use crate::support::gate::{Browser, Gate, PASSWORD};
use doorward::web::{On, routes::ROUTES};
use http::{Method, StatusCode};

/// Who stands at a route.
const VISITORS: [&str; 9] = [
    "stranger",
    "simple",      // a password, and no second factor
    "unconfirmed", // the same, a quarter of an hour later
    "half",        // a password, and a second factor that was not shown
    "unsaved",     // has just set up two-factor
    "device",      // came by a trusted device
    "full",        // has shown the second factor
    "stale",       // the same, a quarter of an hour later
    "recovered",   // came by a recovery code
];

/// What each gets: `page` is the page itself, a word is the step that is owed, `on` leads onward.
///
/// A post comes without a genuine `csrf`, so that whoever may post gets the form again.
const ANSWERS: &str = "
route                                                stranger    simple      unconfirmed half        unsaved     device      full        stale       recovered
GET  /.doorward/                                    sign-in     page        page        challenge   codes       page        page        page        page
POST /.doorward/                                    405         405         405         405         405         405         405         405         405
GET  /.doorward/enter                               sign-in     home        home        challenge   codes       home        home        home        home
POST /.doorward/enter                               405         405         405         405         405         405         405         405         405
GET  /.doorward/ticket                              404         404         404         404         404         404         404         404         404
POST /.doorward/ticket                              404         404         404         404         404         404         404         404         404
GET  /.doorward/sign-in                             page        on          on          on          on          on          on          on          on
POST /.doorward/sign-in                             again       again       again       again       again       again       again       again       again
GET  /.doorward/sign-in/provider/{name}             404         404         404         404         404         404         404         404         404
POST /.doorward/sign-in/provider/{name}             405         405         405         405         405         405         405         405         405
GET  /.doorward/sign-in/provider/{name}/callback    404         404         404         404         404         404         404         404         404
POST /.doorward/sign-in/provider/{name}/callback    405         405         405         405         405         405         405         405         405
GET  /.doorward/sign-in/provider/{name}/signed-out  405         405         405         405         405         405         405         405         405
POST /.doorward/sign-in/provider/{name}/signed-out  404         404         404         404         404         404         404         404         404
GET  /.doorward/challenge                           sign-in     set-up      set-up      page        page        page        page        page        page
POST /.doorward/challenge                           sign-in     again       again       again       again       again       again       again       again
GET  /.doorward/challenge/send                      sign-in     challenge   challenge   challenge   challenge   challenge   challenge   challenge   challenge
POST /.doorward/challenge/send                      sign-in     again       again       again       again       again       again       again       again
GET  /.doorward/set-up                              sign-in     page        confirm     challenge   on          challenge   on          confirm     on
POST /.doorward/set-up                              sign-in     again       confirm     challenge   on          challenge   on          confirm     on
GET  /.doorward/set-up/recovery-codes               sign-in     on          confirm     challenge   page        challenge   on          confirm     on
POST /.doorward/set-up/recovery-codes               sign-in     on          confirm     challenge   again       challenge   on          confirm     on
GET  /.doorward/recovery-codes.txt                  sign-in     security    confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/recovery-codes.txt                  405         405         405         405         405         405         405         405         405
GET  /.doorward/confirm                             sign-in     page        page        page        page        page        page        page        page
POST /.doorward/confirm                             sign-in     again       again       again       again       again       again       again       again
GET  /.doorward/recovery-codes                      sign-in     security    confirm     challenge   codes       challenge   page        confirm     page
POST /.doorward/recovery-codes                      405         405         405         405         405         405         405         405         405
GET  /.doorward/security/recovery-codes/regenerate  sign-in     security    confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/recovery-codes/regenerate  sign-in     on          confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/security/turn-off                   sign-in     security    confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/turn-off                   sign-in     security    confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/security/replace                    sign-in     security    confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/replace                    sign-in     security    confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/security/factors/add                sign-in     security    confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/factors/add                sign-in     security    confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/security/phone                      sign-in     security    confirm     challenge   security    challenge   security    confirm     security
POST /.doorward/security/phone                      sign-in     security    confirm     challenge   security    challenge   security    confirm     security
GET  /.doorward/security/factors/{id}/rename        sign-in     404         confirm     challenge   404         challenge   404         confirm     404
POST /.doorward/security/factors/{id}/rename        sign-in     404         confirm     challenge   404         challenge   404         confirm     404
GET  /.doorward/security/factors/{id}/remove        sign-in     404         confirm     challenge   404         challenge   404         confirm     404
POST /.doorward/security/factors/{id}/remove        sign-in     404         confirm     challenge   404         challenge   404         confirm     404
GET  /.doorward/security/factors/{id}/keep          sign-in     404         confirm     challenge   404         challenge   404         confirm     404
POST /.doorward/security/factors/{id}/keep          sign-in     404         confirm     challenge   404         challenge   404         confirm     404
GET  /.doorward/forgot                              page        page        page        page        page        page        page        page        page
POST /.doorward/forgot                              again       again       again       again       again       again       again       again       again
GET  /.doorward/security/password                   sign-in     page        confirm     challenge   page        page        page        confirm     page
POST /.doorward/security/password                   sign-in     again       confirm     challenge   again       again       again       confirm     again
GET  /.doorward/security/email                      sign-in     page        confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/email                      sign-in     again       confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/security/providers                  sign-in     page        confirm     challenge   page        challenge   page        confirm     page
POST /.doorward/security/providers                  sign-in     again       confirm     challenge   again       challenge   again       confirm     again
GET  /.doorward/offer                               sign-in     on          on          challenge   codes       on          on          on          page
POST /.doorward/offer                               sign-in     on          on          challenge   on          on          on          on          again
GET  /.doorward/security                            sign-in     page        page        challenge   codes       page        page        page        page
POST /.doorward/security                            405         405         405         405         405         405         405         405         405
GET  /.doorward/security/devices/{id}/revoke        sign-in     security    security    challenge   codes       security    security    security    security
POST /.doorward/security/devices/{id}/revoke        sign-in     again       again       challenge   again       again       again       again       again
GET  /.doorward/security/devices/revoke-all         sign-in     security    security    challenge   codes       security    security    security    security
POST /.doorward/security/devices/revoke-all         sign-in     again       again       challenge   again       again       again       again       again
GET  /.doorward/security/sessions/{id}/end          sign-in     security    security    challenge   codes       security    security    security    security
POST /.doorward/security/sessions/{id}/end          sign-in     again       again       challenge   again       again       again       again       again
GET  /.doorward/security/sessions/end-others        sign-in     security    security    challenge   codes       security    security    security    security
POST /.doorward/security/sessions/end-others        sign-in     again       again       challenge   again       again       again       again       again
GET  /.doorward/link/{token}                        410         410         410         410         410         410         410         410         410
POST /.doorward/link/{token}                        410         410         410         410         410         410         410         410         410
GET  /.doorward/sign-out                            page        page        page        page        page        page        page        page        page
POST /.doorward/sign-out                            page        again       again       again       again       again       again       again       again
GET  /.doorward/security-key-help                   page        page        page        page        page        page        page        page        page
POST /.doorward/security-key-help                   405         405         405         405         405         405         405         405         405
GET  /.doorward/signed-out                          204         204         204         204         204         204         204         204         204
POST /.doorward/signed-out                          405         405         405         405         405         405         405         405         405
GET  /.doorward/whoami                              sign-in     page        page        challenge   page        page        page        page        page
POST /.doorward/whoami                              405         405         405         405         405         405         405         405         405
GET  /.doorward/assets/{file}                       404         404         404         404         404         404         404         404         404
POST /.doorward/assets/{file}                       405         405         405         405         405         405         405         405         405
";

#[tokio::test]
async fn every_route_gives_every_visitor_what_they_may_have() {
    let mut lines = vec![format!("{:<40} {}", "route", row(&VISITORS))];
    for route in ROUTES {
        for method in [Method::GET, Method::POST] {
            let mut answers = Vec::new();
            for visitor in VISITORS {
                let mut browser = comes(visitor).await;
                answers.push(tries(&mut browser, &method, route.path).await);
            }
            let answers: Vec<_> = answers.iter().map(String::as_str).collect();
            lines.push(format!("{:<4} {:<35} {}", method.as_str(), route.path, row(&answers)));
        }
    }
    let actual = lines.join("\n");
    let expected: Vec<_> = ANSWERS.trim().lines().map(words).collect();
    let differing: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(n, line)| expected.get(*n) != Some(&words(line)))
        .map(|(_, line)| line.as_str())
        .collect();
    assert!(differing.is_empty(), "differing:\n{}\n\nall:\n{actual}", differing.join("\n"));
    assert_eq!(lines.len(), expected.len(), "a route has gone");
}

#[tokio::test]
async fn what_can_be_posted_to_says_so() {
    for route in ROUTES.iter().filter(|route| route.on != On::Others) {
        let mut browser = comes("full").await;
        let refused = tries(&mut browser, &Method::POST, route.path).await == "405";
        assert_eq!(refused, !route.takes_posts, "{}", route.path);
    }
}

#[tokio::test]
async fn a_form_that_came_too_late_leads_back_to_the_page_where_it_is() {
    let of_people = |route: &&doorward::web::Route| {
        route.takes_posts && route.asks != doorward::web::Asks::Nothing
    };
    let gate = Gate::new();
    gate.knows("ada").await;
    for route in ROUTES.iter().filter(of_people) {
        let mut browser = gate.browser();
        tries(&mut browser, &Method::POST, route.path).await;
        assert_eq!(browser.heading(), "Nothing was changed", "{}", route.path);
        assert!(!browser.page.contains("the application"), "{}", browser.page);
        let (_, way) = browser.page.split_once("<a class=\"button\" href=\"").unwrap();
        let way = way.split('"').next().unwrap().replace("&#38;", "&");
        browser.opens(&way).await;
        browser.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
        let status = browser.follows().await.status;
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{}: {way}", route.path);
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_found_and_says_nothing() {
    for visitor in ["stranger", "full"] {
        for path in ["/.doorward/admin", "/.doorward/set-up/", "/.doorward/link", "/.doorward/x"] {
            let mut browser = comes(visitor).await;
            assert_eq!(browser.opens(path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[tokio::test]
async fn every_answer_of_ours_is_hardened_and_never_kept() {
    for route in ROUTES.iter().filter(|route| !route.path.contains("assets")) {
        for visitor in ["stranger", "full", "unsaved"] {
            let mut browser = comes(visitor).await;
            tries(&mut browser, &Method::GET, route.path).await;
            let header = |name: &str| browser.headers[name].to_str().unwrap();
            assert_eq!(header("cache-control"), "no-store", "{}", route.path);
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "same-origin");
            assert_eq!(header("cross-origin-opener-policy"), "same-origin");
            if browser.page.starts_with("<!doctype") {
                let policy = header("content-security-policy");
                assert!(policy.starts_with("default-src 'none';"), "{policy}");
                assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
                assert!(!policy.contains("unsafe"), "{policy}");
            }
        }
    }
}

async fn comes(visitor: &str) -> Browser {
    let gate = Gate::new();
    let mut browser = gate.browser();
    match visitor {
        "stranger" => {}
        "simple" | "unconfirmed" => {
            gate.knows("ada").await;
            browser.signs_in("ada").await;
        }
        "half" => {
            gate.protects("ada").await;
            browser.signs_in("ada").await;
        }
        "unsaved" => {
            gate.knows("ada").await;
            browser.signs_in("ada").await;
            browser.sets_up(&gate, "/").await;
        }
        "device" => {
            let ada = gate.protects("ada").await;
            browser.signs_in("ada").await;
            browser.follows().await;
            browser.sends(&[("code", &ada.code(&gate)), ("trust_device", "yes")]).await;
            browser.signs_out().await;
            browser.signs_in("ada").await;
        }
        "full" | "stale" => {
            let ada = gate.protects("ada").await;
            browser.signs_in_fully(&gate, "ada", &ada).await;
        }
        "recovered" => {
            let ada = gate.protects("ada").await;
            browser.signs_in("ada").await;
            browser.opens("/.doorward/challenge?kind=recovery-code").await;
            browser.sends(&[("code", &ada.recovery_codes[0])]).await;
        }
        other => panic!("nobody is called {other}"),
    }
    if matches!(visitor, "unconfirmed" | "stale") {
        gate.waits(Duration::from_mins(16));
    }
    browser
}

async fn tries(browser: &mut Browser, method: &Method, route: &str) -> String {
    let path = route.replace("{token}", "aaaaaaaaaaaaaaaaaaaaaaaaaa").replace("{file}", "none");
    let path = path.replace("{id}", &"0".repeat(32)).replace("{name}", "none");
    if *method == Method::GET {
        browser.opens(&path).await;
    } else {
        let fields = [("username", "ada"), ("password", PASSWORD), ("code", "1"), ("saved", "yes")];
        browser.posts(&path, &fields).await;
    }
    answer(browser)
}

/// One word for an answer.
fn answer(browser: &Browser) -> String {
    // A post to a page that asks for more first is told which step is owed.
    if browser.status == StatusCode::UNAUTHORIZED {
        let mut links = browser.page.split("href=\"/.doorward/").skip(1);
        let step = links.find(|link| !link.starts_with("assets/")).unwrap_or_default();
        return step.split(['?', '"']).next().unwrap_or_default().to_owned();
    }
    if let Some(location) = browser.location() {
        let page = location.split('?').next().unwrap_or_default();
        return match page.strip_prefix("/.doorward/") {
            Some("") => "home".to_owned(),
            Some("set-up/recovery-codes") => "codes".to_owned(),
            Some(step) => step.to_owned(),
            None => "on".to_owned(),
        };
    }
    match browser.status {
        StatusCode::OK => "page".to_owned(),
        StatusCode::UNPROCESSABLE_ENTITY => "again".to_owned(),
        other => other.as_str().to_owned(),
    }
}

fn row(cells: &[&str]) -> String {
    let padded: Vec<_> = cells.iter().map(|cell| format!("{cell:<11}")).collect();
    padded.join(" ").trim_end().to_owned()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
