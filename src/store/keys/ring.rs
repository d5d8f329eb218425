//! The keys for one purpose: the one that is used, and older ones that are still accepted.

use std::fmt;

use data_encoding::BASE64;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;

/// The id of a key among those for the same purpose.
///
/// It stands in everything that the key sealed or signed. So it is given to another key only after
/// 254 others had their turn, and never while the ring has it.
pub type KeyId = u8;

/// The keys for one purpose. There is always a current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Oldest first.
    older: Vec<Held>,
    current: Held,
}

/// A key of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: KeyId,
    /// Since when it is or was the current one.
    pub since: Timestamp,
    pub(in crate::store) key: Key,
}

impl Ring {
    /// A ring with one new key.
    pub(super) fn new(rng: &mut dyn CryptoRng, now: Timestamp) -> Self {
        Self { older: Vec::new(), current: Held { id: 1, since: now, key: Key::random(rng) } }
    }

    /// The last of `keys` is the current one; `None` if there is none.
    pub(super) fn of(mut keys: Vec<Held>) -> Option<Self> {
        keys.pop().map(|current| Self { older: keys, current })
    }

    /// The key that is used.
    pub fn current(&self) -> &Held {
        &self.current
    }

    /// The keys that are only accepted, oldest first.
    pub fn older(&self) -> &[Held] {
        &self.older
    }

    /// All keys, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.older.iter().chain([&self.current])
    }

    /// The key with this id.
    pub(in crate::store) fn get(&self, id: KeyId) -> Option<&Held> {
        self.all().find(|held| held.id == id)
    }

    /// The same with a new current key. `None` if there is no id for it: 255 keys are accepted.
    pub(super) fn rotated(&self, rng: &mut dyn CryptoRng, now: Timestamp) -> Option<Self> {
        let from = self.current.id;
        let mut following = (from..=KeyId::MAX).chain(1..=from).skip(1);
        let id = following.find(|id| self.get(*id).is_none())?;
        let older = self.all().cloned().collect();
        Some(Self { older, current: Held { id, since: now, key: Key::random(rng) } })
    }

    /// The same without the older keys that are not to be kept.
    pub(super) fn keeping(&self, keep: impl Fn(&Held) -> bool) -> Self {
        let older = self.older.iter().filter(|held| keep(held)).cloned().collect();
        Self { older, current: self.current.clone() }
    }

    /// When the older key with this id was replaced.
    pub fn replaced(&self, id: KeyId) -> Option<Timestamp> {
        let mut following = self.all().skip_while(|held| held.id != id).skip(1);
        following.next().map(|held| held.since)
    }
}

/// Thirty-two secret bytes. Wiped from memory when dropped.
#[derive(Clone)]
pub(in crate::store) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    pub(super) fn parse(base64: &str) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(base64.as_bytes()).map(Zeroizing::new).ok();
        let bytes = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or("a key is 32 bytes in base64")
    }

    pub(in crate::store) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn expose_onto(&self, text: &mut String) {
        BASE64.encode_append(self.expose(), text);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_slice(), other.0.as_slice()).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    #[test]
    fn a_new_key_is_current_and_the_old_one_is_replaced_at_that_time() {
        let mut chance = StdRng::seed_from_u64(1);
        let ring = Ring::new(&mut chance, at(1)).rotated(&mut chance, at(2)).unwrap();
        assert_eq!(ring.all().map(|held| held.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((ring.replaced(1), ring.replaced(2)), (Some(at(2)), None));
        assert_ne!(ring.get(1).unwrap().key, ring.current().key);
    }

    #[test]
    fn an_id_comes_back_only_after_all_others_and_never_while_it_is_held() {
        let mut chance = StdRng::seed_from_u64(1);
        let mut ring = Ring::new(&mut chance, at(0));
        let first = ring.clone();
        for expected in (2..=255).chain(1..=9) {
            ring = ring.rotated(&mut chance, at(0)).unwrap().keeping(|_| false);
            assert_eq!(ring.current().id, expected);
        }
        let mut full = first;
        for _ in 0..600 {
            let Some(more) = full.rotated(&mut chance, at(0)) else { break };
            full = more.keeping(|held| held.id != 7);
        }
        let mut ids: Vec<_> = full.all().map(|held| held.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), full.all().count(), "no id is there twice");
    }
}
