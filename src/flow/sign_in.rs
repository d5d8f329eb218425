//! Signing in with a user name and a password.
//!
//! Limit, place, charge, hash, and on success one batch. A name that no user has, a user who has no
//! password and one who is disabled take the same way with the same writes, so that nobody can tell.
//!
//! Where strangers have taken every place, one is kept for a browser that this user has signed in
//! with before.

use super::env::{Caller, DeviceCookie, Env, Given};
use super::visits::{Fresh, begin};
use crate::domain::assurance::{Proof, Proofs};
use crate::domain::device::{BrowserId, Presented};
use crate::domain::event::What;
use crate::domain::lockout::Charge;
use crate::domain::name::Login;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::identity::{Broken, Place, Verified};
use crate::store::{Held, Reads, Unavailable};

/// What became of a try to sign in.
#[derive(Debug)]
pub enum SignIn {
    /// The password was right, and a visit has begun.
    Begun(Given),
    /// Name or password is wrong; nobody is told which.
    Refused,
    /// Too many failures, or too many tries from this address: nothing is read before this moment.
    Waiting {
        /// When the next try is read.
        until: Timestamp,
    },
    /// Too many people sign in at once; nothing was counted.
    Busy,
}

/// Signs somebody in.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn sign_in(
    env: &Env,
    caller: &Caller,
    login: &Login,
    password: Password,
) -> Result<SignIn, Unavailable> {
    if let Err(until) = env.admits(caller) {
        return Ok(SignIn::Waiting { until });
    }
    let known = known_browser(env, caller, login).await?;
    let Ok(place) = env.place(caller.address, known).await else { return Ok(SignIn::Busy) };
    match env.store.user_named(login).await? {
        Some(user) => sign_in_user(env, caller, user, password, place).await,
        None => refuse_stranger(env, caller, login, password, place).await,
    }
}

/// The known browser that this is, of whoever is called so.
///
/// Nothing is read for those who carry no such cookie, which are the many in a flood. Whoever does
/// carry one learns from a free place that the name is that of the cookie's user, who signed in
/// there.
async fn known_browser(
    env: &Env,
    caller: &Caller,
    login: &Login,
) -> Result<Option<BrowserId>, Unavailable> {
    let Some(cookie) = caller.carried.known else { return Ok(None) };
    if env.store.user_named(login).await? != Some(cookie.user) {
        return Ok(None);
    }
    let held = env.store.user(cookie.user).await?;
    Ok(held.and_then(|held| caller.known_to(&held.user)))
}

async fn sign_in_user(
    env: &Env,
    caller: &Caller,
    user: UserId,
    password: Password,
    place: Place,
) -> Result<SignIn, Unavailable> {
    let charged = match charge(env, caller, user).await? {
        Ok(charged) => charged,
        Err(until) => return Ok(SignIn::Waiting { until }),
    };
    let verified = place.verify(password, charged.hash.clone()).await.map_err(broken)?;
    let fresh = Fresh::draw(env);
    let reads =
        Reads { session: caller.carried.session.as_ref().map(Token::hash), ..Reads::user(user) };
    let signed_in = env
        .store
        .update(reads, |held| {
            if !charged.settle(caller, held, &verified) {
                return SignIn::Refused;
            }
            SignIn::Begun(begin_visit(env, caller, held, &fresh))
        })
        .await?;
    Ok(signed_in.unwrap_or(SignIn::Refused))
}

/// The visit that a right password begins, with the trusted device that this browser may be.
fn begin_visit(env: &Env, caller: &Caller, held: &mut Held, fresh: &Fresh) -> Given {
    let mut proofs = Proofs::default().with(Proof::Password, caller.now);
    let device = present_device(caller, held);
    if let Some(device) = device {
        proofs = proofs.with(Proof::TrustedDevice(device.id), caller.now);
    }
    Given { device, ..begin(env, caller, held, proofs, fresh) }
}

/// The trusted device that this browser turns out to be, with its next number.
fn present_device(caller: &Caller, held: &mut Held) -> Option<DeviceCookie> {
    let user = held.user.id();
    let device = caller.device_of(user).filter(|_| held.user.has_second_factor())?;
    match held.user.present_device(device.id, device.number, &caller.seen(), caller.now)? {
        Presented::Trusted { number, expires } => {
            held.tell(caller.event(user, What::DeviceUsed));
            Some(DeviceCookie { number, expires, ..device })
        }
        Presented::Copied => {
            held.tell(caller.event(user, What::DeviceCopied));
            None
        }
        Presented::Expired => None,
    }
}

/// A try that has been counted, and what it is verified against.
pub(super) struct Charged {
    browser: Option<BrowserId>,
    charge: Charge,
    pub(super) hash: Option<PasswordHash>,
    /// The user's epoch then: a password that was set since makes a new one.
    epoch: u64,
}

impl Charged {
    /// Says whether the password was right and still is the user's. If so, the charge is given back,
    /// and the hash is kept with today's parameters; if not, what was charged was a failure, perhaps
    /// one too many.
    pub(super) fn settle(&self, caller: &Caller, held: &mut Held, verified: &Verified) -> bool {
        let user = held.user.id();
        let shut_out = held.user.disabled().is_some() || held.user.epoch() != self.epoch;
        if !verified.right || shut_out {
            held.tell(caller.event(user, What::PasswordRefused));
            if held.user.password_closed(self.browser, caller.now).is_some() {
                held.tell(caller.event(user, What::WaitBegan));
            }
            return false;
        }
        held.user.refund_password(self.browser, &self.charge);
        if let Some(hash) = &verified.rehashed {
            held.user.rehash_password(hash.clone());
        }
        true
    }
}

/// Counts a try of the password of `user`, in a commit of its own.
pub(super) async fn charge(
    env: &Env,
    caller: &Caller,
    user: UserId,
) -> Result<Result<Charged, Timestamp>, Unavailable> {
    let charged = env
        .store
        .update(Reads::user(user), |held| {
            let browser = caller.known_to(&held.user);
            let charge = held.user.charge_password(browser, caller.now)?;
            let hash = held.user.password().map(|hash| match held.user.disabled() {
                // The same work as for a wrong password, however right it is.
                Some(_) => hash.that_nothing_matches(),
                None => hash.clone(),
            });
            Ok(Charged { browser, charge, hash, epoch: held.user.epoch() })
        })
        .await?;
    charged.ok_or(Unavailable::new("a name leads to a user who is not there"))
}

/// A password that cannot be hashed is as bad as a store that cannot be read.
pub(super) fn broken(why: Broken) -> Unavailable {
    Unavailable::because("passwords cannot be hashed", why)
}

async fn refuse_stranger(
    env: &Env,
    caller: &Caller,
    login: &Login,
    password: Password,
    place: Place,
) -> Result<SignIn, Unavailable> {
    let now = caller.now;
    let charged =
        env.store.update_stranger(login, now, |failures, _| (failures.charge(now), vec![])).await?;
    if let Err(until) = charged {
        return Ok(SignIn::Waiting { until });
    }
    place.verify(password, None).await.map_err(broken)?;
    let refused = env.store.update_stranger(login, now, |failures, whom| {
        let mut events = vec![caller.event_about(whom.clone(), What::PasswordRefused)];
        if failures.closed_until(now).is_some() {
            events.push(caller.event_about(whom, What::WaitBegan));
        }
        (SignIn::Refused, events)
    });
    refused.await
}
