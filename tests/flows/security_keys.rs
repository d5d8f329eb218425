//! Security keys, told with a key in software: set up, asked, lost, and forged in every way.

use std::sync::Arc;
use std::time::Duration;

use doorward::domain::event::What;
use doorward::domain::factor::Kind;
use doorward::domain::name::Login;
use doorward::store::memory::Memory;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::gate::{Browser, CONFIG, Gate, Protected, mails};
use crate::support::security_key::{Draft, PRESENT, SoftKey, VERIFIED, options};

const SET_UP: &str = "/.doorward/set-up?kind=security-key&return_to=/page";
const ADD: &str = "/.doorward/security/factors/add?kind=security-key";
const REPLACE: &str = "/.doorward/security/replace?kind=security-key";

/// Somebody whose second factor is this key; the recovery codes.
async fn protects(gate: &Gate, name: &str, key: &mut SoftKey) -> Vec<String> {
    gate.knows(name).await;
    let mut browser = gate.browser();
    browser.signs_in(name).await;
    browser.opens(SET_UP).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.follows().await;
    let codes = browser.recovery_codes();
    browser.sends(&[("saved", "yes")]).await;
    codes
}

/// A browser in which the password was typed, at the challenge.
async fn asked(gate: &Gate, name: &str) -> Browser {
    let mut browser = gate.browser();
    browser.signs_in(name).await.follows().await;
    browser
}

/// The same, where the key was used, too.
async fn inside(gate: &Gate, name: &str, key: &mut SoftKey) -> Browser {
    let mut browser = asked(gate, name).await;
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser
}

async fn refusals(gate: &Gate) -> usize {
    gate.events().await.iter().filter(|what| **what == What::SecondFactorRefused).count()
}

#[tokio::test]
async fn a_key_is_set_up_with_recovery_codes_and_signs_in() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    let codes = protects(&gate, "ada", &mut key).await;
    assert_eq!(codes.len(), 12);
    let mut browser = asked(&gate, "ada").await;
    assert_eq!(browser.heading(), "Use your security key");
    let asks = options(&browser.page);
    assert_eq!(asks["rpId"], "crm.example.com");
    assert_eq!(asks["allowCredentials"][0]["transports"], json!(["usb"]));
    assert_eq!(asks["userVerification"], "preferred");
    let sent = key.signs(&asks);
    browser.sends(&[("code", &sent)]).await;
    browser.follows().await;
    browser.opens("/strict/").await;
    assert_eq!(browser.passed, Some(Some("ada".to_owned())));
    assert_eq!(browser.page, "pwd,hwk,mfa");
    let told = gate.events().await;
    assert!(
        told.contains(&What::TwoFactorOn) && told.contains(&What::FactorShown(Kind::SecurityKey))
    );
}

#[tokio::test]
async fn a_key_that_only_asks_for_a_touch_is_a_second_factor_too() {
    let gate = Gate::new();
    let mut key = SoftKey { flags: PRESENT, ..SoftKey::new(1) };
    protects(&gate, "ada", &mut key).await;
    inside(&gate, "ada", &mut key).await;
    let mut later = asked(&gate, "ada").await;
    let sent = key.signs_as(&options(&later.page), |draft| draft.flags |= VERIFIED);
    later.sends(&[("code", &sent)]).await;
    assert_eq!(later.status, StatusCode::SEE_OTHER, "a PIN that it got later makes it no worse");
}

#[tokio::test]
async fn a_device_is_trusted_after_a_key_and_ends_with_the_key() {
    let gate = Gate::new();
    let (mut first, mut second) = (SoftKey::new(1), SoftKey::new(2));
    protects(&gate, "ada", &mut first).await;
    let mut browser = asked(&gate, "ada").await;
    let sent = first.signs(&options(&browser.page));
    browser.sends(&[("code", &sent), ("trust_device", "yes")]).await;
    browser.follows().await.signs_out().await;
    browser.signs_in("ada").await.follows().await;
    browser.opens("/page").await;
    assert_eq!(browser.page, "pwd,trusted-device");

    let mut elsewhere = inside(&gate, "ada", &mut first).await;
    elsewhere.opens(ADD).await;
    let excluded = options(&elsewhere.page)["excludeCredentials"].as_array().unwrap().len();
    assert_eq!(excluded, 1, "the browser is told of the key that is there");
    let sent = second.is_set_up(&options(&elsewhere.page));
    elsewhere.sends(&[("code", &sent), ("name", "Drawer")]).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER, "{}", elsewhere.page);
    elsewhere.opens("/.doorward/security").await;
    assert!(elsewhere.page.contains("Drawer") && elsewhere.page.contains("Security keys"));
    assert!(elsewhere.page.contains("Stays on one device"));
    let id = elsewhere.page.split("/security/factors/").nth(1).unwrap().split('/').next().unwrap();
    let remove = format!("/.doorward/security/factors/{id}/remove");
    elsewhere.opens(&remove).await.sends(&[]).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER, "{}", elsewhere.page);

    browser.signs_out().await;
    browser.signs_in("ada").await.follows().await;
    assert_eq!(browser.heading(), "Use your security key", "the device was trusted by that key");
    let sent = first.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER, "the removed key");
    let sent = second.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "the other one");
    let told = gate.events().await;
    assert!(told.contains(&What::FactorAdded(Kind::SecurityKey)));
    assert!(told.contains(&What::FactorRemoved(Kind::SecurityKey)));
}

#[tokio::test]
async fn the_last_kind_used_comes_first_and_the_others_are_offered() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    gate.waits(Duration::from_secs(30));
    let mut key = SoftKey::synchronised(1);
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    let mut other = asked(&gate, "ada").await;
    assert_eq!(other.heading(), "Use your security key");
    other.opens("/.doorward/challenge?kind=totp&return_to=/page").await;
    assert!(other.page.contains("Use a security key instead"), "{}", other.page);
    gate.waits(Duration::from_secs(30));
    other.sends(&[("code", &ada.code(&gate))]).await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
    let again = asked(&gate, "ada").await;
    assert_eq!(again.heading(), "Enter your code");
    assert!(again.page.contains("Use a security key instead"));
}

#[tokio::test]
async fn a_key_replaces_everything_and_turns_two_factor_off() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    let mut key = SoftKey::new(1);
    browser.opens(REPLACE).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens("/.doorward/security").await;
    assert!(!browser.page.contains("Authenticator app"), "{}", browser.page);
    assert!(browser.page.contains("you are also asked for a security key"));
    browser.opens("/.doorward/security/turn-off").await;
    let sent = key.signs_as(&options(&browser.page), |draft| draft.flags = 0);
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert!(gate.events().await.contains(&What::TwoFactorOff));
}

#[tokio::test]
async fn an_answer_at_the_challenge_turns_nothing_off_and_one_to_an_older_page_uses_nothing_up() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = inside(&gate, "ada", &mut key).await;
    browser.opens("/.doorward/challenge").await;
    let older = key.signs(&options(&browser.page));
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", &*csrf), ("kind", "security-key"), ("code", &*older)];
    browser.posts("/.doorward/security/turn-off", &fields).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", browser.page);
    browser.opens("/.doorward/security/turn-off").await;
    let asked = options(&browser.page);
    for older in [&older, &key.signs_as(&asked, |draft| draft.challenge = "AAAA".to_owned())] {
        let csrf = browser.field("csrf").unwrap();
        let fields = [("csrf", &*csrf), ("kind", "security-key"), ("code", older)];
        let mut other_tab = browser.clone();
        other_tab.posts("/.doorward/security/turn-off", &fields).await;
        assert_eq!(other_tab.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other_tab.page);
        assert_eq!(options(&other_tab.page)["challenge"], asked["challenge"], "it still waits");
    }
    browser.sends(&[("code", &key.signs(&asked))]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert!(gate.events().await.contains(&What::TwoFactorOff));
}

#[tokio::test]
async fn a_wait_or_a_lock_refuses_codes_but_not_keys() {
    let gate = Gate::new();
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(&gate, "ada", &ada).await;
    gate.waits(Duration::from_secs(30));
    let mut key = SoftKey::new(1);
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    let mut thief = asked(&gate, "ada").await;
    for _ in 0..6 {
        thief.opens("/.doorward/challenge?kind=totp").await;
        thief.sends(&[("code", &ada.wrong_code(&gate))]).await;
    }
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    inside(&gate, "ada", &mut key).await;
}

type Forge = fn(&mut Draft);

/// Every way to forge an answer to a challenge that the browser itself would not send.
const FORGED: [(&str, Forge); 14] = [
    ("another origin", |draft| draft.origin = "https://evil.example.com".into()),
    ("a sub-domain", |draft| draft.origin = "https://a.crm.example.com".into()),
    ("another port", |draft| draft.origin = "https://crm.example.com:8443".into()),
    ("without TLS", |draft| draft.origin = "http://crm.example.com".into()),
    ("another RP ID", |draft| draft.rp_id = "example.com".into()),
    ("a set-up", |draft| draft.kind = "webauthn.create".into()),
    ("a frame", |draft| draft.more = json!({ "crossOrigin": true })),
    ("a page around", |draft| draft.more = json!({ "topOrigin": "https://evil.example.com" })),
    ("no touch", |draft| draft.flags &= !PRESENT),
    ("a copy of what has none", |draft| draft.flags |= 0x10),
    ("a key that can be copied now", |draft| draft.flags |= 0x08),
    ("somebody else's handle", |draft| draft.handle = Some(vec![9; 16])),
    ("something at the end", |draft| draft.tail = vec![0]),
    ("extensions that are none", |draft| draft.flags |= 0x80),
];

#[tokio::test]
async fn every_forged_answer_is_refused_and_told() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    for (n, (name, forge)) in FORGED.iter().enumerate() {
        let mut browser = asked(&gate, "ada").await;
        let sent = key.signs_as(&options(&browser.page), forge);
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(refusals(&gate).await, n + 1, "{name}");
        let sent = key.signs(&options(&browser.page));
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{name}: the true one is accepted");
    }
}

/// Changes bytes of the JSON that the browser sends.
fn altered(sent: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(sent).unwrap();
    change(&mut value);
    value.to_string()
}

fn cut(field: &mut Value) {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(field.as_str().unwrap().as_bytes()).unwrap();
    *field = data_encoding::BASE64URL_NOPAD.encode(&bytes[..bytes.len() - 1]).into();
}

#[tokio::test]
async fn answers_that_are_cut_off_oversized_or_signed_by_others_are_refused_and_told() {
    let gate = Gate::new();
    let (mut key, mut other) = (SoftKey::new(1), SoftKey::new(2));
    protects(&gate, "ada", &mut key).await;
    protects(&gate, "bob", &mut other).await;
    let long = "A".repeat(60_000);
    let mut mallory = SoftKey::new(1);
    mallory.counter = 100;
    let mut expected = 0;
    for name in ["data", "signature", "handle", "client", "long", "nothing", "bob", "mallory"] {
        let mut browser = asked(&gate, "ada").await;
        let asks = options(&browser.page);
        let sent = match name {
            "data" => altered(&key.signs(&asks), |v| cut(&mut v["response"]["authenticatorData"])),
            "signature" => altered(&key.signs(&asks), |v| cut(&mut v["response"]["signature"])),
            "handle" => altered(&key.signs(&asks), |v| cut(&mut v["response"]["userHandle"])),
            "client" => altered(&key.signs(&asks), |v| cut(&mut v["response"]["clientDataJSON"])),
            "long" => {
                altered(&key.signs(&asks), |v| v["response"]["signature"] = long.clone().into())
            }
            "nothing" => "{}".to_owned(),
            "bob" => other.signs(&asks),
            // Another key under the same id.
            _ => mallory.signs(&asks),
        };
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        expected += 1;
        assert_eq!(refusals(&gate).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_challenge_belongs_to_its_session_is_answered_once_and_for_five_minutes() {
    let gate = Gate::new();
    // It has no counter by which an answer would be recognised.
    let mut key = SoftKey::synchronised(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = asked(&gate, "ada").await;
    let elsewhere = asked(&gate, "ada").await;
    let of_another = key.signs(&options(&elsewhere.page));
    browser.sends(&[("code", &of_another)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "another session's challenge");

    let sent = key.signs(&options(&browser.page));
    let mut again = browser.clone();
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    browser.opens("/.doorward/challenge").await;
    again.cookies.clone_from(&browser.cookies);
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "security-key"), ("code", sent.as_str())];
    again.posts("/.doorward/challenge", &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "a replay");

    let mut late = asked(&gate, "ada").await;
    let sent = key.signs(&options(&late.page));
    gate.waits(Duration::from_secs(301));
    let before = refusals(&gate).await;
    late.sends(&[("code", &sent)]).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "too late");
    assert_eq!(refusals(&gate).await, before + 1);
}

#[tokio::test]
async fn of_a_hundred_equal_answers_at_once_one_is_accepted() {
    let gate = Gate::new();
    let mut key = SoftKey::synchronised(1);
    protects(&gate, "ada", &mut key).await;
    let browser = asked(&gate, "ada").await;
    let sent = key.signs(&options(&browser.page));
    let tries = (0..100).map(|_| {
        let (mut browser, sent) = (browser.clone(), sent.clone());
        tokio::spawn(async move { browser.sends(&[("code", &sent)]).await.location() })
    });
    let mut accepted = 0;
    for tried in tries.collect::<Vec<_>>() {
        let to = tried.await.unwrap();
        accepted += usize::from(to.is_some_and(|to| !to.contains("sign-in")));
    }
    assert_eq!(accepted, 1);
    let shown = gate.events().await;
    let shown = shown.iter().filter(|what| **what == What::FactorShown(Kind::SecurityKey)).count();
    assert_eq!(shown, 1);
}

/// Somebody with a key and an authenticator, where messages are sent.
async fn has_both(gate: &Gate, key: &mut SoftKey) -> Protected {
    let ada = gate.protects("ada").await;
    let mut browser = gate.browser();
    browser.signs_in_fully(gate, "ada", &ada).await;
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    gate.waits(Duration::from_mins(2));
    ada
}

#[tokio::test]
async fn answers_of_keys_during_a_lock_tell_of_it_no_second_time() {
    let gate = mails();
    let mut key = SoftKey::new(1);
    let ada = has_both(&gate, &mut key).await;
    let mut thief = asked(&gate, "ada").await;
    while gate.events().await.iter().all(|what| *what != What::Locked) {
        thief.opens("/.doorward/challenge?kind=totp").await;
        thief.sends(&[("code", &ada.wrong_code(&gate))]).await;
        gate.waits(Duration::from_hours(2));
        thief = asked(&gate, "ada").await;
    }
    let (before, notices) = (gate.events().await, gate.messages().await.len());
    for _ in 0..3 {
        thief.opens("/.doorward/challenge?kind=security-key").await;
        let sent = SoftKey::new(1).signs(&options(&thief.page));
        thief.sends(&[("code", &sent)]).await;
        assert_eq!(thief.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let after = gate.events().await;
    for told in [What::Locked, What::CodesGuessed] {
        let times = |events: &[What]| events.iter().filter(|what| **what == told).count();
        assert_eq!(times(&after), times(&before), "{told:?}");
    }
    assert_eq!(gate.messages().await.len(), notices);
    thief.opens("/.doorward/challenge?kind=totp").await;
    assert!(thief.page.contains("a recovery code or a security key."), "{}", thief.page);
}

#[tokio::test]
async fn a_page_that_is_loaded_again_asks_the_same_for_a_minute() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = asked(&gate, "ada").await;
    let first = options(&browser.page)["challenge"].clone();
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/challenge").await;
    assert_eq!(options(&browser.page)["challenge"], first);
    gate.waits(Duration::from_secs(1));
    browser.opens("/.doorward/challenge").await;
    assert_ne!(options(&browser.page)["challenge"], first);
}

#[tokio::test]
async fn the_owner_keeps_a_doubted_key_by_another_factor() {
    let gate = mails();
    let mut key = SoftKey::new(1);
    let ada = has_both(&gate, &mut key).await;
    let mut copy = asked(&gate, "ada").await;
    copy.opens("/.doorward/challenge?kind=security-key").await;
    let sent = key.signs(&options(&copy.page));
    copy.sends(&[("code", &sent)]).await;
    copy.opens("/strict/").await;
    assert_eq!(copy.passed, Some(Some("ada".to_owned())));
    let mut doubted = asked(&gate, "ada").await;
    doubted.opens("/.doorward/challenge?kind=security-key").await;
    let sent = key.signs_as(&options(&doubted.page), |draft| draft.counter = 1);
    doubted.sends(&[("code", &sent)]).await;
    assert!(doubted.page.contains("allow the key again"), "{}", doubted.page);
    copy.opens("/strict/").await;
    assert_eq!(copy.passed, None, "what a doubted key has shown counts no more");
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let user = gate.env.store.user(id).await.unwrap().unwrap().user.clone();
    let app = user.factors().iter().find(|factor| factor.kind() == Kind::Totp).unwrap().id();
    assert!(!user.may_remove_factor(app), "a doubted key is not a factor that is left");
    let keep = |browser: &Browser| {
        let (before, _) = browser.page.split_once("/keep\"").unwrap();
        let id = before.rsplit('/').next().unwrap();
        format!("/.doorward/security/factors/{id}/keep")
    };
    let mut owner = gate.browser();
    owner.signs_in("ada").await;
    owner.opens("/.doorward/challenge?kind=totp").await;
    owner.sends(&[("code", &ada.code(&gate))]).await;
    owner.opens("/.doorward/security").await;
    let keep = keep(&owner);
    doubted.visits(&keep).await;
    assert_ne!(
        doubted.heading(),
        "Allow this security key again?",
        "the key itself does not open this"
    );
    owner.opens(&keep).await;
    assert_eq!(owner.heading(), "Allow this security key again?");
    assert!(owner.page.contains("sessions in other browsers then end"), "{}", owner.page);
    owner.sends(&[]).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
    assert!(gate.events().await.contains(&What::KeyKept));
    copy.opens("/strict/").await;
    assert_eq!(copy.passed, None, "what the copy has shown counts no more");
    owner.opens("/.doorward/security").await;
    assert_eq!(owner.status, StatusCode::OK, "this session goes on");
    gate.mail_to("ada@example.com", "accepted again").await;
    owner.opens(&keep).await;
    assert_eq!(owner.status, StatusCode::NOT_FOUND, "nobody doubts it any more");
    key.counter = 1;
    let mut doubted = asked(&gate, "ada").await;
    doubted.opens("/.doorward/challenge?kind=security-key").await;
    let sent = key.signs(&options(&doubted.page));
    doubted.sends(&[("code", &sent)]).await;
    assert_eq!(doubted.status, StatusCode::SEE_OTHER, "{}", doubted.page);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_set_up_until_it_is_removed_there() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    let ada = has_both(&gate, &mut key).await;
    gate.knows("eve").await;
    let mut eve = gate.browser();
    eve.signs_in("eve").await;
    eve.opens(SET_UP).await;
    // A key of hers that calls itself the same.
    let sent = SoftKey::new(1).is_set_up(&options(&eve.page));
    eve.sends(&[("code", &sent)]).await;
    assert_eq!(eve.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", eve.page);
    assert_eq!(refusals(&gate).await, 1);

    let mut owner = gate.browser();
    owner.signs_in("ada").await;
    owner.opens("/.doorward/challenge?kind=totp").await;
    owner.sends(&[("code", &ada.code(&gate))]).await;
    owner.opens("/.doorward/security/replace?kind=totp").await;
    let code = owner.secret().code_at(gate.now()).expose().to_owned();
    owner.sends(&[("code", &code)]).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
    let sent = SoftKey::new(1).is_set_up(&options(&eve.page));
    eve.sends(&[("code", &sent)]).await;
    assert_eq!(eve.status, StatusCode::SEE_OTHER, "{}", eve.page);
}

#[tokio::test]
async fn of_two_people_who_set_up_one_key_at_once_one_does() {
    let gate = Gate::new();
    let mut doors = Vec::new();
    for name in ["ada", "eve"] {
        gate.knows(name).await;
        let mut browser = gate.browser();
        browser.signs_in(name).await;
        browser.opens(SET_UP).await;
        let sent = SoftKey::new(1).is_set_up(&options(&browser.page));
        doors.push(tokio::spawn(async move {
            browser.sends(&[("code", &sent)]).await;
            browser.status
        }));
    }
    let mut set_up = 0;
    for door in doors {
        set_up += usize::from(door.await.unwrap() == StatusCode::SEE_OTHER);
    }
    assert_eq!(set_up, 1);
}

#[tokio::test]
async fn set_ups_that_come_too_late_or_are_too_many_are_told() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(SET_UP).await;
    let mut key = SoftKey::new(1);
    let sent = key.is_set_up(&options(&browser.page));
    gate.waits(Duration::from_secs(301));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!((browser.status, refusals(&gate).await), (StatusCode::UNPROCESSABLE_ENTITY, 1));
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.follows().await.sends(&[("saved", "yes")]).await;

    browser.opens(ADD).await;
    let sent = SoftKey::new(2).is_set_up(&options(&browser.page));
    gate.waits(Duration::from_secs(301));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!((browser.status, refusals(&gate).await), (StatusCode::UNPROCESSABLE_ENTITY, 2));
    for id in 2..=21 {
        browser.opens(ADD).await;
        let sent = SoftKey::new(id).is_set_up(&options(&browser.page));
        browser.sends(&[("code", &sent)]).await;
    }
    assert_eq!((browser.status, refusals(&gate).await), (StatusCode::UNPROCESSABLE_ENTITY, 3));
}

#[tokio::test]
async fn a_counter_that_goes_back_ends_a_key_and_its_owner_is_told_once() {
    let gate = Gate::configured(
        &format!(
            "{CONFIG}mail: {{ server: '127.0.0.1:9', tls: none, from: a@example.com }}\nset_up: {{ proof: none }}\n"
        ),
        Arc::new(Memory::new()),
    );
    let mut key = SoftKey::new(1);
    let codes = protects(&gate, "ada", &mut key).await;
    inside(&gate, "ada", &mut key).await;
    for _ in 0..2 {
        gate.waits(Duration::from_secs(1));
        let mut browser = asked(&gate, "ada").await;
        let sent = key.signs_as(&options(&browser.page), |draft| draft.counter = 1);
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(browser.page.contains("no longer accepted"), "{}", browser.page);
    }
    gate.waits(Duration::from_secs(1));
    let mut browser = asked(&gate, "ada").await;
    let sent = key.signs(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "the true one, too");
    let doubted = |what: &&What| **what == What::KeyDoubted;
    assert_eq!(gate.events().await.iter().filter(doubted).count(), 1);
    gate.mail_to("ada@example.com", "behaved as if there were a copy").await;
    browser.opens("/.doorward/challenge?kind=recovery-code&return_to=/.doorward/security").await;
    browser.sends(&[("code", &codes[0])]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    browser.opens("/.doorward/security").await;
    assert!(browser.page.contains("No longer accepted: it may have been copied"));
}

#[tokio::test]
async fn every_forged_set_up_is_refused_and_told() {
    let gate = Gate::new();
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    let forged: [(&str, Forge); 13] = [
        ("another origin", |draft| draft.origin = "https://evil.example.com".into()),
        ("a sub-domain", |draft| draft.origin = "https://a.crm.example.com".into()),
        ("another RP ID", |draft| draft.rp_id = "example.com".into()),
        ("a challenge", |draft| draft.kind = "webauthn.get".into()),
        ("another challenge", |draft| draft.challenge = "AAAA".into()),
        ("a frame", |draft| draft.more = json!({ "crossOrigin": true })),
        ("no touch", |draft| draft.flags &= !PRESENT),
        ("no key", |draft| draft.flags &= !0x40),
        ("a copy of what has none", |draft| draft.flags |= 0x10),
        // EdDSA, which was not asked for.
        ("another algorithm", |draft| draft.cose[4] = 0x27),
        ("a point that is none", |draft| draft.cose[15] ^= 1),
        ("something at the end", |draft| draft.tail = vec![0]),
        ("an id that is too long", |draft| draft.credential = vec![1; 1024]),
    ];
    for (n, (name, forge)) in forged.into_iter().enumerate() {
        browser.opens(SET_UP).await;
        let sent = SoftKey::new(1).is_set_up_as(&options(&browser.page), forge);
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(refusals(&gate).await, n + 1, "{name}");
    }
    let mut key = SoftKey::new(1);
    let sent = altered(&key.is_set_up(&options(&browser.page)), |value| {
        cut(&mut value["response"]["attestationObject"]);
    });
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "cut off");
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "the true one");
}

#[tokio::test]
async fn a_key_is_set_up_once_and_twenty_at_most() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = inside(&gate, "ada", &mut key).await;
    browser.opens(ADD).await;
    let sent = key.is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "the same key again");
    for id in 2..=21 {
        browser.opens(ADD).await;
        let sent = SoftKey::new(id).is_set_up(&options(&browser.page));
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status == StatusCode::SEE_OTHER, id <= 20, "{id}");
    }
    assert!(browser.page.contains("maximum number of security keys"));
}

#[tokio::test]
async fn forged_answers_are_counted_by_the_address_they_come_from() {
    let gate = Gate::taking(3);
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    gate.waits(Duration::from_mins(2));
    let mut thief = asked(&gate, "ada").await;
    for _ in 0..3 {
        let sent = SoftKey::new(1).signs(&options(&thief.page));
        thief.sends(&[("code", &sent)]).await;
    }
    let sent = key.signs(&options(&thief.page));
    thief.sends(&[("code", &sent)]).await;
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    inside(&gate, "ada", &mut key).await;
}

#[tokio::test]
async fn forged_answers_keep_out_neither_passwords_nor_a_known_browser_at_the_same_address() {
    let gate = Gate::taking(3);
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut owner = inside(&gate, "ada", &mut key).await;
    owner.signs_out().await;
    gate.waits(Duration::from_mins(2));
    let mut thief = asked(&gate, "ada").await;
    thief.address = owner.address;
    for _ in 0..4 {
        let sent = SoftKey::new(1).signs(&options(&thief.page));
        thief.sends(&[("code", &sent)]).await;
    }
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    owner.visits("/strict/").await;
    let sent = key.signs(&options(&owner.page));
    owner.sends_passkey(&sent).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
    owner.signs_out().await.signs_in("ada").await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "passwords are counted apart");
    for _ in 0..8 {
        owner.opens("/.doorward/challenge").await;
        let sent = key.signs(&options(&owner.page));
        owner.sends(&[("code", &sent)]).await;
        assert_eq!(owner.status, StatusCode::SEE_OTHER, "what is right is given back");
    }
}

#[tokio::test]
async fn forged_answers_of_strangers_at_an_address_keep_nobody_out_who_has_shown_a_password() {
    let gate = Gate::taking(3);
    let (mut key, mut other) = (SoftKey::new(1), SoftKey::new(2));
    protects(&gate, "ada", &mut key).await;
    protects(&gate, "bob", &mut other).await;
    gate.waits(Duration::from_mins(2));
    let mut stranger = gate.browser();
    let address = stranger.address;
    for _ in 0..4 {
        stranger.visits("/strict/").await;
        let sent = SoftKey::new(1).signs(&options(&stranger.page));
        stranger.sends_passkey(&sent).await;
    }
    assert_eq!(stranger.status, StatusCode::TOO_MANY_REQUESTS);
    let mut thief = asked(&gate, "bob").await;
    thief.address = address;
    for _ in 0..4 {
        let sent = SoftKey::new(2).signs(&options(&thief.page));
        thief.sends(&[("code", &sent)]).await;
    }
    assert_eq!(thief.status, StatusCode::TOO_MANY_REQUESTS);
    let mut owner = asked(&gate, "ada").await;
    owner.address = address;
    let sent = key.signs(&options(&owner.page));
    owner.sends(&[("code", &sent)]).await;
    assert_eq!(owner.status, StatusCode::SEE_OTHER, "{}", owner.page);
}

#[tokio::test]
async fn the_operator_says_which_kinds_people_may_set_up() {
    let config = format!("{CONFIG}second_factor: {{ kinds: [totp] }}\n");
    let gate = Gate::configured(&config, Arc::new(Memory::new()));
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens(SET_UP).await;
    assert!(!browser.page.contains("data-options"), "{}", browser.page);
    let csrf = browser.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("kind", "security-key"), ("code", "{}")];
    browser.posts("/.doorward/set-up", &fields).await;
    assert_ne!(browser.status, StatusCode::SEE_OTHER);
    assert!(browser.page.contains("id=\"secret\""), "{}", browser.page);
}

#[tokio::test]
async fn the_browser_is_told_of_the_keys_after_a_change_and_at_no_other_time() {
    let gate = Gate::new();
    let mut key = SoftKey::new(1);
    protects(&gate, "ada", &mut key).await;
    let mut browser = inside(&gate, "ada", &mut key).await;
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/security").await;
    assert!(!browser.page.contains("data-known-keys"), "{}", browser.page);
    browser.opens(ADD).await;
    let sent = SoftKey::new(2).is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await.follows().await;
    assert!(browser.page.contains("data-known-keys"), "{}", browser.page);
    gate.waits(Duration::from_mins(1));
    browser.opens("/.doorward/security").await;
    assert!(!browser.page.contains("data-known-keys"), "{}", browser.page);
}

#[tokio::test]
async fn pages_may_use_keys_and_nothing_else_of_the_browser() {
    let gate = Gate::new();
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in").await;
    let policy = browser.headers["permissions-policy"].to_str().unwrap();
    assert!(policy.contains("publickey-credentials-get=(self)"), "{policy}");
    assert!(policy.contains("publickey-credentials-create=(self)"), "{policy}");
    assert!(policy.contains("camera=()"), "{policy}");
}
