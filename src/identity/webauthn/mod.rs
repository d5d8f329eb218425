//! Verifies the answers of security keys with `webauthn-rs-core`, which only this module names.
//!
//! The library is given the challenge, the key and the relying party for each answer, and nothing
//! else: it keeps no state of ours, draws no random number for us, and reads the clock only for
//! attestations. What it does not check is checked here first: that nothing follows the
//! authenticator data, the exact origin, and that no other page framed ours.

mod authenticator_data;
mod authority;

use std::io;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::attestation::verify_attestation_ca_chain;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationFormat, AuthenticationExtensionsClientOutputs, AuthenticationState,
    AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw, COSEKey, Credential,
    ParsedAttestation, ParsedAttestationData, PublicKeyCredential, RegisterPublicKeyCredential,
    RegisteredExtensions, RegistrationExtensionsClientOutputs, RegistrationState,
    RequestRegistrationExtensions, UserVerificationPolicy,
};

use super::security_keys::{Assertion, Forged, Held, Registration, SecurityKeys};
use crate::config::{Config, Problem, RelyingParty};
use crate::domain::factor::aaguid::Aaguid;
use crate::domain::factor::security_key::{Challenge, CredentialId, New, PublicKey, Shown};
use crate::domain::time::Timestamp;
use crate::net::roots::Roots;
use authenticator_data::AuthenticatorData;

/// The COSE algorithms that a new key may use, the preferred one first (RFC 9053 §2.1, RFC 8812
/// §2): ES256, ES384, RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -35, -257];

/// Verifies answers.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    /// Who attests new keys, if not every key is accepted.
    accepted: Option<Attested>,
}

/// Which new keys are accepted.
#[derive(Clone, Debug)]
struct Attested {
    /// Their models; empty: every model of these makers.
    aaguids: Vec<Aaguid>,
    /// The CA certificates of their makers.
    roots: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Verifies what `config` says, with the CA certificates that it names.
    ///
    /// # Errors
    /// If these cannot be read, or are not certificates with which keys can be verified now.
    pub fn of(config: &Config, now: Timestamp) -> io::Result<Self> {
        let Some(accepted) = &config.accepted_keys else { return Ok(Self::default()) };
        let roots = Roots::of(Some(&accepted.authorities.path))?.certificates;
        authority::check(&roots, now).map_err(io::Error::other)?;
        let verifier =
            Self { accepted: Some(Attested { aaguids: accepted.aaguids.clone(), roots }) };
        // The library reads certificates more strictly than we do.
        let unusable = |_| {
            io::Error::other("the file contains a certificate that cannot be used for attestation")
        };
        let read = verifier.authorities().map_err(unusable)?;
        let nothing = ParsedAttestationData::None;
        let tried = read.map(|read| {
            verify_attestation_ca_chain(&nothing, &read, SystemTime::UNIX_EPOCH).map(drop)
        });
        tried.unwrap_or(Ok(())).map_err(|_| unusable(UNUSABLE))?;
        Ok(verifier)
    }

    /// Warnings about the CA certificates of `config`: those that expire soon.
    pub fn warnings(&self, config: &Config, now: Timestamp) -> Vec<Problem> {
        let file = config.accepted_keys.as_ref().map(|accepted| &accepted.authorities);
        let roots = self.accepted.iter().flat_map(|accepted| &accepted.roots);
        let soon = roots.filter_map(|root| authority::expires_soon(root, now));
        let warned = soon.filter_map(|what| file.map(|file| (file, what))).map(|(file, what)| {
            let (key, place) = file.at.clone();
            let cure =
                Some("ask the manufacturer for the CA certificate that replaces it".to_owned());
            Problem { place: Some(place), key, what, cure }
        });
        warned.collect()
    }

    /// Why a new key is refused. Where it must be attested, whatever is wrong with the attestation is
    /// the same to its user: it is another key than those that are accepted.
    fn not_set_up(&self, why: &WebauthnError) -> Forged {
        let forged = reason(why);
        if self.accepted.is_none() || (forged != MALFORMED && forged != Forged::OTHER_MODEL) {
            return forged;
        }
        tracing::info!("attestation of a security key refused: {why}");
        Forged::OTHER_MODEL
    }

    /// The authorities as the library wants them (its `AttestationCaList`), which only it names.
    fn authorities<T: DeserializeOwned>(&self) -> Result<Option<T>, Forged> {
        let Some(Attested { aaguids, roots }) = &self.accepted else { return Ok(None) };
        let models: Map<String, Value> = aaguids
            .iter()
            .map(|aaguid| (aaguid.to_string(), json!({ "en": "", "localised": {} })))
            .collect();
        let authority = |root: &CertificateDer<'_>| {
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(root));
            let ca = BASE64URL_NOPAD.encode(root);
            let of = json!({ "ca": ca, "aaguids": models, "blanket_allow": models.is_empty() });
            (digest, of)
        };
        let all: Map<String, Value> = roots.iter().map(authority).collect();
        serde_json::from_value(json!({ "cas": all })).map(Some).map_err(|_| UNUSABLE)
    }
}

impl SecurityKeys for Verifier {
    fn set_up(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
        sent: &Registration,
    ) -> Result<New, Forged> {
        check_client_data(party, &sent.client_data)?;
        let bytes = authenticator_data_of(&sent.attestation)?;
        let data = AuthenticatorData::read(&bytes).ok_or(MALFORMED)?;
        let attested = data.attested.ok_or(Forged("it contains no key"))?;
        let credential = CredentialId::new(attested.credential.to_vec()).ok_or(MALFORMED)?;
        let public_key = PublicKey::new(attested.public_key.to_vec()).ok_or(MALFORMED)?;
        let response = RegisterPublicKeyCredential {
            id: BASE64URL_NOPAD.encode(credential.as_bytes()),
            raw_id: credential.as_bytes().to_vec(),
            response: AuthenticatorAttestationResponseRaw {
                attestation_object: sent.attestation.clone(),
                client_data_json: sent.client_data.clone(),
                transports: None,
            },
            type_: "public-key".to_owned(),
            extensions: RegistrationExtensionsClientOutputs::default(),
        };
        let authorities = self.authorities()?;
        let verified = core(party)?
            .register_credential(&response, &registration_state(challenge)?, authorities.as_ref())
            .map_err(|why| self.not_set_up(&why))?;
        Ok(New {
            credential,
            public_key,
            counter: verified.counter,
            user_verified: verified.user_verified,
            can_be_copied: verified.backup_eligible,
            is_copied: verified.backup_state,
            is_discoverable: sent.is_discoverable,
            transports: sent.transports,
            aaguid: Aaguid(attested.aaguid),
            rp_id: party.id.clone(),
        })
    }

    fn shown(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
        held: &Held<'_>,
        sent: &Assertion,
    ) -> Result<Shown, Forged> {
        let Held { user, factor, key } = *held;
        if sent.user_handle.as_ref().is_some_and(|handle| handle != user.as_bytes()) {
            return Err(Forged("the key says that it belongs to another user"));
        }
        check_client_data(party, &sent.client_data)?;
        AuthenticatorData::read(&sent.authenticator_data).ok_or(MALFORMED)?;
        let response = PublicKeyCredential {
            id: BASE64URL_NOPAD.encode(sent.credential.as_bytes()),
            raw_id: sent.credential.as_bytes().to_vec(),
            response: AuthenticatorAssertionResponseRaw {
                authenticator_data: sent.authenticator_data.clone(),
                client_data_json: sent.client_data.clone(),
                signature: sent.signature.clone(),
                user_handle: sent.user_handle.clone(),
            },
            extensions: AuthenticationExtensionsClientOutputs::default(),
            type_: "public-key".to_owned(),
        };
        let cose: serde_cbor_2::Value =
            serde_cbor_2::from_slice(key.public_key().as_bytes()).map_err(|_| MALFORMED)?;
        let credential = Credential {
            cred_id: key.credential().as_bytes().to_vec(),
            cred: COSEKey::try_from(&cose).map_err(|why| reason(&why))?,
            // The counter is judged where it is stored.
            counter: 0,
            transports: None,
            user_verified: key.verifies_user(),
            backup_eligible: key.can_be_copied(),
            backup_state: key.is_copied(),
            // A key with a PIN is asked for its touch alone by some browsers. Whether it verified
            // its user is returned, and judged where that matters.
            registration_policy: UserVerificationPolicy::Discouraged_DO_NOT_USE,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation::default(),
            attestation_format: AttestationFormat::None,
        };
        let result = core(party)?
            .authenticate_single_credential(
                &response,
                &authentication_state(challenge)?,
                &credential,
            )
            .map_err(|why| reason(&why))?;
        Ok(Shown {
            factor,
            counter: result.counter(),
            user_verified: result.user_verified(),
            is_copied: result.backup_state(),
        })
    }
}

const MALFORMED: Forged = Forged("it is malformed");
/// The library no longer takes what it took before: an update of it must be looked at.
const UNUSABLE: Forged = Forged("the library for security keys cannot be used");

fn core(party: &RelyingParty) -> Result<WebauthnCore, Forged> {
    let origin = Url::parse(&party.origin.to_string()).map_err(|_| UNUSABLE)?;
    let (id, name, timeout) = (party.id.as_str(), party.name.as_str(), Duration::from_mins(5));
    let origins = vec![origin];
    Ok(WebauthnCore::new_unsafe_experts_only(name, id, origins, timeout, Some(false), Some(false)))
}

fn registration_state(challenge: &Challenge) -> Result<RegistrationState, Forged> {
    let state = json!({
        "policy": "preferred",
        "exclude_credentials": [],
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "credential_algorithms": ["ES256", "ES384", "RS256"],
        "require_resident_key": false,
        "authenticator_attachment": null,
        "extensions": RequestRegistrationExtensions::default(),
        "allow_synchronised_authenticators": true,
    });
    serde_json::from_value(state).map_err(|_| UNUSABLE)
}

fn authentication_state(challenge: &Challenge) -> Result<AuthenticationState, Forged> {
    let state = json!({
        "credentials": [],
        "policy": "preferred",
        "challenge": BASE64URL_NOPAD.encode(challenge.as_bytes()),
        "appid": null,
        "allow_backup_eligible_upgrade": false,
    });
    serde_json::from_value(state).map_err(|_| UNUSABLE)
}

/// What is read of the client data here; the library reads its type and its challenge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

/// Checks the origin as browsers write it (WebAuthn §7.1 steps 9 to 11, §7.2 steps 13 to 15): the
/// library compares parsed URLs, and does not look at frames everywhere.
fn check_client_data(party: &RelyingParty, client_data: &[u8]) -> Result<(), Forged> {
    let data: ClientData = serde_json::from_slice(client_data).map_err(|_| MALFORMED)?;
    if data.origin != party.origin.to_string() {
        return Err(WRONG_ORIGIN);
    }
    if data.cross_origin || data.top_origin.is_some() {
        return Err(FRAMED);
    }
    Ok(())
}

const WRONG_ORIGIN: Forged = Forged("it is for another origin");
const FRAMED: Forged = Forged("the page was in a frame of another site");

#[derive(Deserialize)]
struct AttestationObject<'a> {
    #[serde(rename = "authData", borrow)]
    authenticator_data: &'a [u8],
}

fn authenticator_data_of(attestation: &[u8]) -> Result<Vec<u8>, Forged> {
    let read: Result<AttestationObject<'_>, _> = serde_cbor_2::from_slice(attestation);
    read.map(|object| object.authenticator_data.to_vec()).map_err(|_| MALFORMED)
}

fn reason(error: &WebauthnError) -> Forged {
    Forged(match error {
        WebauthnError::InvalidClientDataType => "it is of the wrong type (set-up or sign-in)",
        WebauthnError::MismatchedChallenge => "it answers another challenge",
        WebauthnError::InvalidRPOrigin => return WRONG_ORIGIN,
        WebauthnError::InvalidRPIDHash => "it was made for another RP ID",
        WebauthnError::UserNotPresent => "nobody touched the key",
        WebauthnError::UserNotVerified => "the key did not verify its user",
        WebauthnError::CredentialNotFound => "it comes from another credential",
        WebauthnError::CredentialAlteredAlgFromRequest => "the key uses another algorithm",
        WebauthnError::CredentialBackupEligibilityInconsistent
        | WebauthnError::CredentialMayNotBeHardwareBound => {
            "its backup flags differ from those at set-up"
        }
        WebauthnError::AuthenticationFailure | WebauthnError::SignatureInvalid => {
            "the signature is wrong"
        }
        WebauthnError::CredentialCrossOrigin => return FRAMED,
        WebauthnError::AttestationNotVerifiable
        | WebauthnError::AttestationChainNotTrusted(_)
        | WebauthnError::AttestationUntrustedAaguid
        | WebauthnError::AttestationFormatMissingAaguid => return Forged::OTHER_MODEL,
        _ => return MALFORMED,
    })
}
