//! Where an application listens, and how it is reached there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use url::{Host, Url};

use super::listening::CertificateFile;
use super::origin::{Malformed, is_more_than_origin, more_than_origin};

/// Where an application listens.
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
    /// The name or address to resolve, and the port, as `host:port`, IPv6 in brackets; `None` for a
    /// socket file.
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

    /// The name or address alone, without brackets; `None` for a socket file.
    pub fn host(&self) -> Option<String> {
        match &self.at {
            At::Network { host: Host::Ipv6(ip), .. } => Some(ip.to_string()),
            At::Network { host, .. } => Some(host.to_string()),
            At::Socket(_) => None,
        }
    }

    /// The address, where it is written as one and needs no resolving.
    pub fn address(&self) -> Option<SocketAddr> {
        let At::Network { host, port } = &self.at else { return None };
        let ip = match host {
            Host::Ipv4(ip) => IpAddr::V4(*ip),
            Host::Ipv6(ip) => IpAddr::V6(*ip),
            Host::Domain(_) => return None,
        };
        Some(SocketAddr::new(ip, *port))
    }

    /// The socket file, where it is one.
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
            // Longer ones do not fit into the system's address (unix(7)).
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

/// As it is written: `http://127.0.0.1:9000`, `unix:/run/app.sock`.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        match &self.at {
            At::Network { host, port } => write!(f, "{scheme}://{host}:{port}"),
            At::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How an application is reached.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Reach {
    /// Who signs its certificate; the system's authorities if nobody is named.
    pub authority: Option<CertificateFile>,
    /// The very certificate that it shows, believed whatever it says; instead of an authority.
    pub certificate: Option<CertificateFile>,
    /// For which name its certificate must be; that of the upstream if none is given.
    pub server_name: Option<String>,
    /// Whether names of headers are written in title case, to it and in its answers over HTTP/1.1.
    pub titled: bool,
    /// The `Host` that it is sent; the visitor's if none is given.
    pub host: Option<HeaderValue>,
    /// Whether it is spoken to in HTTP/2.
    pub http2: bool,
    /// How it is asked whether it is well.
    pub health: Option<Health>,
    /// Whether a connection that carried a request body over HTTP/1.1 may carry another request: the
    /// operator's word that its server always reads bodies to their end.
    pub reuse_after_body: bool,
    /// Whether request bodies may come as slowly as they like.
    pub slow_bodies: bool,
}

/// How an application is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// With a GET for this; an answer below 400 means that it is.
    pub path: String,
    /// How often.
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
