//! Sending the letters that wait, one at a time; several nodes and tasks may do so at once.
//!
//! Whoever sends a letter claims it first, in a commit of its own: so no two send it at once, and it
//! is due again if they die. It is gone once the server has taken it. A server that dies after it
//! has taken a letter, and before it says so, gets it again, under the same name (RFC 5321 §4.1.1.4
//! leaves no better way).

use std::time::Duration;

use super::env::Env;
use crate::messages::{Outlook, Post};
use crate::store::{Unavailable, Waiting};

/// What came of looking for a letter to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// None is due.
    Nothing,
    /// One was sent.
    Sent,
    /// One was given up: refused for ever, or too old to be of use.
    GivenUp,
    /// One was put off: it is tried again later.
    PutOff,
    /// One was put off, for the server cannot be used now: nor would others get through.
    Away,
}

/// Sends the letter that is due the longest and that nobody else is sending.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; a letter that was sent meanwhile may be
/// sent again.
pub async fn deliver(env: &Env, post: &dyn Post) -> Result<Came, Unavailable> {
    let now = env.now()?;
    for waiting in env.store.due_letters(now, AT_ONCE).await? {
        if let Some(claimed) = env.store.claim(waiting, now.plus(CLAIM)).await? {
            return send(env, post, claimed).await;
        }
    }
    Ok(Came::Nothing)
}

async fn send(env: &Env, post: &dyn Post, claimed: Waiting) -> Result<Came, Unavailable> {
    let (letter, id) = (&claimed.posted.letter, &claimed.posted.id);
    let (user, kind, tries) = (letter.user, letter.kind(), claimed.posted.tries);
    if letter.stale() <= env.now()? {
        tracing::error!(%user, kind, tries, "message expired before it could be delivered");
        return give_up(env, &claimed, "given-up").await;
    }
    let Err(unsent) = post.send(letter, id).await else {
        env.store.forget_letter(&claimed).await?;
        tracing::info!(%user, kind, tries, "message sent");
        env.metrics.mailed("sent");
        return Ok(Came::Sent);
    };
    let came = match unsent.outlook {
        Outlook::Never => {
            tracing::warn!(%user, kind, tries, %unsent, "message rejected permanently");
            return give_up(env, &claimed, "refused").await;
        }
        Outlook::Later => Came::PutOff,
        Outlook::Away => Came::Away,
    };
    tracing::warn!(%user, kind, tries, %unsent, "message not delivered, retrying later");
    env.metrics.mailed("put-off");
    env.store.put_off(claimed, env.now()?.plus(pause(tries))).await?;
    Ok(came)
}

async fn give_up(env: &Env, claimed: &Waiting, how: &'static str) -> Result<Came, Unavailable> {
    env.metrics.mailed(how);
    env.store.forget_letter(claimed).await?;
    Ok(Came::GivenUp)
}

/// How long to wait after so many tries: fifteen seconds, doubled each time, to ten minutes.
fn pause(tries: u32) -> Duration {
    let doubled = 15_u64.saturating_mul(1 << tries.saturating_sub(1).min(10));
    Duration::from_secs(doubled).min(Duration::from_mins(10))
}

/// How long a letter is nobody else's while it is sent; more than all steps of sending may take.
const CLAIM: Duration = Duration::from_mins(10);
/// How many letters are looked at in one reading: others may be sending the first ones.
const AT_ONCE: usize = 8;
