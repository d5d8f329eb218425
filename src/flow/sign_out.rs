//! Ending a visit.

use super::admit::Visit;
use super::caller::Caller;
use super::env::Env;
use crate::domain::event::What;
use crate::store::Unavailable;

/// Ends this stay on every host: none of its sessions is worth anything from now on. Other stays
/// of the user go on. Returns the hosts, besides that on which it began, on which it had a session.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether the visit is over is not known
/// then.
pub async fn sign_out(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
) -> Result<Vec<String>, Unavailable> {
    let user = visit.session.user;
    let reads = visit.reads();
    let hosts = env
        .store
        .update(reads, |held| {
            held.session = None;
            let stay = held.stay.take()?;
            held.tell(caller.event(user, What::SignedOut));
            Some(stay.hosts)
        })
        .await?;
    Ok(hosts.flatten().unwrap_or_default())
}
