//! How long a request to an application will take.

/// How long a request will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Length {
    /// It is answered, and done.
    Ordinary,
    /// It stays open: a stream of events.
    Lasting,
    /// It may become a tunnel: a WebSocket.
    Tunnel,
}
