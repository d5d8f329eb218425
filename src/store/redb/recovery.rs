//! Recovers the store after its file could not be read or written.
//!
//! redb refuses all calls after a failed file operation, because it does not know what reached the
//! disk. So the file is reopened, which returns to the last complete commit, and reading works
//! again. Writing works again once the disk accepts data, every page was verified, and a test
//! commit succeeded. Until then writes fail immediately instead of waiting.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::database::{Options, open_database};
use super::error::OpenError;
use super::health::Health;
use super::picture::Picture;
use super::tables::try_out;
use crate::unavailable::Unavailable;

/// Tries until the store can be written, is found to be damaged, or `called_off` becomes true.
/// Calls `meanwhile` before each pause.
pub(super) fn recover(
    health: &Health,
    options: Options,
    called_off: &Arc<AtomicBool>,
    mut meanwhile: impl FnMut(),
) {
    let mut pause = options.pause;
    while !called_off.load(Ordering::Relaxed) && !health.is_known_to_be_damaged() {
        match attempt(health, options, called_off) {
            Ok(()) => return health.has_recovered(),
            Err(error) => {
                let error = &*error as &dyn Error;
                tracing::debug!(error, "store recovery failed, retrying");
            }
        }
        meanwhile();
        thread::park_timeout(pause);
        // Increase the pause, because each attempt may read the whole file.
        pause = (pause * 2).min(options.pause * 16);
    }
}

fn attempt(
    health: &Health,
    options: Options,
    called_off: &Arc<AtomicBool>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    if health.is_broken() {
        health.close_database();
        reopen(health, options)?;
    }
    if let Some(disk) = health.file().disk() {
        disk.probe()?;
    }
    let picture = Picture::of(health.file().clone(), Arc::clone(called_off))?;
    verify(picture, health, called_off)?;
    health.careful("its file cannot be written", try_out)?;
    Ok(())
}

fn reopen(health: &Health, options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let file = health.file();
    if let Some(disk) = file.disk() {
        disk.forget_kept();
    }
    // redb marks the file as in use, which writes to its header.
    file.guard(false);
    let opened = open_database(file, options);
    file.guard(true);
    match opened {
        Ok(database) => {
            file.keep_locked(false);
            health.use_database(database);
            Ok(())
        }
        Err(OpenError::Damaged(why)) => Err(health.is_damaged(Damaged(why)).into()),
        Err(error) => Err(error.into()),
    }
}

/// Verifies the file and then allows writes. On a damaged file not even redb's own housekeeping is
/// safe, because it could reuse pages that are in use.
pub(super) fn verify(
    picture: Picture,
    health: &Health,
    called_off: &AtomicBool,
) -> Result<(), Unavailable> {
    match picture.verify() {
        _ if called_off.load(Ordering::Relaxed) => Err(Unavailable::store("it is being closed")),
        Ok(()) => {
            health.is_verified();
            Ok(())
        }
        Err(OpenError::Io(error)) => {
            Err(health.has_failed(Unavailable::store("its file cannot be verified").because(error)))
        }
        Err(error) => Err(health.is_damaged(error)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it cannot be reopened: {0}")]
struct Damaged(Box<dyn Error + Send + Sync>);
