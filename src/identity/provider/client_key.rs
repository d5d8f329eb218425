//! A private key by which we show a provider who we are (`private_key_jwt`: OpenID Connect Core §9,
//! RFC 7523 §2.2).
//!
//! Some providers, among them Microsoft Entra, know a client by a certificate instead of a key. If the
//! file has one, what is signed names it by its SHA-256 (`x5t#S256`, RFC 7515 §4.1.8).

use std::fmt;
use std::io;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::fault::Lie;
use crate::domain::time::Timestamp;
use crate::net::tls;

/// The key.
pub(super) struct ClientKey {
    key: EncodingKey,
    algorithm: Algorithm,
    id: Option<String>,
    /// The SHA-256 of its certificate, encoded.
    certificate: Option<String>,
}

/// How long what it signs is valid, in seconds: long enough for one request and clocks that differ a
/// little.
const LASTS: u64 = 60;

impl ClientKey {
    /// Reads a PEM file: RSA of 2048 bits or more (signs with RS256, or with PS256 if the file has a
    /// certificate, as Entra wants it), P-256 (ES256) or Ed25519. Of several certificates the first one
    /// is that of the key.
    ///
    /// # Errors
    /// If there is no such key in it, or the certificate is of another one.
    pub(super) fn read(pem: &[u8], id: Option<String>) -> io::Result<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| unfit())?;
        let certificate = match CertificateDer::from_pem_slice(pem) {
            Ok(certificate) => Some(certificate),
            Err(pem::Error::NoItemsFound) => None,
            Err(_) => return Err(invalid("the certificate in it cannot be read")),
        };
        let (algorithm, key) = match &der {
            PrivateKeyDer::Pkcs1(key) => {
                (Algorithm::RS256, EncodingKey::from_rsa_der(key.secret_pkcs1_der()))
            }
            PrivateKeyDer::Pkcs8(key) => of_pkcs8(key.secret_pkcs8_der()).ok_or_else(unfit)?,
            _ => return Err(unfit()),
        };
        let algorithm = match (algorithm, &certificate) {
            (Algorithm::RS256, Some(_)) => Algorithm::PS256,
            (algorithm, _) => algorithm,
        };
        if let Some(certificate) = &certificate
            && !is_of(certificate, &der)
        {
            return Err(invalid("the certificate in it is not that of the private key"));
        }
        let digest = |one: CertificateDer<'_>| BASE64URL_NOPAD.encode(&Sha256::digest(one));
        let key = Self { key, algorithm, id, certificate: certificate.map(digest) };
        // The library looks at the key when it signs.
        key.signs(&json!({})).map_err(|_| unfit())?;
        Ok(key)
    }

    /// Says that we are `client_id`, to the provider with this issuer, once: `once` is random. The
    /// issuer is the only audience, so that no other provider can pass it on.
    ///
    /// # Errors
    /// [`Lie::Answer`] if it cannot be signed.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        issuer: &str,
        once: &str,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Lie> {
        let now = now.seconds();
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "jti": once,
            "iat": now,
            "exp": now + LASTS,
        });
        self.signs(&claims).map(Zeroizing::new).map_err(|_| Lie::Answer("token"))
    }

    fn signs(&self, claims: &serde_json::Value) -> jsonwebtoken::errors::Result<String> {
        let (kid, x5t_s256) = (self.id.clone(), self.certificate.clone());
        let header = Header { kid, x5t_s256, ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(…)")
    }
}

fn unfit() -> io::Error {
    invalid("it contains no private key of RSA (2048 bits or more), P-256 or Ed25519")
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn is_of(certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'static>) -> bool {
    let key = tls::provider().key_provider.load_private_key(key.clone_key());
    key.is_ok_and(|key| CertifiedKey::new(vec![certificate.clone()], key).keys_match().is_ok())
}

/// The key in a `PrivateKeyInfo` (RFC 5208 §5). Of RSA, the library wants what is inside.
fn of_pkcs8(der: &[u8]) -> Option<(Algorithm, EncodingKey)> {
    const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const P256: &[u8] =
        b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
    let (inside, _) = element(der)?;
    let (_version, rest) = element(inside)?;
    let (algorithm, rest) = element(rest)?;
    if algorithm.starts_with(RSA) {
        let (key, _) = element(rest)?;
        return Some((Algorithm::RS256, EncodingKey::from_rsa_der(key)));
    }
    match algorithm {
        P256 => Some((Algorithm::ES256, EncodingKey::from_ec_der(der))),
        ED25519 => Some((Algorithm::EdDSA, EncodingKey::from_ed_der(der))),
        _ => None,
    }
}

/// What is in the first DER element, and what follows it (X.690 §8.1.3).
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, head) = match *der.get(1)? {
        0x82 => ((usize::from(*der.get(2)?) << 8) | usize::from(*der.get(3)?), 4),
        0x81 => (usize::from(*der.get(2)?), 3),
        short if short < 0x80 => (usize::from(short), 2),
        _ => return None,
    };
    der.get(head..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256,
        PublicKeyData,
    };
    use serde_json::Value;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn whoever_has_the_public_key_sees_who_we_are_to_whom_and_until_when() {
        for kind in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let pair = KeyPair::generate_for(kind).unwrap();
            let pem = pair.serialize_pem();
            let key = ClientKey::read(pem.as_bytes(), Some("first".to_owned())).unwrap();
            let issuer = "https://id.example.com";
            let signed = key.assertion("doorward", issuer, "7", NOW).unwrap();
            let public = match key.algorithm {
                Algorithm::RS256 => DecodingKey::from_rsa_der(pair.der_bytes()),
                Algorithm::ES256 => DecodingKey::from_ec_der(pair.der_bytes()),
                _ => DecodingKey::from_ed_der(pair.der_bytes()),
            };
            let mut validation = Validation::new(key.algorithm);
            validation.set_audience(&[issuer]);
            validation.validate_exp = false;
            let read = decode::<Value>(&*signed, &public, &validation).unwrap();
            assert_eq!(read.header.kid.as_deref(), Some("first"));
            let now = NOW.seconds();
            let expected = json!({
                "iss": "doorward", "sub": "doorward", "aud": issuer, "jti": "7",
                "iat": now, "exp": now + 60,
            });
            assert_eq!(read.claims, expected);
        }
    }

    #[test]
    fn a_certificate_beside_the_key_is_named() {
        for (kind, algorithm) in [
            (&PKCS_RSA_SHA256, Algorithm::PS256),
            (&PKCS_ECDSA_P256_SHA256, Algorithm::ES256),
            (&PKCS_ED25519, Algorithm::EdDSA),
        ] {
            let pair = KeyPair::generate_for(kind).unwrap();
            let params = CertificateParams::new(vec!["doorward".to_owned()]).unwrap();
            let certificate = params.self_signed(&pair).unwrap();
            let (key, certificate_pem) = (pair.serialize_pem(), certificate.pem());
            for both in [format!("{key}{certificate_pem}"), format!("{certificate_pem}{key}")] {
                let key = ClientKey::read(both.as_bytes(), None).unwrap();
                let signed = key.assertion("doorward", "https://id.example.com", "7", NOW);
                let header = decode_header(&*signed.unwrap()).unwrap();
                let digest = BASE64URL_NOPAD.encode(&Sha256::digest(certificate.der()));
                assert_eq!(header.x5t_s256, Some(digest));
                assert_eq!(header.alg, algorithm);
            }
            let alone = ClientKey::read(key.as_bytes(), None).unwrap();
            let signed = alone.assertion("doorward", "https://id.example.com", "7", NOW).unwrap();
            assert_eq!(decode_header(&*signed).unwrap().x5t_s256, None);

            let other = KeyPair::generate_for(kind).unwrap().serialize_pem();
            let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
            for (key, certificate) in [(&other, &*certificate_pem), (&key, broken)] {
                assert!(ClientKey::read(format!("{key}{certificate}").as_bytes(), None).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        let broken = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        for pem in ["", "a secret", broken, &other] {
            assert!(ClientKey::read(pem.as_bytes(), None).is_err(), "{pem}");
        }
    }
}
