//! Changing one's own password.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::env::{Env, NoTurn, Turn};
use super::sign_in::broken;
use super::visits::{Fresh, go_on_alone, in_session};
use crate::domain::event::What;
use crate::domain::password::Password;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// What became of it.
#[derive(Debug)]
pub enum Changed {
    /// It is changed; every other visit has ended, and this one goes on under a new id.
    Now(Given),
    /// Too many tries from this address: nothing is read before this moment.
    Waiting {
        /// When the next try is read.
        until: Timestamp,
    },
    /// Too many people sign in at once.
    Busy,
    /// The visit is over.
    Over,
}

/// Sets a new password for whoever this visit is: every other visit ends, and no device is trusted
/// any longer.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether it was changed is not known then.
pub async fn change_password(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    password: Password,
) -> Result<Changed, Unavailable> {
    let known = caller.known_to(&visit.user.user);
    // Nothing is guessed here: what is counted is the work, and that was done.
    let Turn { place, tried: _counted } = match env.turn(caller, known).await {
        Ok(turn) => turn,
        Err(NoTurn::Waiting(until)) => return Ok(Changed::Waiting { until }),
        Err(NoTurn::Busy) => return Ok(Changed::Busy),
    };
    let hash = place.hash(password).await.map_err(broken)?;
    let fresh = Fresh::draw(env);
    let user = visit.session.user;
    in_session(
        env,
        caller,
        visit,
        || Changed::Over,
        |held, session| {
            held.user.set_password(hash.clone());
            held.attempts.clear();
            held.tell(caller.event(user, What::PasswordChanged));
            Changed::Now(go_on_alone(env, caller, held, session, &fresh))
        },
    )
    .await
}
