//! What operators do to keys: see them, and rotate them.

use std::sync::Arc;

use super::env::Env;
use crate::store::{Left, Purpose, Rotated};
use crate::unavailable::{Kind, Unavailable};

/// What becomes of what older keys have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Older {
    /// It is accepted until it ends by itself.
    Accepted,
    /// It ends at once: somebody may have copied a key.
    End,
}

/// Uses a new key for `purpose` from now on, on behalf of the operator `by`. Done to its end even if
/// nobody waits for it any more. What records need of older keys is kept in any case.
///
/// # Errors
/// [`Unavailable`] if the keys file or the store cannot be written. If the file cannot, nothing has
/// changed.
pub async fn rotate(
    env: &Arc<Env>,
    by: &str,
    purpose: Purpose,
    older: Older,
) -> Result<Rotated, Unavailable> {
    let now = env.now()?;
    let (store, by) = (Arc::clone(&env.store), by.to_owned());
    let rotating = tokio::spawn(async move {
        let rotated = store.rotate(purpose, &by, now).await?;
        if older == Older::End && matches!(rotated, Rotated::Now(_)) {
            store.end_older_keys(purpose).await?;
        }
        Ok(rotated)
    });
    rotating.await.map_err(failed)?
}

/// Does a part of what older keys wait for. Done to its end even if nobody waits for it any more.
///
/// # Errors
/// [`Unavailable`] if the store or the keys file cannot be read or written. The next call goes on.
pub async fn carry_on(env: &Arc<Env>) -> Result<Left, Unavailable> {
    let store = Arc::clone(&env.store);
    let work = tokio::spawn(async move { store.carry_on().await });
    work.await.map_err(failed)?
}

fn failed(error: tokio::task::JoinError) -> Unavailable {
    Unavailable::new(Kind::Panic, "the rotation of a key").because(error)
}
