//! The discovery document of a provider, and which of its endpoints may be used (OpenID Connect
//! Discovery §3 and §4.3).

use serde::Deserialize;
use url::{Host, Url};

use super::fault::{Lie, Quoted};
use crate::domain::reach::{Reach, is_local_name, is_public};

/// Where a provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where the browser is sent.
    pub authorization: Url,
    /// Where a code is redeemed.
    pub token: Url,
    /// The signing keys.
    pub keys: Url,
    /// Where more is said of a person, if anywhere.
    pub userinfo: Option<Url>,
    /// Where a browser is sent to sign out, if anywhere (OpenID Connect RP-Initiated Logout 1.0 §2.1).
    pub end_session: Option<Url>,
    /// Whether each response names its issuer (RFC 9207 §3).
    pub names_issuer: bool,
    /// Whether our secret goes into the body instead of the header `Authorization`.
    pub secret_in_body: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The URL of the discovery document of `issuer`.
pub fn document_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Reads the discovery document of `issuer`. `reach` says where the issuer itself is: what a public
/// one names must be public, too.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8], issuer: &str, reach: Reach) -> Result<Endpoints, Lie> {
    let document: Document =
        serde_json::from_slice(body).map_err(|error| Lie::Discovery(error.to_string()))?;
    if document.issuer != issuer {
        return Err(Lie::DiscoveryIssuer(Quoted::new(&document.issuer)));
    }
    let endpoint = |name, url: &str| {
        usable(url, reach).map_err(|why| Lie::Endpoint {
            endpoint: name,
            url: Quoted::new(url),
            why,
        })
    };
    let methods = document.token_endpoint_auth_methods_supported;
    // The default is `client_secret_basic` (OpenID Connect Discovery §3).
    let basic = methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
    let userinfo = document.userinfo_endpoint.as_deref();
    let end_session = document.end_session_endpoint.as_deref();
    Ok(Endpoints {
        authorization: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
        token: endpoint("token_endpoint", &document.token_endpoint)?,
        keys: endpoint("jwks_uri", &document.jwks_uri)?,
        userinfo: userinfo.map(|url| endpoint("userinfo_endpoint", url)).transpose()?,
        end_session: end_session.map(|url| endpoint("end_session_endpoint", url)).transpose()?,
        names_issuer: document.authorization_response_iss_parameter_supported,
        secret_in_body: !basic,
    })
}

/// The URL, if it may be used: https, or http to this machine; without credentials; and public, if
/// `reach` is. Names are looked up only when they are connected to ([`Reach`]).
fn usable(url: &str, reach: Reach) -> Result<Url, &'static str> {
    let url = Url::parse(url).map_err(|_| "is not a URL")?;
    let host = url.host().ok_or("has no host")?;
    let is_here = url.host_str().is_some_and(is_local_name);
    if !(url.scheme() == "https" || (url.scheme() == "http" && is_here)) {
        return Err("is not https");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("has credentials or a fragment");
    }
    let is_public = match host {
        Host::Domain(_) => !is_here,
        Host::Ipv4(address) => is_public(address.into()),
        Host::Ipv6(address) => is_public(address.into()),
    };
    if reach == Reach::Public && !is_public {
        return Err("is on this machine or in a private network, and the issuer is not");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.com/a";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/authorize?x=y",
            "token_endpoint": "https://token.example.net/token",
            "jwks_uri": "https://id.example.com/keys",
        })
    }

    fn with(key: &str, value: &Value, reach: Reach) -> Result<Endpoints, Lie> {
        let mut document = document();
        document[key] = value.clone();
        read(document.to_string().as_bytes(), ISSUER, reach)
    }

    #[test]
    fn a_document_of_its_issuer_is_used() {
        let endpoints = with("x", &json!(1), Reach::Public).unwrap();
        assert_eq!(endpoints.token.as_str(), "https://token.example.net/token");
        assert!(!endpoints.secret_in_body && !endpoints.names_issuer);
        let posts = json!(["client_secret_post"]);
        let methods = "token_endpoint_auth_methods_supported";
        assert!(with(methods, &posts, Reach::Public).unwrap().secret_in_body);
        assert_eq!(
            document_url("https://id.example.com/"),
            "https://id.example.com/.well-known/openid-configuration"
        );
    }

    #[test]
    fn a_document_of_another_issuer_is_not() {
        for other in ["https://id.example.com", "https://id.example.com/a/", "https://evil.test"] {
            let lie = with("issuer", &json!(other), Reach::Public).unwrap_err();
            assert_eq!(lie, Lie::DiscoveryIssuer(Quoted::new(other)));
        }
    }

    #[test]
    fn an_endpoint_is_https_or_here_and_never_in_our_network_if_the_issuer_is_public() {
        let keys = [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
        ];
        for url in [
            "http://id.example.com/x",
            "ftp://id.example.com/x",
            "https://ada:x@id.example.com/",
            "javascript:alert(1)",
            "/token",
            "",
        ] {
            for key in keys {
                let lie = with(key, &json!(url), Reach::Anywhere);
                assert!(matches!(lie, Err(Lie::Endpoint { .. })), "{key} {url}: {lie:?}");
            }
        }
        for url in [
            "http://localhost:9400/x",
            "https://localhost/x",
            "https://id.localhost/x",
            "https://127.0.0.1/x",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://10.1.2.3/x",
            "https://169.254.169.254/latest/meta-data/",
        ] {
            for key in keys {
                let lie = with(key, &json!(url), Reach::Public);
                assert!(matches!(lie, Err(Lie::Endpoint { .. })), "{key} {url}: {lie:?}");
                assert!(with(key, &json!(url), Reach::Anywhere).is_ok(), "{key} {url}");
            }
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for body in ["", "[]", "{}", "<html>", "{\"issuer\": 7}"] {
            let lie = read(body.as_bytes(), ISSUER, Reach::Public).unwrap_err();
            assert!(matches!(lie, Lie::Discovery(_)), "{body}");
        }
    }
}
