//! Asking identity providers whether people who are signed in may still be, with the refresh token that
//! each user session brought (OpenID Connect Core §12).
//!
//! A provider that says no ends the session. One that does not answer is asked again; after a day
//! without an answer the session ends, too.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use super::env::{Env, Line};
use crate::domain::event::{Event, What, Whom};
use crate::domain::secret::{Secret, Token};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::user_session::Renewal;
use crate::identity::Provider;
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// What a provider says.
enum Said {
    /// The session may go on, by this token from now on.
    Yes(Option<Secret>),
    /// It may not.
    No,
    /// Nothing.
    Nothing,
}

/// Asks for every user session whose time has come. Returns how many there were.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; the rest is asked the next time.
pub async fn renew_due(env: &Env) -> Result<usize, Unavailable> {
    let now = env.now()?;
    let mut due = env.store.all::<Renewal>().await?;
    due.retain(|renewal| is_due(env, renewal, now));
    let count = due.len();
    let mut asking = stream::iter(due.into_iter().map(|renewal| renew(env, renewal, now)))
        .buffer_unordered(AT_ONCE);
    while let Some(renewed) = asking.next().await {
        renewed?;
    }
    Ok(count)
}

fn provider_of<'e>(env: &'e Env, renewal: &Renewal) -> Option<&'e Arc<Provider>> {
    let provider = env.providers.of_issuer(renewal.account.issuer());
    provider.filter(|provider| provider.settings().refresh.is_some())
}

/// A token for which there is no use any more is due as well: it is forgotten.
fn is_due(env: &Env, renewal: &Renewal, now: Timestamp) -> bool {
    let every = provider_of(env, renewal).and_then(|provider| provider.settings().refresh);
    every.is_none_or(|every| renewal.tried.plus(every) <= now)
}

async fn renew(env: &Env, renewal: Renewal, now: Timestamp) -> Result<(), Unavailable> {
    let said = match provider_of(env, &renewal) {
        Some(provider) => Some(ask(env, provider, &renewal, now).await),
        None => None,
    };
    let refresh = provider_of(env, &renewal).and_then(|provider| provider.settings().refresh);
    let (user, key) = (renewal.user, renewal.key());
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
        let kept = renewal.clone();
        match &said {
            None => {}
            Some(Said::Yes(token)) => {
                tx.user.spoken_for(&kept.account, refresh, now);
                let token = token.clone().unwrap_or_else(|| kept.token.clone());
                tx.put(&key, Renewal { token, tried: now, answered: now, ..kept });
            }
            Some(Said::Nothing) if now < kept.answered.plus(User::PROVIDER_STANDS) => {
                tx.put(&key, Renewal { tried: now, ..kept });
            }
            Some(Said::No | Said::Nothing) => {
                if let Some(Said::No) = &said {
                    tx.user.denied_by(&kept.account);
                }
                tx.user_session = None;
                tx.tell(Event::of_itself(Whom::User(user), What::SignedOutThere, now));
            }
        }
    });
    written.await.map(|_| ())
}

async fn ask(env: &Env, provider: &Provider, renewal: &Renewal, now: Timestamp) -> Said {
    let once = env.rng.draw(Token::random);
    match provider.renew(&renewal.token, &renewal.account, &once, now).await {
        Ok(token) => Said::Yes(token),
        Err(fault) => {
            if let Some(left_out) = env.log_throttle.due(Line::Provider, now) {
                let provider = &provider.settings().name;
                tracing::warn!(provider, left_out, "asking about a user session failed: {fault}");
            }
            if fault.is_no() { Said::No } else { Said::Nothing }
        }
    }
}

/// How many are asked about at the same time: people who sign in come first.
const AT_ONCE: usize = 4;
