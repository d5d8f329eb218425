//! Sealing: what the file says only to whoever has the keys.
//!
//! A sealed body is XChaCha20-Poly1305 under a random nonce (draft-irtf-cfrg-xchacha-03: at 24
//! bytes chance suffices). The seal also covers where the record lies, so a thief of the file can
//! neither read a record nor lay one person's in another's place. It does not cover when: somebody
//! who can write to the file can put an old record back.
//!
//! The bytes: format, key id, nonce, and what the cipher makes of the body.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;

use super::keys::{KeyId, Keys};
use super::record::Kind;
use super::unavailable::Unavailable;
use crate::domain::secret::Secret;

const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Seals bodies with the newest key and opens what any key has sealed.
pub struct Sealer {
    newest: (KeyId, XChaCha20Poly1305),
    older: Vec<(KeyId, XChaCha20Poly1305)>,
}

impl Sealer {
    /// A sealer with the sealing keys of `keys`.
    pub fn new(keys: &Keys) -> Self {
        let cipher = |(id, key): &(KeyId, super::keys::Key)| {
            (*id, XChaCha20Poly1305::new(&(*key.expose()).into()))
        };
        let (newest, older) = keys.sealing();
        Self { newest: cipher(newest), older: older.iter().map(cipher).collect() }
    }

    /// Seals `body` for the record of this kind under `key`; 42 bytes longer.
    ///
    /// # Errors
    /// [`Unavailable`] if the body is longer than the cipher can seal, which is 256 GiB.
    pub fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        kind: Kind,
        key: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, Unavailable> {
        let (id, cipher) = &self.newest;
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: body, aad: &place(*id, kind, key) };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Unavailable::new("a record is too long to be sealed"))?;
        Ok([[FORMAT, *id].as_slice(), &nonce, &sealed].concat())
    }

    /// Opens what was sealed for the record of this kind under `key`.
    ///
    /// # Errors
    /// See [`Broken`]; it turns into [`Unavailable`] by `?`.
    pub fn open(&self, kind: Kind, key: &[u8], sealed: &[u8]) -> Result<Secret, Broken> {
        let (&[format, id], rest) = sealed.split_first_chunk().ok_or(Broken::Short)?;
        if format != FORMAT {
            return Err(Broken::Format(format));
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(Broken::Short)?;
        let payload = Payload { msg: rest, aad: &place(id, kind, key) };
        self.cipher(id)
            .ok_or(Broken::Key(id))?
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Secret::new)
            .map_err(|_| Broken::Seal)
    }

    fn cipher(&self, id: KeyId) -> Option<&XChaCha20Poly1305> {
        let mut known = std::iter::once(&self.newest).chain(&self.older);
        known.find(|(known, _)| *known == id).map(|(_, cipher)| cipher)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Why a sealed body was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It ends before its body begins.
    #[error("a sealed record is too short to be one")]
    Short,
    /// It was sealed in a way that this version does not know.
    #[error("a record is sealed in format {0}, which this doorward does not know")]
    Format(u8),
    /// It was sealed with a key that we do not have.
    #[error("a record is sealed with key {0}, which is not in the keys file")]
    Key(KeyId),
    /// It was changed, or moved here from elsewhere, or its key is another of the same id.
    #[error("the seal of a record is broken: it was damaged, moved or sealed with other keys")]
    Seal,
}

impl From<Broken> for Unavailable {
    fn from(broken: Broken) -> Self {
        Self::because("a record cannot be opened", broken)
    }
}

/// What a seal covers besides the body, each part behind its length, so that no two places look
/// the same.
fn place(id: KeyId, kind: Kind, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(35 + key.len());
    for part in [[FORMAT].as_slice(), &[id], &[kind.tag()], key] {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part);
    }
    place
}
