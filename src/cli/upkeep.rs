//! What runs every few seconds or minutes: saving the marks, deleting expired records, finishing
//! rotations of keys, and giving unused memory back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::log;
use super::reload::Live;
use crate::flow::Env;
use crate::flow::renew::renew_due;
use crate::metrics;
use crate::os;
use crate::store::progress::Progress;
use crate::store::{Left, RotationProgress};
use crate::unavailable::Unavailable;

/// Runs `task` as long as the gateway runs. If it panics, that is reported, and it begins again.
pub(super) async fn without_end<F>(live: Arc<Live>, task: impl Fn(Arc<Live>) -> F)
where
    F: Future<Output = ()>,
{
    while let Err(panic) = AssertUnwindSafe(task(Arc::clone(&live))).catch_unwind().await {
        live.env().report(&Unavailable::panicked(&*panic), "background task restarted");
        tokio::time::sleep(BEGIN_AGAIN_AFTER).await;
    }
}

/// Saves the store mark every few seconds.
pub(super) async fn note_progress(progress: Arc<Progress>) {
    loop {
        tokio::time::sleep(NOTE_PROGRESS_EVERY).await;
        let noting = Arc::clone(&progress);
        // It waits for the disk.
        tokio::task::spawn_blocking(move || noting.note()).await.ok();
    }
}

/// Saves the clock mark every minute, and with it the sums of attempts at unknown names.
pub(super) async fn note_time(live: Arc<Live>) {
    loop {
        tokio::time::sleep(NOTE_TIME_EVERY).await;
        // Not kept while sleeping: it keeps the configuration that it was made with.
        let env = live.env();
        let left_out = log::left_out();
        if left_out > 0 {
            env.metrics.log_lines_dropped(metrics::Log::StandardError, left_out);
            tracing::warn!(left_out, "log lines suppressed: too many of one kind");
        }
        let left_out = env.decision_log.left_out_events();
        if left_out > 0 {
            tracing::info!(left_out, "refusals left out of the event log: too many in a minute");
        }
        let noted = match env.now() {
            Ok(now) => env.store.note_time(now).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            env.report(&error, "cannot write the clock mark");
        }
    }
}

/// Gives unused memory back every few seconds: most of what a start or a reload needed, or a crowd.
pub(super) async fn give_memory_back() {
    loop {
        tokio::time::sleep(GIVE_MEMORY_BACK_EVERY).await;
        os::give_memory_back();
    }
}

/// Completes the sums of the last minute. Only people read them, so this is tried once.
pub(super) async fn note_last_time(env: &Env) {
    if let Ok(now) = env.now() {
        env.store.note_time(now).await.ok();
    }
}

/// Deletes expired records, now and every few minutes.
pub(super) async fn sweep(live: Arc<Live>) {
    loop {
        let swept = sweep_once(&live.env()).await;
        match swept {
            Ok(gone) => tracing::debug!(gone, "expired records deleted"),
            Err(error) => live.env().report(&error, "cannot delete expired records"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Asks identity providers every minute about the user sessions whose time has come.
pub(super) async fn renew(live: Arc<Live>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let env = live.env();
        match renew_due(&env).await {
            Ok(asked) => tracing::debug!(asked, "user sessions renewed at identity providers"),
            Err(error) => env.report(&error, "token refresh failed"),
        }
    }
}

/// Finishes rotations of keys, now, after each rotation, and every few minutes: an earlier run may
/// have been interrupted. Drops the keys of cookies and forms that have ended.
pub(super) async fn rotate_keys(live: Arc<Live>) {
    loop {
        let done = rotate_once(&live.env()).await;
        let pause = match done {
            Ok(Left::Work(_)) => BETWEEN_PARTS,
            Ok(Left::Nothing | Left::Unreadable(_)) => SWEEP_EVERY,
            Err(error) => {
                live.env().report(&error, "cannot finish the rotation of a key");
                ROTATE_AGAIN_AFTER
            }
        };
        // Not kept while sleeping: it keeps the configuration that it was made with.
        let store = Arc::clone(&live.env().store);
        timeout(pause, store.rotation_is_due()).await.ok();
    }
}

async fn rotate_once(env: &Env) -> Result<Left, Unavailable> {
    // First: a rotation that cannot be finished must not keep keys of another purpose.
    let retired = match env.now() {
        Ok(now) => env.store.retire_keys(now).await,
        Err(error) => Err(error),
    };
    let left = env.store.carry_on().await?;
    retired?;
    match left {
        Left::Nothing | Left::Work(_) => {}
        Left::Unreadable(RotationProgress { purpose, unreadable, .. }) => {
            let purpose = purpose.word();
            tracing::error!(
                purpose,
                unreadable,
                "the old key is kept, because some records cannot be read with it; the others use \
                 the new one"
            );
        }
    }
    Ok(left)
}

async fn sweep_once(env: &Env) -> Result<usize, Unavailable> {
    env.store.sweep(env.now()?).await
}

const BEGIN_AGAIN_AFTER: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// Requests come first.
const BETWEEN_PARTS: Duration = Duration::from_millis(2);
const ROTATE_AGAIN_AFTER: Duration = Duration::from_secs(5);
const GIVE_MEMORY_BACK_EVERY: Duration = Duration::from_secs(5);
const NOTE_PROGRESS_EVERY: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_mins(1);
const NOTE_TIME_EVERY: Duration = Duration::from_mins(1);
