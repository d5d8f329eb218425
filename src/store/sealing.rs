//! Sealing: encrypts records, so that the file is useless without the keys.
//!
//! A sealed body is encrypted with XChaCha20-Poly1305 under a random nonce
//! (draft-irtf-cfrg-xchacha-03: 24 bytes are enough for random nonces). The seal also covers the
//! kind and key of the record, so somebody who steals the file can neither read a record nor move
//! it to another key. It does not cover time: somebody who can write to the file can restore an old
//! record.
//!
//! The layout is: format, key id, nonce, ciphertext.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;

use super::keys::{Held, KeyId, Keys, Purpose};
use super::record::Kind;
use crate::domain::secret::Secret;
use crate::unavailable::Unavailable;

const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Seals bodies with the current key, and opens what any of the keys has sealed.
pub struct Sealer {
    current: (KeyId, XChaCha20Poly1305),
    older: Vec<(KeyId, XChaCha20Poly1305)>,
}

impl Sealer {
    /// A sealer with the sealing keys of `keys`.
    pub fn new(keys: &Keys) -> Self {
        let cipher = |held: &Held| (held.id, XChaCha20Poly1305::new(&(*held.key.expose()).into()));
        let ring = keys.ring(Purpose::Sealing);
        Self { current: cipher(ring.current()), older: ring.older().iter().map(cipher).collect() }
    }

    /// Seals `body` for the record of this kind under `key`. The result is 42 bytes longer.
    ///
    /// # Errors
    /// [`Unavailable`] if the body is longer than the cipher's limit of 256 GiB.
    pub fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        kind: Kind,
        key: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, Unavailable> {
        let (id, cipher) = &self.current;
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: body, aad: &place(*id, kind, key) };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Unavailable::record("it is too long to encrypt"))?;
        Ok([[FORMAT, *id].as_slice(), &nonce, &sealed].concat())
    }

    /// Opens the sealed body of the record of this kind under `key`.
    ///
    /// # Errors
    /// See [`Broken`], which converts to [`Unavailable`] with `?`.
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

    /// Whether `sealed` needs no older key. What is no sealed body needs none.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1).is_none_or(|id| *id == self.current.0)
    }

    fn cipher(&self, id: KeyId) -> Option<&XChaCha20Poly1305> {
        let mut known = std::iter::once(&self.current).chain(&self.older);
        known.find(|(known, _)| *known == id).map(|(_, cipher)| cipher)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Why a sealed body cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is too short.
    #[error("an encrypted record is cut off")]
    Short,
    /// This version does not know its format.
    #[error("a record is encrypted in format {0}, which this version of doorward does not support")]
    Format(u8),
    /// Its key is not in the keys file.
    #[error("a record is encrypted with `sealing` key {0}, which is not in the keys file")]
    Key(KeyId),
    /// It was changed, moved from another record, or sealed with a different key of the same id.
    #[error("a record cannot be authenticated: it was damaged, moved or encrypted with other keys")]
    Seal,
}

impl From<Broken> for Unavailable {
    fn from(broken: Broken) -> Self {
        Self::record("cannot decrypt it").because(broken)
    }
}

/// The data that a seal covers besides the body. Each part is prefixed with its length, so that
/// different inputs cannot produce the same bytes.
fn place(id: KeyId, kind: Kind, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(35 + key.len());
    for part in [[FORMAT].as_slice(), &[id], &[kind.tag()], key] {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part);
    }
    place
}
