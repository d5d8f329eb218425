//! Looking at the recovery codes again, and making new ones.

use super::admit::Visit;
use super::caller::Caller;
use super::env::Env;
use super::visits::in_session;
use crate::domain::assurance::{FactorShown, Proofs};
use crate::domain::event::What;
use crate::domain::factor::recovery::RecoveryCodes;
use crate::domain::session::Session;
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
    in_session(
        env,
        caller,
        visit,
        || None,
        |held, _| {
            let codes =
                held.user.recovery_codes().filter(|_| held.user.has_second_factor()).cloned()?;
            if codes.are_saved() {
                held.tell(caller.event(user, What::RecoveryCodesViewed));
            }
            Some(codes)
        },
    )
    .await
}

/// Makes new recovery codes; the old ones are dead at once, and so is what they proved elsewhere. Says
/// whether it was done: not where two-factor is off, for then there are none, nor where the visit is
/// over.
///
/// Who came in by a code of the old set, because the phone is lost, is shown the new one: what this
/// session proved by the old set counts as proved by the new one. They would else be asked for a code
/// that they have not seen yet.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn renew(env: &Env, caller: &Caller, visit: &Visit) -> Result<bool, Unavailable> {
    let user = visit.session.user;
    let how = env.config.second_factor;
    in_session(
        env,
        caller,
        visit,
        || false,
        |held, session| {
            let shown = held.user.honoured(&session.proofs, caller.now).recovery_code;
            let owner = &mut held.user;
            if !env.chance.draw(|rng| owner.renew_recovery_codes(how, rng, caller.now)) {
                return false;
            }
            held.tell(caller.event(user, What::RecoveryCodesRenewed));
            if let (Some(shown), Some(codes)) = (shown, held.user.recovery_codes()) {
                let shown = Some(FactorShown { factor: codes.id(), ..shown });
                let proofs = Proofs { recovery_code: shown, ..session.proofs };
                held.session = Some(Session { proofs, ..session });
            }
            true
        },
    )
    .await
}
