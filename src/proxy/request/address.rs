//! Under which address visitors find an app or the portal: scheme and authority.

use crate::config::Origin;

/// Where visitors find us, as it stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Address {
    /// `http` or `https`.
    pub(in crate::proxy) scheme: &'static str,
    /// Host in lower case, and port unless it is the scheme's own.
    pub(in crate::proxy) authority: String,
}

impl Address {
    pub(in crate::proxy) fn of(origin: &Origin) -> Self {
        let scheme = if origin.is_secure() { "https" } else { "http" };
        Self { scheme, authority: origin.authority() }
    }

    /// Whether `host` names it; the port may be written out where it is the scheme's own.
    pub(in crate::proxy) fn is_meant_by(&self, host: &str) -> bool {
        let own_port = if self.scheme == "https" { ":443" } else { ":80" };
        host.eq_ignore_ascii_case(&self.authority)
            || host
                .strip_suffix(own_port)
                .is_some_and(|name| name.eq_ignore_ascii_case(&self.authority))
    }
}
