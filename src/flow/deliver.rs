//! Sending the letters that wait.
//!
//! Whoever sends a letter puts it off first, in a commit of its own: so no two send it at once, and
//! it is due again if they die. It is gone once the server has taken it. A server that dies after it
//! has taken a letter, and before it says so, gets it again, under the same name (RFC 5321 §4.1.1.4
//! leaves no better way).

use std::time::Duration;

use super::env::Env;
use crate::messages::{Post, Unsent};
use crate::store::{Unavailable, Waiting};

/// What came of one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Letters that were taken.
    pub sent: usize,
    /// Letters that were given up: refused for ever, or too old to be of use.
    pub given_up: usize,
    /// Letters that are tried again later.
    pub put_off: usize,
    /// Whether the server cannot be used now: the rest was not tried.
    pub away: bool,
}

/// Sends what is due, one letter after the other.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; a letter that was sent meanwhile may be
/// sent again.
pub async fn deliver(env: &Env, post: &dyn Post) -> Result<Round, Unavailable> {
    let mut round = Round::default();
    while !round.away {
        let due = env.store.due_letters(env.now()?, AT_ONCE).await?;
        let most = due.len();
        for waiting in due {
            if round.away {
                break;
            }
            one(env, post, waiting, &mut round).await?;
        }
        if most < AT_ONCE {
            break;
        }
    }
    Ok(round)
}

async fn one(
    env: &Env,
    post: &dyn Post,
    waiting: Waiting,
    round: &mut Round,
) -> Result<(), Unavailable> {
    let now = env.now()?;
    // Names what is put off while it is sent.
    let Some(claimed) = env.store.put_off(waiting, now.plus(CLAIM)).await? else { return Ok(()) };
    let (letter, id) = (&claimed.posted.letter, &claimed.posted.id);
    let (user, kind, tries) = (letter.user, letter.kind(), claimed.posted.tries);
    if letter.stale() <= now {
        tracing::warn!(%user, kind, tries, "a letter was given up: it waited for too long");
        round.given_up += 1;
        env.metrics.mailed("given-up");
        return env.store.forget_letter(&claimed).await.map(drop);
    }
    match post.send(letter, id).await {
        Ok(()) => {
            tracing::info!(%user, kind, tries, "a letter was sent");
            round.sent += 1;
            env.metrics.mailed("sent");
            env.store.forget_letter(&claimed).await.map(drop)
        }
        Err(Unsent::Never(why)) => {
            tracing::warn!(%user, kind, why, "a letter was refused for ever");
            round.given_up += 1;
            env.metrics.mailed("refused");
            env.store.forget_letter(&claimed).await.map(drop)
        }
        Err(unsent) => {
            round.away = matches!(unsent, Unsent::Away(_));
            tracing::warn!(%user, kind, tries, %unsent, "a letter is tried again later");
            round.put_off += 1;
            env.metrics.mailed("put-off");
            let until = env.now()?.plus(pause(tries));
            env.store.put_off(claimed, until).await.map(drop)
        }
    }
}

/// How long to wait after so many tries: fifteen seconds, doubled each time, to ten minutes.
fn pause(tries: u32) -> Duration {
    let doubled = 15_u64.saturating_mul(1 << tries.saturating_sub(1).min(10));
    Duration::from_secs(doubled).min(Duration::from_mins(10))
}

/// How long a letter is nobody else's while it is sent; more than all steps of sending may take.
const CLAIM: Duration = Duration::from_mins(10);
/// How many letters are looked at in one reading.
const AT_ONCE: usize = 32;
