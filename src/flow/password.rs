//! Changing one's own password.

use super::acting::Acting;
use super::caller::Given;
use super::env::{NoTurn, Turn};
use super::host_session::{Fresh, go_on_alone, in_session};
use crate::domain::event::What;
use crate::domain::password::Password;
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

/// The result.
#[derive(Debug)]
pub enum Changed {
    /// It was changed; every other session has ended, and this one continues under a new id.
    Now(Given),
    /// Too many attempts from this address: nothing is accepted until this time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// Too many sign-ins at the same time.
    Busy,
    /// The user has no password, and a first one needs a link.
    None,
    /// The session has ended.
    Over,
}

/// Sets a new password for the user of this session: every other session ends, and all trusted
/// devices are revoked.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The password may be changed or not.
pub async fn change_password(
    acting: Acting<'_>,
    password: Password,
) -> Result<Changed, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let known = caller.known_to(&authenticated.user.user);
    // This is not a guess: the limit counts the hashing work, and that was done.
    let Turn { place, tried: _counted } = match env.turn(caller, known).await {
        Ok(turn) => turn,
        Err(NoTurn::Waiting(until)) => return Ok(Changed::Waiting { until }),
        Err(NoTurn::Busy) => return Ok(Changed::Busy),
    };
    let hash = place.hash(password).await?;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        acting,
        || Changed::Over,
        |tx, session| {
            if tx.user.password().is_none() {
                return Changed::None;
            }
            tx.user.set_password(hash.clone());
            tx.attempts.clear();
            tx.tell(caller.event(user, What::PasswordChanged));
            Changed::Now(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}
