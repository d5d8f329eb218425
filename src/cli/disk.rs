//! Free space on the disk of the state folder, and the warning before it is full.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::reload::Live;

/// The bytes that we may still write on the disk of `state`.
pub(super) fn free(state: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(state)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The free bytes, if they are fewer than configured. If the system cannot tell, the disk does not
/// count as full: writing will show it.
pub(super) fn short_of_space(live: &Live) -> Option<u64> {
    let config = &live.env().config;
    free(&config.state).ok().filter(|free| *free < config.limits.free_disk)
}

/// Logs a warning when less space is free than configured, and a line when it is enough again.
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
