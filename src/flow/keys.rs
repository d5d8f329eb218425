//! What operators do to keys: see them, and rotate them.

use std::sync::Arc;

use super::env::Env;
use crate::store::{Left, Purpose, Rotated};
use crate::unavailable::{Kind, Unavailable};

/// Uses a new key for `purpose` from now on, on behalf of the operator `by`. Done to its end even if
/// nobody waits for it any more.
///
/// # Errors
/// [`Unavailable`] if the keys file or the store cannot be written. If the file cannot, nothing has
/// changed.
pub async fn rotate(env: &Arc<Env>, by: &str, purpose: Purpose) -> Result<Rotated, Unavailable> {
    let now = env.now()?;
    let (store, by) = (Arc::clone(&env.store), by.to_owned());
    let rotating = tokio::spawn(async move { store.rotate(purpose, &by, now).await });
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
