//! Sends messages from the outbox, one at a time. Several nodes and tasks may do so at once.
//!
//! A worker first claims a message in its own commit, so no two workers send it at once; if a
//! worker crashes, the message becomes due again. It is deleted once the server has accepted it. If
//! the server crashes between accepting it and saying so, it gets the message again with the same
//! Message-ID (RFC 5321 §4.1.1.4 offers no better way).

use std::time::Duration;

use super::env::Env;
use crate::messages::{Outlook, Post};
use crate::store::Waiting;
use crate::unavailable::{Kind, Unavailable};

/// The result of looking for a message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// No message is due.
    Nothing,
    /// One was sent.
    Sent,
    /// One was dropped: rejected permanently, or too old.
    GivenUp,
    /// One was postponed and will be tried again.
    PutOff,
    /// One was postponed because the server is unavailable; other messages would fail, too.
    Away,
}

/// Sends the message that has been due longest and that no other worker has claimed.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. A message that was sent may be sent
/// again.
pub async fn deliver(env: &Env, post: &dyn Post) -> Result<Came, Unavailable> {
    let now = env.now()?;
    for waiting in env.store.due_messages(now, AT_ONCE).await? {
        if let Some(claimed) = env.store.claim(waiting, now.plus(CLAIM)).await? {
            return send(env, post, claimed).await;
        }
    }
    Ok(Came::Nothing)
}

async fn send(env: &Env, post: &dyn Post, claimed: Waiting) -> Result<Came, Unavailable> {
    let (message, id) = (&claimed.posted.message, &claimed.posted.id);
    let (user, kind, tries) = (message.user, message.kind(), claimed.posted.tries);
    let name = env.name_of(user).await;
    if message.stale() <= env.now()? {
        tracing::error!(name, %user, kind, tries, "e-mail given up before it could be sent");
        return give_up(env, &claimed, "given-up").await;
    }
    let Err(unsent) = post.send(message, id).await else {
        env.store.forget_message(&claimed).await?;
        tracing::info!(name, %user, kind, tries, "e-mail sent");
        env.metrics.mailed("sent");
        return Ok(Came::Sent);
    };
    let came = match unsent.outlook {
        Outlook::Never => {
            tracing::warn!(name, %user, kind, tries, %unsent, "e-mail rejected permanently");
            return give_up(env, &claimed, "refused").await;
        }
        Outlook::Later => {
            tracing::warn!(name, %user, kind, tries, %unsent, "e-mail not delivered, retrying later");
            Came::PutOff
        }
        Outlook::Away => {
            let away =
                Unavailable::new(Kind::Mail, "the mail server does not answer").because(unsent);
            env.report(&away, "e-mail not delivered, retrying later");
            Came::Away
        }
    };
    env.metrics.mailed("put-off");
    env.store.put_off(claimed, env.now()?.plus(pause(tries))).await?;
    Ok(came)
}

async fn give_up(env: &Env, claimed: &Waiting, how: &'static str) -> Result<Came, Unavailable> {
    env.metrics.mailed(how);
    env.store.forget_message(claimed).await?;
    Ok(Came::GivenUp)
}

/// The pause after this many attempts: fifteen seconds, doubled each time, up to ten minutes.
fn pause(tries: u32) -> Duration {
    let doubled = 15_u64.saturating_mul(1 << tries.saturating_sub(1).min(10));
    Duration::from_secs(doubled).min(Duration::from_mins(10))
}

/// How long a claim lasts: longer than all steps of sending may take.
const CLAIM: Duration = Duration::from_mins(10);
/// How many messages are read at once: other workers may have claimed the first ones.
const AT_ONCE: usize = 8;
