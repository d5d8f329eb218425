//! The next step of a user who has just shown something: a step that is required, or an offer that
//! they can decline (S22, S23, S37).

use std::time::Duration;

use super::caller::Next;
use super::env::Env;
use crate::domain::assurance::Proofs;
use crate::domain::factor::Kind;
use crate::domain::factor::recovery::RecoveryCodes;
use crate::domain::time::Timestamp;
use crate::domain::user::{FirstFactorAsks, User};

impl Env {
    /// The next step of this user after a password and perhaps a trusted device.
    pub(super) fn next(&self, user: &User, proofs: &Proofs, now: Timestamp) -> Next {
        let by_provider = proofs.provider.is_some();
        if user.has_second_factor() {
            let shown =
                proofs.factors().next().is_some() || proofs.trusted_device.is_some() || by_provider;
            return if shown { self.next_inside(user, proofs, now) } else { Next::Challenge };
        }
        // They have a second factor, where it counts.
        if by_provider {
            return Next::Onward;
        }
        let due = self.config.demands.due(&user.identity(), user.made(), None, &self.since);
        match due {
            Some(due) if due <= now => Next::SetUp,
            Some(_) => Next::SetUpSoon,
            None => self.next_inside(user, proofs, now),
        }
    }

    /// The next step of this user after everything that was required.
    pub(super) fn next_inside(&self, user: &User, proofs: &Proofs, now: Timestamp) -> Next {
        match fits(self, user, proofs, now) {
            Some(_) => Next::Offer,
            None => Next::Onward,
        }
    }
}

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Set up a second factor.
    SetUp,
    /// Replace the second factors: a recovery code was used instead of it.
    Replace {
        /// How many recovery codes are left.
        codes_left: usize,
    },
    /// Create new recovery codes: few are left.
    NewCodes {
        /// How many are left.
        codes_left: usize,
    },
}

impl Offer {
    /// For how long set-up is not offered again once it was declined.
    pub const AGAIN_AFTER: Duration = Duration::from_hours(30 * 24);
}

/// The offer that fits `user`, who has shown `proofs` in this session, if there is one.
///
/// Not offered: what is demanded, what was declined lately, and what needs an administrator's link
/// that the user does not have.
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

pub(super) fn may_set_up(env: &Env, user: &User, proofs: &Proofs, now: Timestamp) -> bool {
    let demanded = || {
        let demands = &env.config.demands;
        demands.due(&user.identity(), user.made(), None, &env.since).is_some()
    };
    let declined = user.declined().is_some_and(|at| now.within(Offer::AGAIN_AFTER, at));
    let barred = owed(env, user, proofs, now) == FirstFactorAsks::Link;
    !user.has_second_factor() && !declined && !barred && !demanded()
}

/// Whether the last proof stood in for a factor (a recovery code) and no factor is newer.
fn has_lost_it(user: &User, proofs: &Proofs) -> bool {
    let Some(last) = proofs.factors().max_by_key(|shown| shown.at) else { return false };
    !last.kind.is_factor() && user.factors().iter().all(|factor| factor.added() <= last.at)
}

/// What a session with these `proofs` must still show before a first second factor is set up in it.
///
/// A mailed code counts for as long as a password does. An administrator's link cannot be shown
/// again: it counts for as long as the session that it began.
pub(super) fn owed(env: &Env, user: &User, proofs: &Proofs, now: Timestamp) -> FirstFactorAsks {
    let asks = user.first_factor_asks(env.set_up_proof(user), now);
    let lately =
        |shown: Option<Timestamp>| shown.is_some_and(|at| now.within(env.config.confirm_for, at));
    match asks {
        _ if proofs.link.is_some() => FirstFactorAsks::Nothing,
        FirstFactorAsks::MailedCode if lately(proofs.mailed_code) => FirstFactorAsks::Nothing,
        asks => asks,
    }
}

/// What a session with these `proofs` must still show before a factor of this `kind` is set up beside
/// others or in place of them: the same as for a first second factor, if it would be the user's
/// first one that cannot be phished, and nothing otherwise.
pub(super) fn owed_for_another(
    env: &Env,
    user: &User,
    kind: Kind,
    proofs: &Proofs,
    now: Timestamp,
) -> FirstFactorAsks {
    if user.is_first_to_resist(kind) {
        owed(env, user, proofs, now)
    } else {
        FirstFactorAsks::Nothing
    }
}
