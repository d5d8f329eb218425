//! An operator who accepts only some keys: their makers must attest them.

use std::fs;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use doorward::domain::event::What;
use doorward::store::memory::Memory;
use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::gate::{Browser, CONFIG, Gate};
use crate::support::security_key::{Maker, SoftKey, options};

/// The model that keys in software say that they are.
const MODEL: &str = "07070707-0707-0707-0707-070707070707";
const YUBIKEY: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

/// A gateway that accepts keys of these models from these makers.
fn accepting(models: &[&str], makers: &[&Maker]) -> (Gate, TempDir) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.pem");
    let authorities: Vec<&str> = makers.iter().map(|maker| &*maker.authority).collect();
    fs::write(&file, authorities.concat()).unwrap();
    let models = match models {
        [] => String::new(),
        models => format!("aaguids: [{}], ", models.join(", ")),
    };
    let only = format!("{{ {models}authorities: {} }}", file.display());
    let keys = format!("second_factor: {{ security_keys: {{ only: {only} }} }}\n");
    let gate = Gate::configured(&format!("{CONFIG}{keys}"), Arc::new(Memory::new()));
    (gate, home)
}

async fn at_set_up(gate: &Gate) -> Browser {
    gate.knows("ada").await;
    let mut browser = gate.browser();
    browser.signs_in("ada").await;
    browser.opens("/.doorward/set-up?kind=security-key&return_to=/page").await;
    browser
}

/// The set-up of a key in another format (WebAuthn §6.5.4): `format` as CBOR.
fn attested_as(sent: &str, format: &[u8]) -> String {
    let mut sent: Value = serde_json::from_str(sent).unwrap();
    let attestation = &mut sent["response"]["attestationObject"];
    let bytes = BASE64URL_NOPAD.decode(attestation.as_str().unwrap().as_bytes()).unwrap();
    let rest = bytes.strip_prefix(b"\xa3\x63fmt\x64none").unwrap();
    let bytes = [&b"\xa3\x63fmt"[..], format, rest].concat();
    *attestation = BASE64URL_NOPAD.encode(&bytes).into();
    sent.to_string()
}

#[tokio::test]
async fn a_key_is_accepted_that_its_maker_attests_and_no_other() {
    let (maker, other) = (Maker::new(), Maker::new());
    let (gate, _home) = accepting(&[MODEL, YUBIKEY], &[&maker]);
    let mut browser = at_set_up(&gate).await;
    let asks = options(&browser.page);
    assert_eq!(asks["attestation"], "direct");
    let (_, named) = browser.page.split_once("Only these keys are accepted here").unwrap();
    let yubikey = format!("YubiKey 5 with NFC ({YUBIKEY})");
    assert!(named.contains(&yubikey) && named.contains(MODEL), "{named}");
    for name in ["not attested", "attested by another", "by an unknown format", "by no statement"] {
        let mut key = SoftKey::new(1);
        let asks = options(&browser.page);
        let sent = match name {
            "not attested" => key.is_set_up(&asks),
            "by an unknown format" => attested_as(&key.is_set_up(&asks), b"\x64pear"),
            "by no statement" => attested_as(&key.is_set_up(&asks), b"\x65apple"),
            _ => key.is_set_up_by(&asks, &other),
        };
        browser.sends(&[("code", &sent)]).await;
        assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert!(browser.page.contains("not one of those that are accepted here"), "{name}");
        assert!(browser.page.contains("Use one of the models listed above"), "{name}");
        assert!(browser.page.contains("Only these keys are accepted here"), "{name}");
    }
    let refused = gate.events().await;
    assert_eq!(refused.iter().filter(|what| **what == What::SecondFactorRefused).count(), 4);
    let sent = SoftKey::new(1).is_set_up_by(&options(&browser.page), &maker);
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);

    browser.follows().await.sends(&[("saved", "yes")]).await;
    browser.opens("/.doorward/security/factors/add?kind=security-key").await;
    let sent = SoftKey::new(2).is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY, "a further one");
    assert!(browser.page.contains("not one of those that are accepted here"), "{}", browser.page);
}

#[tokio::test]
async fn a_key_of_another_model_is_refused_whoever_attests_it() {
    let maker = Maker::new();
    let (gate, _home) = accepting(&[YUBIKEY], &[&maker]);
    let mut browser = at_set_up(&gate).await;
    let sent = SoftKey::new(1).is_set_up_by(&options(&browser.page), &maker);
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(browser.page.contains("not one of those that are accepted here"), "{}", browser.page);
}

#[tokio::test]
async fn without_models_every_key_of_these_makers_is_accepted() {
    let (maker, other) = (Maker::new(), Maker::new());
    let (gate, _home) = accepting(&[], &[&other, &maker]);
    let mut browser = at_set_up(&gate).await;
    assert!(
        browser.page.contains("Only certain security keys are accepted here"),
        "{}",
        browser.page
    );
    let sent = SoftKey::new(1).is_set_up(&options(&browser.page));
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        browser.page.contains("Ask your administrator which security keys"),
        "{}",
        browser.page
    );
    let sent = SoftKey::new(1).is_set_up_by(&options(&browser.page), &maker);
    browser.sends(&[("code", &sent)]).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}
