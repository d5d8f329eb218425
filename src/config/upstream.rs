//! The addresses of an app's servers, and how they are reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use url::{Host, Url};

use super::listening::CertificateFile;
use super::origin::{Malformed, is_more_than_origin, more_than_origin};

/// The address of an app's server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    at: At,
    secure: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Network { host: Host, port: u16 },
    Socket(PathBuf),
}

impl Upstream {
    /// The host name or IP address and the port, as `host:port`, with IPv6 in brackets; `None` for
    /// a socket file.
    pub fn authority(&self) -> Option<String> {
        match &self.at {
            At::Network { host, port } => Some(format!("{host}:{port}")),
            At::Socket(_) => None,
        }
    }

    /// The port; `None` for a socket file.
    pub fn port(&self) -> Option<u16> {
        match &self.at {
            At::Network { port, .. } => Some(*port),
            At::Socket(_) => None,
        }
    }

    /// The host name or IP address, without brackets; `None` for a socket file.
    pub fn host(&self) -> Option<String> {
        match &self.at {
            At::Network { host: Host::Ipv6(ip), .. } => Some(ip.to_string()),
            At::Network { host, .. } => Some(host.to_string()),
            At::Socket(_) => None,
        }
    }

    /// The socket address, if it is an IP address and needs no name resolution.
    pub fn address(&self) -> Option<SocketAddr> {
        let At::Network { host, port } = &self.at else { return None };
        let ip = match host {
            Host::Ipv4(ip) => IpAddr::V4(*ip),
            Host::Ipv6(ip) => IpAddr::V6(*ip),
            Host::Domain(_) => return None,
        };
        Some(SocketAddr::new(ip, *port))
    }

    /// The path of the socket file, if it is one.
    pub fn socket(&self) -> Option<&PathBuf> {
        match &self.at {
            At::Network { .. } => None,
            At::Socket(path) => Some(path),
        }
    }

    /// Whether it is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether only programs on this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match &self.at {
            At::Network { host: Host::Domain(name), .. } => {
                name == "localhost" || name.ends_with(".localhost")
            }
            At::Network { host: Host::Ipv4(ip), .. } => ip.is_loopback(),
            At::Network { host: Host::Ipv6(ip), .. } => ip.is_loopback(),
            At::Socket(_) => true,
        }
    }
}

impl FromStr for Upstream {
    type Err = Malformed;

    fn from_str(written: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::Upstream(written.to_owned());
        if let Some(path) = written.strip_prefix("unix:") {
            // Longer paths do not fit into a socket address (unix(7)).
            let fits = path.starts_with('/') && path.len() < 108;
            return fits
                .then(|| Self { at: At::Socket(path.into()), secure: false })
                .ok_or_else(|| Malformed::SocketPath(written.to_owned()));
        }
        let url = Url::parse(written).map_err(|_| malformed())?;
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(malformed()),
        };
        if is_more_than_origin(&url, written) {
            return Err(more_than_origin(&url, written, url.scheme()));
        }
        match (url.host(), url.port_or_known_default()) {
            (Some(host), Some(port)) if port > 0 => {
                Ok(Self { at: At::Network { host: host.to_owned(), port }, secure })
            }
            _ => Err(malformed()),
        }
    }
}

/// Formats it as it is written in the file: `http://127.0.0.1:9000`, `unix:/run/app.sock`.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        match &self.at {
            At::Network { host, port } => write!(f, "{scheme}://{host}:{port}"),
            At::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How an app's servers are reached.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the switches are independent of each other")]
pub struct Reach {
    /// The CA that signs their certificate; the system's CAs if not given.
    pub authority: Option<CertificateFile>,
    /// The exact certificate that they present, instead of a CA. It is trusted whatever it
    /// contains.
    pub certificate: Option<CertificateFile>,
    /// The host name that their certificate must be for; that of the upstream if not given.
    pub server_name: Option<String>,
    /// Whether header names are written in title case over HTTP/1.1, in requests and responses.
    pub titled: bool,
    /// The `Host` header that is sent to them; the visitor's if not given.
    pub host: Option<HeaderValue>,
    /// Whether HTTP/2 is used.
    pub http2: bool,
    /// How their health is checked.
    pub health: Option<Health>,
    /// Whether an HTTP/1.1 connection may be reused after a request with a body. The operator
    /// states with it that the server always reads bodies to their end.
    pub reuse_after_body: bool,
    /// Whether request bodies are exempt from the minimum rate.
    pub slow_bodies: bool,
}

/// How the health of an app's servers is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The path of the GET request; a status below 400 means healthy.
    pub path: String,
    /// The interval.
    pub every: Duration,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn an_upstream_with_a_path_is_told_what_would_do() {
        let said = Upstream::from_str("http://app:1/x").unwrap_err().to_string();
        assert!(said.ends_with(
            "`http://app:1/x` has more than scheme, host and port: write `http://app:1`"
        ));
    }

    #[rstest]
    #[case("http://127.0.0.1:9000", "127.0.0.1:9000", true, false)]
    #[case("http://app", "app:80", false, false)]
    #[case("https://app", "app:443", false, true)]
    #[case("http://[::1]:9000/", "[::1]:9000", true, false)]
    #[case("http://localhost:9000", "localhost:9000", true, false)]
    #[case("http://10.0.0.7:9000", "10.0.0.7:9000", false, false)]
    fn an_upstream_is_a_host_and_a_port(
        #[case] written: &str,
        #[case] authority: &str,
        #[case] loopback: bool,
        #[case] secure: bool,
    ) {
        let upstream: Upstream = written.parse().unwrap();
        assert_eq!(upstream.authority().as_deref(), Some(authority));
        assert_eq!((upstream.is_loopback(), upstream.is_secure()), (loopback, secure));
    }

    #[test]
    fn an_upstream_may_be_a_socket_file() {
        let upstream: Upstream = "unix:/run/app.sock".parse().unwrap();
        assert_eq!(upstream.socket(), Some(&PathBuf::from("/run/app.sock")));
        assert!(upstream.is_loopback());
        assert_eq!(upstream.to_string(), "unix:/run/app.sock");
        assert!(Upstream::from_str("unix:app.sock").is_err());
    }
}
