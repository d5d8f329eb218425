//! Several hosts and one sign-in: the portal, tickets, and the end of it all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use doorward::store::memory::Memory;
use http::StatusCode;
use serde_json::json;

use crate::support::gate::{Browser, Gate, PASSWORD, Protected};
use crate::support::provider::StandIn;

pub(crate) const PORTAL: &str = "https://id.example.com";
pub(crate) const CRM: &str = "https://crm.example.com";
pub(crate) const WIKI: &str = "https://wiki.example.com";

const CONFIG: &str = "
listen: [{ address: 127.0.0.1:0 }]
state: /nowhere
portal: https://id.example.com
apps:
  - name: crm
    hosts: [crm.example.com]
    upstream: http://127.0.0.1:9
    rules: [{ paths: [/public/], require: nothing }]
    otherwise: sign-in
    sign_out_paths: [/logout]
  - name: wiki
    hosts: [wiki.example.com]
    upstream: http://127.0.0.1:8
    rules:
      - { paths: [/untrusting/], require: { second_factor: { trusted_device: false } } }
      - { paths: [/bank/], require: { second_factor: { within: 5m } } }
      - { paths: [/open/], require: sign-in }
      - { paths: [/board/], only: { groups: [board] }, require: second-factor }
    otherwise: second-factor
";

pub(crate) fn gate() -> Gate {
    Gate::configured(CONFIG, Arc::new(Memory::new()))
}

/// One browser, with the cookies of every host.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) at: BTreeMap<&'static str, Browser>,
    pub(crate) here: &'static str,
}

impl Window {
    pub(crate) fn new(gate: &Gate) -> Self {
        let browser = gate.browser();
        let at = [PORTAL, CRM, WIKI].map(|origin| (origin, browser.elsewhere(gate.at(origin))));
        Self { at: at.into(), here: PORTAL }
    }

    /// Types an address, and goes where it is sent until there is a page or an application.
    pub(crate) async fn visits(&mut self, url: &str) -> &mut Self {
        self.opens(url).await;
        self.follows().await
    }

    pub(crate) async fn follows(&mut self) -> &mut Self {
        for _ in 0..12 {
            let Some(next) = self.now().location() else { return self };
            self.opens(&next).await;
        }
        panic!("sent round in circles, at last to {}", self.now().at);
    }

    pub(crate) async fn opens(&mut self, url: &str) {
        let origin = [PORTAL, CRM, WIKI].into_iter().find(|origin| {
            url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let target = if let Some(origin) = origin {
            self.here = origin;
            &url[origin.len()..]
        } else {
            assert!(url.starts_with('/'), "led away to {url}");
            url
        };
        let target = if target.is_empty() { "/" } else { target };
        self.at.get_mut(self.here).unwrap().opens(target).await;
    }

    pub(crate) async fn sends(&mut self, fields: &[(&str, &str)]) -> &mut Self {
        self.at.get_mut(self.here).unwrap().sends(fields).await;
        self
    }

    pub(crate) fn now(&self) -> &Browser {
        &self.at[self.here]
    }

    /// In whose name the application at this place got the request.
    #[track_caller]
    pub(crate) fn reaches(&self, origin: &str, target: &str) -> String {
        let now = self.now();
        assert_eq!((self.here, now.at.as_str()), (origin, target), "{}", now.page);
        now.passed.clone().unwrap().unwrap_or_default()
    }

    pub(crate) async fn signs_in(&mut self, name: &str) -> &mut Self {
        self.sends(&[("username", name), ("password", PASSWORD)]).await;
        self.follows().await
    }
}

#[tokio::test]
async fn somebody_whom_the_rule_excludes_is_refused_and_not_led_to_set_up() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{WIKI}/board/")).await;
    window.signs_in("ada").await;
    let now = window.now();
    assert_eq!((window.here, now.status), (WIKI, StatusCode::FORBIDDEN), "{}", now.page);
    // Who has another account can change to it.
    assert!(now.page.contains("Signed in as <bdi>ada</bdi>"), "{}", now.page);
    let why = gate.env.decision_log.refusals().remove(0).last.reason;
    assert_eq!(why, "the rule admits only groups board, and the user is in staff");
}

#[tokio::test]
async fn one_sign_in_is_good_for_every_host_and_leads_to_where_one_was_going() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{CRM}/orders/a%2Fb/caf%C3%A9?page=2&x=%26")).await;
    assert_eq!((window.here, window.now().heading().as_str()), (PORTAL, "Sign in"));
    assert!(window.now().page.contains("crm"), "{}", window.now().page);
    window.signs_in("ada").await;
    assert_eq!(window.reaches(CRM, "/orders/a%2Fb/caf%C3%A9?page=2&x=%26"), "ada");
    window.visits(&format!("{WIKI}/open/")).await;
    assert_eq!(window.reaches(WIKI, "/open/"), "ada");
}

#[tokio::test]
async fn a_stricter_place_on_another_host_asks_for_what_is_missing_there_and_then() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{CRM}/")).await;
    window.signs_in("ada").await;
    // Without a second factor: set-up first, then the codes, then on.
    window.visits(&format!("{WIKI}/page?q=1")).await;
    assert_eq!((window.here, window.now().heading().as_str()), (PORTAL, "Set up two-factor"));
    assert!(window.now().page.contains("wiki"), "{}", window.now().page);
    let key = window.now().secret();
    let code = key.code_at(gate.now()).expose().to_owned();
    window.sends(&[("code", &code), ("trust_device", "yes")]).await;
    window.follows().await;
    window.sends(&[("saved", "yes")]).await;
    window.follows().await;
    assert_eq!(window.reaches(WIKI, "/page?q=1"), "ada");
    assert_eq!(window.now().page, "pwd,otp,mfa");
    // What was shown at the portal since, the other host learns when it needs it.
    window.visits(&format!("{CRM}/")).await;
    assert_eq!(window.reaches(CRM, "/"), "ada");

    // By a trusted device, at a place that trusts none.
    window.visits(&format!("{PORTAL}/.doorward/sign-out")).await;
    window.sends(&[]).await;
    window.follows().await;
    gate.waits_for_the_next_code();
    window.visits(&format!("{WIKI}/page")).await;
    window.signs_in("ada").await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada");
    assert_eq!(window.now().page, "pwd,trusted-device");
    window.visits(&format!("{WIKI}/untrusting/x")).await;
    assert!(window.now().at.starts_with("/.doorward/challenge"), "{}", window.now().at);
    let code = key.code_at(gate.now()).expose().to_owned();
    window.sends(&[("code", &code)]).await;
    window.follows().await;
    assert_eq!(window.reaches(WIKI, "/untrusting/x"), "ada");
    // A fresh code is asked for again when it is no longer fresh.
    window.visits(&format!("{WIKI}/bank/")).await;
    assert_eq!(window.reaches(WIKI, "/bank/"), "ada");
    gate.waits(Duration::from_secs(301));
    window.visits(&format!("{WIKI}/bank/")).await;
    assert_eq!((window.here, window.now().heading().as_str()), (PORTAL, "Enter your code"));
}

#[tokio::test]
async fn signing_out_anywhere_is_signing_out_everywhere() {
    let gate = gate();
    gate.knows("ada").await;
    for (origin, path) in [(PORTAL, ""), (CRM, ""), (WIKI, ""), (CRM, "/logout")] {
        let mut window = Window::new(&gate);
        window.visits(&format!("{CRM}/")).await;
        window.signs_in("ada").await;
        window.visits(&format!("{WIKI}/open/")).await;
        if path.is_empty() {
            window.visits(&format!("{origin}/.doorward/sign-out")).await;
            window.sends(&[]).await;
        } else {
            window.opens(&format!("{origin}{path}")).await;
            assert_eq!(window.reaches(origin, path), "ada", "the application hears of it");
        }
        for place in [format!("{CRM}/"), format!("{WIKI}/open/"), format!("{PORTAL}/.doorward/")] {
            window.visits(&place).await;
            assert_eq!(window.now().heading(), "Sign in", "{place} after {origin}{path}");
        }
    }
}

#[tokio::test]
async fn who_signs_out_has_the_browser_forget_what_it_keeps_of_every_host_they_were_on() {
    let gate = gate();
    gate.knows("ada").await;
    for (out_at, others) in
        [(PORTAL, &[CRM, WIKI][..]), (CRM, &[PORTAL, WIKI]), (WIKI, &[PORTAL, CRM])]
    {
        let mut window = Window::new(&gate);
        window.visits(&format!("{CRM}/")).await;
        window.signs_in("ada").await;
        window.visits(&format!("{WIKI}/open/")).await;
        window.visits(&format!("{out_at}/.doorward/sign-out")).await;
        window.sends(&[]).await;
        assert_eq!(window.now().headers["clear-site-data"], "\"cache\"");
        window.follows().await;
        assert_eq!(pictures(&window), others, "after {out_at}");
        for other in others {
            window.opens(&format!("{other}/.doorward/signed-out")).await;
            let headers = &window.now().headers;
            assert_eq!(headers["clear-site-data"], "\"cache\"");
            assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
            assert!(!headers.contains_key("set-cookie"));
        }
    }
}

#[tokio::test]
async fn a_page_after_signing_out_names_no_host_where_nobody_was() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{PORTAL}/.doorward/sign-in")).await;
    window.signs_in("ada").await;
    window.visits(&format!("{PORTAL}/.doorward/sign-out")).await;
    window.sends(&[]).await;
    window.follows().await;
    assert_eq!(pictures(&window), [""; 0], "never on another");

    window.visits(&format!("{CRM}/")).await;
    window.signs_in("ada").await;
    window.visits(&format!("{PORTAL}/.doorward/sign-out")).await;
    window.sends(&[]).await;
    let told = window.now().location().unwrap();
    window.follows().await;
    assert_eq!(pictures(&window), [CRM]);
    // Nobody is told by it whether there is a host of some name.
    let (crm, wiki) = (CRM.replace("https://", ""), WIKI.replace("https://", ""));
    let unproven = format!("/.doorward/sign-out?left={wiki}");
    for other in [told.replace(&crm, &wiki), format!("{told}x"), unproven] {
        window.opens(&format!("{PORTAL}{other}")).await;
        assert_eq!(window.now().heading(), "You are signed out");
        assert_eq!(pictures(&window), [""; 0], "{other}");
    }
    // Nor is it proof at another host.
    window.opens(&format!("{WIKI}{told}")).await;
    assert_eq!(pictures(&window), [""; 0]);
}

#[tokio::test]
async fn a_provider_where_somebody_signs_out_too_does_not_learn_where_they_were() {
    let idp = StandIn::opens().await;
    idp.said().document = json!({ "end_session_endpoint": format!("{}/end", idp.issuer) });
    let providers = format!(
        "{CONFIG}
providers:
  - name: idp
    label: Example ID
    issuer: {}
    client_id: doorward
    client_secret_file: tests/config/provider.secret
    people: {{ create: true, only: {{ email_domains: [example.com] }} }}
    sign_out: everywhere
",
        idp.issuer
    );
    let gate = Gate::configured(&providers, Arc::new(Memory::new()));
    let mut window = Window::new(&gate);
    window.opens(&format!("{PORTAL}/.doorward/sign-in/provider/idp")).await;
    let query = idp.signs_in(&window.now().location().unwrap());
    window.visits(&format!("{PORTAL}/.doorward/sign-in/provider/idp/callback?{query}")).await;
    window.visits(&format!("{CRM}/")).await;
    assert_eq!(window.now().passed.clone().flatten().as_deref(), Some("ada"));
    window.visits(&format!("{PORTAL}/.doorward/sign-out?return_to=%2F.doorward%2Fsecurity")).await;
    window.sends(&[]).await;
    let url: url::Url = window.now().location().unwrap().parse().unwrap();
    assert!(url.as_str().starts_with(&format!("{}/end?", idp.issuer)), "{url}");
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let bytes = BASE64URL_NOPAD.decode(state.as_bytes()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("example"));

    window.opens(&format!("{PORTAL}/.doorward/sign-out?state={state}")).await;
    assert_eq!(pictures(&window), [CRM]);
    let again = "href=\"/.doorward/security\">Sign in again";
    assert!(window.now().page.contains(again), "{}", window.now().page);
    let (crm, changed) = (CRM.replace("https://", ""), format!("{state}AA"));
    for (host, other) in
        [(PORTAL, crm.as_str()), (PORTAL, changed.as_str()), (WIKI, state.as_str())]
    {
        window.opens(&format!("{host}/.doorward/sign-out?state={other}")).await;
        assert_eq!(window.now().heading(), "You are signed out");
        assert_eq!(pictures(&window), [""; 0], "{host} {other}");
    }
}

/// The hosts of which the page has the browser forget what it keeps; its policy lets them, and no other.
fn pictures(window: &Window) -> Vec<&str> {
    let (page, policy) = (&window.now().page, &window.now().headers["content-security-policy"]);
    let (_, sources) = policy.to_str().unwrap().split_once("img-src ").unwrap();
    let allowed: Vec<_> = sources.split(';').next().unwrap().split(' ').skip(1).collect();
    let loaded: Vec<_> = page
        .split("<img src=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|address| address.ends_with("/.doorward/signed-out"))
        .collect();
    assert_eq!(loaded, allowed);
    loaded.iter().map(|address| address.strip_suffix("/.doorward/signed-out").unwrap()).collect()
}

#[tokio::test]
async fn whoever_comes_after_the_end_of_a_session_finds_nothing_kept() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.opens(&format!("{CRM}/")).await;
    assert!(!window.now().headers.contains_key("clear-site-data"), "for there was none");
    window.follows().await;
    window.signs_in("ada").await;
    let mut elsewhere = window.clone();
    elsewhere.visits(&format!("{PORTAL}/.doorward/sign-out")).await;
    elsewhere.sends(&[]).await;
    window.opens(&format!("{CRM}/")).await;
    assert_eq!(window.now().status, StatusCode::SEE_OTHER);
    assert_eq!(window.now().headers["clear-site-data"], "\"cache\"");
}

#[tokio::test]
async fn a_link_to_sign_out_on_another_site_signs_nobody_out() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{CRM}/")).await;
    window.signs_in("ada").await;
    let crm = window.at.get_mut(CRM).unwrap();
    for site in ["cross-site", "same-site"] {
        let from_elsewhere = [("sec-fetch-site", site)];
        crm.requests(http::Method::GET, "/logout", &from_elsewhere, "".into()).await;
        crm.opens("/").await;
        assert_eq!(crm.passed, Some(Some("ada".to_owned())), "{site}");
    }
}

#[tokio::test]
async fn a_browser_with_two_session_cookies_is_told_so_and_not_sent_round_in_circles() {
    let gate = gate();
    let mut window = Window::new(&gate);
    let crm = window.at.get_mut(CRM).unwrap();
    let two = "__Host-doorward-session=planted; __Host-doorward-session=ours";
    let two = [("cookie", two), ("accept", "text/html")];
    crm.requests(http::Method::GET, "/.doorward/ticket?ticket=x", &two, "".into()).await;
    assert_eq!(crm.heading(), "Your browser sent two sign-in cookies");
}

#[tokio::test]
async fn using_one_host_keeps_the_others_alive_and_one_end_comes_for_all() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{CRM}/")).await;
    window.signs_in("ada").await;
    window.visits(&format!("{WIKI}/open/")).await;
    for _ in 0..3 {
        gate.waits(Duration::from_mins(40));
        window.opens(&format!("{WIKI}/open/")).await;
        assert_eq!(window.reaches(WIKI, "/open/"), "ada");
        // Noted by the side.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    window.opens(&format!("{CRM}/")).await;
    assert_eq!(window.reaches(CRM, "/"), "ada");
    gate.waits(Duration::from_mins(61));
    window.opens(&format!("{CRM}/")).await;
    assert_eq!(window.now().passed, None);
}

/// A browser on its way back to the wiki: the URL of its ticket, not opened yet.
async fn on_its_way(gate: &Gate) -> (Window, String) {
    let mut window = Window::new(gate);
    window.opens(&format!("{WIKI}/open/")).await;
    window.follows().await;
    window.sends(&[("username", "ada"), ("password", PASSWORD)]).await;
    for _ in 0..5 {
        let next = window.now().location().unwrap();
        if next.contains("/.doorward/ticket") {
            return (window, next);
        }
        window.opens(&next).await;
    }
    panic!("no ticket was given");
}

/// Whoever presents it is led to the portal once more, as nobody; the second time a page says so.
async fn is_refused(window: &mut Window, ticket: &str) {
    window.opens(ticket).await;
    let leads = window.now().location().unwrap();
    assert!(leads.starts_with(&format!("{PORTAL}/.doorward/enter?")), "{leads}");
    assert!(leads.ends_with("&again=yes"), "{leads}");
    assert!(window.now().session().is_none());
    let query = ticket.split_once('?').map_or("", |(_, query)| query);
    window.opens(&format!("{WIKI}/.doorward/ticket?{query}&again=yes")).await;
    assert_eq!(window.now().status, StatusCode::GONE, "{}", window.now().page);
    assert_eq!(window.now().heading(), "Please try again");
    assert!(window.now().session().is_none());
    window.opens(&format!("{WIKI}/open/")).await;
    assert_eq!(window.now().passed, None);
}

#[tokio::test]
async fn a_ticket_is_good_once_at_once_there_and_in_the_browser_that_asked() {
    let gate = gate();
    gate.knows("ada").await;

    let (mut window, ticket) = on_its_way(&gate).await;
    window.visits(&ticket).await;
    assert_eq!(window.reaches(WIKI, "/open/"), "ada");
    let mut replayed = window.clone();
    replayed.at.get_mut(WIKI).unwrap().cookies.remove("__Host-doorward-session");
    is_refused(&mut replayed, &ticket).await;

    // In another browser; and after that it is spent for its owner, too.
    let (mut owner, ticket) = on_its_way(&gate).await;
    let mut thief = Window::new(&gate);
    thief.opens(&format!("{WIKI}/open/")).await;
    is_refused(&mut thief, &ticket).await;
    is_refused(&mut Window::new(&gate), &ticket).await;
    is_refused(&mut owner, &ticket).await;

    let (mut late, ticket) = on_its_way(&gate).await;
    gate.waits(Duration::from_secs(30));
    is_refused(&mut late, &ticket).await;

    let (mut lost, ticket) = on_its_way(&gate).await;
    let elsewhere = ticket.replacen(WIKI, CRM, 1);
    lost.opens(&format!("{elsewhere}&again=yes")).await;
    assert_eq!(lost.now().status, StatusCode::GONE);

    let (mut ended, ticket) = on_its_way(&gate).await;
    let mut portal = ended.clone();
    portal.visits(&format!("{PORTAL}/.doorward/sign-out")).await;
    portal.sends(&[]).await;
    is_refused(&mut ended, &ticket).await;

    let (mut outdated, ticket) = on_its_way(&gate).await;
    let link = gate.makes_a_link("ada").await;
    let mut elsewhere = gate.browser();
    elsewhere.opens(&link).await;
    elsewhere.sends(&[("password", PASSWORD)]).await;
    is_refused(&mut outdated, &ticket).await;

    let junk = format!("{WIKI}/.doorward/ticket?ticket=aaaaaaaaaaaaaaaaaaaaaaaaaa");
    is_refused(&mut Window::new(&gate), &junk).await;
    is_refused(&mut Window::new(&gate), &format!("{WIKI}/.doorward/ticket")).await;
}

/// By a VPN, say: the portal would think that the application refuses them.
#[tokio::test]
async fn somebody_whom_the_portal_sees_at_another_address_is_not_sent_round_in_circles() {
    let config = CONFIG.replace(
        "    rules: [{ paths: [/public/], require: nothing }]\n    otherwise: sign-in\n",
        "    rules: [{ paths: [/], networks: [10.0.0.0/8], require: second-factor }]\n    \
         otherwise: nobody\n",
    );
    assert_ne!(config, CONFIG);
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    window.at.get_mut(CRM).unwrap().address = [10, 0, 0, 7].into();
    window.visits(&format!("{CRM}/")).await.signs_in("ada").await;
    assert_eq!(window.here, PORTAL);
    assert!(window.now().at.starts_with("/.doorward/set-up"), "{}", window.now().at);
}

/// A link to an application that refuses whoever follows it only disappoints.
#[tokio::test]
async fn the_home_page_leads_only_where_somebody_may_go() {
    let config = CONFIG.replace(
        "    rules: [{ paths: [/public/], require: nothing }]\n",
        "    rules: [{ paths: [/], only: { users: [bob] }, require: sign-in }]\n",
    );
    assert_ne!(config, CONFIG);
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    gate.knows("bob").await;
    for (name, sees_crm) in [("ada", false), ("bob", true)] {
        let mut window = Window::new(&gate);
        window.visits(&format!("{PORTAL}/.doorward/")).await.signs_in(name).await;
        window.opens("/.doorward/").await;
        let home = &window.now().page;
        assert_eq!(home.contains("https://crm.example.com/"), sees_crm, "{home}");
        // A second factor is still to come there.
        assert!(home.contains("https://wiki.example.com/"), "{home}");
    }
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_link_that_somebody_else_made() {
    let gate = gate();
    gate.knows("ada").await;
    gate.knows("eve").await;
    // Eve asks, and has Ada's browser give out the ticket: it is for Eve's browser, who never sees
    // it, and worth nothing in Ada's.
    let mut eve = Window::new(&gate);
    eve.opens(&format!("{WIKI}/open/")).await;
    let asks = eve.now().location().unwrap();
    let (mut ada, _) = on_its_way(&gate).await;
    ada.opens(&asks).await;
    let ticket = ada.now().location().unwrap();
    is_refused(&mut ada, &ticket).await;
    // And the other way round: Eve's own ticket, opened by Ada.
    let mut eve = Window::new(&gate);
    eve.opens(&format!("{WIKI}/open/")).await;
    eve.follows().await;
    eve.sends(&[("username", "eve"), ("password", PASSWORD)]).await;
    let enter = eve.now().location().unwrap();
    eve.opens(&enter).await;
    let ticket = eve.now().location().unwrap();
    is_refused(&mut Window::new(&gate), &ticket).await;
}

#[tokio::test]
async fn the_portal_leads_to_configured_hosts_only() {
    let gate = gate();
    gate.knows("ada").await;
    let (mut window, _) = on_its_way(&gate).await;
    let mut stranger = Window::new(&gate);
    stranger.opens(&format!("{WIKI}/open/")).await;
    let good = stranger.now().location().unwrap();
    let ask = good.split("ask=").nth(1).unwrap().to_owned();
    for away in [
        "https%3A%2F%2Fevil.test%2F",
        "https%3A%2F%2Fwiki.example.com.evil.test%2F",
        "https%3A%2F%2Fwiki.example.com%40evil.test%2F",
        "https%3A%2F%2Fme%40wiki.example.com%2F",
        "http%3A%2F%2Fwiki.example.com%2F",
        "https%3A%2F%2Fid.example.com%2F",
        "%2F%2Fwiki.example.com%2F",
        "javascript%3Aalert(1)",
        "",
    ] {
        let enter = format!("{PORTAL}/.doorward/enter?return_to={away}&ask={ask}");
        window.opens(&enter).await;
        assert_eq!(window.now().location().as_deref(), Some("/.doorward/"), "{away}");
    }
    // An ask that is forged, or another host's, gets no ticket; that host makes one of its own.
    let to = "https%3A%2F%2Fcrm.example.com%2Fx";
    for ask in ["", "AAAA", &ask] {
        window.opens(&format!("{PORTAL}/.doorward/enter?return_to={to}&ask={ask}")).await;
        assert_eq!(window.now().location().as_deref(), Some("https://crm.example.com/x"));
    }
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookies_there_ends_at_a_page() {
    let gate = gate();
    gate.knows("ada").await;
    let (mut window, ticket) = on_its_way(&gate).await;
    window.at.get_mut(WIKI).unwrap().cookies.clear();
    is_refused(&mut window, &ticket).await;
}

#[tokio::test]
async fn what_is_the_portals_is_looked_for_there_and_scripts_are_told_where() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    for (page, leads) in [
        ("", "https://id.example.com/.doorward/"),
        ("link/abc", "https://id.example.com/.doorward/link/abc"),
        ("nothing", "https://id.example.com/.doorward/nothing"),
    ] {
        window.opens(&format!("{WIKI}/.doorward/{page}")).await;
        assert_eq!(window.now().location().as_deref(), Some(leads));
    }
    let wiki = window.at.get_mut(WIKI).unwrap();
    let json = [("accept", "application/json")];
    wiki.requests(http::Method::GET, "/open/", &json, "".into()).await;
    assert_eq!(wiki.status, StatusCode::UNAUTHORIZED);
    let said: serde_json::Value = serde_json::from_str(&wiki.page).unwrap();
    let url = said["url"].as_str().unwrap().to_owned();
    // A program that opens it is led on like a person; a script on a page is not, for it could not read
    // what is at the portal.
    let step = url.strip_prefix(WIKI).unwrap();
    wiki.requests(http::Method::GET, step, &json, "".into()).await;
    let portal = format!("{PORTAL}/.doorward/sign-in?");
    assert!(wiki.location().is_some_and(|to| to.starts_with(&portal)), "{}", wiki.page);
    wiki.requests(http::Method::GET, "/.doorward/security", &json, "".into()).await;
    assert_eq!(wiki.status, StatusCode::NOT_FOUND, "no step");
    let by_script = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
    wiki.requests(http::Method::GET, step, &by_script, "".into()).await;
    assert_eq!(wiki.status, StatusCode::NOT_FOUND);
    window.visits(&url).await;
    window.signs_in("ada").await;
    // The front page of the wiki asks for more than a sign-in.
    assert_eq!((window.here, window.now().heading().as_str()), (PORTAL, "Set up two-factor"));
}

/// Whoever comes to the portal by a link of the other host's, without that host's word of what it asks.
#[tokio::test]
async fn what_a_place_on_another_host_asks_is_asked_of_its_own_rules() {
    let gate = gate();
    gate.protects("ada").await;
    for (place, trusts) in [("/untrusting/", false), ("/bank/", false), ("/page", true)] {
        let mut window = Window::new(&gate);
        window.visits(&format!("{WIKI}/.doorward/challenge?return_to={place}")).await;
        window.signs_in("ada").await;
        assert_eq!((window.here, window.now().heading().as_str()), (PORTAL, "Enter your code"));
        let offers = window.now().page.contains("name=\"trust_device\"");
        assert_eq!(offers, trusts, "{place}: {}", window.now().page);
    }
}

#[tokio::test]
async fn nobody_is_told_of_hosts_to_which_they_are_not_going() {
    let gate = gate();
    gate.knows("ada").await;
    let mut window = Window::new(&gate);
    let said = |window: &Window| {
        let policy = window.now().headers["content-security-policy"].to_str().unwrap();
        let (_, from) = policy.split_once("form-action ").unwrap();
        (from.split(';').next().unwrap().to_owned(), format!("{policy} {}", window.now().page))
    };
    window.visits(&format!("{CRM}/orders")).await;
    let (leads_to, all) = said(&window);
    assert_eq!(leads_to, format!("'self' {CRM}"));
    assert!(!all.contains("wiki"), "{all}");
    window.visits(&format!("{PORTAL}/.doorward/sign-in")).await;
    let (leads_to, all) = said(&window);
    assert_eq!(leads_to, "'self'");
    assert!(!all.contains("wiki") && !all.contains("crm"), "{all}");
    window.opens(&format!("{CRM}/.doorward/sign-out")).await;
    let (leads_to, all) = said(&window);
    assert_eq!(leads_to, "'none'");
    assert!(!all.contains("wiki"), "{all}");
    // A form that comes back says no more.
    window.visits(&format!("{WIKI}/open/")).await;
    window.sends(&[("username", "ada"), ("password", "wrong")]).await;
    let (leads_to, all) = said(&window);
    assert_eq!(leads_to, format!("'self' {WIKI}"));
    assert!(!all.contains("crm"), "{all}");
}

/// Ada, signed in with her second factor at the portal and at both applications.
async fn everywhere(gate: &Gate) -> (Window, Protected) {
    let ada = gate.protects("ada").await;
    let mut window = Window::new(gate);
    window.visits(&format!("{WIKI}/page")).await;
    window.signs_in("ada").await;
    let code = ada.code(gate);
    window.sends(&[("code", &code)]).await;
    window.follows().await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada");
    assert_eq!(window.now().page, "pwd,otp,mfa");
    window.visits(&format!("{CRM}/")).await;
    assert_eq!(window.reaches(CRM, "/"), "ada");
    assert_eq!(window.now().page, "pwd,otp,mfa");
    gate.waits_for_the_next_code();
    (window, ada)
}

/// What this browser, with the cookies that it had, is let through with.
async fn passes(mut browser: Browser, target: &str) -> Option<String> {
    browser.opens(target).await;
    browser.passed.is_some().then_some(browser.page)
}

impl Window {
    /// Opens a page of the portal and sends its form with a code.
    async fn changes(&mut self, page: &str, code: &str) -> &mut Self {
        self.visits(&format!("{PORTAL}{page}")).await;
        self.sends(&[("code", code)]).await;
        assert_eq!(self.now().status, StatusCode::SEE_OTHER, "{}", self.now().page);
        self
    }

    /// Sets up a new key on this page of the portal.
    async fn sets_up_at(&mut self, gate: &Gate, page: &str, also: &[(&str, &str)]) -> &mut Self {
        self.visits(&format!("{PORTAL}{page}")).await;
        let code = self.now().secret().code_at(gate.now()).expose().to_owned();
        let fields = [&[("code", code.as_str())], also].concat();
        self.sends(&fields).await;
        assert_eq!(self.now().status, StatusCode::SEE_OTHER, "{}", self.now().page);
        self
    }
}

#[tokio::test]
async fn a_factor_that_is_gone_proves_nothing_on_any_host_not_even_of_the_next_one() {
    let gate = gate();
    let (mut window, ada) = everywhere(&gate).await;
    let copy = window.clone();
    window.changes("/.doorward/security/turn-off", &ada.code(&gate)).await;
    assert_eq!(passes(copy.at[WIKI].clone(), "/page").await, None, "two-factor is off");
    assert_eq!(passes(copy.at[CRM].clone(), "/").await.as_deref(), Some("pwd"));
    gate.waits_for_the_next_code();
    window.sets_up_at(&gate, "/.doorward/set-up", &[]).await;
    window.follows().await.sends(&[("saved", "yes")]).await;
    assert_eq!(passes(copy.at[WIKI].clone(), "/page").await, None, "another factor is on");
    assert_eq!(passes(copy.at[CRM].clone(), "/").await, None);
    // Whoever showed the new one is taken there without being asked again.
    window.visits(&format!("{WIKI}/page")).await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada");
    assert_eq!(window.now().page, "pwd,otp,mfa");
}

#[tokio::test]
async fn an_authenticator_that_was_replaced_or_removed_proves_nothing_on_other_hosts() {
    let gate = gate();
    let (mut window, _) = everywhere(&gate).await;
    let copy = window.clone();
    let keeping = [("asked_devices", "yes")];
    window.sets_up_at(&gate, "/.doorward/security/replace", &keeping).await;
    assert_eq!(passes(copy.at[WIKI].clone(), "/page").await, None, "replaced");
    window.visits(&format!("{WIKI}/page")).await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada");
    let replaced = window.clone();

    gate.waits_for_the_next_code();
    window.sets_up_at(&gate, "/.doorward/security/factors/add", &[]).await;
    window.visits(&format!("{PORTAL}/.doorward/security")).await;
    let mark = "/.doorward/security/factors/";
    let page = window.now().page.clone();
    let mut ids = page.split(mark).skip(1).filter_map(|rest| rest.split_once("/remove"));
    let (first, _) = ids.find(|(id, _)| id.len() == 32).unwrap();
    window.visits(&format!("{PORTAL}{mark}{first}/remove")).await;
    window.sends(&[]).await;
    assert_eq!(window.now().status, StatusCode::SEE_OTHER, "{}", window.now().page);
    assert_eq!(passes(replaced.at[WIKI].clone(), "/page").await, None, "removed");
}

#[tokio::test]
async fn codes_of_an_old_set_prove_nothing_on_other_hosts_and_who_made_the_new_ones_sees_them() {
    let gate = gate();
    let ada = gate.protects("ada").await;
    let mut window = Window::new(&gate);
    window.visits(&format!("{WIKI}/page")).await;
    window.signs_in("ada").await;
    window.visits(&format!("{PORTAL}/.doorward/challenge?kind=recovery-code")).await;
    window.sends(&[("code", &ada.recovery_codes[0])]).await;
    window.visits(&format!("{WIKI}/page")).await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada");
    assert_eq!(window.now().page, "pwd,recovery-code,mfa");
    let copy = window.clone();
    window.visits(&format!("{PORTAL}/.doorward/security/recovery-codes/regenerate")).await;
    window.sends(&[]).await.follows().await;
    let codes = window.now().recovery_codes();
    assert_eq!(codes.len(), 12, "{}", window.now().page);
    window.sends(&[("saved", "yes")]).await;
    assert_eq!(passes(copy.at[WIKI].clone(), "/page").await, None);
    window.visits(&format!("{WIKI}/page")).await;
    assert_eq!(window.reaches(WIKI, "/page"), "ada", "who made them need not type one at once");
}

#[tokio::test]
async fn a_ticket_carries_no_proof_of_a_factor_that_is_gone_when_it_is_taken() {
    let gate = gate();
    let (mut window, ada) = everywhere(&gate).await;
    window.at.get_mut(WIKI).unwrap().cookies.remove("__Host-doorward-session");
    let mut late = window.clone();
    late.opens(&format!("{WIKI}/page")).await;
    let enter = late.now().location().unwrap();
    late.opens(&enter).await;
    let ticket = late.now().location().unwrap();
    assert!(ticket.contains("/.doorward/ticket"), "{ticket}");
    window.changes("/.doorward/security/turn-off", &ada.code(&gate)).await;
    gate.waits(Duration::from_secs(1));
    late.opens(&ticket).await;
    let wiki = late.at[WIKI].clone();
    assert!(wiki.session().is_some(), "the user session goes on, so the ticket is valid");
    assert_eq!(passes(wiki.clone(), "/open/").await.as_deref(), Some("pwd"));
    assert_eq!(passes(wiki, "/page").await, None);
}

/// A frame of one application in another's page: that host may show our notice, and is named alone.
#[tokio::test]
async fn our_notice_is_shown_in_a_frame_of_an_application_on_another_host() {
    let gate = gate();
    let mut window = Window::new(&gate);
    let crm = window.at.get_mut(CRM).unwrap();
    for (framing, ancestors) in [
        ("https://wiki.example.com/", "'self' https://wiki.example.com"),
        ("https://wiki.example.com.evil.test/", "'self'"),
        ("https://evil.test/https://wiki.example.com/", "'self'"),
        ("https://crm.example.com/page", "'self'"),
    ] {
        let framed =
            [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), ("referer", framing)];
        crm.requests(http::Method::GET, "/orders", &framed, "".into()).await;
        assert_eq!(crm.heading(), "Please open this in a full window");
        let policy = crm.headers["content-security-policy"].to_str().unwrap();
        let (_, said) = policy.split_once("frame-ancestors ").unwrap();
        assert_eq!(said.split(';').next(), Some(ancestors), "{framing}");
        assert_eq!(crm.headers.contains_key("x-frame-options"), ancestors == "'self'");
    }
}
