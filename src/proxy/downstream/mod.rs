//! The visitor's side: listeners, TLS, connections and streams, and how long each may take.

pub(super) mod certificates;
pub(super) mod connection;
pub(super) mod handshake;
pub(super) mod listener;
pub(super) mod malformed;
pub(super) mod proxy_protocol;
pub(super) mod stream;
pub(super) mod table;
pub(super) mod unchunk;
pub(super) mod unreadable;
pub(super) mod unsent;
pub(super) mod unsent_limits;
pub(super) mod unsent_room;
pub(super) mod watchdog;
