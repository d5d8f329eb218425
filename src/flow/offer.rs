//! Declining an offer that was made after sign-in (S22, S23, S37).

use super::acting::Acting;
use super::host_session::in_session;
use super::next::may_set_up;
use crate::unavailable::Unavailable;

/// The user declines: set-up is not offered again for a while. Other offers come again at the next
/// sign-in that gives reason.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn decline(acting: Acting<'_>) -> Result<(), Unavailable> {
    let Acting { env, caller, .. } = acting;
    in_session(
        acting,
        || (),
        |tx, session| {
            if may_set_up(env, &tx.user, &session.proofs, caller.now) {
                tx.user.decline(caller.now);
            }
        },
    )
    .await
}
