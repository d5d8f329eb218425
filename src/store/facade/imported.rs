//! How many people have a password of which only a digest is known that was made elsewhere: counted
//! in the batch that changes it, so that the number is exact whatever happens meanwhile.

use super::{Store, expect};
use crate::domain::digest::{Effort, Imported, Scheme};
use crate::domain::password::PasswordHash;
use crate::domain::user::User;
use crate::store::batch::Batch;
use crate::store::record::Kind;
use crate::store::unavailable::Unavailable;

/// The setting that says so.
const IMPORTED: &[u8] = b"imported-passwords";

impl Store {
    /// What every sign-in is to take besides our own hashing, so that nobody can tell whose password
    /// is still a digest that was made elsewhere.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn dearest_digests(&self) -> Result<Vec<Effort>, Unavailable> {
        let read = self.read::<Imported>(Kind::Setting, IMPORTED).await?;
        Ok(read.value.unwrap_or_default().dearest())
    }

    /// Adds to `batch` what these people, as they were before and as they are after it, change in the
    /// number.
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
