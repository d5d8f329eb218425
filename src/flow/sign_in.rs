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
use super::password_attempt::{Charged, Settled, charge};
use crate::domain::assurance::{Proof, Proofs};
use crate::domain::device::{BrowserId, Presented};
use crate::domain::event::What;
use crate::domain::lockout::Charge;
use crate::domain::name::Login;
use crate::domain::password::Password;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::identity::Place;
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
/// [`Unavailable`] if the store cannot be read or written, or the source cannot answer. The latter
/// is no failure of the user.
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
    let settled = charged.ask(env, password, alike, place).await;
    let fresh = Fresh::draw(env);
    let reads = Reads::user(user).in_session(caller.carried.session.as_ref().map(Token::hash));
    let signed_in = env
        .store
        .update(reads, |tx| match charged.settle(caller, tx, &settled) {
            Settled::Right => {
                let first = Proof::First(charged.is(env));
                let proofs = Proofs::default().with(first, caller.now);
                Ok(SignIn::Begun(begin_session(env, caller, tx, proofs, &fresh)))
            }
            Settled::Refused => Ok(SignIn::Refused),
            Settled::MustChange => Ok(SignIn::MustChange),
            Settled::Unavailable(why) => Err(why),
        })
        .await?;
    Ok(signed_in.unwrap_or(Ok(SignIn::Refused))?)
}

/// The session that `proofs` of a right first factor begin, with the trusted device, if this browser is
/// one.
pub(super) fn begin_session(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    mut proofs: Proofs,
    fresh: &Fresh,
) -> Given {
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
