//! The state directory: where the store, its keys and the socket lie, closed to everybody else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// A directory that belongs to this system user and to nobody else.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
    owner: u32,
}

impl StateDirectory {
    /// Opens the directory at `path`, or makes it, with mode 0700.
    ///
    /// # Errors
    /// [`StateError::Foreign`] and [`StateError::Exposed`] if it is there but not ours alone, and
    /// [`StateError::Io`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let at = |doing| move |source| StateError::Io { doing, path: path.to_owned(), source };
        if !path.try_exists().map_err(at("look for"))? {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at("make"))?;
            if let Some(parent) = path.parent() {
                sync_directory(parent).map_err(at("make"))?;
            }
        }
        let found = fs::metadata(path).map_err(at("look at"))?;
        let owner = whom_we_run_as(path).map_err(at("write to"))?;
        check(path, &found, owner)?;
        Ok(Self { path: path.to_owned(), owner })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the store lies.
    pub fn store_file(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    /// Where the keys lie.
    pub fn keys_file(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Waits until nobody else prepares this directory. Dropping the file lets the next one in.
    pub(super) fn lock(&self) -> io::Result<File> {
        let directory = File::open(&self.path)?;
        directory.lock()?;
        Ok(directory)
    }

    /// Opens a file of ours.
    ///
    /// # Errors
    /// [`StateError::Foreign`] and [`StateError::Exposed`] if others own it or could read it.
    pub(super) fn open_private(&self, path: &Path) -> Result<Option<File>, StateError> {
        let at = |source| StateError::Io { doing: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(error)),
        };
        check(path, &file.metadata().map_err(at)?, self.owner)?;
        Ok(Some(file))
    }

    /// Writes a file that only we can read, whole or not at all, and waits until it is on disk.
    ///
    /// The caller holds [`StateDirectory::lock`].
    pub(super) fn write_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("new");
        remove_if_there(&draft)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_directory(&self.path)
    }
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another system user owns it: what we write there, its owner could not read.
    #[error("{path} belongs to system user {owner}, not to {ours}; run doorward as its owner")]
    Foreign {
        /// What.
        path: PathBuf,
        /// Whose it is, as a number.
        owner: u32,
        /// Whom we run as.
        ours: u32,
    },
    /// Others could read what lies there.
    #[error("{path} is open to others (mode {mode:04o}); run: chmod go= {path}")]
    Exposed {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is a store, and nothing to open it with.
    #[error("there is a store but no keys file {path}; restore the one that belongs to the store")]
    KeysMissing {
        /// Where the keys should be.
        path: PathBuf,
    },
    /// The keys file is not one, or not whole.
    #[error("{path}:{line}: {what}")]
    KeysUnreadable {
        /// The keys file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The note of how far the store has come is not one, or not whole.
    #[error(
        "{path} is damaged: whether the store is older than the one before cannot be told; if the \
         store was not exchanged, remove that file"
    )]
    MarkUnreadable {
        /// The note.
        path: PathBuf,
    },
    /// The system did not let us.
    #[error("cannot {doing} {path}")]
    Io {
        /// What we wanted to do.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn check(path: &Path, found: &fs::Metadata, ours: u32) -> Result<(), StateError> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != ours {
        return Err(StateError::Foreign { path: path.to_owned(), owner, ours });
    }
    if mode & 0o077 != 0 {
        return Err(StateError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// The system user whose files we make in `directory`, told by making one.
fn whom_we_run_as(directory: &Path) -> io::Result<u32> {
    let probe = directory.join(format!(".owner-{}", process::id()));
    remove_if_there(&probe)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    fs::remove_file(&probe)?;
    Ok(file.metadata()?.uid())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Waits until what was made or renamed in a directory is on disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    // The parent of a bare file name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_state_directory_is_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("var/doorward");
        StateDirectory::open(&state).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing is left lying there");
    }

    #[test]
    fn a_state_directory_that_is_open_to_others_is_refused_with_the_cure() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let refused = StateDirectory::open(home.path()).unwrap_err();
        assert!(refused.to_string().contains("(mode 0750); run: chmod go= "), "{refused}");
    }

    #[test]
    fn a_state_directory_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        StateDirectory::open(&state).unwrap();
        let found = fs::metadata(&state).unwrap();
        assert!(check(&state, &found, found.uid()).is_ok());
        let refused = check(&state, &found, found.uid() + 1).unwrap_err();
        assert!(matches!(refused, StateError::Foreign { .. }), "{refused}");
    }
}
