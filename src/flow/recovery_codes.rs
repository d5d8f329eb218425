//! Looking at the recovery codes again, and making new ones.

use super::admit::Visit;
use super::env::{Caller, Env};
use super::visits::live_session;
use crate::domain::event::What;
use crate::domain::factor::recovery::RecoveryCodes;
use crate::store::Unavailable;

/// The recovery codes of whoever this visit is. That somebody looks at them again, once they were
/// saved, is told. `None`: two-factor is off, or the visit is over.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; nothing is to be shown then.
pub async fn look(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
) -> Result<Option<RecoveryCodes>, Unavailable> {
    let user = visit.session.user;
    let reads = visit.reads();
    let looked = env.store.update(reads, |held| {
        live_session(env, caller, held)?;
        let codes =
            held.user.recovery_codes().filter(|_| held.user.has_second_factor()).cloned()?;
        if codes.are_saved() {
            held.tell(caller.event(user, What::RecoveryCodesViewed));
        }
        Some(codes)
    });
    Ok(looked.await?.flatten())
}

/// Makes new recovery codes; the old ones are dead at once. Says whether it was done: not where
/// two-factor is off, for then there are none, nor where the visit is over.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn renew(env: &Env, caller: &Caller, visit: &Visit) -> Result<bool, Unavailable> {
    let user = visit.session.user;
    let reads = visit.reads();
    let how = env.config.second_factor;
    let renewed = env
        .store
        .update(reads, |held| {
            let goes_on = live_session(env, caller, held).is_some();
            let owner = &mut held.user;
            let renewed =
                goes_on && env.chance.draw(|rng| owner.renew_recovery_codes(how, rng, caller.now));
            if renewed {
                held.tell(caller.event(user, What::RecoveryCodesRenewed));
            }
            renewed
        })
        .await?;
    Ok(renewed.unwrap_or(false))
}
