//! Why a gateway did not start, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::flow::rp_id::Moved;
use crate::store::OpenError;
use crate::store::state_folder::StateError;
use crate::unavailable::{Kind, Unavailable};

/// Why a gateway did not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The port is in use or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The state folder or its keys cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store cannot be opened.
    #[error("cannot use {}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// The cause.
        source: OpenError,
    },
    /// The store was opened, but cannot be used.
    #[error("cannot read the store")]
    Unavailable(#[source] Unavailable),
    /// The store was opened, but its records cannot be read.
    #[error("cannot read the store; was its keys file replaced?")]
    Unreadable(#[source] Unavailable),
    /// The store is damaged, which showed only when it was read.
    #[error("the store is damaged; restore it from a backup")]
    Damaged(#[source] Unavailable),
    /// An older store was restored: what was used up since then would be valid again.
    #[error(
        "this store is older than the one used before: it ends at commit {commit}, the other one \
         was at commit {noted} at {at}; codes, links and devices that were used or revoked since \
         then would work again"
    )]
    OlderStore {
        /// The commit at which the store ends.
        commit: u64,
        /// The commit at which the previous store was.
        noted: u64,
        /// When that was saved; RFC 3339, in UTC.
        at: String,
    },
    /// The clock is far behind an earlier run: waits and one-time codes depend on it.
    #[error(
        "the system clock is more than five minutes behind the last run; set the clock; if it is \
         right, start once with --accept-clock"
    )]
    ClockPutBack,
    /// The portal has moved away from the security keys that people have.
    #[error("{0}")]
    OtherRpId(Moved),
    /// The command socket cannot be created.
    #[error("cannot create the command socket in {}", state.display())]
    Socket {
        /// The state folder.
        state: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The store and the keys file are not of the same time.
    #[error("the store needs `{purpose}` key {id}, which is not in the keys file")]
    OtherKeys {
        /// What the key is for.
        purpose: String,
        /// Its id.
        id: u8,
    },
    /// The system refused a thread, a timer or a signal handler.
    #[error("system error: {0}")]
    System(#[from] io::Error),
}

impl NotStarted {
    /// Whether another process has the store, perhaps only for a moment.
    pub(super) fn is_in_use(&self) -> bool {
        matches!(self, Self::Store { source: OpenError::Locked, .. })
    }

    pub(super) fn unreadable(why: Unavailable) -> Self {
        match why.kind() {
            Kind::Damage => Self::Damaged(why),
            Kind::Record => Self::Unreadable(why),
            _ => Self::Unavailable(why),
        }
    }

    /// What to do about it, if the error does not say so itself.
    pub(super) fn cure(&self) -> Option<String> {
        match self {
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "another program listens on port {}: stop it, or choose another port in the \
                     configuration",
                    address.port()
                )),
                io::ErrorKind::PermissionDenied => Some(
                    "ports below 1024 need root: choose another port, or grant CAP_NET_BIND_SERVICE"
                        .to_owned(),
                ),
                io::ErrorKind::AddrNotAvailable => Some(format!(
                    "this machine does not have the address {}: choose an address of this machine",
                    address.ip()
                )),
                _ => None,
            },
            Self::OlderStore { .. } => Some(
                "restore the newest store; if there is none, start once with `doorward serve \
                 --accept-older-store`: it revokes all links, codes, trusted devices, recovery \
                 codes and sessions"
                    .to_owned(),
            ),
            Self::OtherRpId(moved) => Some(moved.cure()),
            Self::State(StateError::KeysUnreadable { .. }) => {
                Some("restore the store's keys file from a backup".to_owned())
            }
            Self::Unavailable(why) => Some(why.kind().help().to_owned()),
            Self::OtherKeys { .. } | Self::Unreadable(_) => Some(
                "the store and its keys file must be of the same time: restore the keys file that \
                 was used with this store, or add its older keys to the file, above the newer ones"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_in_use_is_named() {
        let path = PathBuf::from("/var/lib/doorward/store.redb");
        let error = NotStarted::Store { path, source: OpenError::Locked };
        let told = crate::cli::Failure::new("no").because_of(&error).to_string();
        let says =
            "doorward: no: cannot use /var/lib/doorward/store.redb: another doorward process";
        assert!(told.starts_with(says), "{told}");
    }
}
