//! Verifying an ID token (OpenID Connect Core §3.1.3.7): who signed it, for whom, for which sign-in
//! and when. Pure: keys and time are arguments.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::fault::Lie;
use crate::domain::time::Timestamp;

/// What an ID token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// The nonce of this sign-in; `None`: it is of no sign-in, and has perhaps none.
    pub nonce: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// The claims of a verified ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who it is about.
    pub subject: String,
    /// When the person last entered something at the provider.
    pub auth_time: Option<Timestamp>,
    /// When it was issued.
    pub issued: Timestamp,
    /// Everything that it says.
    pub all: Map<String, Value>,
}

/// How old an ID token may be, in seconds. Entra backdates `iat` by five minutes.
pub(super) const OLD: u64 = 10 * 60;
/// How far ahead its clock may be, in seconds.
pub(super) const AHEAD: u64 = 5 * 60;
/// The longest ID token, in bytes.
const TOKEN_AT_MOST: usize = 64 * 1024;

#[derive(Deserialize)]
struct Written {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    nonce: Option<String>,
    exp: f64,
    iat: f64,
    auth_time: Option<f64>,
}

/// For whom a token is: one client, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The id of the key with which `token` says that it was signed.
///
/// # Errors
/// [`Lie::Malformed`] or [`Lie::Algorithm`].
pub fn key_id(token: &str) -> Result<Option<String>, Lie> {
    if token.len() > TOKEN_AT_MOST {
        return Err(Lie::Malformed("it is too long"));
    }
    // Algorithms that the library does not know, such as `none`, fail here.
    let header = decode_header(token).map_err(|_| Lie::Algorithm)?;
    allowed(header.alg).map(|_| header.kid)
}

/// Whether one of `keys` may have signed `token`, by its id and type.
pub fn is_signed_by_one_of(token: &str, keys: &[Jwk]) -> bool {
    decode_header(token)
        .is_ok_and(|header| keys.iter().any(|key| fits(key, header.alg, header.kid.as_deref())))
}

/// Verifies `token` with `keys`.
///
/// # Errors
/// What is wrong with it.
pub fn verify(token: &str, keys: &[Jwk], expected: Expected<'_>) -> Result<Claims, Lie> {
    check(signed(token, keys)?, expected)
}

/// What the one of `keys` that fits has signed.
///
/// # Errors
/// [`Lie::Key`] if none fits, [`Lie::Signature`], or what is wrong with the header.
pub(super) fn signed(token: &str, keys: &[Jwk]) -> Result<Map<String, Value>, Lie> {
    let kid = key_id(token)?;
    let header = decode_header(token).map_err(|_| Lie::Malformed("its header"))?;
    let candidates: Vec<&Jwk> =
        keys.iter().filter(|key| fits(key, header.alg, kid.as_deref())).collect();
    if candidates.is_empty() {
        return Err(Lie::Key);
    }
    let read = candidates
        .into_iter()
        .filter_map(|key| DecodingKey::from_jwk(key).ok())
        .find_map(|key| decode::<Map<String, Value>>(token, &key, &signature_only(header.alg)).ok())
        .ok_or(Lie::Signature)?;
    Ok(read.claims)
}

/// The library checks the signature alone: it reads the system's clock for the rest.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check(all: Map<String, Value>, expected: Expected<'_>) -> Result<Claims, Lie> {
    let Expected { issuer, client_id, nonce, now } = expected;
    let written: Written = serde_json::from_value(Value::Object(all.clone()))
        .map_err(|_| Lie::Malformed("a required claim is missing or has the wrong type"))?;
    if written.iss != issuer {
        return Err(Lie::Issuer);
    }
    let audience = written.aud.all();
    if !audience.iter().any(|one| one == client_id) {
        return Err(Lie::Audience);
    }
    // Several audiences are accepted only if we are the one to whom it was issued.
    let is_ours = written.azp.as_deref().map_or(audience.len() == 1, |azp| azp == client_id);
    if !is_ours {
        return Err(Lie::Party);
    }
    if let Some(nonce) = nonce {
        let said = written.nonce.unwrap_or_default();
        if !bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Lie::Nonce);
        }
    }
    let now = now.seconds();
    let (exp, iat) = (seconds(written.exp)?, seconds(written.iat)?);
    if exp <= now {
        return Err(Lie::Expired);
    }
    is_new(iat, now)?;
    let auth_time = written.auth_time.map(seconds).transpose()?.map(Timestamp::from_secs);
    Ok(Claims { subject: written.sub, auth_time, issued: Timestamp::from_secs(iat), all })
}

impl Audience {
    pub(super) fn all(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(all) => all,
        }
    }
}

/// Whether a token that was issued at `iat` is new enough.
pub(super) fn is_new(iat: u64, now: u64) -> Result<(), Lie> {
    let is_new = iat.saturating_add(OLD) >= now && iat <= now.saturating_add(AHEAD);
    if is_new { Ok(()) } else { Err(Lie::IssuedAt(iat)) }
}

/// A `NumericDate` (RFC 7519 §2) in whole seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
pub(super) fn seconds(date: f64) -> Result<u64, Lie> {
    const YEAR_10000: f64 = 253_402_300_800.0;
    let sound = (0.0..YEAR_10000).contains(&date);
    if sound { Ok(date as u64) } else { Err(Lie::Malformed("a time in it")) }
}

/// Asymmetric signatures only: with HS256 everybody who knows the client secret, or who passes the
/// public key off as one, could sign (RFC 8725 §3.1).
fn allowed(algorithm: Algorithm) -> Result<Algorithm, Lie> {
    use Algorithm::{ES256, EdDSA, PS256, RS256};
    match algorithm {
        RS256 | PS256 | ES256 | EdDSA => Ok(algorithm),
        _ => Err(Lie::Algorithm),
    }
}

/// Whether `key` may sign with this algorithm under this id. A token without an id may be signed
/// with any key of the right type.
fn fits(key: &Jwk, algorithm: Algorithm, kid: Option<&str>) -> bool {
    let common = &key.common;
    let is_named = kid.is_none() || common.key_id.as_deref() == kid;
    let is_for_signatures = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
    let (is_of_type, name) = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => (true, KeyAlgorithm::RS256),
        (AlgorithmParameters::RSA(_), Algorithm::PS256) => (true, KeyAlgorithm::PS256),
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => {
            (curve.curve == EllipticCurve::P256, KeyAlgorithm::ES256)
        }
        (AlgorithmParameters::OctetKeyPair(curve), Algorithm::EdDSA) => {
            (curve.curve == EllipticCurve::Ed25519, KeyAlgorithm::EdDSA)
        }
        _ => return false,
    };
    let is_meant = common.key_algorithm.as_ref().is_none_or(|meant| *meant == name);
    is_named && is_for_signatures && is_of_type && is_meant
}

/// The keys in a JWK set (RFC 7517 §5). Those of unknown types are left out.
///
/// # Errors
/// [`Lie::Keys`] if it is no set.
pub fn keys(body: &[u8]) -> Result<Vec<Jwk>, Lie> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(body).map_err(|_| Lie::Keys)?;
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}
