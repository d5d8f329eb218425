//! A provider that lies, or somebody in its place: each lie is refused, nobody is signed in, and an
//! event says so.

use doorward::domain::event::What;
use http::StatusCode;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::provider::{CALLBACK, LINK, gate, signs_in};
use crate::support::gate::Gate;
use crate::support::provider::{How, Sign, StandIn};

/// Whoever has an account becomes a user.
const EVERYBODY: &str = "people: { create: true, everyone: true }";

async fn count(gate: &Gate, what: What) -> usize {
    gate.events().await.iter().filter(|happened| **happened == what).count()
}

/// What `idp` says now is refused, with an event.
async fn is_refused(gate: &Gate, idp: &StandIn, lie: &str) {
    let before = count(gate, What::ProviderRefused).await;
    let mut browser = gate.browser();
    signs_in(&mut browser, idp, "/").await;
    assert_eq!(browser.status, StatusCode::BAD_GATEWAY, "{lie}: {}", browser.page);
    assert!(browser.page.contains("was not accepted"), "{lie}");
    assert!(browser.session().is_none(), "{lie}");
    assert_eq!(count(gate, What::ProviderRefused).await, before + 1, "{lie}");
}

/// What `idp` says now is accepted.
async fn is_accepted(gate: &Gate, idp: &StandIn, truth: &str) {
    let mut browser = gate.browser();
    signs_in(&mut browser, idp, "/").await;
    assert!(browser.session().is_some(), "{truth}: {}", browser.page);
}

#[tokio::test]
async fn an_id_token_for_somebody_else_or_another_time_is_refused() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    let now = gate.now().seconds();
    is_accepted(&gate, &idp, "the truth").await;
    for claims in [
        json!({ "iss": "https://evil.test" }),
        json!({ "iss": format!("{}/", idp.issuer) }),
        json!({ "iss": null }),
        json!({ "aud": "another-client" }),
        json!({ "aud": ["another-client"] }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": ["doorward", "another-client"] }),
        json!({ "aud": ["doorward", "another-client"], "azp": "another-client" }),
        json!({ "azp": "another-client" }),
        json!({ "nonce": "another" }),
        json!({ "nonce": "" }),
        json!({ "nonce": null }),
        json!({ "exp": now }),
        json!({ "exp": now - 1 }),
        json!({ "exp": null }),
        json!({ "exp": "never" }),
        json!({ "exp": 1e300 }),
        json!({ "exp": -1 }),
        json!({ "iat": now - 601 }),
        json!({ "iat": now + 301 }),
        json!({ "iat": null }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": 7 }),
        json!({ "sub": "a\u{0}b" }),
        json!({ "sub": "7".repeat(256) }),
    ] {
        idp.said().claims = claims.clone();
        is_refused(&gate, &idp, &claims.to_string()).await;
    }
    for claims in [
        json!({ "iat": now - 599 }),
        json!({ "iat": now + 299 }),
        json!({ "aud": ["doorward"] }),
        json!({ "aud": ["doorward", "another-client"], "azp": "doorward" }),
    ] {
        idp.said().claims = claims.clone();
        is_accepted(&gate, &idp, &claims.to_string()).await;
    }
}

#[tokio::test]
async fn an_id_token_that_the_provider_did_not_sign_is_refused() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA] {
        let idp = StandIn::signing_with(algorithm).await;
        let gate = gate(&idp, EVERYBODY);
        is_accepted(&gate, &idp, "the truth").await;
        for sign in [
            Sign::Not,
            Sign::WithThePublicKey,
            Sign::WithTheClientSecret,
            Sign::WithAnotherKey,
            Sign::WithAnUnknownKey,
        ] {
            idp.said().sign = sign;
            is_refused(&gate, &idp, &format!("{algorithm:?} {sign:?}")).await;
        }
    }
}

#[tokio::test]
async fn keys_that_were_rotated_are_found_and_unknown_ones_asked_for_once_a_minute() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    is_accepted(&gate, &idp, "the first key").await;
    is_accepted(&gate, &idp, "the first key again").await;
    assert_eq!((idp.asked("/keys"), idp.asked("/.well-known/openid-configuration")), (1, 1));
    gate.waits(std::time::Duration::from_secs(61));
    idp.said().now = gate.now();
    idp.rotates_keys();
    is_accepted(&gate, &idp, "a new key").await;
    assert_eq!(idp.asked("/keys"), 2);
    idp.said().sign = Sign::WithAnUnknownKey;
    for _ in 0..5 {
        is_refused(&gate, &idp, "an unknown key").await;
    }
    assert_eq!(idp.asked("/keys"), 2, "not for each of them");
    gate.waits(std::time::Duration::from_secs(61));
    idp.said().now = gate.now();
    is_refused(&gate, &idp, "an unknown key").await;
    assert_eq!(idp.asked("/keys"), 3);
}

#[tokio::test]
async fn a_response_names_its_issuer_where_that_is_announced() {
    let idp = StandIn::opens().await;
    idp.said().document = json!({ "authorization_response_iss_parameter_supported": true });
    let gate = gate(&idp, EVERYBODY);
    for (iss, accepted) in [
        (None, false),
        (Some("https://evil.test".to_owned()), false),
        (Some(format!("{}/", idp.issuer)), false),
        (Some(idp.issuer.clone()), true),
    ] {
        let mut browser = gate.browser();
        browser.opens(LINK).await;
        let query = idp.signs_in(&browser.location().unwrap());
        let named = iss.as_ref().map(|iss| format!("&iss={iss}")).unwrap_or_default();
        browser.opens(&format!("{CALLBACK}?{query}{named}")).await;
        assert_eq!(browser.session().is_some(), accepted, "{iss:?}: {}", browser.page);
    }
    assert_eq!(count(&gate, What::ProviderRefused).await, 3);
    assert_eq!(idp.asked("/token"), 1, "no code is sent to the wrong one");
}

#[tokio::test]
async fn a_wrong_issuer_counts_even_where_it_is_not_announced() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    let mut browser = gate.browser();
    browser.opens(LINK).await;
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}&iss=https://evil.test")).await;
    assert!(browser.session().is_none());
    assert_eq!(count(&gate, What::ProviderRefused).await, 1);
}

#[tokio::test]
async fn a_state_is_of_one_browser_and_one_provider_and_works_once() {
    let (idp, other) = (StandIn::opens().await, StandIn::opens().await);
    let second = format!(
        "{EVERYBODY}
  - name: other
    issuer: {}
    client_id: doorward
    client_secret_file: tests/config/provider.secret",
        other.issuer
    );
    let gate = gate(&idp, &second);
    let mut attacker = gate.browser();
    attacker.opens(LINK).await;
    let query = idp.signs_in(&attacker.location().unwrap());

    // Another browser: the attacker cannot sign a victim in as themselves.
    let mut victim = gate.browser();
    victim.opens(LINK).await;
    victim.opens(&format!("{CALLBACK}?{query}")).await;
    assert_eq!(victim.status, StatusCode::GONE);
    assert!(victim.session().is_none());

    // Another provider: a mix-up.
    attacker.opens(&format!("/.doorward/sign-in/provider/other/callback?{query}")).await;
    assert!(attacker.session().is_none());
    assert_eq!(other.asked("/token"), 0, "its token endpoint does not get the code");

    // A state that nobody was given, and none.
    for query in ["code=x&state=aaaaaaaaaaaaaaaaaaaaaaaaaa", "code=x&state=x", "code=x", ""] {
        victim.opens(&format!("{CALLBACK}?{query}")).await;
        assert_eq!(victim.status, StatusCode::GONE, "{query}");
    }
    assert_eq!(count(&gate, What::ProviderRefused).await, 6);

    // Once, even if the browser keeps the cookie.
    let mut browser = gate.browser();
    browser.opens(LINK).await;
    let cookies = browser.cookies.clone();
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert!(browser.session().is_some());
    let mut copy = gate.browser();
    copy.cookies = cookies;
    let state = query.split_once("state=").unwrap().1;
    // Even with another code that the provider would accept.
    let mut again = gate.browser();
    again.opens(LINK).await;
    let fresh = idp.signs_in(&again.location().unwrap());
    let code = fresh.split('&').next().unwrap();
    copy.opens(&format!("{CALLBACK}?{code}&state={state}")).await;
    assert!(copy.session().is_none(), "the code is of another verifier and nonce");
}

#[tokio::test]
async fn a_code_that_is_used_twice_signs_nobody_in() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    let mut browser = gate.browser();
    browser.opens(LINK).await;
    let kept = browser.cookies.clone();
    let query = idp.signs_in(&browser.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    let mut copy = gate.browser();
    copy.cookies = kept;
    copy.opens(&format!("{CALLBACK}?{query}")).await;
    assert!(copy.session().is_none());
    assert_eq!(copy.status, StatusCode::BAD_GATEWAY, "invalid_grant");
}

#[tokio::test]
async fn a_state_for_signing_in_confirms_nothing_and_the_reverse() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    let mut browser = gate.browser();
    // Begun as a stranger, finished as somebody: it signs in and confirms nobody else's session.
    browser.opens(LINK).await;
    let query = idp.signs_in(&browser.location().unwrap());
    let mut confirming = gate.browser();
    signs_in(&mut confirming, &idp, "/").await;
    confirming.opens(&format!("{LINK}?for=confirm")).await;
    let confirm = idp.signs_in(&confirming.location().unwrap());
    browser.opens(&format!("{CALLBACK}?{confirm}")).await;
    assert!(browser.session().is_none(), "a confirmation of another browser");
    browser.opens(&format!("{CALLBACK}?{query}")).await;
    assert!(browser.session().is_some());
}

#[tokio::test]
async fn answers_without_an_end_are_not_waited_for() {
    let idp = StandIn::opens().await;
    let gate = gate(&idp, EVERYBODY);
    for how in [How::Long, How::Elsewhere, How::Broken] {
        idp.said().answer = how;
        let mut browser = gate.browser();
        signs_in(&mut browser, &idp, "/").await;
        assert_eq!(browser.status, StatusCode::SERVICE_UNAVAILABLE, "{how:?}");
        assert!(browser.session().is_none());
    }
    assert_eq!(count(&gate, What::ProviderUnavailable).await, 3);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_or_with_bad_endpoints_sends_nobody_there() {
    let lies: [Value; 6] = [
        json!({ "issuer": "https://evil.test" }),
        json!({ "issuer": null }),
        json!({ "authorization_endpoint": "http://evil.test/auth" }),
        json!({ "token_endpoint": "http://192.0.2.7/token" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "token_endpoint": null }),
    ];
    for lie in lies {
        let idp = StandIn::opens().await;
        idp.said().document = lie.clone();
        let gate = gate(&idp, EVERYBODY);
        let mut browser = gate.browser();
        browser.opens(LINK).await;
        assert_eq!(browser.status, StatusCode::BAD_GATEWAY, "{lie}");
        assert_eq!(browser.location(), None, "{lie}");
        assert_eq!(count(&gate, What::ProviderRefused).await, 1, "{lie}");
        assert_eq!(idp.asked("/token"), 0);
    }
}

#[tokio::test]
async fn a_failure_is_told_to_all_without_asking_again_at_once() {
    let idp = StandIn::opens().await;
    idp.said().document = json!({ "issuer": "https://evil.test" });
    let gate = gate(&idp, EVERYBODY);
    for _ in 0..5 {
        gate.browser().opens(LINK).await;
    }
    assert_eq!(idp.asked("/.well-known/openid-configuration"), 1);
    idp.said().document = json!({});
    gate.waits(std::time::Duration::from_secs(6));
    idp.said().now = gate.now();
    is_accepted(&gate, &idp, "the truth again").await;
}
