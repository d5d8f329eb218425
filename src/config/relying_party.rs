//! Whom security keys are bound to: the portal (WebAuthn §4, "Relying Party").

use std::net::IpAddr;

use super::Origin;

/// Whom security keys are bound to. Never taken from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The RP ID: a host name (WebAuthn §5.1.2, "a valid domain string").
    pub id: String,
    /// The origin of the pages that ask for keys.
    pub origin: Origin,
    /// The name that a browser's dialog may show.
    pub name: String,
}

impl RelyingParty {
    /// The portal, if browsers let its pages use security keys: it needs a host name, not an
    /// address, and https or `localhost` (a secure context).
    pub(super) fn of(portal: &Origin, name: &str) -> Option<Self> {
        let bare = portal.host().trim_start_matches('[').trim_end_matches(']');
        let is_name = bare.parse::<IpAddr>().is_err();
        let is_secure = portal.is_secure() || portal.is_local();
        let id = portal.host().to_owned();
        (is_name && is_secure).then(|| Self { id, origin: portal.clone(), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_keys_need_a_host_name_and_a_secure_context() {
        let id = |portal: &str| {
            let party = RelyingParty::of(&portal.parse().unwrap(), "Example Inc.");
            party.map(|party| party.id)
        };
        assert_eq!(id("https://login.example.com").as_deref(), Some("login.example.com"));
        assert_eq!(id("https://login.example.com:8443").as_deref(), Some("login.example.com"));
        assert_eq!(id("http://localhost:8080").as_deref(), Some("localhost"));
        assert_eq!(id("http://login.example.com"), None);
        assert_eq!(id("https://192.0.2.1"), None);
        assert_eq!(id("https://[2001:db8::1]:8443"), None);
    }
}
