//! Signing in with a user name and a password.
//!
//! The steps: check the limit, take a place in the queue, charge the attempt, hash, and on success
//! write one batch. An unknown name, a user without a password and a disabled user take the same
//! steps with the same writes, so that they cannot be told apart: failures are counted in the same
//! kind of record, and every password is hashed at the cost of the most expensive imported hash.
//!
//! One place is reserved for known browsers of the user while unknown visitors hold all others.

use super::caller::{Caller, DeviceCookie, Given};
use super::env::{Env, NoTurn, Turn};
use super::host_session::{Fresh, begin};
use crate::domain::assurance::{FirstFactor, Proof, Proofs};
use crate::domain::device::{BrowserId, Presented};
use crate::domain::digest::Effort;
use crate::domain::event::What;
use crate::domain::lockout::Charge;
use crate::domain::name::Login;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{Origin, UserId};
use crate::identity::{Answer, Place, Shown};
use crate::store::{NobodysName, Reads, Target, Transaction};
use crate::unavailable::Unavailable;

/// The result of a sign-in attempt.
#[derive(Debug)]
pub enum SignIn {
    /// The password was right, and a session has begun.
    Begun(Given),
    /// Name or password is wrong; the answer does not say which.
    Refused,
    /// Too many failures, or too many attempts of this address or known browser: nothing is
    /// accepted until this time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// The password is right, but must be changed where it is kept.
    MustChange,
    /// Too many sign-ins at the same time; nothing was counted.
    Busy,
}

/// Signs a user in.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn sign_in(
    env: &Env,
    caller: &Caller,
    login: &Login,
    password: Password,
) -> Result<SignIn, Unavailable> {
    let known = known_browser(env, caller, login).await?;
    let Turn { place, tried } = match env.turn(caller, known).await {
        Ok(turn) => turn,
        Err(NoTurn::Waiting(until)) => return Ok(SignIn::Waiting { until }),
        Err(NoTurn::Busy) => return Ok(SignIn::Busy),
    };
    let target = env.store.target(login).await?;
    let charge = match charge(env, caller, &target, known).await? {
        Ok(charge) => charge,
        Err(until) => return Ok(SignIn::Waiting { until }),
    };
    let signed_in = match target {
        Target::User(user) => sign_in_user(env, caller, user, charge, password, place).await?,
        Target::Nobody(name) => refuse_nobody(env, caller, name, password, place).await?,
    };
    if matches!(signed_in, SignIn::Begun(_)) {
        tried.give_back();
    }
    Ok(signed_in)
}

/// The known browser of the user with this name that sends the request.
///
/// Requests without such a cookie, which are most of a flood, cause no read. With one, a free place
/// reveals that the name belongs to the user in the cookie, who has signed in there.
async fn known_browser(
    env: &Env,
    caller: &Caller,
    login: &Login,
) -> Result<Option<BrowserId>, Unavailable> {
    let Some(cookie) = caller.carried.known else { return Ok(None) };
    if env.store.user_named(login).await? != Some(cookie.user) {
        return Ok(None);
    }
    let found = env.store.user(cookie.user).await?;
    Ok(found.and_then(|found| caller.known_to(&found.user)))
}

async fn sign_in_user(
    env: &Env,
    caller: &Caller,
    user: UserId,
    charge: (Option<BrowserId>, Charge),
    password: Password,
    place: Place,
) -> Result<SignIn, Unavailable> {
    let charged = Charged::of(env, user, charge).await?;
    let alike = env.store.dearest_digests().await?;
    let settled = charged.ask(env, password, alike, place).await?;
    let fresh = Fresh::draw(env);
    let reads = Reads::user(user).in_session(caller.carried.session.as_ref().map(Token::hash));
    let signed_in = env
        .store
        .update(reads, |tx| match charged.settle(caller, tx, &settled) {
            Settled::Right => {
                SignIn::Begun(begin_session(env, caller, tx, charged.is(env), &fresh))
            }
            Settled::Refused => SignIn::Refused,
            Settled::MustChange => SignIn::MustChange,
        })
        .await?;
    Ok(signed_in.unwrap_or(SignIn::Refused))
}

/// The session that a right password begins, with the trusted device, if this browser is one.
fn begin_session(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    first: FirstFactor,
    fresh: &Fresh,
) -> Given {
    let mut proofs = Proofs::default().with(Proof::First(first), caller.now);
    let device = present_device(caller, tx);
    if let Some(device) = device {
        proofs = proofs.with(Proof::TrustedDevice(device.id), caller.now);
    }
    Given { device, ..begin(env, caller, tx, proofs, fresh) }
}

/// The trusted device that this browser is, with its next number.
fn present_device(caller: &Caller, tx: &mut Transaction) -> Option<DeviceCookie> {
    let user = tx.user.id();
    let device = caller.device_of(user).filter(|_| tx.user.has_second_factor())?;
    match tx.user.present_device(device.id, device.number, &caller.seen(), caller.now)? {
        Presented::Trusted { number, expires } => {
            tx.tell(caller.event(user, What::DeviceUsed));
            Some(DeviceCookie { number, expires, ..device })
        }
        Presented::Copied => {
            tx.tell(caller.event(user, What::DeviceCopied));
            None
        }
        Presented::Expired => None,
    }
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
        Ok(Self { browser, charge, hash, origin: user.origin(), epoch: user.epoch() })
    }

    /// The first factor that a right password of this user is.
    pub(super) fn is(&self, env: &Env) -> FirstFactor {
        env.sources.of(self.origin).is()
    }

    /// Asks the source of this user, and no other.
    pub(super) async fn ask(
        &self,
        env: &Env,
        password: Password,
        alike: Vec<Effort>,
        place: Place,
    ) -> Result<Answer, Unavailable> {
        let shown = Shown { password, stored: self.hash.clone(), alike, place };
        match env.sources.of(self.origin).check(shown).await {
            Answer::Unavailable(why) => Err(why.into()),
            answer => Ok(answer),
        }
    }

    /// What follows from the answer. If the password is right and still current, the charge is
    /// given back and the hash is stored with the current parameters; if not, the charge was a
    /// failure and may cause a lock.
    pub(super) fn settle(&self, caller: &Caller, tx: &mut Transaction, answer: &Answer) -> Settled {
        let user = tx.user.id();
        let shut_out = tx.user.disabled().is_some()
            || tx.user.epoch() != self.epoch
            || tx.user.origin() != self.origin;
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
        match self.browser {
            Some(known) => tx.user.refund_password(known, &self.charge),
            None => tx.attempts.refund(&self.charge),
        }
        let Answer::Right(learnt) = answer else { return Settled::MustChange };
        if let Some(hash) = &learnt.rehashed {
            tx.user.rehash_password(hash.clone());
        }
        Settled::Right
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
}

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

async fn refuse_nobody(
    env: &Env,
    caller: &Caller,
    name: NobodysName,
    password: Password,
    place: Place,
) -> Result<SignIn, Unavailable> {
    let alike = env.store.dearest_digests().await?;
    // Nobody's password is shown to any source: it is only hashed, for as long as a user's.
    place.verify(password, None, alike).await?;
    let refused = env.store.refuse_nobody(&name, |failures| {
        let closed = failures.closed_until(caller.now).map(|_| What::WaitBegan);
        let what = std::iter::once(What::PasswordRefused).chain(closed);
        what.map(|what| caller.event_about(name.whom(), what)).collect()
    });
    refused.await?;
    Ok(SignIn::Refused)
}
