//! One-time links: setting a password, being signed in with it, and verifying an address.
//!
//! A link from an administrator proves the user's identity in addition to the password. A link that
//! the user requested by mail does not: everything required before is still required.

use std::sync::Arc;

use super::caller::{Caller, Given};
use super::env::{Env, NoTurn, Turn};
use super::host_session::{Fresh, begin};
use crate::domain::assurance::{FirstFactor, Proof, Proofs};
use crate::domain::event::What;
use crate::domain::identity::Identity;
use crate::domain::link::{Link, Purpose};
use crate::domain::password::Password;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// The user and purpose of a valid link.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// Its purpose.
    pub purpose: Purpose,
    /// The user.
    pub identity: Arc<Identity>,
    /// The address that the link verifies.
    pub new_email: Option<String>,
    /// Whether two-factor is on once the link is used, so that a password alone does not sign in.
    pub has_second_factor: bool,
}

/// The result of setting a password.
#[derive(Debug)]
pub enum PasswordSet {
    /// The password is set, the link is used up, and a session has begun.
    Set(Given),
    /// The link was used, has expired, or never existed.
    Dead,
    /// Too many attempts from this address: nothing is accepted until this time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// Too many sign-ins at the same time.
    Busy,
}

/// The user of the link with this token, if it is valid. This does not use it up.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn look(
    env: &Env,
    caller: &Caller,
    token: &Token,
) -> Result<Option<Addressee>, Unavailable> {
    let Some(link) = env.store.link(token.hash()).await? else { return Ok(None) };
    let Some(snapshot) = env.store.user(link.user).await? else { return Ok(None) };
    let user = &snapshot.user;
    let thaws = link.purpose == Purpose::SetPassword && user.frozen().is_some();
    Ok(user.honours(&link, caller.now).then(|| Addressee {
        purpose: link.purpose,
        identity: Arc::clone(&snapshot.identity),
        new_email: link.address.as_ref().map(ToString::to_string),
        has_second_factor: user.has_second_factor() && !thaws,
    }))
}

/// Sets the password of the link's user, uses the link up and begins a session. Every other session
/// of the user ends, all trusted devices are revoked, and all other password links stop working.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The link may have been used up or not.
pub async fn set_password(
    env: &Env,
    caller: &Caller,
    token: &Token,
    password: Password,
) -> Result<PasswordSet, Unavailable> {
    let Turn { place, tried } = match env.turn(caller, None).await {
        Ok(turn) => turn,
        Err(NoTurn::Waiting(until)) => return Ok(PasswordSet::Waiting { until }),
        Err(NoTurn::Busy) => return Ok(PasswordSet::Busy),
    };
    let link = env.store.link(token.hash()).await?;
    let sets = |link: &Link| matches!(link.purpose, Purpose::SetPassword | Purpose::ResetPassword);
    let Some(link) = link.filter(sets) else { return Ok(PasswordSet::Dead) };
    let hash = place.hash(password).await?;
    let now = caller.now;
    let user = link.user;
    let (fresh, key) = (Fresh::draw(env), token.hash());
    let reads = Reads::user(user)
        .in_session(caller.carried.session.as_ref().map(Token::hash))
        .and::<Link>(&key);
    let set = env
        .store
        .update(reads, |tx| {
            let good = tx.get::<Link>(&key).filter(|link| tx.user.honours(link, now));
            let (by, what) = match good.map(|link| link.purpose) {
                Some(Purpose::SetPassword) => {
                    tx.user.set_password_by_link(hash.clone());
                    (FirstFactor::Link, What::PasswordSet)
                }
                Some(Purpose::ResetPassword) => {
                    tx.user.set_password_by_mail(hash.clone(), now);
                    (FirstFactor::Password, What::PasswordReset)
                }
                Some(Purpose::VerifyEmail | Purpose::NotMe) | None => return PasswordSet::Dead,
            };
            tx.take::<Link>(&key);
            let proofs = Proofs::default().with(Proof::First(by), now);
            // Clear the failures for the old password.
            tx.attempts.clear();
            tx.tell(caller.event(user, what));
            PasswordSet::Set(begin(env, caller, tx, proofs, &fresh))
        })
        .await?;
    if matches!(set, Some(PasswordSet::Set(_))) {
        tried.give_back();
    }
    Ok(set.unwrap_or(PasswordSet::Dead))
}
