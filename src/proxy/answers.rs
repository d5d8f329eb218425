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

/// Keeps shared caches from keeping an answer that was meant for one visitor: `public` and
/// `s-maxage` become `private` (RFC 9111 §5.2.2), and the fields that speak to one cache only
/// and outrank `Cache-Control` there (RFC 9213) go.
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
    if !lines.iter().any(|line| directives(line.as_bytes()).any(is_shared)) {
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
        assert_eq!(
            cached("private=\"a, public\", max-age=1"),
            ["private=\"a, public\", max-age=1"]
        );
    }

    #[test]
    fn caches_with_a_field_of_their_own_are_not_told_otherwise() {
        let mut response =
            answer(&[("CDN-Cache-Control", "max-age=60"), ("Surrogate-Control", "x")]);
        make_private(&mut response).unwrap();
        assert!(response.headers.is_empty());
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
