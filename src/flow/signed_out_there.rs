//! A provider says that somebody has signed out there: their user sessions here end (OpenID Connect
//! Back-Channel Logout 1.0).

use std::time::Duration;

use super::caller::Caller;
use super::env::{Env, Line};
use crate::domain::event::What;
use crate::domain::provider::{Account, SpentState};
use crate::domain::secret::TokenHash;
use crate::domain::user::UserId;
use crate::domain::user_session::{AtProvider, NamedAtProvider, Renewal};
use crate::identity::provider::{Fault, SignedOut};
use crate::identity::{Begin, Client, Full, Provider, Try};
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
    let issuer = provider.settings().issuer.as_str();
    // Before the signature is verified: whoever sends a token again causes no work.
    if let Some(id) = SignedOut::claimed_id(token)
        && env.store.stored::<SpentState>(&spent(issuer, &id)).await?.is_some()
    {
        return Ok(match charge(env, caller, provider) {
            Ok(_) => {
                log(env, caller, provider, "the logout token was used before");
                Heard::Refused
            }
            Err(waiting) => waiting,
        });
    }
    let said = match provider.signed_out_by_known_key(token, caller.now) {
        Some(said) => said,
        None => match look_closer(env, caller, provider, token).await {
            Ok(said) => said,
            Err(heard) => return Ok(heard),
        },
    };
    // First: a sign-in that is under way either finds this, or is found below.
    if let Some(ended) = ended(issuer, &said) {
        env.store.keep(&ended, &SpentState { expires: said.issued.plus(SignedOut::LASTS) }).await?;
    }
    match whose(env, issuer, &said).await? {
        Some(user) => end_all(env, caller, user, issuer, &said).await?,
        None if said.subject.is_none() => {
            log(env, caller, provider, "no session here belongs to the session that ended there");
        }
        None => {}
    }
    let spent = spent(issuer, &said.id);
    env.store.keep(&spent, &SpentState { expires: caller.now.plus(SignedOut::LASTS) }).await?;
    Ok(Heard::Done)
}

/// A token that no known key has signed.
async fn look_closer(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    token: &str,
) -> Result<SignedOut, Heard> {
    let tried = charge(env, caller, provider)?;
    match provider.signed_out(token, caller.now).await {
        Ok(said) => {
            tried.give_back();
            Ok(said)
        }
        Err(fault) => {
            log(env, caller, provider, &fault.to_string());
            if matches!(fault, Fault::Unavailable(_)) {
                tried.give_back();
                return Err(Heard::Unavailable);
            }
            Err(Heard::Refused)
        }
    }
}

/// Counts a token that may not be acceptable, or was used before, apart from the people at that address.
fn charge(env: &Env, caller: &Caller, provider: &Provider) -> Result<Try, Heard> {
    match env.limit.begin(Client::telling_of_logouts(caller.address), caller.now) {
        Begin::Now(tried) => Ok(tried),
        Begin::Later => Err(Heard::Waiting(Full::RETRY_AFTER)),
        Begin::Refused(until) => {
            log(env, caller, provider, "too many invalid logout tokens from this address");
            Err(Heard::Waiting(caller.now.until(until)))
        }
    }
}

/// The key of the record that a token with this id was used.
fn spent(issuer: &str, id: &str) -> TokenHash {
    TokenHash::of_parts(&[b"logout", issuer.as_bytes(), id.as_bytes()])
}

/// The key of the record by which a sign-in under way is refused.
fn ended(issuer: &str, said: &SignedOut) -> Option<TokenHash> {
    let session = said.session.as_deref().map(|session| AtProvider::ended_session(issuer, session));
    let subject = || Some(AtProvider::ended_subject(issuer, said.subject.as_deref()?));
    session.or_else(subject)
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

/// Ends every user session of `user` that the token is about.
async fn end_all(
    env: &Env,
    caller: &Caller,
    user: UserId,
    issuer: &str,
    said: &SignedOut,
) -> Result<(), Unavailable> {
    let (subject, session) = (said.subject.as_deref(), said.session.as_deref());
    for id in env.store.user_session_ids_of(user).await? {
        let renewal = Renewal::key_of(id);
        let mut reads = Reads::user(user).and::<Renewal>(&renewal);
        reads.user_session = Some(id);
        let ended = env.store.update(reads, |tx| {
            let is_it = tx.user_session.as_ref().is_some_and(|one| {
                let at = one.at_provider.as_ref();
                one.user == user && at.is_some_and(|at| at.has_ended(issuer, subject, session))
            });
            if is_it {
                tx.user_session = None;
                tx.take::<Renewal>(&renewal);
                tx.tell(caller.event(user, What::SignedOutThere));
            }
        });
        ended.await?;
    }
    Ok(())
}

fn log(env: &Env, caller: &Caller, provider: &Provider, why: &str) {
    let Some(left_out) = env.log_throttle.due(Line::Provider, caller.now) else { return };
    let (provider, address) = (&provider.settings().name, caller.address);
    tracing::warn!(provider, %address, left_out, "logout token without effect: {why}");
}
