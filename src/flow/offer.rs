//! Declining an offer that was made after sign-in (S22, S23, S37).

use super::admit::AuthenticatedRequest;
use super::caller::Caller;
use super::env::Env;
use super::host_session::in_session;
use super::next::may_set_up;
use crate::store::Unavailable;

/// The user declines: set-up is not offered again for a while. Other offers come again at the next
/// sign-in that gives reason.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn decline(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
) -> Result<(), Unavailable> {
    in_session(
        env,
        caller,
        authenticated,
        || (),
        |tx, session| {
            if may_set_up(env, &tx.user, &session.proofs, caller.now) {
                tx.user.decline(caller.now);
            }
        },
    )
    .await
}
