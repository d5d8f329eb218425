//! What an application is told about a visitor, and what a visitor may not tell it.
//!
//! Everything that could pass for a word of ours is taken out first, in every spelling that an
//! application might read as the same name; then our own words are put in. This happens in
//! Pingora's last filter before the wire: a header set any earlier could be taken out again by
//! the visitor's own `Connection` line (Fabio, CVE-2025-48865).

use http::header::{COOKIE, HeaderName, HeaderValue, REFERER};
use pingora::Result;
use pingora::http::RequestHeader;

use super::cookies;
use super::intake::Address;
use crate::config::{App, IdentityHeaders};
use crate::domain::assurance::Permit;

/// What is stamped on one request before it goes upstream.
pub(super) struct Stamp<'a> {
    /// In whose name it goes.
    pub(super) permit: &'a Permit,
    /// Whom it came from: the visitor, and the proxies behind them that are believed.
    pub(super) forwarded_for: &'a str,
    /// Where the visitor found us. The port, where it is not the scheme's own, stands beside the
    /// host and is not sent a second time as `X-Forwarded-Port`: two sources can disagree.
    pub(super) site: &'a Address,
    /// To which application it goes.
    pub(super) app: &'a App,
}

/// Takes out what visitors may not say, then says what `stamp` says.
///
/// # Errors
/// If a value cannot stand in a header. The request must not go on then.
pub(super) fn stamp(request: &mut RequestHeader, stamp: &Stamp<'_>) -> Result<()> {
    strip(request, &stamp.app.identity_headers);
    keep_cookies_back(request);
    if request.headers.get(REFERER).is_some_and(|referer| is_own_page(referer.as_bytes())) {
        request.remove_header(&REFERER);
    }
    request.insert_header("X-Forwarded-For", stamp.forwarded_for)?;
    request.insert_header("X-Forwarded-Proto", stamp.site.scheme)?;
    request.insert_header("X-Forwarded-Host", &stamp.site.authority)?;
    if let Some(secret) = &stamp.app.upstream_secret {
        request.insert_header(SECRET, secret.expose())?;
    }
    identify(request, stamp.permit, &stamp.app.identity_headers)
}

fn identify(request: &mut RequestHeader, permit: &Permit, named: &IdentityHeaders) -> Result<()> {
    let Some(identity) = permit.identity() else { return Ok(()) };
    let groups: Vec<&str> = identity.groups.iter().map(String::as_str).collect();
    let amr: Vec<&str> = permit.amr().methods().collect();
    let words = [
        (&named.user, identity.name.as_str()),
        (&named.groups, &groups.join(",")),
        (&named.name, identity.full_name.as_deref().unwrap_or_default()),
        (&named.email, identity.email.as_deref().unwrap_or_default()),
        (&named.amr, &amr.join(",")),
    ];
    // A header without a value is absent: an empty one means "nobody" to some applications and
    // "anybody" to others.
    for (name, value) in words.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(name) = name {
            request.insert_header(name.clone(), value.as_bytes())?;
        }
    }
    Ok(())
}

fn strip(request: &mut RequestHeader, named: &IdentityHeaders) {
    let named = [&named.user, &named.groups, &named.name, &named.email, &named.amr];
    let named = || named.iter().filter_map(|name| name.as_deref());
    let is_ours = |name: &str| {
        is_reserved(name)
            || named().any(|ours| {
                ours.len() == name.len() && ours.bytes().map(fold).eq(name.bytes().map(fold))
            })
    };
    let forged: Vec<HeaderName> =
        request.headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in &forged {
        request.remove_header(name);
    }
}

/// Whether an application could read `name` as one of the headers that only a proxy may set.
///
/// CGI and its heirs fold case and write every byte that is neither letter nor digit as `_`
/// (RFC 3875 §4.1.18; oauth2-proxy, CVE-2025-64484), so `rEMOTE_uSER` and `Remote.User` are both
/// `HTTP_REMOTE_USER` to them. `Proxy` becomes `HTTP_PROXY` (CVE-2016-5385).
fn is_reserved(name: &str) -> bool {
    let is = |reserved: &str| {
        name.len() == reserved.len() && name.bytes().map(fold).eq(reserved.bytes())
    };
    let starts = |reserved: &str| {
        name.len() >= reserved.len()
            && name.bytes().take(reserved.len()).map(fold).eq(reserved.bytes())
    };
    RESERVED_FAMILIES.iter().any(|family| starts(family))
        || RESERVED_NAMES.iter().any(|reserved| is(reserved))
}

/// A byte of a header's name as CGI and its heirs tell it from others.
pub(super) fn fold(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => b'-',
    }
}

/// The header by which an application can tell that a request came through us.
const SECRET: &str = "Doorward-Secret";

const RESERVED_FAMILIES: [&str; 3] = ["remote-", "x-forwarded-", "doorward-"];

/// The last three move a place: gunicorn takes `SCRIPT_NAME` off the path of whoever comes from the
/// same machine, so that `/public/admin/` behind `SCRIPT_NAME: /public` is `/admin/` there.
const RESERVED_NAMES: [&str; 10] = [
    "forwarded",
    "x-forwarded",
    "x-real-ip",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "proxy",
    "script-name",
    "path-info",
    "x-script-name",
];

/// Takes our cookies out of `Cookie`, and leaves the others byte for byte.
fn keep_cookies_back(request: &mut RequestHeader) {
    let lines: Vec<(HeaderValue, Option<Vec<u8>>)> = request
        .headers
        .get_all(COOKIE)
        .iter()
        .map(|line| (line.clone(), cookies::without_ours(line.as_bytes())))
        .collect();
    if lines.iter().all(|(_, without)| without.is_none()) {
        return;
    }
    request.remove_header(&COOKIE);
    for (line, without) in lines {
        let line = match without {
            None => Some(line),
            Some(rest) if rest.is_empty() => None,
            Some(rest) => HeaderValue::from_bytes(&rest).ok(),
        };
        if let Some(line) = line {
            // Appending a value that came in as one cannot fail; if it did, a cookie is missing.
            let _ = request.append_header(COOKIE, line);
        }
    }
}

/// Whether a `Referer` is one of our own pages, whose addresses may carry one-time links.
fn is_own_page(referer: &[u8]) -> bool {
    let path = match referer.windows(3).position(|three| three == b"://") {
        Some(scheme) => {
            let rest = referer.get(scheme + 3..).unwrap_or_default();
            let path = rest.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(rest.len());
            rest.get(path..).unwrap_or_default()
        }
        None => referer,
    };
    let own = b"/.doorward";
    path.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own))
        && path.get(own.len()).is_none_or(|next| b"/?#;\\".contains(next))
}

/// Whether the browser asks for the script of a service worker.
///
/// One that an application (or whoever can write to it) installed could read and forge our own
/// pages where they share its host, so it is refused there.
pub(super) fn asks_for_service_worker(request: &RequestHeader) -> bool {
    let says = |name: &str, value: &str| {
        request
            .headers
            .get_all(name)
            .iter()
            .any(|said| said.as_bytes().trim_ascii().eq_ignore_ascii_case(value.as_bytes()))
    };
    says("service-worker", "script") || says("sec-fetch-dest", "serviceworker")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::domain::assurance::{Evidence, Proof, Proofs, Requirement, Verdict, Visitor, judge};
    use crate::domain::time::Timestamp;
    use crate::domain::user::{Identity, UserId};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn ada() -> Identity {
        Identity {
            user: minicbor::decode::<UserId>(
                &minicbor::to_vec(minicbor::bytes::ByteArray::from([1_u8; 16])).unwrap(),
            )
            .unwrap(),
            name: "ada".to_owned(),
            full_name: Some("Ada Łovelace".to_owned()),
            email: None,
            groups: BTreeSet::from(["staff".to_owned(), "maths".to_owned()]),
        }
    }

    fn permit(identity: Option<Identity>) -> Permit {
        let evidence: Evidence = identity.map(|identity| Visitor {
            identity: Arc::new(identity),
            proofs: Proofs::default().with(Proof::Password, NOW).with(Proof::Totp, NOW),
            has_second_factor: true,
            demanded: false,
            codes_unsaved: false,
        });
        match judge(&Requirement::nothing(), &evidence, NOW.plus(Duration::from_secs(1))) {
            Verdict::Pass(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn app(more: &str) -> Arc<App> {
        let config = format!(
            "{{ listen: [{{ address: \"127.0.0.1:1\" }}], state: /tmp, apps: [{{ name: a, \
             hosts: [crm.example.com], upstream: \"http://127.0.0.1:9\" {more} }}] }}"
        );
        let environment = |name: &str| (name == "S").then(|| "s3cret".to_owned());
        Config::read_in(&environment, "a.yaml", &config).unwrap().apps.remove(0)
    }

    fn put(permit: &Permit, request: &mut RequestHeader) -> Result<()> {
        put_for(&app(""), permit, request)
    }

    fn put_for(app: &App, permit: &Permit, request: &mut RequestHeader) -> Result<()> {
        let site = Address { scheme: "https", authority: "crm.example.com".to_owned() };
        stamp(request, &Stamp { permit, forwarded_for: "203.0.113.9", site: &site, app })
    }

    fn sent(permit: &Permit, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        put(permit, &mut request).unwrap();
        request
    }

    fn values(request: &RequestHeader, name: &str) -> Vec<String> {
        let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        request.headers.get_all(name).iter().map(text).collect()
    }

    #[test]
    fn nobody_else_says_who_is_there_in_any_spelling() {
        let forged = [
            "Remote-User",
            "remote-user",
            "REMOTE_USER",
            "Remote.User",
            "rEmOtE~uSeR",
            "Remote!Groups",
            "Remote-Email",
            "Remote_Name",
            "Remote-Amr",
            "Remote-Whatever",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Forwarded-User",
            "X.Forwarded.Host",
            "X-Forwarded",
            "Forwarded",
            "X-Real-IP",
            "x_real_ip",
            "X-Original-URL",
            "X_Original_URI",
            "X-Rewrite-URL",
            "X.Rewrite.Url",
            "Proxy",
        ];
        let forged = forged.map(|name| (name, "mallory"));
        let request = sent(&permit(None), &forged);
        let names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]);
        assert!(request.headers.values().all(|value| value != "mallory"));
    }

    #[test]
    fn what_only_resembles_a_reserved_name_goes_through() {
        let near = ["X-Remote", "Remotely", "X-Real-IPs", "Proxy-Hint", "Forwarded-By"];
        let request = sent(&permit(None), &near.map(|name| (name, "kept")));
        for name in near {
            assert_eq!(values(&request, name), ["kept"], "{name}");
        }
    }

    #[test]
    fn duplicates_go_with_their_first() {
        let twice = [("Remote-User", "a"), ("remote_user", "b"), ("Remote-User", "c")];
        let request = sent(&permit(Some(ada())), &twice);
        assert_eq!(values(&request, "remote-user"), ["ada"]);
        assert!(values(&request, "remote_user").is_empty());
    }

    #[test]
    fn the_application_learns_who_is_there() {
        let request = sent(&permit(Some(ada())), &[]);
        assert_eq!(values(&request, "remote-user"), ["ada"]);
        assert_eq!(values(&request, "remote-groups"), ["maths,staff"]);
        assert_eq!(values(&request, "remote-name"), ["Ada Łovelace"]);
        assert_eq!(values(&request, "remote-amr"), ["pwd,otp,mfa"]);
        assert_eq!(values(&request, "x-forwarded-for"), ["203.0.113.9"]);
        assert_eq!(values(&request, "x-forwarded-proto"), ["https"]);
        assert_eq!(values(&request, "x-forwarded-host"), ["crm.example.com"]);
    }

    #[test]
    fn a_header_without_a_value_is_absent_and_never_the_visitors() {
        let request = sent(&permit(Some(ada())), &[("Remote-Email", "mallory@example.com")]);
        assert!(values(&request, "remote-email").is_empty());
    }

    #[test]
    fn a_value_that_would_break_the_header_stops_the_request() {
        let mut identity = ada();
        identity.name = "ada\r\nRemote-Groups: admin".to_owned();
        let permit = permit(Some(identity));
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        assert!(put(&permit, &mut request).is_err());
    }

    #[test]
    fn our_cookies_stay_with_us_and_others_go_through_as_they_are() {
        let cookies = [
            ("Cookie", "a=1; __Host-doorward-session=x;b = \"2;  \"; doorward-device=y"),
            ("Cookie", "__Host-doorward-known=z"),
            ("Cookie", "theirs=__Host-doorward-session"),
        ];
        let request = sent(&permit(None), &cookies);
        assert_eq!(
            values(&request, "cookie"),
            ["a=1;b = \"2;  \"", "theirs=__Host-doorward-session"]
        );
    }

    #[test]
    fn our_own_pages_are_no_referer() {
        let referer = |value| values(&sent(&permit(None), &[("Referer", value)]), "referer");
        assert!(referer("https://crm.example.com/.doorward/link/abc").is_empty());
        assert!(referer("https://crm.example.com/.doorward").is_empty());
        assert!(referer("/.Doorward/sign-in").is_empty());
        assert_eq!(referer("https://crm.example.com/a").len(), 1);
        assert_eq!(referer("https://crm.example.com/.doorwarden").len(), 1);
    }

    #[test]
    fn service_worker_scripts_are_recognised() {
        let asks = |name: &'static str, value| {
            asks_for_service_worker(&sent(&permit(None), &[(name, value)]))
        };
        assert!(asks("Service-Worker", "script"));
        assert!(asks("Sec-Fetch-Dest", "serviceworker"));
        assert!(!asks("Sec-Fetch-Dest", "script"));
    }

    #[test]
    fn an_application_is_told_in_headers_of_its_own_and_nobody_forges_them() {
        let app = app(", identity_headers: { user: X-User }, upstream_secret: \"${S}\"");
        let ada = permit(Some(ada()));
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for name in ["x_user", "X.User", "Remote-User", "doorward_secret"] {
            request.append_header(name, "root").unwrap();
        }
        put_for(&app, &ada, &mut request).unwrap();
        let names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(request.headers["x-user"], "ada");
        assert_eq!(request.headers["doorward-secret"], "s3cret");
        assert!(!names.iter().any(|name| name.starts_with("remote") || name.contains(['_', '.'])));
    }
}
