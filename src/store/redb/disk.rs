//! What the file system under the store can be asked besides reading and writing.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The store's file, and where it lies.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    probe: PathBuf,
}

impl OnDisk {
    /// Keeps a handle of `file`, which lies at `path`, or will.
    pub(super) fn of(file: &File, path: &Path) -> io::Result<Self> {
        let mut probe = OsString::from(path);
        probe.push(".probe");
        Ok(Self { file: file.try_clone()?, probe: probe.into() })
    }

    /// Lets the system forget what it keeps of the file in memory, so that the disk is read again.
    ///
    /// After a failed sync Linux counts the pages that it could not write as written: what is read
    /// then may never have been on disk (see fsync(2), "Linux notes", and `posix_fadvise(2)`).
    pub(super) fn forget_kept(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed) {
            tracing::debug!(%error, "the system keeps what it has read of the store");
        }
    }

    /// Finds out whether the disk takes anything at all, by a file beside the store.
    ///
    /// # Errors
    /// What the system says, such as that no space is left.
    pub(super) fn probe(&self) -> io::Result<()> {
        let written = self.write_probe();
        let removed = fs::remove_file(&self.probe);
        written.and(removed)
    }

    fn write_probe(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&self.probe)?;
        file.write_all(&vec![0; PROBE])?;
        file.sync_all()
    }
}

/// Less than a sign-in needs would tell nothing; much more may not be there for long.
const PROBE: usize = 256 * 1024;
