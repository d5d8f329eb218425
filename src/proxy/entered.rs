//! By which listener a connection came, and what was agreed with it there.

/// By which way a visitor came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entered {
    /// By which listener, by its number in the configuration.
    pub(super) listener: usize,
    /// Whether everything is answered with the same place under https.
    pub(super) redirect: bool,
    /// Whether the connection is encrypted.
    pub(super) secure: bool,
    /// Whose client certificate was asked for, if one was.
    pub(super) asked_for: Option<[u8; 32]>,
}
