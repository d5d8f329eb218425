//! Separates our cookies from those of the application.

use bytes::Bytes;
use http::HeaderValue;
use memchr::memchr;
use pingora::{ErrorType, OrErr, Result};

use crate::domain::secret::TokenHash;
use crate::web::Ours;
use crate::web::own_cookies::pieces;

/// Whether `name` is one of our cookies.
fn is_ours(name: &[u8]) -> bool {
    // Fast path: most cookies are the application's, and the first letter excludes them.
    name.first().is_some_and(|first| b"_dD".contains(first)) && Ours::owns(name)
}

/// The name before the `=` of a cookie. For a cookie without a name, its value counts as the name:
/// browsers send `=name=value` and `name=value` back alike.
fn name_of(cookie: &[u8]) -> &[u8] {
    let cookie = match cookie.trim_ascii().strip_prefix(b"=") {
        Some(nameless) => nameless.trim_ascii_start(),
        None => cookie.trim_ascii(),
    };
    let end = memchr(b'=', cookie).unwrap_or(cookie.len());
    cookie.get(..end).unwrap_or_default().trim_ascii_end()
}

/// What an application gets of a `Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Kept {
    /// All of it: no cookie in it is ours.
    Whole,
    /// The application's cookies, unchanged.
    Rest(HeaderValue),
    /// Nothing: all cookies are ours.
    Nothing,
}

/// What an application gets of a `Cookie` header.
///
/// # Errors
/// The rest is not a valid header value. The request must not be passed on.
pub(in crate::proxy) fn kept(line: &[u8]) -> Result<Kept> {
    match without_ours(line) {
        None => Ok(Kept::Whole),
        Some(rest) if rest.is_empty() => Ok(Kept::Nothing),
        Some(rest) => HeaderValue::from_maybe_shared(Bytes::from(rest))
            .map(Kept::Rest)
            .or_err(ErrorType::InvalidHTTPHeader, "invalid Cookie header"),
    }
}

/// A `Cookie` header without our cookies, the others unchanged; `None` if none of them is ours.
///
/// Splits at every semicolon, even inside quotes: so an application that parses quotes cannot find
/// one of our cookies either.
fn without_ours(line: &[u8]) -> Option<Vec<u8>> {
    let mut rest = pieces(line);
    let mut length = 0;
    // Do not copy before one of our cookies is found.
    loop {
        let cookie = rest.next()?;
        if is_ours(name_of(cookie)) {
            break;
        }
        length += cookie.len() + 1;
    }
    let mut first = length == 0;
    let mut kept = Vec::with_capacity(line.len());
    kept.extend_from_slice(line.get(..length.saturating_sub(1))?.trim_ascii_start());
    for cookie in rest.filter(|cookie| !is_ours(name_of(cookie))) {
        if !first {
            kept.push(b';');
        }
        // No space at the beginning if the first cookies were ours.
        kept.extend_from_slice(if first { cookie.trim_ascii_start() } else { cookie });
        first = false;
    }
    Some(kept)
}

/// Whether a `Set-Cookie` header of an application would set, or delete, one of our cookies.
pub(in crate::proxy) fn sets_ours(line: &[u8]) -> bool {
    line.split(|&byte| byte == b';').next().is_some_and(|cookie| is_ours(name_of(cookie)))
}

/// The parsed cookies of a request.
#[derive(Debug)]
pub(in crate::proxy) struct Cookies {
    /// The `Cookie` header that was parsed.
    pub(in crate::proxy) line: Box<[u8]>,
    pub(in crate::proxy) session: Option<TokenHash>,
    /// What the application gets of that header; `None` if that could not be written.
    pub(in crate::proxy) kept: Option<Kept>,
}

impl Cookies {
    /// What the application gets of `line`, if that is the header that was parsed.
    pub(in crate::proxy) fn kept(&self, line: &[u8]) -> Option<&Kept> {
        self.kept.as_ref().filter(|_| *self.line == *line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_cannot_set_our_cookies_by_any_spelling() {
        for line in [
            "__Host-doorward-session=x; Path=/",
            "doorward-session=x",
            "DOORWARD-DEVICE=x",
            "__host-Doorward-Known=x",
            " doorward-browser = x",
            "__Host-doorward-browser-01020304=x",
            "Doorward-Browser-=x",
            "=doorward-session=x",
            "= doorward-session=x",
            "doorward-session",
        ] {
            assert!(sets_ours(line.as_bytes()), "{line}");
        }
        for line in [
            "session=doorward-session",
            "doorward=x",
            "doorward-sessions=x",
            "doorward-browsers=x",
            "",
        ] {
            assert!(!sets_ours(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_line_without_ours_is_not_touched() {
        assert_eq!(without_ours(b"a=1;b=2;;  c"), None);
        assert_eq!(without_ours(b"doorward-session=1;a=1 ;b").unwrap(), b"a=1 ;b");
        assert_eq!(without_ours(b"doorward-session=1").unwrap(), b"");
        assert_eq!(without_ours(b" a=1;doorward-known=1; b;doorward-device=2").unwrap(), b"a=1; b");
        assert_eq!(without_ours(b"a=1; doorward-known=1").unwrap(), b"a=1");
        assert_eq!(without_ours(b";doorward-known=1;").unwrap(), b";");
    }
}
