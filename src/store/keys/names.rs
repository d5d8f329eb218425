//! The keyed hashes under which names are stored, so that somebody who steals the store does not
//! learn the names.
//!
//! A hash begins with the id of its key. So what is still stored under an older key is found
//! without reading anything else.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use super::file::Keys;
use super::purpose::Purpose;
use super::ring::{Held, Key, KeyId};

/// The key of a record that is found by a name: the id of the key, then HMAC-SHA-256 (RFC 2104).
pub(in crate::store) type NameHash = [u8; NAME_LENGTH];
pub(in crate::store) const NAME_LENGTH: usize = 33;

/// Computes keyed hashes of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKey {
    id: KeyId,
    key: Key,
}

impl NameKey {
    /// The current one of `keys`.
    pub fn current(keys: &Keys) -> Self {
        Self::of_ring(keys.ring(Purpose::Names).current())
    }

    fn of_ring(held: &Held) -> Self {
        Self { id: held.id, key: held.key.clone() }
    }

    /// The id of the key, with which all its hashes begin.
    pub(in crate::store) fn id(&self) -> KeyId {
        self.id
    }

    /// The record key of a normalised name.
    pub fn of(&self, normalised_name: &str) -> [u8; 33] {
        self.mac(&[b"doorward name 1\0", normalised_name.as_bytes()])
    }

    /// The key of the record with the failed attempts of a user or of an unknown name. It does not
    /// reveal which of the two it is. `of` is the user id or the record key of the name.
    pub(in crate::store) fn of_attempts(&self, of: &[u8]) -> NameHash {
        self.mac(&[b"doorward attempts 1\0", of])
    }

    fn mac(&self, parts: &[&[u8]]) -> NameHash {
        // RFC 2104 §2: a key shorter than a block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        for (byte, of_key) in block.iter_mut().zip(self.key.expose()) {
            *byte = *of_key;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        let mut hash = [self.id; NAME_LENGTH];
        hash[1..].copy_from_slice(&mac.finalize().into_bytes());
        hash
    }
}

/// The keys of names: the current one, and older ones under which names may still be stored.
#[derive(Clone, Debug)]
pub(in crate::store) struct NameKeys {
    pub(in crate::store) current: NameKey,
    /// Oldest first.
    pub(in crate::store) older: Vec<NameKey>,
}

/// One hash for each key, oldest first. Readers look in this order: a name moves from an older key
/// to the current one, so it is not missed even if it moves meanwhile.
pub(in crate::store) type Hashes = SmallVec<[NameHash; 1]>;

impl NameKeys {
    pub(super) fn new(keys: &Keys) -> Self {
        let ring = keys.ring(Purpose::Names);
        let older = ring.older().iter().map(NameKey::of_ring).collect();
        Self { current: NameKey::of_ring(ring.current()), older }
    }

    /// The hashes of a normalised name.
    pub(in crate::store) fn of(&self, normalised_name: &str) -> Hashes {
        self.each(|key| key.of(normalised_name))
    }

    /// The hashes for failed attempts; see [`NameKey::of_attempts`].
    pub(in crate::store) fn of_attempts(&self, of: &[u8]) -> Hashes {
        self.each(|key| key.of_attempts(of))
    }

    /// The older key with this id.
    pub(in crate::store) fn older(&self, id: KeyId) -> Option<&NameKey> {
        self.older.iter().find(|key| key.id == id)
    }

    fn each(&self, hash: impl Fn(&NameKey) -> NameHash) -> Hashes {
        self.older.iter().chain([&self.current]).map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_under_its_keyed_hash() {
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let key = NameKey { id: 3, key: Key::parse(text).unwrap() };
        let bytes = std::array::from_fn::<u8, 32, _>(|i| u8::try_from(i).unwrap());
        let mut mac = Hmac::<Sha256>::new_from_slice(&bytes).unwrap();
        mac.update(b"doorward name 1\0ada");
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!((key.of("ada")[0], &key.of("ada")[1..]), (3, &expected[..]));
        assert_ne!(key.of("ada"), key.of("Ada"));
    }
}
