//! Sets the identity headers of a request to an application, and removes those that a visitor has
//! forged.
//!
//! First every header that could pass for one of ours is removed, in every spelling that an
//! application might read as the same name. Then ours are set. This happens in Pingora's last
//! filter before the request is written: the visitor's own `Connection` header could remove
//! anything that was set earlier (Fabio, CVE-2025-48865).

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, REFERER};
use http::request::Parts;
use pingora::http::RequestHeader;
use pingora::{ErrorType, OrErr, Result};

use crate::config::App;
use crate::domain::assurance::Permit;
use crate::domain::request_id::RequestId;
use crate::proxy::request::address::Address;
use crate::proxy::request::cookies::{self, Cookies, Kept};
use crate::proxy::request::removal::Removal;
use crate::proxy::request::request_id::{self, X_REQUEST_ID};
use crate::web::introduction::{Introduction, Told};

/// The headers for requests from one host to one application. What is the same for all requests is
/// prepared once.
pub(in crate::proxy) struct Stamp {
    told: Told,
    removal: Removal,
    /// The visitor's URL. A port other than the default is part of `host`, and is not sent again as
    /// `X-Forwarded-Port`: two sources could disagree.
    proto: HeaderValue,
    host: HeaderValue,
    secret: Option<HeaderValue>,
}

/// The proxies that a request came through.
pub(in crate::proxy) struct Proxies<'a> {
    /// The value of `X-Forwarded-For`.
    pub(in crate::proxy) forwarded_for: &'a HeaderValue,
    /// Whether a trusted proxy has sent the request.
    pub(in crate::proxy) from_trusted_proxy: bool,
}

impl Stamp {
    /// For `app`, which visitors reach at `address`.
    ///
    /// # Errors
    /// The address, the secret or a name is not valid in a header.
    pub(in crate::proxy) fn new(app: &App, address: &Address) -> Result<Self, http::Error> {
        let secret = app.upstream_secret.as_ref().map(|secret| {
            let mut value = HeaderValue::from_bytes(secret.expose())?;
            value.set_sensitive(true);
            Ok::<_, http::Error>(value)
        });
        Ok(Self {
            told: Told::of(&app.identity_headers)?,
            removal: Removal::of(app),
            proto: HeaderValue::from_static(address.scheme),
            host: HeaderValue::from_str(&address.authority)?,
            secret: secret.transpose()?,
        })
    }

    /// Removes what visitors must not send. Then sets the identity headers, the addresses of the
    /// visitor and of the trusted proxies, and the id of the request.
    ///
    /// # Errors
    /// A value is not valid in a header. The request must not be passed on.
    pub(in crate::proxy) fn put(
        &self,
        request: &mut RequestHeader,
        introduction: &Introduction,
        cookies: Option<&Cookies>,
        proxies: &Proxies<'_>,
        id: Option<&RequestId>,
    ) -> Result<()> {
        edit(request, |headers| {
            // Reserve once: a growing map rehashes all its entries.
            headers.reserve(introduction.headers().len() + OURS);
            self.removal.strip(headers, proxies.from_trusted_proxy);
            keep_cookies_back(headers, cookies)?;
            if headers.get(REFERER).is_some_and(|referer| is_own_page(referer.as_bytes())) {
                headers.remove(REFERER);
            }
            headers.insert(X_FORWARDED_FOR, proxies.forwarded_for.clone());
            headers.insert(X_FORWARDED_PROTO, self.proto.clone());
            headers.insert(X_FORWARDED_HOST, self.host.clone());
            if let Some(id) = id {
                headers.insert(X_REQUEST_ID, request_id::value(id));
            }
            if let Some(secret) = &self.secret {
                headers.insert(SECRET, secret.clone());
            }
            for (name, value) in introduction.headers() {
                headers.insert(name.clone(), value.clone());
            }
            Ok(())
        })
    }

    /// The identity headers for `permit`.
    ///
    /// # Errors
    /// A value is not valid in a header. The request must not be passed on.
    pub(in crate::proxy) fn introduce(&self, permit: &Permit) -> Result<Introduction> {
        let told = self.told.about(permit);
        told.or_err(ErrorType::InvalidHTTPHeader, "invalid value of an identity header")
    }
}

/// Writes header names in lower case, as in HTTP/2. Case has no meaning in a name (RFC 9110 §5.1),
/// and an application should receive the same bytes over HTTP/1.1 and HTTP/2.
///
/// # Errors
/// The target cannot be written back.
pub(in crate::proxy) fn in_lower_case(request: &mut RequestHeader) -> Result<()> {
    if request.has_case() { edit(request, |_| Ok(())) } else { Ok(()) }
}

/// Changes the header map directly. Pingora's methods would look up each name three times.
fn edit<T>(
    request: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<T>,
) -> Result<T> {
    let of_uri = request.uri.path_and_query().map(|path| path.as_str().as_bytes());
    let verbatim = of_uri.is_none_or(|path| path != request.raw_path());
    let verbatim = verbatim.then(|| request.raw_path().to_vec());
    let (nothing, ()) = http::Request::new(()).into_parts();
    let mut parts: Parts = std::mem::replace(request, nothing.into()).into();
    let changed = change(&mut parts.headers);
    *request = parts.into();
    if let Some(target) = verbatim {
        request.set_raw_path(&target)?;
    }
    changed
}

/// Proves to an application that a request came through us.
const SECRET: HeaderName = HeaderName::from_static("doorward-secret");
/// The number of headers that we set besides the identity headers.
const OURS: usize = 5;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Removes our cookies from `Cookie`, and leaves the others unchanged.
fn keep_cookies_back(headers: &mut HeaderMap, known: Option<&Cookies>) -> Result<()> {
    let mut lines = headers.get_all(COOKIE).iter();
    let Some(line) = lines.next() else { return Ok(()) };
    if lines.next().is_none() {
        let fresh;
        let kept = if let Some(kept) = known.and_then(|known| known.kept(line.as_bytes())) {
            kept
        } else {
            fresh = cookies::kept(line.as_bytes())?;
            &fresh
        };
        match kept {
            Kept::Whole => {}
            Kept::Rest(rest) => {
                headers.insert(COOKIE, rest.clone());
            }
            Kept::Nothing => {
                headers.remove(COOKIE);
            }
        }
        return Ok(());
    }
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let rest = match cookies::kept(line.as_bytes())? {
            Kept::Whole => line,
            Kept::Rest(rest) => rest,
            Kept::Nothing => continue,
        };
        headers.append(COOKIE, rest);
    }
    Ok(())
}

/// Whether a `Referer` is one of our own pages, whose URLs may contain one-time links.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::domain::assurance::{
        Evidence, FirstFactor, Kinds, Proof, Proofs, Requirement, Verdict, Visitor, judge,
    };
    use crate::domain::factor::{FactorId, Kind};
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
            written: "ada".to_owned(),
            full_name: Some("Ada Łovelace".to_owned()),
            email: None,
            groups: BTreeSet::from(["staff".to_owned(), "maths".to_owned()]),
        }
    }

    fn permit(identity: Option<Identity>) -> Permit {
        let evidence: Evidence = identity.map(|identity| Visitor {
            identity: Arc::new(identity),
            proofs: Proofs::default()
                .with(Proof::First(FirstFactor::Password), NOW)
                .with(Proof::Factor(Kind::Totp, FactorId::from([5; 16])), NOW),
            has_second_factor: true,
            has: Kinds::ALL,
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
        let from = HeaderValue::from_static("203.0.113.9");
        let stamp = Stamp::new(app, &site).unwrap();
        let proxies = Proxies { forwarded_for: &from, from_trusted_proxy: false };
        stamp.put(request, &stamp.introduce(permit)?, None, &proxies, None)
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
        identity.written = "ada\r\nRemote-Groups: admin".to_owned();
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
    fn a_target_goes_on_as_it_came_whatever_its_bytes() {
        for target in [&b"/caf\xe9?\xff=%zz"[..], b"//a/..;/b", b"/", b"/a?"] {
            let mut request = RequestHeader::build("GET", target, None).unwrap();
            in_lower_case(&mut request).unwrap();
            put(&permit(Some(ada())), &mut request).unwrap();
            assert_eq!(request.raw_path(), target);
        }
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
