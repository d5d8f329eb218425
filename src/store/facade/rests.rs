//! Which keys the store needs, as a record of the store itself.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::store::keys::{Held, KeyId, Keys, Purpose};

/// The keys that records rest on, as a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Rests {
    #[n(0)]
    marks: Vec<Mark>,
}

/// One key, recognizable by those who have it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Mark {
    #[n(0)]
    purpose: String,
    #[n(1)]
    id: KeyId,
    #[n(2)]
    digest: ByteArray<8>,
}

impl Mark {
    fn of(purpose: Purpose, held: &Held) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"doorward key mark 1\0")
            .chain_update(held.key.expose())
            .finalize()
            .into();
        let digest = std::array::from_fn(|i| digest[i]);
        Self { purpose: purpose.word().to_owned(), id: held.id, digest: ByteArray::from(digest) }
    }
}

impl Rests {
    /// On the keys of each purpose that records rest on.
    pub(super) fn on(keys: &Keys) -> Self {
        let rested_on = Purpose::ALL.iter().filter(|purpose| purpose.is_rested_on());
        let marks = rested_on
            .flat_map(|purpose| keys.ring(*purpose).all().map(|held| Mark::of(*purpose, held)));
        Self { marks: marks.collect() }
    }

    /// A key that is not among `keys`: its purpose and id.
    pub(super) fn lacks(self, keys: &Keys) -> Option<(String, KeyId)> {
        let there = Self::on(keys).marks;
        let lacking = self.marks.into_iter().find(|mark| !there.contains(mark));
        lacking.map(|mark| (mark.purpose, mark.id))
    }
}
