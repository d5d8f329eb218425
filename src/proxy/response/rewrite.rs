//! What we change in an application's response before the visitor receives it.

use http::header::{
    CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use http::response::Parts;
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::{ErrorType, OrErr, Result};
use smallvec::SmallVec;

use crate::proxy::framing;
use crate::proxy::request::cookies;
use crate::proxy::scan::{InAnswer, is_targeted};

/// Prepares an application's response for its visitor. `there`: which headers it has; `is_private`:
/// it is for this visitor only; `promise`: the `Strict-Transport-Security` header, which is added
/// unless the application sends one.
///
/// Names are written in lower case, as in HTTP/2, except for the common ones: to keep the case,
/// which has no meaning (RFC 9110 §5.1), Pingora would look up each name three times.
///
/// # Errors
/// A header cannot be written back. The response must not be passed on.
pub(in crate::proxy) fn pass_on(
    response: &mut ResponseHeader,
    there: InAnswer,
    is_private: bool,
    promise: Option<&HeaderValue>,
) -> Result<()> {
    let reason = response.get_reason_phrase();
    let reason = reason.filter(|reason| Some(*reason) != response.status.canonical_reason());
    let reason = reason.map(str::to_owned);
    let (nothing, ()) = http::Response::new(()).into_parts();
    let mut parts: Parts = std::mem::replace(response, nothing.into()).into();
    // Every intermediary sends its own version (RFC 9112 §2.3).
    parts.version = Version::HTTP_11;
    framing::end_answer_here(&mut parts.headers, parts.status, there);
    if there.set_cookie {
        drop_our_cookies(&mut parts.headers);
    }
    if there.clear_site_data {
        spare_our_cookies(&mut parts.headers)?;
    }
    let is_interim =
        parts.status.is_informational() && parts.status != StatusCode::SWITCHING_PROTOCOLS;
    if is_private && !is_interim {
        make_private(&mut parts.headers, there)?;
    }
    // What `Connection` names has been removed.
    let has_promise = there.strict_transport_security
        && (!there.hop_by_hop || parts.headers.contains_key(STRICT_TRANSPORT_SECURITY));
    if let Some(promise) = promise.filter(|_| !is_interim && !has_promise) {
        parts.headers.insert(STRICT_TRANSPORT_SECURITY, promise.clone());
    }
    *response = parts.into();
    reason.map_or(Ok(()), |reason| response.set_reason_phrase(Some(&reason)))
}

/// Removes from an application's response the cookies that only we may set.
fn drop_our_cookies(headers: &mut HeaderMap) {
    let is_ours = |line: &HeaderValue| cookies::sets_ours(line.as_bytes());
    if !headers.get_all(SET_COOKIE).iter().any(is_ours) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines.into_iter().filter(|line| !is_ours(line)) {
        headers.append(SET_COOKIE, line);
    }
}

/// Lets an application clear only its own data. Browsers apply `"cookies"` to the whole registrable
/// domain (Clear Site Data §3.1), which includes our cookies on every host of it. `"*"` means
/// everything, so it becomes what an application stores apart from cookies.
fn spare_our_cookies(headers: &mut HeaderMap) -> Result<()> {
    let lines: SmallVec<[HeaderValue; 2]> =
        headers.get_all(CLEAR_SITE_DATA).iter().cloned().collect();
    headers.remove(CLEAR_SITE_DATA);
    for line in lines {
        let mut kept: SmallVec<[&[u8]; 4]> = SmallVec::new();
        for kind in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            match kind.trim_ascii().to_ascii_lowercase().as_slice() {
                b"\"cookies\"" | b"" => {}
                b"\"*\"" => kept.extend([&b"\"cache\""[..], b"\"storage\""]),
                _ => kept.push(kind),
            }
        }
        if !kept.is_empty() {
            let kept = HeaderValue::from_bytes(&kept.join(&b", "[..]));
            headers.append(CLEAR_SITE_DATA, kept.or_err(ErrorType::InvalidHTTPHeader, "a list")?);
        }
    }
    Ok(())
}

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Keeps shared caches from storing a response for one visitor. They may store whatever does not
/// forbid it, with a heuristic lifetime if none is given (RFC 9111 §3, §4.2.2). So `public` and
/// `s-maxage` become `private` (§5.2.2), and `private` is added if neither it nor `no-store` is
/// present. Headers for one kind of cache, which outrank `Cache-Control` there (RFC 9213), are
/// removed.
fn make_private(headers: &mut HeaderMap, there: InAnswer) -> Result<()> {
    if there.targeted_cache_control {
        let targeted: Vec<HeaderName> =
            headers.keys().filter(|name| is_targeted(name.as_str())).cloned().collect();
        for name in &targeted {
            headers.remove(name);
        }
    }
    if !there.cache_control {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        return Ok(());
    }
    let lines: SmallVec<[HeaderValue; 2]> =
        headers.get_all(CACHE_CONTROL).iter().cloned().collect();
    let says =
        |which: fn(&[u8]) -> bool| lines.iter().any(|line| directives(line.as_bytes()).any(which));
    if says(forbids) && !says(is_shared) && !says(lifts) {
        return Ok(());
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    for line in lines {
        let kept: Vec<&[u8]> = directives(line.as_bytes())
            .filter(|directive| !is_shared(directive) && !directive.is_empty())
            .filter(|directive| !directive.eq_ignore_ascii_case(b"private"))
            .collect();
        if !kept.is_empty() {
            let kept = HeaderValue::from_bytes(&kept.join(&b", "[..]));
            headers
                .append(CACHE_CONTROL, kept.or_err(ErrorType::InvalidHTTPHeader, "a directive")?);
        }
    }
    Ok(())
}

/// Whether the directive keeps the whole response out of shared caches. `private` with field names
/// does not.
fn forbids(directive: &[u8]) -> bool {
    directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
}

/// Whether the directive lets caches that support it ignore `no-store` (RFC 9111 §5.2.2.3).
fn lifts(directive: &[u8]) -> bool {
    directive.eq_ignore_ascii_case(b"must-understand")
}

fn is_shared(directive: &[u8]) -> bool {
    let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
}

/// The directives of a `Cache-Control` header. Commas inside quotes do not separate.
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.to_ascii_lowercase().parse::<HeaderName>().unwrap(),
                value.parse().unwrap(),
            );
        }
        map
    }

    fn cached(value: &str) -> Vec<String> {
        let mut headers = answer(&[("Cache-Control", value)]);
        let there = InAnswer::of(&headers);
        make_private(&mut headers, there).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(CACHE_CONTROL).iter().map(text).collect()
    }

    #[test]
    fn a_reason_of_the_applications_own_stays() {
        let mut response = ResponseHeader::build(404, None).unwrap();
        response.set_reason_phrase(Some("Gone Fishing")).unwrap();
        response.append_header("ETag", "\"a\"").unwrap();
        let promise = HeaderValue::from_static("max-age=1");
        let there = InAnswer::of(&response.headers);
        pass_on(&mut response, there, true, Some(&promise)).unwrap();
        assert_eq!(response.get_reason_phrase(), Some("Gone Fishing"));
        assert_eq!(response.headers[STRICT_TRANSPORT_SECURITY], "max-age=1");
        assert_eq!(
            (response.status.as_u16(), &response.headers["etag"]),
            (404, &HeaderValue::from_static("\"a\""))
        );
    }

    #[test]
    fn shared_caches_keep_nothing_that_was_meant_for_one_visitor() {
        assert_eq!(cached("public, max-age=60"), ["private", "max-age=60"]);
        assert_eq!(cached("S-MaxAge=60,Public"), ["private"]);
        assert_eq!(cached("private, s-maxage = 9, no-transform"), ["private", "no-transform"]);
    }

    #[test]
    fn what_is_not_shared_stays_as_it_is() {
        assert_eq!(cached("no-store"), ["no-store"]);
        assert_eq!(cached("Private, max-age=1"), ["Private, max-age=1"]);
    }

    #[test]
    fn what_says_nothing_of_shared_caches_is_kept_out_of_them() {
        assert_eq!(cached("max-age=3600"), ["private", "max-age=3600"]);
        assert_eq!(cached("no-cache"), ["private", "no-cache"]);
        assert_eq!(
            cached("no-store, must-understand, max-age=9"),
            ["private", "no-store, must-understand, max-age=9"]
        );
        assert_eq!(
            cached("private=\"a, public\", max-age=1"),
            ["private", "private=\"a, public\", max-age=1"]
        );
        let mut response = answer(&[("Last-Modified", "Sat, 01 Aug 2026 00:00:00 GMT")]);
        let there = InAnswer::of(&response);
        make_private(&mut response, there).unwrap();
        assert_eq!(response[CACHE_CONTROL], "private");
    }

    #[test]
    fn caches_with_a_field_of_their_own_are_not_told_otherwise() {
        let mut response = answer(&[
            ("CDN-Cache-Control", "max-age=60"),
            ("Surrogate-Control", "x"),
            ("X-Accel-Expires", "60"),
            ("Edge-Control", "cache-maxage=1m"),
        ]);
        let there = InAnswer::of(&response);
        make_private(&mut response, there).unwrap();
        assert_eq!(response.len(), 1);
        assert_eq!(response[CACHE_CONTROL], "private");
    }

    #[test]
    fn an_application_clears_no_cookies_of_ours() {
        let cleared = |sent: &str| {
            let mut headers = answer(&[("Clear-Site-Data", sent)]);
            spare_our_cookies(&mut headers).unwrap();
            headers.get(CLEAR_SITE_DATA).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            cleared("\"cache\", \"cookies\", \"storage\"").unwrap(),
            "\"cache\", \"storage\""
        );
        assert_eq!(cleared("\"*\"").unwrap(), "\"cache\", \"storage\"");
        assert_eq!(cleared("\"cookies\""), None);
        assert_eq!(cleared("\"Cookies\" ,\"executionContexts\"").unwrap(), "\"executionContexts\"");
        let mut lines = answer(&[("Clear-Site-Data", "\"cookies\""), ("Clear-Site-Data", "\"*\"")]);
        spare_our_cookies(&mut lines).unwrap();
        assert_eq!(
            lines.get_all(CLEAR_SITE_DATA).iter().collect::<Vec<_>>(),
            ["\"cache\", \"storage\""]
        );
    }

    #[test]
    fn only_our_cookies_are_dropped() {
        let mut response = answer(&[
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "__Host-doorward-session=; Max-Age=0"),
            ("Set-Cookie", "b=2; Path=/"),
        ]);
        drop_our_cookies(&mut response);
        let left: Vec<_> = response.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1", "b=2; Path=/"]);
    }
}
