//! Opening the database in a file.

use std::time::Duration;

use redb::{Database, RepairSession};

use super::error::{OpenError, opened};
use super::picture::Shared;

/// How a file is kept open.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much of the file is kept in memory at most, in bytes.
    pub cache: usize,
    /// How long to wait at least until a file that could not be written is tried again; the wait
    /// doubles up to sixteen times as long.
    pub pause: Duration,
}

impl Default for Options {
    /// 16 MiB: the inner pages of a million records. The rest the system keeps for us as it sees fit.
    fn default() -> Self {
        Self { cache: 16 << 20, pause: Duration::from_millis(250) }
    }
}

/// Opens the database in `file`, or creates it there if it holds nothing at all.
pub(super) fn open_database(file: &Shared, options: Options) -> Result<Database, OpenError> {
    opened(|| {
        Database::builder()
            .set_cache_size(options.cache)
            // No crash makes that necessary (see [`Redb::open`](super::Redb::open)). Where damage does, redb would go back to
            // the commit before, and write to what nobody has verified.
            .set_repair_callback(RepairSession::abort)
            .create_with_backend(file.clone())
    })
}
