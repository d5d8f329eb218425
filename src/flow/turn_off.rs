//! Turning two-factor off with an answer as at the challenge, unless it is demanded.

use super::acting::Acting;
use super::answer::{Submitted, counted};
use super::caller::Given;
use super::challenge::{answered, ask_for, no_guess};
use super::host_session::{Fresh, go_on_alone, in_session};
use super::refused::tell_refused;
use super::set_up::begun;
use super::texts::entered;
use crate::domain::ceremony::Purpose;
use crate::domain::demand::Demand;
use crate::domain::event::What;
use crate::domain::factor::{Begun, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::unavailable::Unavailable;

/// The result.
#[derive(Debug)]
pub enum TurnOff {
    /// It is off; every other session has ended, and this one continues under a new id.
    Off(Given),
    /// It is demanded of this user, so the answer was not checked.
    Demanded(Demand),
    /// The answer was not accepted.
    Rejected(Rejection),
    /// The session has ended.
    Over,
}

/// Asks for an answer of this `kind`, like [`challenge::ask`](super::challenge::ask); it counts only
/// here.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn ask(acting: Acting<'_>, kind: Kind) -> Result<Option<Begun>, Unavailable> {
    ask_for(acting, kind, Purpose::TurnOff).await
}

/// Turns two-factor off for the user of this session, if `answer` is right.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. Two-factor may be off or not.
pub async fn turn_off(acting: Acting<'_>, answer: &Submitted) -> Result<TurnOff, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    let settings = env.config.second_factor;
    let counted = match counted(acting, answer) {
        Ok(counted) => counted,
        Err(until) => return Ok(TurnOff::Rejected(Rejection::Waiting { until })),
    };
    let turned_off = in_session(
        acting,
        || TurnOff::Over,
        |tx, session| {
            if let Some(demand) = env.demand_on(&tx.user, caller.now) {
                return TurnOff::Demanded(demand);
            }
            let browser = caller.known_to(&tx.user);
            let asked = begun(&session, Purpose::TurnOff, answer.kind(), caller.now);
            if let Some(rejection) = no_guess(caller, tx, asked.as_ref(), answer) {
                return TurnOff::Rejected(rejection);
            }
            let (verified, now) =
                (env.verified(tx, asked.as_ref(), answer, caller.now), caller.now);
            let turned_off =
                verified.and_then(|answer| tx.user.turn_off(&answer, browser, settings, now));
            let kind = match turned_off {
                Ok(kind) => kind,
                Err(rejection) => {
                    answered(tx, &session, Purpose::TurnOff, answer, rejection);
                    tell_refused(caller, tx, browser, answer.is_signed(), rejection);
                    return TurnOff::Rejected(rejection);
                }
            };
            if !kind.is_factor() {
                tx.tell(caller.event(user, What::FactorShown(kind)));
            }
            tx.tell(caller.event(user, What::TwoFactorOff));
            // A proof of a factor that is gone must not count for a later factor.
            let proofs = session.proofs.clone().without_second_factor();
            let session = HostSession { proofs, ..session.without_ceremony() };
            TurnOff::Off(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await?;
    if let (TurnOff::Off(_), Some(counted)) = (&turned_off, counted) {
        counted.give_back();
    }
    if matches!(turned_off, TurnOff::Off(_)) {
        entered(acting, answer.kind()).await;
    }
    Ok(turned_off)
}
