//! How long a request to an application will take.

/// How long a request will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Length {
    /// It ends with its answer.
    Ordinary,
    /// It stays open: an event stream.
    Lasting,
    /// It may become a tunnel: a WebSocket.
    Tunnel,
}
