//! One attempt to show a password, at a sign-in or when confirming: it is charged, the source of the
//! user is asked, and what it answers is settled in one update.

use super::caller::Caller;
use super::env::Env;
use crate::domain::assurance::FirstFactor;
use crate::domain::device::BrowserId;
use crate::domain::digest::Effort;
use crate::domain::event::What;
use crate::domain::lockout::Charge;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::time::Timestamp;
use crate::domain::user::{Origin, UserId};
use crate::identity::{Answer, Broken, Place, Shown};
use crate::store::{Reads, Target, Transaction};
use crate::unavailable::Unavailable;

/// Counts an attempt on `target` in its own commit: for this known browser, or else for all unknown
/// ones. Returns the browser and the charge, or when the next attempt is accepted.
pub(super) async fn charge(
    env: &Env,
    caller: &Caller,
    target: &Target,
    known: Option<BrowserId>,
) -> Result<Result<(Option<BrowserId>, Charge), Timestamp>, Unavailable> {
    if let (Target::User(user), Some(_)) = (target, known) {
        let charged = env.store.update(Reads::user(*user), |tx| {
            // The browser may have been forgotten meanwhile.
            let known = caller.known_to(&tx.user)?;
            let charged = tx.user.charge_password(known, caller.now);
            Some(charged.map(|charge| (Some(known), charge)))
        });
        if let Some(charged) = charged.await?.flatten() {
            return Ok(charged);
        }
    }
    let charged = env.store.update_attempts(target, |failures| failures.charge(caller.now));
    Ok(charged.await?.map(|charge| (None, charge)))
}

/// A counted attempt, and what the password is verified against.
pub(super) struct Charged {
    browser: Option<BrowserId>,
    charge: Charge,
    hash: Option<PasswordHash>,
    /// Who answers for the user.
    origin: Origin,
    /// The user's epoch at that time: setting a password makes a new one.
    epoch: u64,
}

impl Charged {
    /// What the attempt charged to `user` is verified against.
    pub(super) async fn of(
        env: &Env,
        user: UserId,
        (browser, charge): (Option<BrowserId>, Charge),
    ) -> Result<Self, Unavailable> {
        let found = env.store.user(user).await?;
        let found =
            found.ok_or(Unavailable::record("a name refers to a user that does not exist"))?;
        let user = &found.user;
        let hash = user.password().map(|hash| match user.disabled() {
            // The same work as for a wrong password, even if it is right.
            Some(_) => hash.that_nothing_matches(),
            None => hash.clone(),
        });
        Ok(Self { browser, charge, hash, origin: user.origin().clone(), epoch: user.epoch() })
    }

    /// The first factor that a right password of this user is.
    pub(super) fn is(&self, env: &Env) -> FirstFactor {
        env.sources.of(&self.origin).is()
    }

    /// Asks the source of this user, and no other.
    pub(super) async fn ask(
        &self,
        env: &Env,
        password: Password,
        alike: Vec<Effort>,
        place: Place,
    ) -> Answer {
        let shown = Shown { password, stored: self.hash.clone(), alike, place };
        env.sources.of(&self.origin).check(shown).await
    }

    /// What follows from the answer. If the password is right and still current, the charge is
    /// given back and the hash is stored with the current parameters; if not, the charge was a
    /// failure and may cause a lock. If the source could not answer, no password was compared: the
    /// charge is given back, too.
    pub(super) fn settle(&self, caller: &Caller, tx: &mut Transaction, answer: &Answer) -> Settled {
        if let Answer::Unavailable(why) = answer {
            self.refund(tx);
            return Settled::Unavailable(*why);
        }
        let user = tx.user.id();
        let shut_out = tx.user.disabled().is_some()
            || tx.user.epoch() != self.epoch
            || *tx.user.origin() != self.origin
            || !tx.user.stands(FirstFactor::Password, caller.now);
        let right = matches!(answer, Answer::Right(_) | Answer::MustChange);
        if !right || shut_out {
            tx.tell(caller.event(user, What::PasswordRefused));
            let closed = if let Some(known) = self.browser {
                tx.user.password_closed(known, caller.now)
            } else {
                tx.user.note_wrong_password(caller.now);
                tx.attempts.closed_until(caller.now)
            };
            if closed.is_some() {
                tx.tell(caller.event(user, What::WaitBegan));
            }
            return Settled::Refused;
        }
        self.refund(tx);
        let Answer::Right(learnt) = answer else { return Settled::MustChange };
        if let Some(hash) = &learnt.rehashed {
            tx.user.rehash_password(hash.clone());
        }
        Settled::Right
    }

    fn refund(&self, tx: &mut Transaction) {
        match self.browser {
            Some(known) => tx.user.refund_password(known, &self.charge),
            None => tx.attempts.refund(&self.charge),
        }
    }
}

/// What follows from the answer of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The password is right.
    Right,
    /// It is wrong or no longer current, or the user is disabled or unknown to the source.
    Refused,
    /// It is right, but must be changed where it is kept.
    MustChange,
    /// The source cannot answer.
    Unavailable(Broken),
}
