//! What is changed in an application's answer before a visitor gets it.

use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, SET_COOKIE};
use pingora::Result;
use pingora::http::ResponseHeader;

use super::cookies;

/// Takes out of an application's answer the cookies that only we may set.
///
/// # Errors
/// If a header cannot be written back. The answer must not go on then.
pub(super) fn drop_our_cookies(response: &mut ResponseHeader) -> Result<()> {
    if !response.headers.get_all(SET_COOKIE).iter().any(|line| cookies::sets_ours(line.as_bytes()))
    {
        return Ok(());
    }
    let lines: Vec<HeaderValue> = response.headers.get_all(SET_COOKIE).iter().cloned().collect();
    response.remove_header(&SET_COOKIE);
    for line in lines.into_iter().filter(|line| !cookies::sets_ours(line.as_bytes())) {
        response.append_header(SET_COOKIE, line)?;
    }
    Ok(())
}

/// Keeps shared caches from keeping an answer that was meant for one visitor. They may keep whatever
/// does not forbid it, by their own guess where nothing is said (RFC 9111 §3, §4.2.2): so `public`
/// and `s-maxage` become `private` (§5.2.2), which also stands where neither it nor `no-store` did,
/// and the fields that speak to one cache only and outrank `Cache-Control` there (RFC 9213) go.
///
/// # Errors
/// If a header cannot be written back. The answer must not go on then.
pub(super) fn make_private(response: &mut ResponseHeader) -> Result<()> {
    let targeted: Vec<HeaderName> = response
        .headers
        .keys()
        .filter(|name| {
            name.as_str() == "surrogate-control" || name.as_str().ends_with("-cache-control")
        })
        .cloned()
        .collect();
    for name in &targeted {
        response.remove_header(name);
    }
    let lines: Vec<HeaderValue> = response.headers.get_all(CACHE_CONTROL).iter().cloned().collect();
    let says =
        |which: fn(&[u8]) -> bool| lines.iter().any(|line| directives(line.as_bytes()).any(which));
    if says(forbids) && !says(is_shared) {
        return Ok(());
    }
    response.remove_header(&CACHE_CONTROL);
    response.append_header(CACHE_CONTROL, "private")?;
    for line in lines {
        let kept: Vec<&[u8]> = directives(line.as_bytes())
            .filter(|directive| !is_shared(directive) && !directive.is_empty())
            .filter(|directive| !directive.eq_ignore_ascii_case(b"private"))
            .collect();
        if !kept.is_empty() {
            response.append_header(CACHE_CONTROL, kept.join(&b", "[..]))?;
        }
    }
    Ok(())
}

/// Whether it keeps all of an answer out of shared caches. `private` with names of fields does not.
fn forbids(directive: &[u8]) -> bool {
    directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
}

fn is_shared(directive: &[u8]) -> bool {
    let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
}

/// The directives of a `Cache-Control` line. Commas inside quotes part nothing.
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

    fn answer(headers: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in headers {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    fn cached(value: &str) -> Vec<String> {
        let mut response = answer(&[("Cache-Control", value)]);
        make_private(&mut response).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        response.headers.get_all(CACHE_CONTROL).iter().map(text).collect()
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
            cached("private=\"a, public\", max-age=1"),
            ["private", "private=\"a, public\", max-age=1"]
        );
        let mut response = answer(&[("Last-Modified", "Sat, 01 Aug 2026 00:00:00 GMT")]);
        make_private(&mut response).unwrap();
        assert_eq!(response.headers[CACHE_CONTROL], "private");
    }

    #[test]
    fn caches_with_a_field_of_their_own_are_not_told_otherwise() {
        let mut response =
            answer(&[("CDN-Cache-Control", "max-age=60"), ("Surrogate-Control", "x")]);
        make_private(&mut response).unwrap();
        assert_eq!(response.headers.len(), 1);
        assert_eq!(response.headers[CACHE_CONTROL], "private");
    }

    #[test]
    fn only_our_cookies_are_dropped() {
        let mut response = answer(&[
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "__Host-doorward-session=; Max-Age=0"),
            ("Set-Cookie", "b=2; Path=/"),
        ]);
        drop_our_cookies(&mut response).unwrap();
        let left: Vec<_> = response.headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1", "b=2; Path=/"]);
    }
}
