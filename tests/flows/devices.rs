//! Trusted devices: what is listed, and what becomes of one that is trusted no longer.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::store::Records;
use doorward::store::redb::{Options, Redb};
use http::StatusCode;

use crate::support::gate::{Browser, Gate, PASSWORD, Protected};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0";
const SAFARI: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604";
const DEVICE: &str = "__Host-doorward-device";

/// A browser of Ada's that is trusted, and in which she has signed in again by that trust.
async fn trusted(gate: &Gate, ada: &Protected, agent: &'static str) -> Browser {
    let mut browser = gate.browser();
    browser.agent = Some(agent);
    browser.signs_in("ada").await.follows().await;
    browser.sends(&[("code", &ada.code(gate)), ("trust_device", "yes")]).await;
    browser.signs_out().await;
    browser.signs_in("ada").await;
    assert!(browser.visits("/strict/").await.passed.is_some());
    gate.waits_for_the_next_code();
    browser
}

fn is_challenged(browser: &Browser) -> bool {
    browser.location().is_some_and(|at| at.starts_with("/.doorward/challenge"))
}

#[tokio::test]
async fn devices_are_listed_by_browser_system_place_and_time_and_this_one_is_marked() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let phone = trusted(&gate, &ada, SAFARI).await;
    gate.waits(Duration::from_hours(24));
    let mut desk = trusted(&gate, &ada, FIREFOX).await;
    desk.opens("/.doorward/security").await;
    assert_eq!(desk.listed("devices").len(), 2);
    for said in [
        "<b>Firefox on Windows</b> <span class=\"mark\">This device</span>",
        "<b>Safari on iPhone</b>\n",
        &format!("from <bdi>{}</bdi>", phone.address),
        "<time datetime=\"2027-01-16T08:01Z\">16 January 2027, 08:01 UTC</time>",
        "Trusted until <time datetime=\"2027-02-15T08:01Z\">15 February 2027, 08:01 UTC</time>",
    ] {
        assert!(desk.page.contains(said), "{said}: {}", desk.page);
    }

    let mut nobody = gate.browser();
    nobody.signs_in_fully(&gate, "ada", &ada).await;
    nobody.opens("/.doorward/security").await;
    assert!(!nobody.page.contains("This device</span>"));
    gate.waits(Duration::from_hours(31 * 24));
    gate.waits_for_the_next_code();
    nobody.signs_out().await;
    nobody.signs_in_fully(&gate, "ada", &ada).await;
    nobody.opens("/.doorward/security").await;
    assert!(nobody.page.contains("None. You need a code"), "their time is over");
}

#[tokio::test]
async fn a_revoked_device_is_challenged_at_its_next_request_and_another_is_not() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut phone = trusted(&gate, &ada, SAFARI).await;
    let mut desk = trusted(&gate, &ada, FIREFOX).await;
    let open = phone.keeps_open("/strict/").await;
    assert!(phone.may_go_on(&open).await);

    let ids = desk.opens("/.doorward/security").await.listed("devices");
    desk.does(&format!("devices/{}/revoke", ids[1])).await;
    assert_eq!(desk.location().as_deref(), Some("/.doorward/security#devices"));
    assert!(!phone.may_go_on(&open).await);
    for place in ["/strict/", "/", "/.doorward/security"] {
        assert!(is_challenged(phone.opens(place).await), "{place}");
    }
    phone.signs_out().await;
    assert!(is_challenged(phone.signs_in("ada").await), "nor does its cookie help");
    assert!(desk.visits("/strict/").await.passed.is_some());
    assert!(gate.events().await.contains(&What::DeviceRevoked));

    // This one as well, from here.
    desk.does(&format!("devices/{}/revoke", ids[0])).await;
    assert!(is_challenged(desk.opens("/").await));
}

#[tokio::test]
async fn all_devices_can_be_revoked_at_once() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut phone = trusted(&gate, &ada, SAFARI).await;
    let mut desk = trusted(&gate, &ada, FIREFOX).await;
    desk.does("devices/revoke-all").await;
    assert_eq!(desk.status, StatusCode::SEE_OTHER);
    assert!(is_challenged(phone.opens("/").await) && is_challenged(desk.opens("/").await));
    assert!(gate.events().await.contains(&What::DevicesRevoked));
    desk.signs_out().await;
    desk.signs_in_fully(&gate, "ada", &ada).await;
    desk.does("devices/revoke-all").await;
    let told = gate.events().await;
    let told = told.iter().filter(|event| **event == What::DevicesRevoked).count();
    assert_eq!(told, 1, "there was none to revoke");
}

#[tokio::test]
async fn nobody_revokes_the_device_of_another() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut phone = trusted(&gate, &ada, SAFARI).await;
    let bob = gate.protects("bob").await;
    let mut mallory = gate.browser();
    mallory.signs_in_fully(&gate, "bob", &bob).await;
    let id = phone.opens("/.doorward/security").await.listed("devices").remove(0);
    for id in [id.as_str(), "x", "0"] {
        mallory.does(&format!("devices/{id}/revoke")).await;
        assert_eq!(mallory.location().as_deref(), Some("/.doorward/security#devices"));
    }
    assert!(phone.visits("/strict/").await.passed.is_some());
    assert!(!gate.events().await.contains(&What::DeviceRevoked));
}

#[tokio::test]
async fn an_action_that_was_not_asked_for_here_is_not_done_and_says_so() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut phone = trusted(&gate, &ada, SAFARI).await;
    let id = phone.opens("/.doorward/security").await.listed("devices").remove(0);
    for operation in [format!("devices/{id}/revoke"), "devices/revoke-all".to_owned()] {
        phone.posts(&format!("/.doorward/security/{operation}"), &[("csrf", "guessed")]).await;
        assert_eq!(phone.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(phone.page.contains("role=\"alert\""), "{}", phone.page);
        assert_eq!(phone.listed("devices"), [id.as_str()]);
    }
}

#[tokio::test]
async fn a_copied_device_dies_at_the_second_use_of_owner_or_copy_and_the_owner_is_told() {
    for owner_finds_out in [true, false] {
        let gate = Gate::new();
        let ada = gate.protects("ada").await;
        let mut owner = trusted(&gate, &ada, SAFARI).await;
        let mut thief = gate.browser();
        thief.cookies.insert(DEVICE.to_owned(), owner.cookies[DEVICE].clone());
        let (first, second) =
            if owner_finds_out { (&mut thief, &mut owner) } else { (&mut owner, &mut thief) };
        // Two uses of the one, more than a minute apart: then the number of the other is void.
        for _ in 0..2 {
            assert!(!is_challenged(first.signs_out().await.signs_in("ada").await));
            gate.waits(Duration::from_secs(61));
        }
        let open = first.keeps_open("/").await;
        assert!(is_challenged(second.signs_out().await.signs_in("ada").await));
        assert!(!first.may_go_on(&open).await, "what rests on the device ends with it");
        assert!(is_challenged(first.opens("/").await));
        assert_eq!(gate.events().await.iter().filter(|e| **e == What::DeviceCopied).count(), 1);

        let mut desk = gate.browser();
        desk.signs_in_fully(&gate, "ada", &ada).await;
        desk.opens("/.doorward/security").await;
        assert!(desk.page.contains("so it was copied"), "{}", desk.page);
        assert!(desk.listed("devices").is_empty());
    }
}

#[tokio::test]
async fn sign_ins_side_by_side_and_a_lost_answer_raise_no_alarm() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = trusted(&gate, &ada, FIREFOX).await;
    browser.signs_out().await;
    // Two windows of one browser send the same number at once.
    let (mut one, mut two) = (browser.clone(), browser.clone());
    one.opens("/.doorward/sign-in").await;
    two.opens("/.doorward/sign-in").await;
    let typed = [("username", "ada"), ("password", PASSWORD)];
    tokio::join!(one.sends(&typed), two.sends(&typed));
    assert!(!is_challenged(&one) && !is_challenged(&two));
    assert_eq!(one.cookies[DEVICE], two.cookies[DEVICE], "both get the same next one");
    // An answer is lost, and minutes later the browser still has the number of before.
    let before = one.cookies.clone();
    one.signs_out().await.signs_in("ada").await;
    one.cookies = before;
    gate.waits(Duration::from_mins(10));
    assert!(!is_challenged(one.signs_in("ada").await));
    assert!(!gate.events().await.contains(&What::DeviceCopied));
}

#[test]
fn what_was_revoked_is_revoked_over_a_reopened_store_too() {
    let state = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Records> {
        let file = state.path().join("store.redb");
        Arc::new(Redb::open(&file, Options { cache: 1 << 20, ..Options::default() }).unwrap())
    };
    let (later, [phone, cafe, desk, home]) = lives(async {
        let gate = Gate::over(open());
        let ada = gate.protects("ada").await;
        let mut phone = trusted(&gate, &ada, SAFARI).await;
        let desk = trusted(&gate, &ada, FIREFOX).await;
        let mut cafe = gate.browser();
        cafe.signs_in_fully(&gate, "ada", &ada).await;
        gate.waits_for_the_next_code();
        let mut home = gate.browser();
        home.signs_in_fully(&gate, "ada", &ada).await;
        // Listed by last use: the phone was trusted first.
        let device = phone.opens("/.doorward/security").await.listed("devices").remove(1);
        let session = cafe.opens("/.doorward/security").await.listed("sessions").remove(0);
        home.does(&format!("devices/{device}/revoke")).await;
        home.does(&format!("sessions/{session}/end")).await;
        let later = gate.now().since(crate::support::gate::START).unwrap();
        (later, [phone, cafe, desk, home].map(|browser| browser.cookies))
    });
    lives(async {
        let gate = Gate::over(open());
        gate.waits(later);
        let browser = |cookies| {
            let mut browser = gate.browser();
            browser.cookies = cookies;
            browser
        };
        assert!(is_challenged(browser(phone).opens("/").await));
        assert_eq!(browser(cafe).visits("/").await.heading(), "Sign in");
        for cookies in [desk, home] {
            assert!(browser(cookies).opens("/strict/").await.passed.is_some(), "those were kept");
        }
    });
}

/// One life of a process: when it is over, nothing of it holds the store.
fn lives<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}
