//! Signing out.

use super::acting::Acting;
use crate::domain::event::What;
use crate::unavailable::Unavailable;

/// Ends this user session on every host. Other user sessions of the user continue. Returns the
/// other hosts on which it had a session.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The session may have ended or not.
pub async fn sign_out(acting: Acting<'_>) -> Result<Vec<String>, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let reads = authenticated.reads();
    let hosts = env
        .store
        .update(reads, |tx| {
            tx.session = None;
            let user_session = tx.user_session.take()?;
            tx.tell(caller.event(user, What::SignedOut));
            Some(user_session.hosts)
        })
        .await?;
    Ok(hosts.flatten().unwrap_or_default())
}
