//! Declining an offer that was made after sign-in (S22, S23, S37).

use super::admit::Visit;
use super::caller::Caller;
use super::env::Env;
use super::next::may_set_up;
use super::visits::in_session;
use crate::store::Unavailable;

/// The user declines: set-up is not offered again for a while. Other offers come again at the next
/// sign-in that gives reason.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn decline(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    in_session(
        env,
        caller,
        visit,
        || (),
        |held, session| {
            if may_set_up(env, &held.user, &session.proofs, caller.now) {
                held.user.decline(caller.now);
            }
        },
    )
    .await
}
