//! A provider says that somebody has signed out there: their user sessions here end (OpenID Connect
//! Back-Channel Logout 1.0).

use std::time::Duration;

use super::caller::Caller;
use super::env::{Env, Line, NoTurn};
use crate::domain::event::What;
use crate::domain::provider::{Account, SpentState};
use crate::domain::secret::TokenHash;
use crate::domain::user::UserId;
use crate::domain::user_session::{AtProvider, NamedAtProvider};
use crate::identity::provider::{Fault, SignedOut};
use crate::identity::{Full, Provider};
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Every such session has ended, or there was none.
    Done,
    /// The token is not acceptable, or was used before.
    Refused,
    /// The provider's keys cannot be fetched; it should send the token again.
    Unavailable,
    /// Too many tokens that were not acceptable.
    Waiting(Duration),
}

/// Ends the user sessions that began with the session that `token` says has ended at `provider`.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. Some sessions may have ended; the token
/// counts as unused.
pub async fn hear(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    token: &str,
) -> Result<Heard, Unavailable> {
    let tried = match env.turn_without_hashing(caller, None).await {
        Ok(tried) => tried,
        Err(NoTurn::Waiting(until)) => return Ok(Heard::Waiting(caller.now.until(until))),
        Err(NoTurn::Busy) => return Ok(Heard::Waiting(Full::RETRY_AFTER)),
    };
    let said = match provider.signed_out(token, caller.now).await {
        Ok(said) => said,
        Err(fault) => {
            log(env, caller, provider, &fault.to_string());
            if matches!(fault, Fault::Unavailable(_)) {
                tried.give_back();
                return Ok(Heard::Unavailable);
            }
            return Ok(Heard::Refused);
        }
    };
    let issuer = provider.settings().issuer.as_str();
    let spent = TokenHash::of_parts(&[b"logout", issuer.as_bytes(), said.id.as_bytes()]);
    if env.store.stored::<SpentState>(&spent).await?.is_some() {
        log(env, caller, provider, "the logout token was used before");
        return Ok(Heard::Refused);
    }
    if let Some(user) = whose(env, issuer, &said).await? {
        end_all(env, caller, user, issuer, &said, &spent).await?;
    }
    tried.give_back();
    Ok(Heard::Done)
}

/// The user whom the token is about.
async fn whose(env: &Env, issuer: &str, said: &SignedOut) -> Result<Option<UserId>, Unavailable> {
    if let Some(subject) = &said.subject {
        let Some(account) = Account::new(issuer, subject) else { return Ok(None) };
        return env.store.user_of_account(&account).await;
    }
    let Some(session) = &said.session else { return Ok(None) };
    let named = env.store.stored::<NamedAtProvider>(&AtProvider::key(issuer, session)).await?;
    Ok(named.map(|named| named.user))
}

/// Ends every user session of `user` that the token is about, and uses the token up with the last one.
async fn end_all(
    env: &Env,
    caller: &Caller,
    user: UserId,
    issuer: &str,
    said: &SignedOut,
    spent: &TokenHash,
) -> Result<(), Unavailable> {
    let (subject, session) = (said.subject.as_deref(), said.session.as_deref());
    for (id, _) in env.store.user_sessions_of(user, LOOKED_AT).await? {
        let mut reads = Reads::user(user);
        reads.user_session = Some(id);
        let ended = env.store.update(reads, |tx| {
            let is_it = tx.user_session.as_ref().is_some_and(|one| {
                let at = one.at_provider.as_ref();
                one.user == user && at.is_some_and(|at| at.has_ended(issuer, subject, session))
            });
            if is_it {
                tx.user_session = None;
                tx.tell(caller.event(user, What::SignedOutThere));
            }
        });
        ended.await?;
    }
    let expires = caller.now.plus(SignedOut::LASTS);
    let reads = Reads::user(user).and::<SpentState>(spent);
    env.store.update(reads, |tx| tx.put(spent, SpentState { expires })).await?;
    Ok(())
}

fn log(env: &Env, caller: &Caller, provider: &Provider, why: &str) {
    let Some(left_out) = env.log_throttle.due(Line::Provider, caller.now) else { return };
    let (provider, address) = (&provider.settings().name, caller.address);
    tracing::warn!(provider, %address, left_out, "logout token refused: {why}");
}

/// How many user sessions of one user are looked at.
const LOOKED_AT: usize = 1_000;
