//! How much space is left where the state lies, and who is told before it runs out.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::live::Live;

/// Bytes that are free for us on the disk of `state`.
pub(super) fn free(state: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(state)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How many bytes are free, where they are fewer than the configuration wants. A disk that cannot
/// be asked is not called full: writing to it tells.
pub(super) fn short_of_space(live: &Live) -> Option<u64> {
    let config = &live.env().config;
    free(&config.state).ok().filter(|free| *free < config.limits.free_disk)
}

/// Writes a warning when less is free than the configuration wants, and again when there is room.
pub(super) async fn watch(live: Arc<Live>) {
    let mut short = false;
    loop {
        match short_of_space(&live) {
            Some(free) if !short => {
                short = true;
                let (state, mib) = (live.env().config.state.display().to_string(), free >> 20);
                tracing::warn!(
                    state,
                    mib,
                    "low disk space for the state folder; nobody can sign in when the disk is full"
                );
            }
            None if short => {
                short = false;
                tracing::info!("disk space for the state folder is sufficient again");
            }
            _ => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

const EVERY: Duration = Duration::from_secs(10);
