//! Confirming: the first factor again, before a change of one's own protection.

use super::acting::Acting;
use super::caller::Given;
use super::env::{NoTurn, Turn};
use super::host_session::{Fresh, go_on, live_session};
use super::password_attempt::{Charged, Settled, charge};
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::password::Password;
use crate::domain::time::Timestamp;
use crate::store::Target;
use crate::unavailable::Unavailable;

/// The result.
#[derive(Debug)]
pub enum Confirm {
    /// The password was right; the session continues under a new id.
    Confirmed(Given),
    /// It was wrong; counted as at sign-in.
    Refused,
    /// Too many failures, or too many attempts from this address: nothing is accepted until this
    /// time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// It was right, but must be changed where it is kept.
    MustChange,
    /// Too many sign-ins at the same time; nothing was counted.
    Busy,
    /// The session has ended.
    Over,
}

/// Checks that the person at the browser knows the password.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written, or the source cannot answer. The latter
/// is no failure of the user.
pub async fn confirm(acting: Acting<'_>, password: Password) -> Result<Confirm, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let known = caller.known_to(&authenticated.user.user);
    let Turn { place, tried } = match env.turn(caller, known).await {
        Ok(turn) => turn,
        Err(NoTurn::Waiting(until)) => return Ok(Confirm::Waiting { until }),
        Err(NoTurn::Busy) => return Ok(Confirm::Busy),
    };
    let user = authenticated.session.user;
    let charged = match charge(env, caller, &Target::User(user), known).await? {
        Ok(charged) => Charged::of(env, user, charged).await?,
        Err(until) => return Ok(Confirm::Waiting { until }),
    };
    // The user is known to exist, so the time this takes reveals nothing.
    let answer = charged.ask(env, password, Vec::new(), place).await;
    let (fresh, proof) = (Fresh::draw(env), Proof::First(charged.is(env)));
    let reads = authenticated.reads();
    let confirmed = env
        .store
        .update(reads, |tx| {
            match charged.settle(caller, tx, &answer) {
                Settled::Right => {}
                Settled::Refused => return Ok(Confirm::Refused),
                Settled::MustChange => return Ok(Confirm::MustChange),
                Settled::Unavailable(why) => return Err(why),
            }
            let Some(session) = live_session(env, caller, tx) else { return Ok(Confirm::Over) };
            tx.tell(caller.event(user, What::Confirmed));
            Ok(Confirm::Confirmed(go_on(env, caller, tx, &session, proof, &fresh)))
        })
        .await?;
    let confirmed = confirmed.unwrap_or(Ok(Confirm::Over))?;
    if matches!(confirmed, Confirm::Confirmed(_)) {
        tried.give_back();
    }
    Ok(confirmed)
}
