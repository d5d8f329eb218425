//! By which listener a connection came, and what was agreed with it there.

/// By which way a visitor came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Entered {
    /// By which listener, by its number in the configuration.
    pub(in crate::proxy) listener: usize,
    /// Whether everything is answered with the same place under https.
    pub(in crate::proxy) redirect: bool,
    /// Whether the connection is encrypted.
    pub(in crate::proxy) secure: bool,
    /// Whose client certificate was asked for, if one was.
    pub(in crate::proxy) asked_for: Option<[u8; 32]>,
}
