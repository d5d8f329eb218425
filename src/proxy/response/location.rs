//! Corrects URLs in the headers of applications that do not know their scheme, host and port for
//! visitors.
//!
//! Behind a proxy that terminates TLS, an application believes that it is on http, and redirects
//! there (Apache when it adds a slash, for example). On the https port, such a redirect fails.
//! `Location`, `Content-Location` and `Refresh` are corrected, as Apache's `ProxyPassReverse` and
//! nginx's `proxy_redirect` do between them.

use std::sync::Arc;

use arc_swap::Guard;
use http::HeaderValue;
use http::header::{CONTENT_LOCATION, HeaderName, LOCATION, REFRESH};
use pingora::Result;
use pingora::http::ResponseHeader;

use crate::config::App;
use crate::proxy::request::address::Address;
use crate::proxy::sites::Sites;

/// Corrects the URLs of `response` that lead to the visitor's own host in another way than the
/// visitor must take, or to the application itself.
pub(in crate::proxy) fn correct(
    response: &mut ResponseHeader,
    own: &Address,
    app: &App,
    sites: impl FnOnce() -> Guard<Arc<Sites>>,
) -> Result<()> {
    let sites = sites();
    let elsewhere = |scheme: &str, authority: &str| {
        let mut hosts = sites.env().config.hosts().map(|host| Address::of(&host.origin));
        hosts.any(|host| host.scheme == scheme && host.authority == authority)
    };
    for name in [LOCATION, CONTENT_LOCATION, REFRESH] {
        let written = response.headers.get(&name);
        let righted = written.and_then(|written| righted(&name, written, own, app, elsewhere));
        if let Some(righted) = righted {
            response.insert_header(name, righted)?;
        }
    }
    Ok(())
}

/// The corrected header; `None` if it is right. `elsewhere` tells whether another site has this
/// scheme and authority.
fn righted(
    name: &HeaderName,
    written: &HeaderValue,
    own: &Address,
    app: &App,
    elsewhere: impl Fn(&str, &str) -> bool,
) -> Option<HeaderValue> {
    let written = written.as_bytes();
    let start = if *name == REFRESH { start_in_refresh(written)? } else { 0 };
    let (before, url) = written.split_at(start);
    let righted = written_right(url, own, app, elsewhere)?;
    HeaderValue::from_bytes(&[before, &righted].concat()).ok()
}

/// Where the URL begins in `5; url=https://…` (HTML, "shared declarative refresh steps"): the word
/// `url`, its equals sign and quotes may be missing.
fn start_in_refresh(written: &[u8]) -> Option<usize> {
    let after = |skipped: fn(&u8) -> bool, rest: &[u8]| {
        rest.iter().position(|byte| !skipped(byte)).unwrap_or(rest.len())
    };
    let space = |from: usize| from + after(u8::is_ascii_whitespace, &written[from..]);
    let time = space(0);
    let time = time + after(|byte| byte.is_ascii_digit() || *byte == b'.', &written[time..]);
    let separator = space(time);
    let mut start = match written.get(separator)? {
        b';' | b',' => space(separator + 1),
        _ if separator > time => separator,
        _ => return None,
    };
    if written.get(start..start + 3).is_some_and(|word| word.eq_ignore_ascii_case(b"url")) {
        let equals = space(start + 3);
        if written.get(equals) == Some(&b'=') {
            start = space(equals + 1);
        }
    }
    Some(start + usize::from(matches!(written.get(start), Some(b'"' | b'\''))))
}

/// Applications write bytes into paths that are not ASCII: only what is before them is read.
fn written_right(
    written: &[u8],
    own: &Address,
    app: &App,
    elsewhere: impl Fn(&str, &str) -> bool,
) -> Option<Vec<u8>> {
    let slashes = written.windows(2).position(|two| two == b"//")?;
    let (scheme, rest) = (&written[..slashes], &written[slashes + 2..]);
    let (scheme, usual) = match scheme.to_ascii_lowercase().as_slice() {
        b"https:" => ("https", 443),
        // Without one, in the scheme of the page.
        b"" if own.scheme == "https" => ("https", 443),
        b"http:" | b"" => ("http", 80),
        _ => return None,
    };
    let ends = |byte: &u8| b"/?#\\\"'".contains(byte);
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let authority = std::str::from_utf8(authority).ok()?.to_ascii_lowercase();
    let (host, port) = parts(&authority)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let (own_host, own_port) = parts(&own.authority)?;
    let sent_host = app.reach.host.as_ref().and_then(|host| host.to_str().ok());
    let sent_host = sent_host.and_then(parts).map(|(host, _)| host.to_ascii_lowercase());
    let is_own = host == own_host || sent_host.is_some_and(|sent| sent == host);
    let is_upstream = || {
        let whole = format!("{host}:{}", port.unwrap_or(usual));
        app.upstreams.iter().any(|upstream| upstream.authority().is_some_and(|at| at == whole))
    };
    if (scheme == own.scheme && authority == own.authority) || !(is_own || is_upstream()) {
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
    let right = format!("{}://{}", own.scheme, own.authority);
    Some([right.as_bytes(), target].concat())
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
    #[case("//crm.example.com/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("//crm.example.com:9000/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("//crm.example.com:8443/x/", None)]
    #[case("//evil.test//crm.example.com/", None)]
    #[case("http://127.0.0.1:9000/x/", Some("https://crm.example.com:8443/x/"))]
    #[case("http://127.0.0.1:9001/x/", None)]
    #[case("http://crm.example.com./x/", Some("https://crm.example.com:8443/x/"))]
    #[case(
        "http://crm.example.com/\u{dc}bersicht/",
        Some("https://crm.example.com:8443/\u{dc}bersicht/")
    )]
    #[case("/x//crm.example.com/", None)]
    #[case("ftp://crm.example.com/", None)]
    #[case("http://crm.example.com:x/", None)]
    fn a_redirect_to_the_own_host_leads_there(#[case] written: &str, #[case] to: Option<&str>) {
        let authority = "crm.example.com:8443".to_owned();
        let own = Address { scheme: "https", authority };
        let written = written.as_bytes();
        let righted = written_right(written, &own, &app(), |_, _| false);
        assert_eq!(righted.as_deref(), to.map(str::as_bytes));
        assert_eq!(
            written_right(written, &own, &app(), |_, _| true),
            None,
            "something else is there"
        );
    }

    #[rstest]
    #[case("0; url=http://crm.example.com/x", Some("0; url=https://crm.example.com:8443/x"))]
    #[case("5;URL='http://crm.example.com/x'", Some("5;URL='https://crm.example.com:8443/x'"))]
    #[case("0; url=\"http://crm.example.com\"", Some("0; url=\"https://crm.example.com:8443\""))]
    #[case("0; url = http://crm.example.com/", Some("0; url = https://crm.example.com:8443/"))]
    #[case("0, http://crm.example.com/", Some("0, https://crm.example.com:8443/"))]
    #[case(" 1.5 http://crm.example.com/", Some(" 1.5 https://crm.example.com:8443/"))]
    #[case("0;/sign-in?url=http://crm.example.com/x", None)]
    #[case("0; urls=http://crm.example.com/x", None)]
    #[case("0; url=/x", None)]
    #[case("0; url=", None)]
    #[case("0;", None)]
    #[case("0", None)]
    #[case("", None)]
    #[case("30", None)]
    fn a_page_that_loads_another_after_a_while_loads_the_right_one(
        #[case] written: &str,
        #[case] to: Option<&str>,
    ) {
        let authority = "crm.example.com:8443".to_owned();
        let own = Address { scheme: "https", authority };
        let written = HeaderValue::from_str(written).unwrap();
        let righted = righted(&REFRESH, &written, &own, &app(), |_, _| false);
        assert_eq!(righted, to.map(|to| HeaderValue::from_str(to).unwrap()));
    }
}
