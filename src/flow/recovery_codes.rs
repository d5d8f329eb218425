//! Looking at the recovery codes again, and making new ones.

use super::admit::Visit;
use super::env::{Caller, Env};
use crate::domain::event::What;
use crate::store::{Reads, Unavailable};

/// Notes that the codes were shown again. It is for the page to show them after that.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; nothing is to be shown then.
pub async fn note_viewed(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    let user = visit.session.user;
    let viewed = |held: &mut crate::store::Held| {
        held.tell(caller.event(user, What::RecoveryCodesViewed));
    };
    env.store.update(Reads::user(user), viewed).await.map(drop)
}

/// Makes new recovery codes; the old ones are dead at once. Says whether two-factor is on: without
/// it there are none.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn renew(env: &Env, caller: &Caller, visit: &Visit) -> Result<bool, Unavailable> {
    let user = visit.session.user;
    let how = env.config.second_factor;
    let renewed = env
        .store
        .update(Reads::user(user), |held| {
            let owner = &mut held.user;
            let may = owner.frozen().is_none();
            let renewed =
                may && env.chance.draw(|rng| owner.renew_recovery_codes(how, rng, caller.now));
            if renewed {
                held.tell(caller.event(user, What::RecoveryCodesRenewed));
            }
            renewed
        })
        .await?;
    Ok(renewed.unwrap_or(false))
}
