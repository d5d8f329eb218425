//! Adding, replacing, removing and renaming authenticators.

use super::admit::AuthenticatedRequest;
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, go_on, go_on_alone, in_session};
use super::set_up::waiting;
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::totp;
use crate::domain::factor::{FactorId, FactorName};
use crate::domain::host_session::Becomes;
use crate::domain::user::Another;
use crate::store::Unavailable;

/// Where a new authenticator goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Added to the existing ones.
    Beside,
    /// Replaces all existing ones. Every other session ends.
    Instead {
        /// Whether all trusted devices are revoked.
        forget_devices: bool,
    },
}

/// The result of adding an authenticator.
#[derive(Debug)]
pub enum Adding {
    /// It was added; the session continues under a new id.
    Added(Given),
    /// The code was wrong.
    Wrong,
    /// The user has the most authenticators that are allowed.
    TooMany,
    /// The key is missing or older than fifteen minutes: show a new one.
    Late,
    /// Two-factor is off.
    Off,
    /// The session has ended.
    Over,
}

impl Place {
    const fn becomes(self) -> Becomes {
        match self {
            Self::Beside => Becomes::Another,
            Self::Instead { .. } => Becomes::Replacement,
        }
    }
}

/// The key in this session that waits for its first code, to be added at `place`. It stays the same
/// after a reload, a wrong code or a restart. `None`: the session has ended, or two-factor is off.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn another_key(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
    place: Place,
) -> Result<Option<totp::Key>, Unavailable> {
    let new = env.rng.draw(|rng| totp::Key::random(rng));
    in_session(
        env,
        caller,
        authenticated,
        || None,
        |tx, session| {
            let there = tx.user.has_second_factor() && tx.user.frozen().is_none();
            there.then(|| waiting(caller, tx, session, place.becomes(), &new))
        },
    )
    .await
}

/// Adds an authenticator with its first correct code. An empty `name` means the default name.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn add(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
    code: &totp::Code,
    place: Place,
    name: Option<&FactorName>,
) -> Result<Adding, Unavailable> {
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    let skew = env.config.second_factor.skew;
    in_session(
        env,
        caller,
        authenticated,
        || Adding::Over,
        |tx, session| {
            if tx.user.frozen().is_some() {
                return Adding::Off;
            }
            let Some(key) = session.pending(place.becomes(), caller.now).cloned() else {
                return Adding::Late;
            };
            let owner = &mut tx.user;
            let another = env.rng.draw(|rng| match place {
                Place::Beside => owner.add_authenticator(key, code, skew, rng, caller.now),
                Place::Instead { forget_devices } => {
                    owner.replace_authenticators(key, code, skew, forget_devices, rng, caller.now)
                }
            });
            match another {
                Another::Added => {}
                Another::Wrong => return Adding::Wrong,
                Another::TooMany => return Adding::TooMany,
                Another::Off => return Adding::Off,
            }
            let newest = tx.user.newest_authenticator();
            if let Some(name) = name {
                tx.user.rename_authenticator(newest, name.clone());
            }
            let proof = Proof::Totp(newest);
            let session = session.without_pending();
            Adding::Added(match place {
                Place::Beside => {
                    tx.tell(caller.event(user, What::AuthenticatorAdded));
                    go_on(env, caller, tx, &session, proof, &fresh)
                }
                Place::Instead { .. } => {
                    tx.tell(caller.event(user, What::AuthenticatorReplaced));
                    let session = session.risen(proof, caller.now);
                    go_on_alone(env, caller, tx, session, &fresh)
                }
            })
        },
    )
    .await
}

/// The result of removing an authenticator.
#[derive(Debug)]
pub enum Removing {
    /// It was removed; every other session has ended, and this one continues under a new id.
    Removed(Given),
    /// There is no such authenticator, or it is the only one.
    Not,
    /// The session has ended.
    Over,
}

/// Removes one of several authenticators.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn remove(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
    id: FactorId,
) -> Result<Removing, Unavailable> {
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        env,
        caller,
        authenticated,
        || Removing::Over,
        |tx, session| {
            if !tx.user.remove_authenticator(id) {
                return Removing::Not;
            }
            tx.tell(caller.event(user, What::AuthenticatorRemoved));
            Removing::Removed(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}

/// Renames an authenticator. Returns `false` if there is no such authenticator or the session has
/// ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn rename(
    env: &Env,
    caller: &Caller,
    authenticated: &AuthenticatedRequest,
    id: FactorId,
    name: &FactorName,
) -> Result<bool, Unavailable> {
    let user = authenticated.session.user;
    in_session(
        env,
        caller,
        authenticated,
        || false,
        |tx, _| {
            let renamed = tx.user.rename_authenticator(id, name.clone());
            if renamed {
                tx.tell(caller.event(user, What::AuthenticatorRenamed));
            }
            renamed
        },
    )
    .await
}
