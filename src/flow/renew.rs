//! Asking identity providers whether people who are signed in may still be, with the refresh token that
//! each user session brought (OpenID Connect Core §12).
//!
//! A provider that says no ends the session. One that does not answer is asked again; after a day
//! without an answer the session ends, too. A token for which there is no use any more is forgotten.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use super::env::{Env, Line};
use super::take_over::take_over;
use crate::domain::event::{Event, What, Whom};
use crate::domain::provider::Told;
use crate::domain::secret::{Secret, Token};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::user_session::Renewal;
use crate::identity::Provider;
use crate::identity::provider::Renewed;
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// What a provider says.
enum Said {
    /// The session may go on; and this of the person, if anything.
    Yes(Option<Box<Told>>),
    /// It may not.
    No,
    /// Nothing.
    Nothing,
}

/// Asks for every user session whose time has come. Returns how many there were.
///
/// # Errors
/// [`Unavailable`] if one of them cannot be read or written; the others were asked about all the same.
pub async fn renew_due(env: &Env) -> Result<usize, Unavailable> {
    let now = env.now()?;
    let (mut due, mut failed) = env.store.readable::<Renewal>().await?;
    due.retain(|renewal| is_due(env, renewal, now));
    let count = due.len();
    let renewals = stream::iter(due.into_iter().map(|renewal| renew(env, renewal)));
    let mut asking = renewals.buffer_unordered(AT_ONCE);
    // None is given up under way: what replaces its token would be lost.
    while let Some(renewed) = asking.next().await {
        failed = renewed.err().or(failed);
    }
    failed.map_or(Ok(count), Err)
}

fn provider_of<'e>(env: &'e Env, renewal: &Renewal) -> Option<&'e Arc<Provider>> {
    let provider = env.providers.of_issuer(renewal.account.issuer());
    provider.filter(|provider| provider.settings().refresh.is_some())
}

/// A token of a provider that is not to be asked is due as well: it is forgotten.
fn is_due(env: &Env, renewal: &Renewal, now: Timestamp) -> bool {
    let every = provider_of(env, renewal).and_then(|provider| provider.settings().refresh);
    every.is_none_or(|every| renewal.tried.plus(every) <= now)
}

/// Whether the user session goes on, and the account may still speak for the user.
async fn is_wanted(env: &Env, renewal: &Renewal, now: Timestamp) -> Result<bool, Unavailable> {
    let Some(person) = env.store.user(renewal.user).await? else { return Ok(false) };
    let found = env.store.user_session(renewal.user_session).await?;
    let user = &person.user;
    let lives = found.is_some_and(|user_session| {
        user_session.user == user.id()
            && user_session.is_alive(user.epoch(), env.config.sessions, now)
    });
    Ok(lives && user.disabled().is_none() && user.has_account(&renewal.account))
}

async fn renew(env: &Env, renewal: Renewal) -> Result<(), Unavailable> {
    // Its own time: those before it may have taken long.
    let now = env.now()?;
    let (user, key) = (renewal.user, renewal.key());
    let provider = match provider_of(env, &renewal) {
        Some(provider) if is_wanted(env, &renewal, now).await? => provider,
        _ => return env.store.forget::<Renewal>(&key).await,
    };
    let (said, token) = ask(env, provider, &renewal, now).await;
    let token = token.unwrap_or_else(|| renewal.token.clone());
    let refresh = provider.settings().refresh;
    let event = |what| Event::of_itself(Whom::User(user), what, now);
    let mut reads = Reads::user(user).and::<Renewal>(&key);
    reads.user_session = Some(renewal.user_session);
    let written = env.store.update(reads, |tx| {
        // Another run was quicker, or the session has ended.
        if tx.get::<Renewal>(&key) != Some(&renewal) {
            return;
        }
        tx.take::<Renewal>(&key);
        if tx.user_session.is_none() {
            return;
        }
        let kept = Renewal { token: token.clone(), tried: now, ..renewal.clone() };
        match &said {
            Said::Yes(_) => {
                tx.user.spoken_for(&kept.account, refresh, now);
                tx.put(&key, Renewal { answered: now, ..kept });
            }
            Said::Nothing if now < kept.answered.plus(User::PROVIDER_STANDS) => {
                tx.put(&key, kept);
            }
            Said::No | Said::Nothing => {
                if matches!(said, Said::No) {
                    tx.user.denied_by(&kept.account);
                }
                tx.user_session = None;
                tx.tell(event(What::SignedOutThere));
            }
        }
    });
    written.await?;
    match &said {
        Said::Yes(Some(told)) => take_over(env, provider, user, told, now, event).await,
        Said::Yes(None) | Said::No | Said::Nothing => Ok(()),
    }
}

/// Also returns the token that replaces that of `renewal`, whatever else the provider says.
async fn ask(
    env: &Env,
    provider: &Provider,
    renewal: &Renewal,
    now: Timestamp,
) -> (Said, Option<Secret>) {
    let once = env.rng.draw(Token::random);
    let (token, told) = match provider.renew(&renewal.token, &renewal.account, &once, now).await {
        Ok(Renewed { refresh, told }) => (refresh, told),
        Err(fault) => (None, Err(fault)),
    };
    let people = &provider.settings().people;
    let said = match told {
        Ok(Some(told)) if people.admit(&told).is_err() => {
            log(env, provider, "session ended: the user no longer matches `people.only`", now);
            Said::No
        }
        Ok(told) => Said::Yes(told.map(Box::new)),
        Err(fault) if fault.is_no() => {
            let line = format!("provider refused the refresh token: session ended: {fault}");
            log(env, provider, &line, now);
            Said::No
        }
        Err(fault) => {
            log(env, provider, &format!("token refresh failed: {fault}"), now);
            Said::Nothing
        }
    };
    (said, token)
}

fn log(env: &Env, provider: &Provider, line: &str, now: Timestamp) {
    let Some(left_out) = env.log_throttle.due(Line::Provider, now) else { return };
    let provider = &provider.settings().name;
    tracing::warn!(provider, left_out, "{line}");
}

/// How many are asked about at the same time: people who sign in come first.
const AT_ONCE: usize = 4;
