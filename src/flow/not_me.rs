//! "This was not me": another person has set up a second factor in the user's name.

use super::caller::Caller;
use super::env::Env;
use crate::domain::event::What;
use crate::domain::link::{Link, Purpose};
use crate::domain::secret::Token;
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// Freezes the factor that the link with this token names. It still counts as a factor but accepts
/// no codes, every session ends, and only an administrator's link helps. Returns whether the link
/// was valid.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn not_me(env: &Env, caller: &Caller, token: &Token) -> Result<bool, Unavailable> {
    let link = env.store.link(token.hash()).await?;
    let Some(link) = link.filter(|link| link.purpose == Purpose::NotMe) else { return Ok(false) };
    let user = link.user;
    let hash = token.hash();
    let reads = Reads::user(user).and::<Link>(&hash);
    let frozen = env
        .store
        .update(reads, |tx| {
            let good = tx.get::<Link>(&hash).filter(|link| tx.user.honours(link, caller.now));
            let Some(factor) = good.and_then(|link| link.factor) else { return false };
            tx.take::<Link>(&hash);
            if tx.user.freeze(factor, caller.now) {
                tx.tell(caller.event(user, What::Frozen));
            }
            true
        })
        .await?;
    Ok(frozen.unwrap_or(false))
}
