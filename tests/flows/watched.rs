//! Rules and applications that are only watched: what they would have refused passes, and is told.

use std::sync::Arc;

use bytes::Bytes;
use doorward::config::Config;
use doorward::domain::assurance::Kinds;
use doorward::domain::assurance::Verdict;
use doorward::domain::factor::Kind;
use doorward::flow::admit::decide;
use doorward::flow::decision_log::Refusal;
use doorward::flow::trial;
use doorward::policy::{Request, Sent};
use doorward::store::memory::Memory;
use http::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::gate::{Browser, CONFIG, Gate};

fn unenforced() -> String {
    CONFIG.replace("    upstream:", "    enforce: false\n    upstream:")
}

/// A rule without its line and paths.
fn numbered(rule: &str) -> &str {
    rule.split(" (").next().unwrap()
}

#[tokio::test]
async fn a_watched_application_lets_everybody_through_and_tells_what_would_have_been() {
    let gate = Gate::configured(&unenforced(), Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut stranger = gate.browser();
    for place in ["/", "/closed/", "/strict/x"] {
        stranger.opens(place).await;
        assert_eq!(stranger.passed, Some(None), "{place}");
    }
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    ada.opens("/strict/x").await;
    assert_eq!(ada.passed, Some(Some("ada".to_owned())));
    // Our own pages are not loosened.
    stranger.opens("/.doorward/").await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);

    let report = gate.env.decision_log.report();
    let told: Vec<_> = report
        .iter()
        .map(|(what, seen)| (numbered(&what.rule), what.verdict, what.user.as_deref(), seen.count))
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    for expected in [
        ("otherwise", "sign-in", None, 1),
        ("rule 5", "refused", None, 1),
        ("rule 2", "sign-in", None, 1),
        ("rule 2", "set-up", Some("ada"), 1),
    ] {
        assert!(told.contains(&expected), "{expected:?}: {told:?}");
    }
    let metrics = gate.env.metrics.text();
    assert!(
        metrics.contains("doorward_requests_observed_total{app=\"crm\",verdict=\"set-up\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn somebody_whose_second_factor_is_missing_is_named() {
    let gate = Gate::configured(&unenforced(), Arc::new(Memory::new()));
    gate.protects("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    ada.opens("/strict/x").await;
    assert_eq!(ada.passed, Some(None), "the application is not told before");
    let report = gate.env.decision_log.report();
    let (what, _) = &report[0];
    assert_eq!((what.verdict, what.user.as_deref()), ("challenge", Some("ada")));
}

/// Requests and visitors of all kinds, the same at every run.
fn thousand() -> Vec<(Request, Option<&'static str>, bool)> {
    let mut rng = StdRng::seed_from_u64(4);
    let paths = [
        "/",
        "/public/a",
        "/strict/",
        "/untrusting/b",
        "/bank/",
        "/closed/x",
        "/a/..%2fclosed/",
        "/STRICT/x",
    ];
    let who = [None, Some("password"), Some("full"), Some("device"), Some("half")];
    (0..1000)
        .map(|_| {
            let target = paths.choose(&mut rng).unwrap().as_bytes();
            let method = ["GET", "POST", "DELETE"].choose(&mut rng).unwrap();
            let request = Request::read_sent(&Sent { target, method, overrides: &[] }).unwrap();
            (request, *who.choose(&mut rng).unwrap(), rng.random())
        })
        .collect()
}

#[test]
fn what_is_watched_is_exactly_what_enforcement_then_refuses_over_the_same_thousand_requests() {
    use doorward::config::{Shown, TestVisitor};
    let demand = "second_factor: { demanded_of: { groups: [staff] } }\n";
    let configs = [format!("{}{demand}", unenforced()), format!("{CONFIG}{demand}")]
        .map(|text| Config::read("test.yaml", &text).unwrap());
    let now = crate::support::gate::START;
    let mut stopped = 0;
    for (request, who, is_staff) in thousand() {
        let visitor = who.map(|who| TestVisitor {
            user: "ada".to_owned(),
            groups: if is_staff { ["staff".to_owned()].into() } else { [].into() },
            has_second_factor: who != "password",
            has: Kinds::ALL,
            shown: match who {
                "full" => vec![Shown::Password, Shown::Factor(Kind::Totp)],
                "device" => vec![Shown::Password, Shown::TrustedDevice],
                _ => vec![Shown::Password],
            },
        });
        let [watched, enforced] = configs.each_ref().map(|config| {
            let app = &config.apps[0];
            let evidence = trial::evidence(config, app, visitor.as_ref(), now);
            decide(app, &request, Some([192, 0, 2, 1].into()), evidence, now)
        });
        assert!(matches!(watched.verdict, Verdict::Pass(_)), "{request:?} {who:?}");
        let would = watched.watched.as_ref().map_or("pass", |(verdict, _)| verdict.name());
        assert_eq!(would, enforced.verdict.name(), "{request:?} {who:?}");
        stopped += usize::from(would != "pass");
    }
    assert!((300..1000).contains(&stopped), "{stopped} of a thousand");
}

#[tokio::test]
async fn a_watched_rule_is_skipped_and_its_own_verdict_is_only_told() {
    let rules =
        "    rules:\n      - { paths: [/orders/], require: second-factor, enforce: false }\n";
    let config = CONFIG.replacen("    rules:\n", rules, 1);
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    ada.opens("/orders/7").await;
    assert_eq!(ada.passed, Some(Some("ada".to_owned())));
    let report = gate.env.decision_log.report();
    assert_eq!((numbered(&report[0].0.rule), report[0].0.verdict), ("rule 1", "set-up"));
    assert!(report[0].0.rule.ends_with(": /orders/)"), "{}", report[0].0.rule);
    // Strangers are stopped by what governs without it, and that is no news.
    gate.browser().opens("/orders/7").await;
    assert_eq!(gate.env.decision_log.report().len(), 1);
}

/// The refusal that a page names.
fn why_refused(gate: &Gate, browser: &Browser) -> Refusal {
    let reference =
        browser.page.split("id=\"reference\">").nth(1).and_then(|rest| rest.split('<').next());
    gate.env.decision_log.why(reference.unwrap()).unwrap()
}

#[tokio::test]
async fn a_refusal_is_remembered_under_the_reference_on_its_page() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    browser.opens("/closed/deep/secret?token=1").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    let why = why_refused(&gate, &browser);
    assert_eq!(
        (why.rule.as_deref().map(numbered), why.reason.as_str()),
        (Some("rule 5"), "the rule refuses everybody (`require: nobody`)")
    );
    assert_eq!(why.path, "/closed/deep/secret");
    assert!(!format!("{why:?}").contains("token"));
}

#[tokio::test]
async fn a_client_that_shows_no_pages_is_told_401_and_an_operator_why() {
    let gate = Gate::new();
    let mut client = gate.browser();
    let headers = [("accept", "*/*"), ("authorization", "Basic YWRhOnNlY3JldA==")];
    client.requests(Method::GET, "/orders/7?token=1", &headers, Bytes::new()).await;
    assert_eq!(client.status, StatusCode::UNAUTHORIZED);
    let refusals = gate.env.decision_log.refusals();
    let [refused] = &*refusals else { panic!("{refusals:?}") };
    assert_eq!(
        refused.last.reason,
        "the visitor is not signed in, and the client is not a browser, so it got 401; it sent `Authorization: \
         Basic`, which Doorward does not check"
    );
    assert_eq!(refused.last.path, "/orders/7");
    assert_eq!(gate.env.decision_log.why(&refused.last.request_id).as_ref(), Some(&refused.last));
    assert!(!format!("{refused:?}").contains("YWRh"));

    // Somebody who is led to a page is not refused.
    gate.browser().opens("/orders/7").await;
    assert_eq!(gate.env.decision_log.refusals(), refusals);
}

#[tokio::test]
async fn an_operator_is_told_why_of_every_kind_of_client_without_pages() {
    let gate = Gate::new();
    gate.protects("ada").await;
    let why = |gate: &Gate, path: &str| {
        let refusals = gate.env.decision_log.refusals();
        let found = refusals.iter().find(|refused| refused.last.path == path).cloned();
        found.map(|refused| (refused.last.reason, refused.last.user))
    };
    let mut client = gate.browser();
    let call = [("content-type", "application/grpc"), ("te", "trailers"), ("accept", "*/*")];
    client.requests(Method::POST, "/orders.Orders/List", &call, Bytes::new()).await;
    let got =
        "the visitor is not signed in, and the client is not a browser, so it got gRPC status 16";
    assert_eq!(why(&gate, "/orders.Orders/List"), Some((got.to_owned(), None)));

    let mut script = gate.browser();
    script.signs_in("ada").await;
    let headers = [("accept", "application/json")];
    script.requests(Method::GET, "/.doorward/whoami", &headers, Bytes::new()).await;
    assert_eq!(script.status, StatusCode::UNAUTHORIZED);
    let got = "the second factor was not entered, and the client is not a browser, so it got 401";
    assert_eq!(why(&gate, "/.doorward/whoami"), Some((got.to_owned(), Some("ada".to_owned()))));
}

#[tokio::test]
async fn an_operator_is_told_which_demand_asks_for_more_than_the_rule() {
    let demand = "second_factor: { demanded_of: { groups: [staff] } }\n";
    let asked = "otherwise and second_factor.demanded_of (group staff)";
    let gate = Gate::configured(&format!("{CONFIG}{demand}"), Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut script = gate.browser();
    script.signs_in("ada").await;
    for (path, rule) in [("/orders", asked), ("/strict/", "rule 2")] {
        script.requests(Method::GET, path, &[("accept", "*/*")], Bytes::new()).await;
        assert_eq!(script.status, StatusCode::UNAUTHORIZED, "{path}");
        let refusals = gate.env.decision_log.refusals();
        let found = refusals.iter().find(|refused| refused.last.path == path).unwrap();
        let told = found.last.rule.as_deref().unwrap();
        assert!(told == rule || numbered(told) == rule && told.ends_with(')'), "{path}: {told}");
    }

    let gate = Gate::configured(&format!("{}{demand}", unenforced()), Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut ada = gate.browser();
    ada.signs_in("ada").await;
    ada.opens("/orders").await;
    let report = gate.env.decision_log.report();
    let (what, _) = &report[0];
    assert_eq!((what.rule.as_str(), what.verdict), (asked, "set-up"));
}

#[tokio::test]
async fn a_refusal_names_who_has_yet_to_show_the_code_but_counts_them_as_known_only_after_it() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    gate.waits_for_the_next_code();
    let mut browser = gate.browser();
    browser.signs_in("ada").await.opens("/closed/").await;
    let before = why_refused(&gate, &browser);
    assert_eq!((before.user.as_deref(), before.is_known), (Some("ada"), false));
    let leads_back = "<a href=\"/.doorward/sign-out?return_to=%2Fclosed%2F\">";
    let says = |page: &str, whom: &str, leave: &str| {
        let footer = format!("{whom} as <bdi>ada</bdi>. {leads_back}{leave}</a>");
        assert!(page.contains(&footer), "{footer}: {page}");
    };
    says(&browser.page, "Signing in", "Not you?");
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await.opens("/closed/").await;
    let after = why_refused(&gate, &browser);
    assert_eq!((after.user.as_deref(), after.is_known), (Some("ada"), true));
    says(&browser.page, "Signed in", "Sign out");
}
