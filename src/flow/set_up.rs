//! Setting up the authenticator, and saving the recovery codes that come with it.

use super::admit::Visit;
use super::env::{Caller, Env, Given};
use super::visits::{Fresh, live_session, rise};
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::totp;
use crate::domain::user::TurnedOn;
use crate::store::{Reads, Unavailable};

/// What became of a first code.
#[derive(Debug)]
pub enum SetUp {
    /// Two-factor is on; the visit goes on under a new id.
    On(Given),
    /// Two-factor was on already.
    Already,
    /// The code was wrong.
    Wrong,
    /// The key is older than a quarter of an hour, or there is none: show a new one.
    Late,
    /// The visit is over.
    Over,
}

/// The key that waits for its first code in this visit: the same after a reload, a wrong code, a
/// restart. `None`: the visit is over, or two-factor is on already.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn pending_key(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
) -> Result<Option<totp::Key>, Unavailable> {
    let new = env.chance.draw(|rng| totp::Key::random(rng));
    let reads = Reads { session: Some(visit.hash), ..Reads::user(visit.session.user) };
    let key = env
        .store
        .update(reads, |held| {
            // The secret of a factor that is in use is never shown again.
            if held.user.has_second_factor() {
                return None;
            }
            let mut session = live_session(env, caller, held)?;
            if let Some(key) = session.pending(caller.now) {
                return Some(key.clone());
            }
            session.await_first_code(new.clone(), caller.now);
            held.session = Some(session);
            Some(new.clone())
        })
        .await?;
    Ok(key.flatten())
}

/// Turns two-factor on by a first right code, and, where the person wishes it, trusts this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether it is on is not known then.
pub async fn turn_on(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    code: &totp::Code,
    trust_device: bool,
) -> Result<SetUp, Unavailable> {
    let fresh = Fresh::draw(env);
    let user = visit.session.user;
    let reads = Reads { session: Some(visit.hash), ..Reads::user(user) };
    let how = env.config.second_factor;
    let turned = env
        .store
        .update(reads, |held| {
            let Some(session) = live_session(env, caller, held) else { return SetUp::Over };
            if held.user.has_second_factor() {
                return SetUp::Already;
            }
            let Some(key) = session.pending(caller.now).cloned() else { return SetUp::Late };
            let turned = env.chance.draw(|rng| held.user.turn_on(key, code, how, rng, caller.now));
            match turned {
                TurnedOn::Already => SetUp::Already,
                TurnedOn::Wrong => SetUp::Wrong,
                TurnedOn::Now => {
                    held.tell(caller.event(user, What::TwoFactorOn));
                    let session = session.without_pending();
                    let proof = Proof::Totp;
                    SetUp::On(rise(env, caller, held, &session, proof, trust_device, &fresh))
                }
            }
        })
        .await?;
    Ok(turned.unwrap_or(SetUp::Over))
}

/// The person says that the recovery codes are saved.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn save_codes(env: &Env, caller: &Caller, visit: &Visit) -> Result<(), Unavailable> {
    let user = visit.session.user;
    env.store
        .update(Reads::user(user), |held| {
            if held.user.save_recovery_codes(caller.now) {
                held.tell(caller.event(user, What::RecoveryCodesSaved));
            }
        })
        .await
        .map(|_| ())
}
