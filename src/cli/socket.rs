//! The Unix socket for operators' commands to a running gateway.
//!
//! It is in the state folder, which only its owner can enter, and accepts only that owner and root.
//! The kernel tells who connects.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// The path of the socket of the gateway with the state folder `state`.
pub(super) fn path_in(state: &Path) -> PathBuf {
    state.join("socket")
}

/// Whether a gateway answers at the socket in `state`.
pub(super) fn is_answered(state: Option<&Path>) -> bool {
    state.is_some_and(|state| std::os::unix::net::UnixStream::connect(path_in(state)).is_ok())
}

/// The bound socket. It is unlinked when this is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Binds the socket in `state`, and replaces one that a dead gateway left.
    ///
    /// The caller holds the store's lock from before this call until the [`Socket`] is dropped:
    /// only the holder of that lock may remove a socket.
    ///
    /// # Errors
    /// The system's error, also if the path is longer than the 107 bytes that a socket's path may
    /// have.
    pub(super) fn bind(state: &Path) -> io::Result<(Self, UnixListener)> {
        let path = path_in(state);
        let draft = state.join("socket.new");
        remove_if_there(&draft)?;
        let listener = UnixListener::bind(&draft)?;
        // Others find it only under its final name, with the right mode.
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
        fs::rename(&draft, &path)?;
        Ok((Self { path }, listener))
    }

    /// The system user who owns the socket.
    pub(super) fn owner(&self) -> io::Result<u32> {
        fs::metadata(&self.path).map(|found| found.uid())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A stale socket file does no harm: the next gateway replaces it.
        fs::remove_file(&self.path).ok();
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The system user at the other end, according to the kernel. `None`: unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

impl Peer {
    /// The name of this system user for events: from `/etc/passwd`, or else the number.
    pub(super) fn name(self) -> Option<String> {
        let number = self.0?;
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(named_in(&users, number).unwrap_or_else(|| format!("uid {number}")))
    }
}

/// `passwd` has lines of `name:password:number:…` (passwd(5)).
fn named_in(passwd: &str, number: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_called_what_the_system_calls_them() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(named_in(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(named_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(named_in(passwd, 7), None);
        assert_eq!(Peer(Some(4_000_000_000)).name().as_deref(), Some("uid 4000000000"));
        assert_eq!(Peer(None).name(), None);
    }

    #[tokio::test]
    async fn the_socket_is_closed_to_others_and_goes_when_the_gateway_goes() {
        let state = tempfile::tempdir().unwrap();
        let path = path_in(state.path());
        let bound = Socket::bind(state.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_gateway_is_replaced() {
        let state = tempfile::tempdir().unwrap();
        let (left, _) = Socket::bind(state.path()).unwrap();
        std::mem::forget(left);
        let (_held, _listening) = Socket::bind(state.path()).unwrap();
        tokio::net::UnixStream::connect(path_in(state.path())).await.unwrap();
    }
}
