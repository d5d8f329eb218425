//! Answers of security keys that were altered anywhere: none makes us panic, and none is accepted.

use doorward::domain::factor::security_key::New;
use doorward::domain::factor::totp::Skew;
use doorward::domain::factor::{Answer, Begun, Factor, Settings};
use doorward::domain::time::Timestamp;
use doorward::domain::user::UserId;
use doorward::identity::webauthn::Verifier;
use doorward::identity::{Assertion, Held, Registration, SecurityKeys};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::checks::{self, CHALLENGE, party};
use crate::support::security_key::SoftKey;

/// What is done to some bytes.
#[derive(Clone, Debug)]
enum Change {
    /// One of them is another one.
    Sets(prop::sample::Index, u8),
    /// They end earlier.
    Cuts(prop::sample::Index),
    /// Others stand between them.
    Inserts(prop::sample::Index, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<prop::sample::Index>;
    let one = prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Sets(at, byte)),
        1 => place().prop_map(Change::Cuts),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Change::Inserts(at, bytes)),
    ];
    prop::collection::vec(one, 1..4)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        match change {
            Change::Sets(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Sets(..) => {}
            Change::Cuts(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Change::Inserts(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
    bytes
}

const USER: [u8; 16] = [3; 16];

/// A key that was set up, its true answer to a set-up, and one to a challenge.
fn answers() -> (Factor, String, String) {
    let challenge = data_encoding::BASE64URL_NOPAD.encode(&CHALLENGE);
    let user = data_encoding::BASE64URL_NOPAD.encode(&USER);
    let options: Value =
        json!({ "challenge": challenge, "rp": { "id": party().id }, "user": { "id": user } });
    let mut key = SoftKey::new(1);
    let set_up = key.is_set_up(&options);
    let new: New = Verifier::default()
        .set_up(&party(), &CHALLENGE.into(), &Registration::read(&set_up).unwrap())
        .unwrap();
    let settings = Settings { skew: Skew::default(), recovery_codes: 12 };
    let factor = Begun::SecurityKey(CHALLENGE.into())
        .finish([2; 16].into(), &Answer::NewSecurityKey(new), settings, Timestamp::default())
        .unwrap();
    let shown = key.signs(&json!({ "challenge": challenge, "rpId": party().id }));
    (factor, set_up, shown)
}

fn is_accepted(factor: &Factor, sent: &Assertion) -> bool {
    let (user, key) = (UserId::from(USER), factor.security_key().unwrap());
    let held = Held { user, factor: factor.id(), key };
    Verifier::default().shown(&party(), &CHALLENGE.into(), &held, sent).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_read_or_not(text in ".{0,400}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for input in [text.as_bytes(), &bytes] {
            checks::registration(input);
            checks::assertion(input);
        }
    }

    #[test]
    fn an_answer_that_was_altered_as_text_is_none(changes in changes()) {
        let (factor, set_up, shown) = answers();
        checks::registration(&changed(set_up.as_bytes(), &changes));
        let altered = String::from_utf8_lossy(&changed(shown.as_bytes(), &changes)).into_owned();
        if let Some(sent) = Assertion::read(&altered) {
            let whole = Assertion::read(&shown).unwrap();
            let is_same = sent.client_data == whole.client_data
                && sent.authenticator_data == whole.authenticator_data
                && sent.signature == whole.signature;
            prop_assert!(is_same || !is_accepted(&factor, &sent), "{altered}");
        }
    }

    #[test]
    fn an_answer_with_an_altered_field_is_refused(field in 0_usize..3, changes in changes()) {
        let (factor, _, shown) = answers();
        let whole = Assertion::read(&shown).unwrap();
        prop_assert!(is_accepted(&factor, &whole), "the true one");
        let mut sent = whole.clone();
        let bytes = match field {
            0 => &mut sent.client_data,
            1 => &mut sent.authenticator_data,
            _ => &mut sent.signature,
        };
        let before = bytes.clone();
        *bytes = changed(bytes, &changes);
        prop_assume!(*bytes != before);
        prop_assert!(!is_accepted(&factor, &sent), "{sent:?}");
    }

    #[test]
    fn a_set_up_with_an_altered_field_names_our_challenge_or_is_refused(
        field in 0_usize..2, changes in changes()
    ) {
        let (_, set_up, _) = answers();
        let mut value: Value = serde_json::from_str(&set_up).unwrap();
        let name = ["clientDataJSON", "attestationObject"][field];
        let text = value["response"][name].as_str().unwrap();
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let altered = data_encoding::BASE64URL_NOPAD.encode(&changed(&bytes, &changes));
        value["response"][name] = altered.into();
        checks::registration(value.to_string().as_bytes());
    }
}
