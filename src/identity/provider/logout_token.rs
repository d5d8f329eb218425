//! Verifying a logout token: a provider says that somebody has signed out there (OpenID Connect
//! Back-Channel Logout 1.0 §2.6). Pure: keys and time are arguments.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::Lie;
use super::id_token::{self, Audience};
use crate::domain::time::Timestamp;

/// What a logout token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Who has signed out, if it says so.
    pub subject: Option<String>,
    /// Which session there has ended; `None`: all of that subject.
    pub session: Option<String>,
    /// Its id. A token counts once.
    pub id: String,
    /// When the provider says that it happened, by its own clock.
    pub issued: Timestamp,
}

impl SignedOut {
    /// How long a token may be accepted: as old as one may be, and as far ahead.
    pub const LASTS: Duration = Duration::from_secs(id_token::OLD + id_token::AHEAD);

    /// The id that `token` claims to have, which nobody has verified: good for nothing but to recognise
    /// a token that was used before.
    pub fn claimed_id(token: &str) -> Option<String> {
        let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
        claims.get("jti")?.as_str().map(str::to_owned)
    }
}

#[derive(Deserialize)]
struct Written {
    iss: String,
    aud: Audience,
    iat: f64,
    exp: Option<f64>,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: Map<String, Value>,
}

/// Verifies `token` of `issuer` for us, `client_id`, with `keys`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn verify(
    token: &str,
    keys: &[Jwk],
    issuer: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<SignedOut, Lie> {
    check(id_token::signed(token, keys)?, issuer, client_id, now)
}

fn check(
    all: Map<String, Value>,
    issuer: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<SignedOut, Lie> {
    // An ID token has one: it must not pass for a logout token.
    if all.contains_key("nonce") {
        return Err(Lie::Logout("it has a `nonce`"));
    }
    let written: Written = serde_json::from_value(Value::Object(all))
        .map_err(|_| Lie::Logout("a required claim is missing or has the wrong type"))?;
    if written.iss != issuer {
        return Err(Lie::Issuer);
    }
    if !written.aud.all().iter().any(|one| one == client_id) {
        return Err(Lie::Audience);
    }
    let now = now.seconds();
    let iat = id_token::seconds(written.iat)?;
    id_token::is_new(iat, now)?;
    // Version 1.0 requires it; some providers are older.
    if let Some(exp) = written.exp
        && id_token::seconds(exp)? <= now
    {
        return Err(Lie::Expired);
    }
    if !written.events.get(EVENT).is_some_and(Value::is_object) {
        return Err(Lie::Logout("`events` does not say that somebody has signed out"));
    }
    let named = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (subject, session) = (named(written.sub), named(written.sid));
    if subject.is_none() && session.is_none() {
        return Err(Lie::Logout("it names neither a subject nor a session"));
    }
    if written.jti.is_empty() {
        return Err(Lie::Logout("it has no id"));
    }
    Ok(SignedOut { subject, session, id: written.jti, issued: Timestamp::from_secs(iat) })
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example.com";
    const NOW: u64 = 1_800_000_000;

    fn checked(with: &[(&str, Value)]) -> Result<SignedOut, Lie> {
        let mut all = json!({
            "iss": ISSUER, "aud": "doorward", "iat": NOW, "exp": NOW + 120, "jti": "1",
            "sub": "7", "sid": "s", "events": { EVENT: {} },
        });
        for (name, value) in with {
            all[name] = value.clone();
        }
        // Null stands for a claim that is missing.
        let all = all.as_object().unwrap().clone().into_iter().filter(|(_, said)| !said.is_null());
        check(all.collect(), ISSUER, "doorward", Timestamp::from_secs(NOW))
    }

    #[test]
    fn it_says_who_has_signed_out_where() {
        let said = checked(&[]).unwrap();
        assert_eq!((said.subject.as_deref(), said.session.as_deref()), (Some("7"), Some("s")));
        assert_eq!((said.id.as_str(), said.issued), ("1", Timestamp::from_secs(NOW)));
        assert_eq!(checked(&[("sid", Value::Null)]).unwrap().session, None);
        assert_eq!(checked(&[("sub", Value::Null)]).unwrap().subject, None);
        assert!(checked(&[("aud", json!(["other", "doorward"]))]).is_ok());
        assert!(checked(&[("exp", Value::Null)]).is_ok());
    }

    #[test]
    fn whatever_is_wrong_with_it_is_refused() {
        for (name, value) in [
            ("iss", json!("https://evil.test")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("iat", json!(NOW - 601)),
            ("iat", json!(NOW + 301)),
            ("iat", Value::Null),
            ("exp", json!(NOW)),
            ("jti", Value::Null),
            ("jti", json!("")),
            ("nonce", json!("n")),
            ("nonce", json!(7)),
            ("events", Value::Null),
            ("events", json!({})),
            ("events", json!([EVENT])),
            ("events", json!({ EVENT: true })),
        ] {
            assert!(checked(&[(name, value.clone())]).is_err(), "{name} {value}");
        }
        assert!(checked(&[("sub", Value::Null), ("sid", Value::Null)]).is_err());
        assert!(checked(&[("sub", json!("")), ("sid", json!(""))]).is_err());
    }
}
