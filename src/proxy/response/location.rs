//! Corrects redirects of applications that do not know their scheme and port for visitors.
//!
//! Behind a proxy that terminates TLS, an application believes that it is on http, and redirects
//! there (Apache when it adds a slash, for example). On the https port, such a redirect fails.

use std::sync::Arc;

use arc_swap::Guard;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;

use crate::config::App;
use crate::proxy::request::address::Address;
use crate::proxy::sites::Sites;

/// Corrects the `Location` of `response`, if it leads to the visitor's own host in another way than
/// the visitor must take.
pub(in crate::proxy) fn correct(
    response: &mut ResponseHeader,
    own: &Address,
    app: &App,
    sites: impl FnOnce() -> Guard<Arc<Sites>>,
) -> Result<()> {
    let leads_on = response.status.is_redirection() || response.status == StatusCode::CREATED;
    if leads_on && let Some(location) = response.headers.get(LOCATION) {
        let sites = sites();
        let elsewhere = |scheme: &str, authority: &str| {
            let mut hosts = sites.env().config.hosts().map(|host| Address::of(&host.origin));
            hosts.any(|host| host.scheme == scheme && host.authority == authority)
        };
        if let Some(righted) = righted(location, own, app, elsewhere) {
            response.insert_header(LOCATION, righted)?;
        }
    }
    Ok(())
}

/// The corrected URL of a redirect to the visitor's own host; `None` if it is right. `elsewhere`
/// tells whether another site has this scheme and authority.
fn righted(
    location: &HeaderValue,
    own: &Address,
    app: &App,
    elsewhere: impl Fn(&str, &str) -> bool,
) -> Option<HeaderValue> {
    let righted = written_right(location.to_str().ok()?, own, app, elsewhere)?;
    HeaderValue::try_from(righted).ok()
}

fn written_right(
    written: &str,
    own: &Address,
    app: &App,
    elsewhere: impl Fn(&str, &str) -> bool,
) -> Option<String> {
    let (scheme, rest) = written.split_once("://")?;
    let (scheme, usual) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("http", 80),
        "https" => ("https", 443),
        _ => return None,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let authority = authority.to_ascii_lowercase();
    let (host, port) = parts(&authority)?;
    let (own_host, own_port) = parts(&own.authority)?;
    let sent_host = app.reach.host.as_ref().and_then(|host| host.to_str().ok());
    let sent_host = sent_host.and_then(parts).map(|(host, _)| host.to_ascii_lowercase());
    let is_own = host == own_host || sent_host.is_some_and(|sent| sent == host);
    if !is_own || (scheme == own.scheme && authority == own.authority) {
        return None;
    }
    let own_usual = if own.scheme == "https" { 443 } else { 80 };
    let of_app = |port: u16| {
        let ports = app.upstreams.iter().filter_map(crate::config::Upstream::port);
        ports.chain([usual, own_port.unwrap_or(own_usual)]).any(|known| known == port)
    };
    // Another port of the same host may belong to a service that we do not know.
    if !port.is_none_or(of_app) {
        return None;
    }
    let plain = if port == Some(usual) { host } else { authority.as_str() };
    if elsewhere(scheme, plain) {
        return None;
    }
    Some(format!("{}://{}{target}", own.scheme, own.authority))
}

/// Host, with the brackets of IPv6, and port.
fn parts(authority: &str) -> Option<(&str, Option<u16>)> {
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_host..].find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            Some((host, Some(port[1..].parse().ok()?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    fn app() -> std::sync::Arc<App> {
        let config = "
listen: [{ address: 127.0.0.1:8080 }]
state: /var/lib/doorward
apps:
  - name: crm
    hosts: ['http://crm.localhost:8080']
    upstream: http://127.0.0.1:9000
    upstream_host: crm.internal
";
        let config = Config::read("test.yaml", config).unwrap();
        config.apps[0].clone()
    }

    #[rstest]
    #[case("http://crm.example.com/x/?a=1#b", Some("https://crm.example.com:8443/x/?a=1#b"))]
    #[case("http://crm.example.com:8443/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("https://CRM.example.com/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("http://crm.example.com:9000/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("http://crm.internal/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("HTTP://crm.example.com", Some("https://crm.example.com:8443"))]
    #[case("https://crm.example.com:8443/x/", None)]
    #[case("http://crm.example.com:7000/x/", None)]
    #[case("http://crm.example.com.evil.test/", None)]
    #[case("http://crm.example.com@evil.test/", None)]
    #[case("http://evil.test/?http://crm.example.com/", None)]
    #[case("/x/", None)]
    #[case("//crm.example.com/x/", None)]
    #[case("ftp://crm.example.com/", None)]
    #[case("http://crm.example.com:x/", None)]
    fn a_redirect_to_the_own_host_leads_there(#[case] written: &str, #[case] to: Option<&str>) {
        let authority = "crm.example.com:8443".to_owned();
        let own = Address { scheme: "https", authority };
        assert_eq!(written_right(written, &own, &app(), |_, _| false).as_deref(), to);
        assert_eq!(
            written_right(written, &own, &app(), |_, _| true),
            None,
            "something else is there"
        );
    }
}
