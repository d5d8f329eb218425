//! Where a user is signed in: listing user sessions and ending them.

use super::acting::Acting;
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, go_on_alone, in_session, in_session_with};
use super::sign_out::{SignedOut, sign_out};
use crate::domain::event::What;
use crate::domain::user_session::{Renewal, UserSession, UserSessionId};
use crate::store::Snapshot;
use crate::unavailable::Unavailable;

/// How many user sessions of one user are read, including ended ones that were not swept yet.
const LOOKED_AT: usize = 1_000;

/// The result of ending user sessions.
#[derive(Debug)]
pub enum Ended {
    /// They have ended on every host, or never existed. This session continues, perhaps under a new
    /// id.
    Others(Given),
    /// It was this one: the user is signed out.
    This(SignedOut),
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
) -> Result<Vec<(UserSessionId, UserSession)>, Unavailable> {
    let user = &user.user;
    let mut user_sessions = env.store.user_sessions_of(user.id(), LOOKED_AT).await?;
    user_sessions.retain(|(_, user_session)| {
        user_session.is_alive(user.epoch(), env.config.sessions, caller.now)
    });
    user_sessions.sort_by_key(|(id, user_session)| {
        (std::cmp::Reverse((user_session.seen, user_session.began)), *id)
    });
    Ok(user_sessions)
}

/// Ends this user session if it belongs to the same user; any other id has no effect.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The session may have ended or not.
pub async fn end(acting: Acting<'_>, user_session: UserSessionId) -> Result<Ended, Unavailable> {
    let Acting { caller, authenticated, .. } = acting;
    if user_session == authenticated.user_session {
        return Ok(Ended::This(sign_out(acting).await?));
    }
    let user = authenticated.session.user;
    let renewal = Renewal::key_of(user_session);
    let mut reads = authenticated.reads().and::<Renewal>(&renewal);
    reads.other = Some(user_session);
    in_session_with(
        acting,
        reads,
        || Ended::Over,
        |tx, _| {
            if tx.other.take_if(|user_session| user_session.user == user).is_some() {
                tx.take::<Renewal>(&renewal);
                tx.tell(caller.event(user, What::SessionEnded));
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
pub async fn end_others(acting: Acting<'_>) -> Result<Ended, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        acting,
        || Ended::Over,
        |tx, session| {
            tx.user.end_sessions();
            tx.tell(caller.event(user, What::SessionsEnded));
            Ended::Others(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}
