//! Where a person is signed in: all of it, and ending some of it.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::env::Env;
use super::sign_out::sign_out;
use super::visits::{Fresh, go_on_alone, in_session, in_session_with};
use crate::domain::event::What;
use crate::domain::stay::{Stay, StayId};
use crate::store::{Reads, Snapshot, Unavailable};

/// How many stays of one person are looked at, dead ones that have not been swept yet among them.
const LOOKED_AT: usize = 1_000;

/// What became of ending one or more stays.
#[derive(Debug)]
pub enum Ended {
    /// What was meant is over on every host, or never was; this one goes on, perhaps under a new
    /// id.
    Others(Given),
    /// It was this one: whoever asked is signed out. The hosts are those of [`sign_out`].
    This {
        /// On which it had a session.
        hosts: Vec<String>,
    },
    /// The visit is over; nothing was changed.
    Over,
}

/// The stays of `user` that go on, the one used last first.
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

/// Ends this stay, if it is one of the same user; whatever other id is named, nothing happens.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether it is over is not known then.
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

/// Ends every stay of the user but this one, which goes on under a new id.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether they are over is not known then.
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
