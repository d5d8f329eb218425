//! What the challenge says of the place ahead, held against what that place does.

use std::net::IpAddr;
use std::sync::Arc;

use doorward::store::memory::Memory;
use http::{Method, StatusCode};
use rstest::rstest;

use crate::support::gate::{Browser, CONFIG, Gate, Protected};

const APP: &str = "
listen: [{ address: 127.0.0.1:0 }]
state: /nowhere
trusted_proxies: [10.0.0.1]
apps:
  - name: crm
    hosts: [https://crm.example.com]
    upstream: http://127.0.0.1:9
    rules:
      - { paths: [/office/], networks: [10.0.0.0/8], require: sign-in }
      - { paths: [/office/], require: { second_factor: { within: 5m } } }
      - { paths: [/staff/], groups: [staff], require: { second_factor: { trusted_device: false } } }
      - { paths: [/form/], methods: [POST], require: { second_factor: { within: 5m } } }
      - { paths: [/watched/], require: { second_factor: { within: 5m } }, enforce: false }
      - paths: [/]
        query: { action: [delete] }
        require: { second_factor: { trusted_device: false } }
    otherwise: sign-in
";

const OFFICE: [u8; 4] = [10, 1, 2, 3];
const HOME: [u8; 4] = [203, 0, 113, 9];

/// Somebody on their trusted device.
async fn trusted(gate: &Gate) -> (Browser, Protected) {
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.follows().await;
    browser.sends(&[("code", &ada.code(gate)), ("trust_device", "yes")]).await;
    gate.waits_for_the_next_code();
    browser.signs_out().await;
    browser.signs_in("ada").await;
    (browser, ada)
}

const OFFER: &str = "name=\"trust_device\"";
const AGAIN: &str = "for this page you must show your second factor again";

/// Whether this place takes a trusted device, and what the challenge says of that to whoever comes
/// without, and with one.
#[rstest]
#[case::inside("/office/", OFFICE, None, true)]
#[case::outside("/office/", HOME, None, false)]
#[case::inside_behind_a_proxy("/office/", OFFICE, Some(true), true)]
#[case::outside_behind_a_proxy("/office/", HOME, Some(true), false)]
#[case::nobody_knows_where("/office/", HOME, Some(false), false)]
#[case::a_group_that_is_known_later("/staff/a", HOME, None, false)]
#[case::an_odd_spelling("/%6Fffice/", HOME, None, false)]
#[case::an_odder_spelling("/x/..%2foffice/", HOME, None, false)]
#[case::a_query("/page?action=delete", HOME, None, false)]
#[case::an_odd_query("/page?a%63tion=delete", HOME, None, false)]
#[case::another_query("/page?action=view", HOME, None, true)]
#[case::a_get("/form/", HOME, None, true)]
#[case::another_method_by_the_query("/form/?_method=POST", HOME, None, false)]
#[case::watched("/watched/", HOME, None, true)]
#[tokio::test]
async fn the_challenge_promises_what_the_place_ahead_does(
    #[case] place: &str,
    #[case] address: [u8; 4],
    #[case] proxy_says: Option<bool>,
    #[case] takes_trusted_devices: bool,
) {
    let gate = Gate::configured(APP, Arc::new(Memory::new()));
    let (mut browser, _) = trusted(&gate).await;
    let mut newcomer = gate.browser();
    for browser in [&mut browser, &mut newcomer] {
        browser.address = address.into();
        browser.proxy = proxy_says.map(|says| (IpAddr::from([10, 0, 0, 1]), says));
    }

    browser.opens(place).await;
    assert_eq!(browser.passed.is_some(), takes_trusted_devices, "{}", browser.page);
    if !takes_trusted_devices {
        browser.follows().await;
        assert!(browser.page.contains(AGAIN), "{}", browser.page);
        assert!(!browser.page.contains(OFFER), "{}", browser.page);
    }

    newcomer.signs_in("ada").await;
    newcomer.visits(place).await;
    assert_eq!(newcomer.heading(), "Enter your code");
    assert_eq!(newcomer.page.contains(OFFER), takes_trusted_devices, "{}", newcomer.page);
}

#[tokio::test]
async fn what_is_asked_of_a_form_that_was_not_sent_is_asked_of_a_form() {
    let gate = Gate::configured(APP, Arc::new(Memory::new()));
    let (mut browser, ada) = trusted(&gate).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    browser.requests(Method::POST, "/form/", &form, "a=b".into()).await;
    assert_eq!(browser.heading(), "Your data was not sent");
    let (_, way) = browser.page.split_once("<p class=\"way\"><a class=\"button\" href=\"").unwrap();
    let way = way.split('"').next().unwrap().replace("&#38;", "&");
    browser.opens(&way).await;
    assert!(browser.page.contains(AGAIN), "{}", browser.page);
    assert!(!browser.page.contains(OFFER), "{}", browser.page);
    browser.sends(&[("code", &ada.wrong_code(&gate))]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(browser.page.contains(AGAIN) && !browser.page.contains(OFFER), "{}", browser.page);
    let (_, switch) = browser.page.split_once("href=\"/.doorward/challenge?kind=").unwrap();
    let switch = switch.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    browser.opens(&format!("/.doorward/challenge?kind={switch}")).await;
    assert!(browser.page.contains(AGAIN) && !browser.page.contains(OFFER), "{}", browser.page);
    browser.sends(&[("kind", "totp"), ("code", &ada.code(&gate))]).await;
    assert_eq!(browser.location().as_deref(), Some("/form/"));
    browser.requests(Method::POST, "/form/", &form, "a=b".into()).await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
}

#[tokio::test]
async fn a_place_that_only_others_may_enter_promises_nothing_of_its_own() {
    let gate = Gate::configured(CONFIG, Arc::new(Memory::new()));
    let (mut browser, _) = trusted(&gate).await;
    browser.opens("/.doorward/challenge?return_to=/closed/").await;
    assert!(!browser.page.contains(AGAIN), "{}", browser.page);
}
