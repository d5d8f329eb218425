//! What is offered to somebody who has just signed in: a choice, which can be declined (S22, S23, S37).

use std::time::Duration;

use super::admit::Visit;
use super::env::{Caller, Env};
use super::set_up::owed;
use super::visits::live_session;
use crate::domain::assurance::{FactorShown, Proofs};
use crate::domain::factor::recovery::RecoveryCodes;
use crate::domain::time::Timestamp;
use crate::domain::user::{FirstFactorAsks, User};
use crate::store::Unavailable;

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// To set up a second factor.
    SetUp,
    /// To replace the authenticator: a recovery code was shown instead of its codes.
    Replace {
        /// How many recovery codes are left.
        codes_left: usize,
    },
    /// To make new recovery codes: few are left.
    NewCodes {
        /// How many.
        codes_left: usize,
    },
}

impl Offer {
    /// For how long set-up is not offered again once it was declined.
    pub const AGAIN_AFTER: Duration = Duration::from_hours(30 * 24);
}

/// What fits `user`, who has shown `proofs` in this session; `None`: nothing does.
///
/// Nobody is offered what is demanded of them, what they declined lately, nor what takes a link from
/// an administrator that they have not.
pub fn fits(env: &Env, user: &User, proofs: &Proofs, now: Timestamp) -> Option<Offer> {
    match user.recovery_codes_left() {
        None => may_set_up(env, user, proofs, now).then_some(Offer::SetUp),
        Some(_) if user.frozen().is_some() => None,
        Some(codes_left) if has_lost_it(user, proofs) => Some(Offer::Replace { codes_left }),
        Some(codes_left) => {
            (codes_left <= RecoveryCodes::FEW).then_some(Offer::NewCodes { codes_left })
        }
    }
}

fn may_set_up(env: &Env, user: &User, proofs: &Proofs, now: Timestamp) -> bool {
    let demanded = || {
        let demands = &env.config.demands;
        demands.due(&user.identity(), user.made(), None, &env.since).is_some()
    };
    let declined = user.declined().is_some_and(|at| now.within(Offer::AGAIN_AFTER, at));
    let barred = owed(env, user, proofs, now) == FirstFactorAsks::Link;
    !user.has_second_factor() && !declined && !barred && !demanded()
}

/// Whether a recovery code was the last that was shown, and no authenticator is newer than that.
fn has_lost_it(user: &User, proofs: &Proofs) -> bool {
    let at = |shown: Option<FactorShown>| shown.map(|shown| shown.at);
    let (totp, recovery_code) = (at(proofs.totp), at(proofs.recovery_code));
    let Some(shown) = recovery_code.filter(|_| recovery_code > totp) else { return false };
    user.authenticators().iter().all(|authenticator| authenticator.added() <= shown)
}

/// The person declines: set-up is not offered again for a while. All else is offered at the next
/// sign-in that gives cause.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn decline(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    let reads = visit.reads();
    env.store
        .update(reads, |held| {
            let Some(session) = live_session(env, caller, held) else { return };
            if may_set_up(env, &held.user, &session.proofs, caller.now) {
                held.user.decline(caller.now);
            }
        })
        .await
        .map(|_| ())
}
