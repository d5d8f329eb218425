//! Operations on the store's file beyond reading and writing.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The store's file and its location.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    probe: PathBuf,
}

impl OnDisk {
    /// Keeps a handle of `file`, whose path is or will be `path`.
    pub(super) fn of(file: &File, path: &Path) -> io::Result<Self> {
        let mut probe = OsString::from(path);
        probe.push(".probe");
        Ok(Self { file: file.try_clone()?, probe: probe.into() })
    }

    /// Makes the system drop its cached pages of the file, so that the disk is read again.
    ///
    /// After a failed sync, Linux marks the pages that it could not write as clean, so cached data
    /// may never have reached the disk (see fsync(2), "Linux notes", and `posix_fadvise(2)`).
    pub(super) fn forget_kept(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed) {
            tracing::debug!(%error, "cannot drop the store file from the page cache");
        }
    }

    /// Checks whether the disk accepts data, with a file next to the store.
    ///
    /// # Errors
    /// The error of the system, such as no space left.
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

/// Less than a sign-in needs would prove nothing; much more may not be free for long.
const PROBE: usize = 256 * 1024;
