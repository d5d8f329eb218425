//! The names of removed users. Applications may keep something under such a name, so no identity
//! provider gives it to somebody else; an operator may.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::{Quiet, Store, expect};
use crate::domain::name::Name;
use crate::store::batch::Batch;
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// Digests of the names, sixteen bytes each. They need no key: the record is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct FormerNames {
    #[n(0)]
    digests: Vec<ByteArray<16>>,
}

impl Quiet for FormerNames {}

impl Store {
    /// Whether a user who was removed had this name.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn was_somebodys(&self, name: &Name) -> Result<bool, Unavailable> {
        let former = self.read::<FormerNames>(Kind::Setting, FORMER_NAMES).await?;
        Ok(former.value.is_some_and(|former| former.digests.contains(&digest(name))))
    }

    /// Adds to `batch` that a user with this name is removed.
    pub(super) async fn with_former(
        &self,
        batch: Batch,
        name: &Name,
    ) -> Result<Batch, Unavailable> {
        let read = self.read::<FormerNames>(Kind::Setting, FORMER_NAMES).await?;
        let mut former = read.value.unwrap_or_default();
        let digest = digest(name);
        if !former.digests.contains(&digest) {
            former.digests.push(digest);
        }
        self.put(batch, Kind::Setting, FORMER_NAMES, expect(read.version), None, &former)
    }
}

fn digest(name: &Name) -> ByteArray<16> {
    let digest: [u8; 32] = Sha256::digest(name.as_str().as_bytes()).into();
    ByteArray::from(std::array::from_fn(|i| digest[i]))
}

const FORMER_NAMES: &[u8] = b"former-names";
