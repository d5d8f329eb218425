//! The address of an app or the portal for visitors: scheme and authority.

use crate::config::Origin;

/// The address by which visitors reach a site, as it appears in requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Address {
    /// `http` or `https`.
    pub(in crate::proxy) scheme: &'static str,
    /// Host in lower case, with the port unless it is the scheme's default.
    pub(in crate::proxy) authority: String,
}

impl Address {
    pub(in crate::proxy) fn of(origin: &Origin) -> Self {
        let scheme = if origin.is_secure() { "https" } else { "http" };
        Self { scheme, authority: origin.authority() }
    }
}
