//! Whom security keys are bound to: the portal (WebAuthn §4, "Relying Party").

use std::net::IpAddr;

use super::Origin;
use super::listening::CertificateFile;
use crate::domain::factor::aaguid::Aaguid;

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

/// Which new security keys are accepted: those whose makers attest them (WebAuthn §6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedKeys {
    /// Their models; empty: every model of these authorities.
    pub aaguids: Vec<Aaguid>,
    /// The CA certificates of their makers.
    pub authorities: CertificateFile,
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

    /// The same for another RP ID: a domain that the portal's host is below (WebAuthn §5.1.3 step 8,
    /// "registrable domain suffix"). `None` if it is none. Browsers refuse public suffixes, such as
    /// `co.uk`, besides.
    pub(super) fn widened(self, id: &str) -> Option<Self> {
        let id = id.to_ascii_lowercase();
        let is_domain =
            id.contains('.') && !id.starts_with('.') && is_below(self.origin.host(), &id);
        (is_domain || id == self.origin.host()).then_some(Self { id, ..self })
    }

    /// Whether pages of this origin may use the keys, too, if their browser lets them.
    pub(super) fn is_shared_with(&self, other: &Origin) -> bool {
        *other != self.origin && (other.host() == self.id || is_below(other.host(), &self.id))
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rp_id_may_be_a_domain_that_the_portal_is_below_and_nothing_else() {
        let party = RelyingParty::of(&"https://login.example.com".parse().unwrap(), "E").unwrap();
        let widened = |id| party.clone().widened(id).map(|party| party.id);
        assert_eq!(widened("Example.com").as_deref(), Some("example.com"));
        assert_eq!(widened("login.example.com").as_deref(), Some("login.example.com"));
        for odd in ["com", ".com", ".example.com", "ple.com", "a.login.example.com", "evil.com", ""]
        {
            assert_eq!(widened(odd), None, "{odd}");
        }
        let party = party.widened("example.com").unwrap();
        let shared = |host: &str| party.is_shared_with(&host.parse().unwrap());
        assert!(shared("https://crm.example.com") && shared("https://example.com"));
        assert!(!shared("https://login.example.com") && !shared("https://notexample.com"));
    }

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
