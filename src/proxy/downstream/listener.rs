//! The listener that accepted a connection, and what was negotiated there.

/// How a visitor's connection came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Entered {
    /// The listener's index in the configuration.
    pub(in crate::proxy) listener: usize,
    /// Whether every request is redirected to the same URL under https.
    pub(in crate::proxy) redirect: bool,
    /// Whether the connection is encrypted.
    pub(in crate::proxy) secure: bool,
    /// The authority whose client certificate was asked for, as a digest of its file; `None` if
    /// none was.
    pub(in crate::proxy) asked_for: Option<[u8; 32]>,
}
