//! Free space on the disk of the state folder, and the warning before it is full.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::reload::Live;

/// The space on a disk, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// What we may still write.
    pub(super) free: u64,
    /// All of it.
    pub(super) size: u64,
}

/// The space on the disk of `state`.
pub(super) fn space(state: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(state)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free: bytes(found.f_bavail), size: bytes(found.f_blocks) })
}

/// The free bytes, if they are fewer than configured. If the system cannot tell, the disk does not
/// count as full: writing will show it.
pub(super) fn short_of_space(live: &Live) -> Option<u64> {
    let config = &live.env().config;
    let free = space(&config.state).ok()?.free;
    (free < config.limits.free_disk).then_some(free)
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
