//! Viewing the recovery codes again, and creating new ones.

use super::acting::Acting;
use super::host_session::in_session;
use crate::domain::event::What;
use crate::domain::factor::Kind;
use crate::domain::factor::recovery::RecoveryCodes;
use crate::domain::host_session::HostSession;
use crate::unavailable::Unavailable;

/// The recovery codes of the user. Viewing them again after they were saved is an event. `None`:
/// two-factor is off, or the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; show nothing then.
pub async fn look(acting: Acting<'_>) -> Result<Option<RecoveryCodes>, Unavailable> {
    let Acting { caller, authenticated, .. } = acting;
    let user = authenticated.session.user;
    in_session(
        acting,
        || None,
        |tx, _| {
            let codes =
                tx.user.recovery_codes().filter(|_| tx.user.has_second_factor()).cloned()?;
            if codes.are_saved() {
                tx.tell(caller.event(user, What::RecoveryCodesViewed));
            }
            Some(codes)
        },
    )
    .await
}

/// Creates new recovery codes. The old ones, and what they proved in other sessions, become void at
/// once. Returns `false` if two-factor is off or the session has ended.
///
/// A user who signed in with an old code, because the phone is lost, must see the new ones: what
/// this session proved with the old set counts as proved with the new one. Otherwise they would be
/// asked for a code that they have not seen yet.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn renew(acting: Acting<'_>) -> Result<bool, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let settings = env.config.second_factor;
    in_session(
        acting,
        || false,
        |tx, session| {
            let old = tx.user.recovery_codes().map(RecoveryCodes::id);
            let owner = &mut tx.user;
            if !env.rng.draw(|rng| owner.renew_recovery_codes(settings, rng, caller.now)) {
                return false;
            }
            tx.tell(caller.event(user, What::FactorReplaced(Kind::RecoveryCode)));
            let new = tx.user.recovery_codes().map(RecoveryCodes::id);
            if let (Some(old), Some(new)) = (old, new) {
                let proofs = session.proofs.clone().passed_on(old, new);
                tx.session = Some(HostSession { proofs, ..session });
            }
            true
        },
    )
    .await
}
