//! Origins of hosts, and addresses to listen on.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use url::Url;

/// A host as browsers see it (RFC 6454): scheme, name, port. Links, cookie names and `Secure`
/// depend on it, never on the listener or a `Host` header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The name only: lower case, IDNA in ASCII form; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also if it is the default port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name and port as in a `Host` header: the default port is omitted (RFC 9110 §4.2.3).
    pub fn authority(&self) -> String {
        let default = if self.secure { 443 } else { 80 };
        if self.port == default {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether `host`, as in a `Host` header, names it, with or without the scheme's default port.
    pub fn is_meant_by(&self, host: &str) -> bool {
        let (own, default) = (self.authority(), if self.secure { ":443" } else { ":80" });
        let name = host.strip_suffix(default);
        host.eq_ignore_ascii_case(&own) || name.is_some_and(|name| name.eq_ignore_ascii_case(&own))
    }

    /// Whether browsers treat it as secure even over plain HTTP: `localhost` and `*.localhost` (RFC
    /// 6761 §6.3).
    pub fn is_local(&self) -> bool {
        &*self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

/// Formats the origin as a URL without a path: `https://crm.example.com`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// Why a text is not a valid origin or address. `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a host name, with or without scheme and port.
    #[error("`{0}` is not a host: write `crm.example.com`, with `http://` or a port if needed")]
    Host(String),
    /// An environment variable.
    #[error(
        "`{0}` is not a host: environment variables work only for secrets; write the host itself"
    )]
    Variable(String),
    /// A wildcard in a host.
    #[error("`{0}` contains `*`: wildcards do not work here; list each host")]
    Wildcard(String),
    /// More than an origin has: a path, a query, a user name.
    #[error("`{written}` has more than scheme, host and port: write `{enough}`")]
    MoreThanOrigin {
        /// The text as written.
        written: String,
        /// The text without the excess.
        enough: String,
    },
    /// A host that ends with a dot.
    #[error("`{0}` ends with a dot, so browsers treat it as another host")]
    TrailingDot(String),
    /// Not a valid upstream.
    #[error(
        "`{0}` is not an upstream: write `http://127.0.0.1:9000`, `https://` or \
         `unix:/run/app.sock`"
    )]
    Upstream(String),
    /// A socket file whose path is not absolute or is too long.
    #[error(
        "`{0}` is not a socket file: write `unix:` and an absolute path, such as \
         `unix:/run/app.sock`"
    )]
    SocketPath(String),
    /// Not an address to listen on.
    #[error(
        "`{0}` is not an address to listen on: write an IP address and a port, such as \
         `127.0.0.1:8080`"
    )]
    Address(String),
}

impl Origin {
    /// The origin of an absolute URL, and what a browser requests there: path and query as they are
    /// written, without the fragment.
    pub fn of_url(written: &str) -> Option<(Self, String)> {
        let url = Url::parse(written).ok().filter(Url::has_host)?;
        let origin = url.origin().ascii_serialization().parse().ok()?;
        let (_, after) = written.split_once("://")?;
        let after = after.split('#').next().unwrap_or_default();
        let target = after.find(['/', '?']).map_or("", |begin| &after[begin..]);
        let slash = if target.starts_with('/') { "" } else { "/" };
        Some((origin, format!("{slash}{target}")))
    }
}

impl FromStr for Origin {
    type Err = Malformed;

    fn from_str(written: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::Host(written.to_owned());
        if written.contains(['$', '{', '}']) {
            return Err(Malformed::Variable(written.to_owned()));
        }
        if written.contains('*') {
            return Err(Malformed::Wildcard(written.to_owned()));
        }
        let absolute =
            if written.contains("://") { written.to_owned() } else { format!("https://{written}") };
        let url = Url::parse(&absolute).map_err(|_| malformed())?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(malformed()),
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(malformed());
        };
        if is_more_than_origin(&url, &absolute) {
            let scheme = if written.contains("://") { url.scheme() } else { "" };
            return Err(more_than_origin(&url, written, scheme));
        }
        if host.ends_with('.') {
            return Err(Malformed::TrailingDot(written.to_owned()));
        }
        if port == 0 {
            return Err(malformed());
        }
        Ok(Self { secure, host: host.into(), port })
    }
}

/// Whether `url` has more parts than an origin has. A final slash is allowed.
pub(super) fn is_more_than_origin(url: &Url, written: &str) -> bool {
    let user = !url.username().is_empty() || url.password().is_some() || written.contains('@');
    let tail = url.query().is_some() || url.fragment().is_some();
    user || tail || url.path() != "/" || written.contains('\\')
}

/// The error for `written`, which has more than host and port. `scheme` is empty if it may be
/// omitted.
pub(super) fn more_than_origin(url: &Url, written: &str, scheme: &str) -> Malformed {
    let separator = if scheme.is_empty() { "" } else { "://" };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let enough = format!("{scheme}{separator}{host}{port}");
    Malformed::MoreThanOrigin { written: written.to_owned(), enough }
}

/// Parses an address to listen on: an IP address and a port, or `localhost` for both loopback
/// addresses (on a machine without IPv6 only the first one exists). With port 0 the system chooses
/// a port.
///
/// # Errors
/// [`Malformed::Address`] for host names, which are not resolved here, and for anything else that
/// is not an address.
pub(super) fn listening(written: &str) -> Result<Vec<SocketAddr>, Malformed> {
    let malformed = || Malformed::Address(written.to_owned());
    if let Some(port) = written.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| malformed())?;
        let (four, six) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        // The system would choose a different port for each address.
        let addresses = if port == 0 { vec![four] } else { vec![four, six] };
        return Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
    }
    written.parse().map(|address| vec![address]).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("crm.example.com", "https://crm.example.com", "crm.example.com")]
    #[case("CRM.example.com:443", "https://crm.example.com", "crm.example.com")]
    #[case("crm.example.com:8443", "https://crm.example.com:8443", "crm.example.com:8443")]
    #[case("http://localhost:8080", "http://localhost:8080", "localhost:8080")]
    #[case("http://crm.localhost:80/", "http://crm.localhost", "crm.localhost")]
    #[case("bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example")]
    #[case("[::1]:8443", "https://[::1]:8443", "[::1]:8443")]
    fn a_host_is_an_origin(#[case] written: &str, #[case] url: &str, #[case] authority: &str) {
        let origin: Origin = written.parse().unwrap();
        assert_eq!((origin.to_string().as_str(), origin.authority().as_str()), (url, authority));
    }

    #[rstest]
    #[case("")]
    #[case("*.example.com")]
    #[case("crm.example.com/app")]
    #[case("crm.example.com?x")]
    #[case("ada@crm.example.com")]
    #[case("@crm.example.com")]
    #[case("crm.example.com.")]
    #[case("crm.example.com:0")]
    #[case("crm.example.com:99999")]
    #[case("ftp://crm.example.com")]
    #[case("crm example.com")]
    #[case("crm.example.com\\evil")]
    fn what_is_more_or_less_than_an_origin_is_none(#[case] written: &str) {
        assert!(Origin::from_str(written).is_err());
    }

    #[rstest]
    #[case("crm.example.com/app", "crm.example.com")]
    #[case("http://ada@crm.localhost:80/?x", "http://crm.localhost")]
    #[case("crm.example.com:8443/#", "crm.example.com:8443")]
    fn what_is_more_than_an_origin_is_told_what_would_do(
        #[case] written: &str,
        #[case] enough: &str,
    ) {
        let said = Origin::from_str(written).unwrap_err().to_string();
        assert!(said.ends_with(&format!(": write `{enough}`")), "{said}");
    }

    #[rstest]
    #[case("127.0.0.1:8080", &["127.0.0.1:8080"])]
    #[case("[::1]:0", &["[::1]:0"])]
    #[case("localhost:8080", &["127.0.0.1:8080", "[::1]:8080"])]
    #[case("localhost:0", &["127.0.0.1:0"])]
    fn an_address_to_listen_on(#[case] written: &str, #[case] addresses: &[&str]) {
        let found: Vec<_> = listening(written).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, addresses);
    }

    #[rstest]
    #[case(":8080")]
    #[case("8080")]
    #[case("*:8080")]
    #[case("example.com:80")]
    #[case("127.0.0.1")]
    fn a_name_is_no_address_to_listen_on(#[case] written: &str) {
        assert!(listening(written).is_err());
    }
}
