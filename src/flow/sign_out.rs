//! Ending a visit.

use super::admit::Visit;
use super::env::{Caller, Env};
use crate::domain::event::What;
use crate::store::Unavailable;

/// Ends this stay on every host: none of its sessions is worth anything from now on. Other stays
/// of the user go on.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether the visit is over is not known
/// then.
pub async fn sign_out(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    let user = visit.session.user;
    let reads = visit.reads();
    env.store
        .update(reads, |held| {
            held.session = None;
            if held.stay.take().is_some() {
                held.tell(caller.event(user, What::SignedOut));
            }
        })
        .await
        .map(|_| ())
}
