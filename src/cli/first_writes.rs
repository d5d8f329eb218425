//! What a start reads and writes in the store first: whether its keys are here, the clock mark, the
//! RP ID of security keys, and since when demands exist.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::not_started::NotStarted;
use crate::flow::{Env, rp_id};
use crate::unavailable::Unavailable;

/// Refuses a store whose keys are not in the keys file.
pub(super) async fn has_its_keys(env: &Env) -> Result<(), NotStarted> {
    match env.store.lacks_key().await.map_err(NotStarted::unreadable)? {
        Some((purpose, id)) => Err(NotStarted::OtherKeys { purpose, id }),
        None => Ok(()),
    }
}

/// Compares the clock with the latest time that an earlier run saved.
pub(super) async fn believe_clock(env: &Arc<Env>, accept: bool) -> Result<(), NotStarted> {
    let seen = env.store.time_seen().await.map_err(NotStarted::unreadable)?;
    if let Some(seen) = seen.filter(|_| !accept) {
        env.clock.has_seen(seen);
    }
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let noting = Arc::clone(env);
    written_in_a_moment(env, async move { noting.store.note_time(now).await }).await
}

/// Refuses a configuration whose RP ID is not that of the security keys that people have, unless the
/// operator accepts it. Saves the RP ID.
pub(super) async fn keep_rp_id(env: &Arc<Env>, accept: bool) -> Result<(), NotStarted> {
    let moved = rp_id::moved(&env.store, &env.config).await.map_err(NotStarted::unreadable)?;
    match moved {
        Some(moved) if accept => tracing::warn!("{}", moved.accepted()),
        Some(moved) => return Err(NotStarted::OtherRpId(moved)),
        None => {}
    }
    let noting = Arc::clone(env);
    let noted = async move { rp_id::note(&noting.store, &noting.config).await };
    written_in_a_moment(env, noted).await
}

/// Finds out since when the demands exist, and saves it.
pub(super) async fn demand(env: &Arc<Env>) -> Result<Arc<Env>, NotStarted> {
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let since = env.store.demands(env.config.demands.names(), now).await;
    let since = Arc::new(since.map_err(NotStarted::unreadable)?);
    let noting = Arc::clone(env);
    let noted = async move {
        noting.store.demands_seen(noting.config.demands.names(), now).await.map(drop)
    };
    written_in_a_moment(env, noted).await?;
    env.metrics.loaded(now.seconds());
    Ok(Arc::new(Env { since, ..Env::clone(env) }))
}

/// Waits for writes at the start. A large store writes only after it has verified itself: then do
/// not wait, the write happens in time. Do not wait for a full disk either: stored data can be
/// read, and `/readyz` reports it.
async fn written_in_a_moment(
    env: &Env,
    writing: impl Future<Output = Result<(), Unavailable>> + Send + 'static,
) -> Result<(), NotStarted> {
    match timeout(A_MOMENT, tokio::spawn(writing)).await {
        Ok(written) => match written.map_err(io::Error::from)? {
            Err(why) if why.is_damage() || env.store.writable().is_ok() => {
                Err(NotStarted::unreadable(why))
            }
            // It was logged already. The file is being reopened.
            Err(_) => timeout(OPENED_AGAIN, is_readable(env)).await.or(Ok(())),
            Ok(()) => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

async fn is_readable(env: &Env) {
    while env.store.probe().await.is_err() {
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// Far longer than it takes to open a store.
const OPENED_AGAIN: Duration = Duration::from_secs(5);
/// A store of a hundred megabytes verifies itself in this time.
const A_MOMENT: Duration = Duration::from_millis(400);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);
