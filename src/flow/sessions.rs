//! Where a user is signed in: listing user sessions and ending them.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::env::Env;
use super::sign_out::sign_out;
use super::visits::{Fresh, go_on_alone, in_session, in_session_with};
use crate::domain::event::What;
use crate::domain::stay::{Stay, StayId};
use crate::store::{Reads, Snapshot, Unavailable};

/// How many user sessions of one user are read, including ended ones that were not swept yet.
const LOOKED_AT: usize = 1_000;

/// The result of ending user sessions.
#[derive(Debug)]
pub enum Ended {
    /// They have ended on every host, or never existed. This session continues, perhaps under a new
    /// id.
    Others(Given),
    /// It was this one: the user is signed out. The hosts are those of [`sign_out`].
    This {
        /// The hosts on which it had a session.
        hosts: Vec<String>,
    },
    /// The session has ended; nothing was changed.
    Over,
}

/// The live user sessions of `user`, the last used first.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn of(
    env: &Env,
    caller: &Caller,
    user: &Snapshot,
) -> Result<Vec<(StayId, Stay)>, Unavailable> {
    let user = &user.user;
    let mut stays = env.store.stays_of(user.id(), LOOKED_AT).await?;
    stays.retain(|(_, stay)| stay.is_alive(user.epoch(), env.config.sessions, caller.now));
    stays.sort_by_key(|(id, stay)| (std::cmp::Reverse((stay.seen, stay.began)), *id));
    Ok(stays)
}

/// Ends this user session if it belongs to the same user; any other id has no effect.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The session may have ended or not.
pub async fn end(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    stay: StayId,
) -> Result<Ended, Unavailable> {
    if stay == visit.stay {
        let hosts = sign_out(env, caller, visit).await?;
        return Ok(Ended::This { hosts });
    }
    let user = visit.session.user;
    let reads = Reads { other: Some(stay), ..visit.reads() };
    in_session_with(
        env,
        caller,
        reads,
        || Ended::Over,
        |held, _| {
            if held.other.take_if(|stay| stay.user == user).is_some() {
                held.tell(caller.event(user, What::SessionEnded));
            }
            Ended::Others(Given::default())
        },
    )
    .await
}

/// Ends all other user sessions of the user; this one continues under a new id.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The sessions may have ended or not.
pub async fn end_others(env: &Env, caller: &Caller, visit: &Visit) -> Result<Ended, Unavailable> {
    let fresh = Fresh::draw(env);
    let user = visit.session.user;
    in_session(
        env,
        caller,
        visit,
        || Ended::Over,
        |held, session| {
            held.user.end_sessions();
            held.tell(caller.event(user, What::SessionsEnded));
            Ended::Others(go_on_alone(env, caller, held, session, &fresh))
        },
    )
    .await
}
