//! Signing out.

use super::acting::Acting;
use crate::domain::event::What;
use crate::domain::user_session::{AtProvider, Renewal, UserSession};
use crate::unavailable::Unavailable;

/// A user session that has ended.
#[derive(Clone, Debug, Default)]
pub struct SignedOut {
    /// The other hosts on which it had a session.
    pub hosts: Vec<String>,
    /// The session at a provider with which it began.
    pub at_provider: Option<AtProvider>,
}

/// Ends this user session on every host. Other user sessions of the user continue.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The session may have ended or not.
pub async fn sign_out(acting: Acting<'_>) -> Result<SignedOut, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let renewal = Renewal::key_of(authenticated.user_session);
    let reads = authenticated.reads().and::<Renewal>(&renewal);
    let over = env
        .store
        .update(reads, |tx| {
            tx.session = None;
            let user_session = tx.user_session.take()?;
            tx.take::<Renewal>(&renewal);
            tx.tell(caller.event(user, What::SignedOut));
            let UserSession { hosts, at_provider, .. } = user_session;
            Some(SignedOut { hosts, at_provider })
        })
        .await?;
    Ok(over.flatten().unwrap_or_default())
}
