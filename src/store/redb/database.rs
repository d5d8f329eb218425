//! Opens the database file.

use std::time::Duration;

use redb::{Database, RepairSession};

use super::error::{OpenError, opened};
use super::picture::Shared;

/// The settings for an open file.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The maximum size of redb's cache, in bytes.
    pub cache: usize,
    /// How long to wait before a file that could not be written is tried again. The wait doubles,
    /// up to sixteen times this value.
    pub pause: Duration,
}

impl Default for Options {
    /// 16 MiB is enough for the inner pages of a million records. The rest is left to the system's
    /// page cache.
    fn default() -> Self {
        Self { cache: 16 << 20, pause: Duration::from_millis(250) }
    }
}

/// Opens the database in `file`. Creates it if the file is empty.
pub(super) fn open_database(file: &Shared, options: Options) -> Result<Database, OpenError> {
    opened(|| {
        Database::builder()
            .set_cache_size(options.cache)
            // A repair is never needed after a crash (see [`Redb::open`](super::Redb::open)). After
            // damage, redb would return to the previous commit and write to a file that nobody has
            // verified.
            .set_repair_callback(RepairSession::abort)
            .create_with_backend(file.clone())
    })
}
