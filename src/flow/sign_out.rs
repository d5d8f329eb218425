//! Signing out.

use super::admit::Visit;
use super::caller::Caller;
use super::env::Env;
use crate::domain::event::What;
use crate::store::Unavailable;

/// Ends this user session on every host. Other user sessions of the user continue. Returns the
/// other hosts on which it had a session.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The session may have ended or not.
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
