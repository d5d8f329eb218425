//! The port (interface) for security keys: what a browser sends for one, and who verifies it.
//!
//! A browser sends an answer as JSON, with the fields of `PublicKeyCredential` (WebAuthn §5.1) as
//! unpadded base64url. It is read here, each field up to a length, and verified by an adapter.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::config::RelyingParty;
use crate::domain::factor::FactorId;
use crate::domain::factor::security_key::{
    Challenge, CredentialId, New, SecurityKey, Shown, Transport, Transports,
};
use crate::domain::identity::UserId;

/// Verifies the answers of security keys.
pub trait SecurityKeys: Send + Sync {
    /// Verifies the answer to a set-up that asked `challenge` (WebAuthn §7.1).
    ///
    /// # Errors
    /// [`Forged`] if it is not the answer of a key to this challenge for this relying party.
    fn set_up(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
        sent: &Registration,
    ) -> Result<New, Forged>;

    /// Verifies the answer of `key` to a challenge (WebAuthn §7.2). The signature counter is
    /// returned, not judged.
    ///
    /// # Errors
    /// [`Forged`] if it is not the answer of this key to this challenge for this relying party.
    fn shown(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
        key: &Held<'_>,
        sent: &Assertion,
    ) -> Result<Shown, Forged>;
}

/// A key, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its user.
    pub user: UserId,
    /// Its id among the factors of that user.
    pub factor: FactorId,
    /// The key.
    pub key: &'a SecurityKey,
}

/// Why an answer is refused, for the log: what was not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Forged(pub &'static str);

impl Forged {
    /// A new key is none of those that the operator accepts, or nobody whom they trust says so.
    pub const OTHER_MODEL: Self = Self("the key is none of the accepted ones, or not attested");
}

/// What a browser sends at the end of a set-up.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The client data (WebAuthn §5.8.1), as JSON.
    pub client_data: Vec<u8>,
    /// The attestation object (WebAuthn §6.5.4), as CBOR.
    pub attestation: Vec<u8>,
    /// How the key can be reached.
    pub transports: Transports,
    /// Whether the browser says that the key can be found without a user name.
    pub is_discoverable: Option<bool>,
}

/// What a browser sends at a challenge.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The credential that answers.
    pub credential: CredentialId,
    /// The client data (WebAuthn §5.8.1), as JSON.
    pub client_data: Vec<u8>,
    /// The authenticator data (WebAuthn §6.1).
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
    /// The user, as the key knows them; `None` if it does not say.
    pub user_handle: Option<Vec<u8>>,
}

/// The longest answer that is read, in bytes of JSON. An attestation with its certificates is the
/// largest part.
const ANSWER_AT_MOST: usize = 48 * 1024;
const CLIENT_DATA_AT_MOST: usize = 4 * 1024;
const ATTESTATION_AT_MOST: usize = 32 * 1024;
const AUTHENTICATOR_DATA_AT_MOST: usize = 4 * 1024;
const SIGNATURE_AT_MOST: usize = 1024;
/// WebAuthn §5.4.3.
const USER_HANDLE_AT_MOST: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent<T> {
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: T,
    #[serde(default)]
    client_extension_results: Extensions,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Extensions {
    cred_props: CredProps,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CredProps {
    rk: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentRegistration {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[serde(default)]
    transports: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentAssertion {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

impl Registration {
    /// Reads what the browser sent. `None` if it is not such an answer, or a field is too long.
    pub fn read(json: &str) -> Option<Self> {
        let Sent { response, client_extension_results, .. } = read::<SentRegistration>(json)?;
        let transports = response.transports.iter().filter_map(|word| Transport::of_word(word));
        Some(Self {
            client_data: bytes(&response.client_data, CLIENT_DATA_AT_MOST)?,
            attestation: bytes(&response.attestation_object, ATTESTATION_AT_MOST)?,
            transports: transports.collect(),
            is_discoverable: client_extension_results.cred_props.rk,
        })
    }
}

impl Assertion {
    /// Reads what the browser sent. `None` if it is not such an answer, or a field is too long.
    pub fn read(json: &str) -> Option<Self> {
        let Sent { raw_id, response, .. } = read::<SentAssertion>(json)?;
        let user_handle = match response.user_handle.as_deref() {
            None | Some("") => None,
            Some(handle) => Some(bytes(handle, USER_HANDLE_AT_MOST)?),
        };
        Some(Self {
            credential: CredentialId::new(bytes(&raw_id, CredentialId::AT_MOST)?)?,
            client_data: bytes(&response.client_data, CLIENT_DATA_AT_MOST)?,
            authenticator_data: bytes(&response.authenticator_data, AUTHENTICATOR_DATA_AT_MOST)?,
            signature: bytes(&response.signature, SIGNATURE_AT_MOST)?,
            user_handle,
        })
    }
}

fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Option<Sent<T>> {
    if json.len() > ANSWER_AT_MOST {
        return None;
    }
    serde_json::from_str::<Sent<T>>(json).ok().filter(|sent| sent.kind == "public-key")
}

fn bytes(text: &str, at_most: usize) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    (bytes.len() <= at_most).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assertion(signature: &str, handle: &str) -> String {
        json!({
            "rawId": "AQID", "type": "public-key", "clientExtensionResults": {},
            "response": { "clientDataJSON": "e30", "authenticatorData": "AAAA",
                "signature": signature, "userHandle": handle },
        })
        .to_string()
    }

    #[test]
    fn an_answer_is_read_field_by_field() {
        let read = Assertion::read(&assertion("BQ", "Bg")).unwrap();
        assert_eq!(read.credential.as_bytes(), [1, 2, 3]);
        assert_eq!(
            (read.client_data.as_slice(), read.signature.as_slice()),
            (&b"{}"[..], &[5][..])
        );
        assert_eq!(read.user_handle.as_deref(), Some(&[6][..]));
        let nameless = Assertion::read(&assertion("BQ", "")).unwrap();
        assert_eq!(nameless.user_handle, None);
        let new = json!({
            "rawId": "AQ", "type": "public-key",
            "clientExtensionResults": { "credProps": { "rk": true }, "later": 1 },
            "response": { "clientDataJSON": "e30", "attestationObject": "oA",
                "transports": ["usb", "pigeon"] },
        });
        let new = Registration::read(&new.to_string()).unwrap();
        assert_eq!(new.is_discoverable, Some(true));
        assert_eq!(new.transports.words().collect::<Vec<_>>(), ["usb"]);
    }

    #[test]
    fn what_is_too_long_or_something_else_is_not_read() {
        let long = BASE64URL_NOPAD.encode(&[0; SIGNATURE_AT_MOST + 1]);
        assert!(Assertion::read(&assertion(&long, "")).is_none());
        let handle = BASE64URL_NOPAD.encode(&[0; USER_HANDLE_AT_MOST + 1]);
        assert!(Assertion::read(&assertion("BQ", &handle)).is_none());
        for odd in ["", "123456", "{}", "[]", &assertion("B=", ""), &assertion("+A", "")] {
            assert!(Assertion::read(odd).is_none(), "{odd}");
            assert!(Registration::read(odd).is_none(), "{odd}");
        }
        let other = assertion("BQ", "").replace("public-key", "password");
        assert!(Assertion::read(&other).is_none());
        let padded = assertion("BQ", "") + &" ".repeat(ANSWER_AT_MOST);
        assert!(Assertion::read(&padded).is_none());
    }
}
