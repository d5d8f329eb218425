//! Why a store cannot be opened, and which errors mean damage.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{DatabaseError, StorageError};

use super::tables::KNOWN_FORMAT;
use crate::unavailable::panic_message;

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A process has it open already, possibly this one.
    #[error(
        "another doorward process uses this store; only one can use it at a time; stop it, or use \
         the commands of the running gateway"
    )]
    Locked,
    /// The file is not a store, or its structure is damaged.
    #[error("the store is damaged or is not a doorward store; restore it from a backup")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has a format that this version does not know.
    #[error("the store has format {found}; this version of doorward reads format {KNOWN_FORMAT}")]
    Format {
        /// The format of the file.
        found: u64,
    },
    /// A system call failed.
    #[error("cannot open the store")]
    Io(#[from] io::Error),
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::Locked
            }
            DatabaseError::Storage(StorageError::Io(error)) if !tells_of_damage(&error) => {
                Self::Io(error)
            }
            DatabaseError::Storage(StorageError::PreviousIo) => {
                Self::Io(io::Error::other("an earlier operation on the file failed"))
            }
            error => Self::Damaged(error.into()),
        }
    }
}

/// Whether the file could be read but has invalid content.
pub(super) fn tells_of_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Opens the database. If redb panics, the file counts as damaged.
pub(super) fn opened<T>(open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, OpenError> {
    match unpanicked(open) {
        Ok(opened) => Ok(opened?),
        Err(panicked) => Err(OpenError::Damaged(panicked.into())),
    }
}

/// redb panicked because the file violates its assumptions.
#[derive(Debug, thiserror::Error)]
#[error("its pages are inconsistent: {0}")]
pub(super) struct Panicked(String);

/// Catches a panic. The object behind it may be in any state, so callers must not use it again.
pub(super) fn unpanicked<T>(operation: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(operation)).map_err(|panic| Panicked(panic_message(&*panic)))
}
