//! The state folder, which holds the store, its keys and the socket. Only our system user may
//! access it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// A folder that only our system user may access.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
    owner: u32,
}

impl StateFolder {
    /// Opens the folder at `path`. Creates it with mode 0700 if it does not exist.
    ///
    /// # Errors
    /// [`StateError::Foreign`] or [`StateError::Exposed`] if others own it or may access it, and
    /// [`StateError::Io`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let at = |doing| move |source| StateError::Io { doing, path: path.to_owned(), source };
        if !path.try_exists().map_err(at("look for"))? {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at("make"))?;
            if let Some(parent) = path.parent() {
                sync_folder(parent).map_err(at("make"))?;
            }
        }
        let found = fs::metadata(path).map_err(at("look at"))?;
        let owner = whom_we_run_as(path).map_err(at("write to"))?;
        check(path, &found, owner)?;
        Ok(Self { path: path.to_owned(), owner })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the store.
    pub fn store_file(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    /// The path of the keys file.
    pub fn keys_file(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Waits for the exclusive lock on this folder. Dropping the file releases it.
    pub(super) fn lock(&self) -> io::Result<File> {
        let directory = File::open(&self.path)?;
        directory.lock()?;
        Ok(directory)
    }

    /// Opens one of our files.
    ///
    /// # Errors
    /// [`StateError::Foreign`] or [`StateError::Exposed`] if others own it or may access it.
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

    /// Writes a file that only we may access, atomically, and waits until it is on disk.
    ///
    /// The caller must hold [`StateFolder::lock`].
    pub(super) fn write_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("new");
        remove_if_there(&draft)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(&self.path)
    }
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another system user owns it. Its owner could not read what we write there.
    #[error("{path} belongs to system user {owner}, not to {ours}; run doorward as its owner")]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The numeric id of its owner.
        owner: u32,
        /// The numeric id of the system user that we run as.
        ours: u32,
    },
    /// Other system users may access it.
    #[error("{path} is open to others (mode {mode:04o}); run: chmod go= {path}")]
    Exposed {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is a store, but its keys file is missing.
    #[error("there is a store but its keys file {path} is missing; restore it from a backup")]
    KeysMissing {
        /// Where the keys file should be.
        path: PathBuf,
    },
    /// The keys file is malformed or incomplete.
    #[error("{path}:{line}: {what}")]
    KeysUnreadable {
        /// The keys file.
        path: PathBuf,
        /// The line, starting at 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The mark file is malformed or incomplete.
    #[error(
        "{path} is damaged, so doorward cannot check whether the store was replaced by an older \
         one; if it was not, remove this file"
    )]
    MarkUnreadable {
        /// The mark file.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {doing} {path}")]
    Io {
        /// What we tried to do.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The error of the system.
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

/// The id of the system user that owns the files that we create in `directory`; found by creating
/// one.
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

/// Waits until newly created or renamed entries of a folder are on disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // The parent of a file name without a folder is empty.
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
        StateFolder::open(&state).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing is left lying there");
    }

    #[test]
    fn a_state_directory_that_is_open_to_others_is_refused_with_the_cure() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let refused = StateFolder::open(home.path()).unwrap_err();
        assert!(refused.to_string().contains("(mode 0750); run: chmod go= "), "{refused}");
    }

    #[test]
    fn a_state_directory_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        StateFolder::open(&state).unwrap();
        let found = fs::metadata(&state).unwrap();
        assert!(check(&state, &found, found.uid()).is_ok());
        let refused = check(&state, &found, found.uid() + 1).unwrap_err();
        assert!(matches!(refused, StateError::Foreign { .. }), "{refused}");
    }
}
