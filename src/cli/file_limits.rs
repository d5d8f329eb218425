//! The limits on open files and on the size of a file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Raises the open file limit as far as allowed: each connection needs one file, and so does its
/// connection to an application.
pub(super) fn take_all_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the open file limit");
    }
    let needed = 2 * connections as u64 + SPARE_FILES;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        tracing::warn!(
            files,
            needed,
            "the open file limit is too low for `limits.connections`: raise it (LimitNOFILE= with \
             systemd), or lower `limits.connections`"
        );
    }
}

/// Turns reaching the file size limit into an error, like a full disk, instead of the end of the
/// process (setrlimit(2), `RLIMIT_FSIZE`).
pub(super) fn survive_file_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    // Once a handler is installed, the signal has no default effect, even after the listener is
    // dropped.
    let heard = runtime.and_then(|runtime| {
        let _within = runtime.enter();
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
    });
    if let Err(error) = heard {
        tracing::debug!(
            %error,
            "cannot handle SIGXFSZ: reaching the file size limit ends the process"
        );
    }
}

/// For the store, the log, listeners and commands.
const SPARE_FILES: u64 = 64;
