//! The number of users whose password is still an imported digest. It is updated in the same batch
//! as the password, so it is always exact.

use super::{Store, expect};
use crate::domain::digest::{Effort, Imported, Scheme};
use crate::domain::password::PasswordHash;
use crate::domain::user::User;
use crate::store::batch::Batch;
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// The key of the setting that holds it.
const IMPORTED: &[u8] = b"imported-passwords";

impl Store {
    /// The work that every sign-in must do in addition to our own hashing, so that its duration
    /// does not reveal whose password is an imported digest.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn dearest_digests(&self) -> Result<Vec<Effort>, Unavailable> {
        let read = self.read::<Imported>(Kind::Setting, IMPORTED).await?;
        Ok(read.value.unwrap_or_default().dearest())
    }

    /// Adds to `batch` the update of the count for users who change as given: before and after.
    pub(super) async fn count_imported(
        &self,
        mut batch: Batch,
        people: impl IntoIterator<Item = (Option<&User>, Option<&User>)>,
    ) -> Result<Batch, Unavailable> {
        fn scheme(user: Option<&User>) -> Option<&Scheme> {
            user.and_then(User::password).and_then(PasswordHash::scheme)
        }
        let changes = people.into_iter().map(|(before, after)| (scheme(before), scheme(after)));
        let changes: Vec<_> = changes.filter(|(before, after)| before != after).collect();
        if changes.is_empty() {
            return Ok(batch);
        }
        let read = self.read::<Imported>(Kind::Setting, IMPORTED).await?;
        let mut imported = read.value.unwrap_or_default();
        for (before, after) in changes {
            imported.change(before, after);
        }
        batch = self.put(batch, Kind::Setting, IMPORTED, expect(read.version), None, &imported)?;
        Ok(batch)
    }
}
