//! What must hold of any input at all: the fuzzer tries what it thinks of, `tests/corpora.rs` what it
//! has thought of before.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use doorward::config::{Config, Origin, RelyingParty};
use doorward::domain::assurance::{Level, Requirement};
use doorward::domain::event::Event;
use doorward::domain::factor::aaguid::Aaguid;
use doorward::domain::factor::security_key::{CredentialId, New, PublicKey, Transports};
use doorward::domain::factor::totp::Skew;
use doorward::domain::factor::{Answer, Begun, Factor, Settings};
use doorward::domain::host_session::HostSession;
use doorward::domain::link::Link;
use doorward::domain::rng::SharedRng;
use doorward::domain::signed::Kind;
use doorward::domain::ticket::{Ask, Ticket};
use doorward::domain::time::Timestamp;
use doorward::domain::user::User;
use doorward::domain::user_session::UserSession;
use doorward::flow::{ClientAddress, Clock, Env};
use doorward::identity::local::{Cost, Pool, Room};
use doorward::identity::{
    Assertion, Held, Registration, SecurityKeys, SignInLimit, Sources, webauthn,
};
use doorward::metrics::Metrics;
use doorward::policy::{Asker, OwnPage, Policy, Request, Rule};
use doorward::store::memory::Memory;
use doorward::store::{Keyring, Keys, Store};
use doorward::web::{Jar, ReturnTo, Web};
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

use super::spellings::Decoder;

/// A check by its name.
pub(crate) type Check = (&'static str, fn(&[u8]));

/// Every check.
pub(crate) const ALL: [Check; 8] = [
    ("readings", readings),
    ("cookies", cookies),
    ("configuration", configuration),
    ("form", form),
    ("record", record),
    ("ticket", ticket),
    ("registration", registration),
    ("assertion", assertion),
];

/// What security keys are asked by the checks.
pub(crate) const CHALLENGE: [u8; 32] = [9; 32];

/// Whom they answer.
pub(crate) fn party() -> RelyingParty {
    let (id, name) = ("crm.example.com".to_owned(), "Example Inc.".to_owned());
    RelyingParty { id, origin: origin(), name }
}

/// [`CHALLENGE`], as base64url.
const ASKED: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";

/// What a browser says of what it was asked by [`party`].
fn client_data(kind: &str) -> Vec<u8> {
    let origin = origin().to_string();
    serde_json::json!({ "type": kind, "challenge": ASKED, "origin": origin }).to_string().into()
}

/// No key is set up that was not asked, was asked by somebody else, or was not touched. What is no answer
/// is taken as the attestation object in one: a fuzzer does not see through base64url.
pub(crate) fn registration(sent: &[u8]) {
    let read = std::str::from_utf8(sent).ok().and_then(Registration::read);
    let sent = read.unwrap_or_else(|| Registration {
        client_data: client_data("webauthn.create"),
        attestation: sent.to_vec(),
        transports: Transports::default(),
        is_discoverable: None,
    });
    let verifier = webauthn::Verifier::default();
    let Ok(new) = verifier.set_up(&party(), &CHALLENGE.into(), &sent) else { return };
    let said: serde_json::Value = serde_json::from_slice(&sent.client_data).unwrap();
    assert_eq!(said["challenge"], ASKED);
    assert_eq!(said["type"], "webauthn.create");
    assert_eq!(said["origin"], "https://crm.example.com");
    // It holds authenticator data (WebAuthn §6.1) for us, whose flags are those of the new key.
    let rp_id = Sha256::digest(party().id);
    let says = |flags: u8| {
        let has = |bit: u8| flags & bit != 0;
        has(0x01) && has(0x40) && has(0x04) == new.user_verified && has(0x10) == new.is_copied
    };
    let mut found = sent.attestation.windows(33);
    assert!(found.any(|bytes| bytes[..32] == *rp_id && says(bytes[32])), "{new:?}");
    assert!(new.can_be_copied || !new.is_copied);
}

/// Nobody answers for a key whose private part nobody has. What is no answer is taken as the
/// authenticator data in one, as long as its first byte says, and the signature.
pub(crate) fn assertion(sent: &[u8]) {
    static KEY: LazyLock<Factor> = LazyLock::new(|| {
        // A point of P-256 that was drawn once.
        let cose = [
            &b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..],
            &0x48db_6f05_714f_71db_b798_1d3b_50ca_813b_u128.to_be_bytes(),
            &0xadb1_8a2e_d0b7_1723_e52c_5106_8e33_cb86_u128.to_be_bytes(),
            b"\x22\x58\x20",
            &0xb2c6_0a4b_6798_87be_2d82_e614_0efa_2301_u128.to_be_bytes(),
            &0x8b80_8c08_c389_3409_4d8e_ecd5_4787_2f09_u128.to_be_bytes(),
        ]
        .concat();
        let new = New {
            credential: CredentialId::new(vec![1; 32]).unwrap(),
            public_key: PublicKey::new(cose).unwrap(),
            counter: 0,
            user_verified: true,
            can_be_copied: false,
            is_copied: false,
            is_discoverable: None,
            transports: Transports::default(),
            aaguid: Aaguid([7; 16]),
            rp_id: "login.example.com".to_owned(),
        };
        let settings = Settings { skew: Skew::default(), recovery_codes: 12 };
        let (begun, answer) = (Begun::SecurityKey(CHALLENGE.into()), Answer::NewSecurityKey(new));
        begun.finish([2; 16].into(), &answer, settings, Timestamp::default()).unwrap()
    });
    let read = std::str::from_utf8(sent).ok().and_then(Assertion::read);
    let key = KEY.security_key().unwrap();
    let sent = read.unwrap_or_else(|| {
        let (length, rest) = sent.split_first().unwrap_or((&0, &[]));
        let (data, signature) = rest.split_at(rest.len().min(usize::from(*length)));
        Assertion {
            credential: key.credential().clone(),
            client_data: client_data("webauthn.get"),
            authenticator_data: data.to_vec(),
            signature: signature.to_vec(),
            user_handle: None,
        }
    });
    let held = Held { user: [3; 16].into(), factor: KEY.id(), key };
    let shown = webauthn::Verifier::default().shown(&party(), &CHALLENGE.into(), &held, &sent);
    assert!(shown.is_err(), "{shown:?}");
}

/// Whatever a decoder takes for a protected place is judged as one.
pub(crate) fn readings(target: &[u8]) {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let rule = |path: &str, asks| Rule::new(vec![path.parse().unwrap()], asks);
        let rules = vec![
            rule("/admin/", Requirement::second_factor()),
            rule("/**/private/", Requirement::nobody()),
        ];
        Policy::new(rules, Requirement::nothing())
    });
    let Ok(request) = Request::read(target) else { return };
    let asked = POLICY.requirement(&request, &Asker::default()).requirement;
    for decoder in Decoder::all() {
        if decoder.reaches(target, b"/admin/") {
            assert_ne!(asked.level, Level::Nothing, "{decoder:?} reaches it");
        }
    }
    // What reads like one of our own pages is one, or is refused.
    if Decoder::all().any(|decoder| decoder.reaches(target, b"/.doorward/")) {
        assert!(!matches!(request.own_page(), OwnPage::No));
    }
}

fn signer() -> Keyring {
    Keyring::in_memory(Keys::random(&mut StdRng::seed_from_u64(1), Timestamp::default()))
}

fn origin() -> Origin {
    "https://crm.example.com".parse().unwrap()
}

/// No cookie that we have not signed says anything.
pub(crate) fn cookies(lines: &[u8]) {
    static SIGNER: LazyLock<(Keyring, Origin)> = LazyLock::new(|| (signer(), origin()));
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    let jar = Jar::new(&SIGNER.0, &SIGNER.1);
    assert!(jar.session(&headers).is_none());
    let carried = jar.carried(&headers);
    assert!(carried.session.is_none() && carried.device.is_none() && carried.known.is_none());
}

/// A file is accepted, or told what is wrong with it, at places that it has.
pub(crate) fn configuration(file: &[u8]) {
    let Ok(text) = std::str::from_utf8(file) else { return };
    if let Err(told) = Config::read("doorward.yaml", text) {
        assert!(!told.problems.is_empty());
        // As YAML counts them: a carriage return alone ends a line, too.
        let lines = text.matches(['\n', '\r']).count() + 1;
        for problem in &told.problems {
            assert!(problem.place.is_none_or(|place| (1..=lines).contains(&place.line)));
        }
        // It can be shown.
        assert!(!told.shown().is_empty());
    }
}

/// Whatever is posted to us gets a page, and changes nothing.
pub(crate) fn form(body: &[u8]) {
    thread_local! {
        static HOUSE: (tokio::runtime::Runtime, Web) = setup();
    }
    HOUSE.with(|(runtime, web)| {
        runtime.block_on(async {
            for page in ["sign-in", "challenge", "set-up", "confirm", "link/abc", "sign-out"] {
                let request = http::Request::post(format!("/.doorward/{page}"))
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header("sec-fetch-site", "same-origin")
                    .body(Bytes::copy_from_slice(body))
                    .unwrap();
                let here: IpAddr = [192, 0, 2, 1].into();
                let answer =
                    web.answer(request, ClientAddress { peer: here, visitor: Some(here) }).await;
                let status = answer.status().as_u16();
                assert!((200..500).contains(&status), "{page}: {status}");
            }
        });
    });
}

fn setup() -> (tokio::runtime::Runtime, Web) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let keys = Keys::random(&mut StdRng::seed_from_u64(1), Timestamp::default());
    let rng = SharedRng::new(StdRng::seed_from_u64(2));
    let config = "{ listen: [{ address: \"127.0.0.1:1\" }], state: /tmp, apps: [{ name: a, hosts: \
                  [crm.example.com], upstream: \"http://127.0.0.1:9\" }] }";
    let room = Room::beside(std::num::NonZeroUsize::MIN);
    let env = Arc::new(Env {
        config: Arc::new(Config::read("doorward.yaml", config).unwrap()),
        since: Arc::default(),
        store: Arc::new(Store::new(Arc::new(Memory::new()), &keys, rng.clone())),
        hashing: Arc::new(Pool::start(Cost::LEAST, room, rng.clone()).unwrap()),
        sources: Arc::new(Sources::local()),
        security_keys: Arc::new(webauthn::Verifier::default()),
        providers: Arc::default(),
        limit: Arc::new(SignInLimit::a_minute(std::num::NonZeroU32::MAX)),
        log_throttle: Arc::default(),
        decision_log: Arc::default(),
        metrics: Arc::new(Metrics::new("0")),
        access_log: Arc::default(),
        request_ids: Arc::default(),
        texts: Arc::default(),
        signer: Arc::new(signer()),
        clock: Arc::new(Clock::new(|| Timestamp::from_secs(1_800_000_000))),
        rng,
    });
    let host = env.config.portal_host();
    let web = runtime.block_on(async { Web::new(env, host) });
    (runtime, web)
}

/// A record that can be read is written as one that reads the same.
pub(crate) fn record(bytes: &[u8]) {
    macro_rules! reads_the_same {
        ($($kind:ty),*) => {$(
            if let Ok(read) = minicbor::decode::<$kind>(bytes) {
                let written = minicbor::to_vec(&read).unwrap();
                let again: $kind = minicbor::decode(&written).unwrap();
                assert_eq!(minicbor::to_vec(&again).unwrap(), written);
            }
        )*};
    }
    reads_the_same!(User, HostSession, UserSession, Ticket, Link, Event);
}

/// No text that we have not signed opens, and no way back leads elsewhere.
pub(crate) fn ticket(text: &[u8]) {
    static OURS: LazyLock<(Keyring, Origin)> = LazyLock::new(|| (signer(), origin()));
    let (signer, origin) = &*OURS;
    if let Ok(bytes) = <[u8; Ask::LENGTH]>::try_from(text) {
        let ask = Ask::from_bytes(bytes);
        assert_eq!(Ask::from_bytes(ask.to_bytes()), ask);
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    assert!(signer.open::<{ Ask::LENGTH }>(Kind::Ask, origin.host(), text).is_none());
    let back = ReturnTo::read(text, origin);
    let url = url::Url::parse(&origin.to_string()).unwrap();
    let there = url.join(back.as_str()).unwrap();
    assert_eq!(there.origin(), url.origin(), "{}", back.as_str());
    assert!(back.as_str().starts_with('/') && !back.as_str().starts_with("//"));
}
