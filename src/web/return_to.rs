//! Where a visitor was going, kept through every step of a sign-in.
//!
//! It is a URL of a configured origin, checked by parsing it as a browser does (WHATWG URL), not by
//! comparing its beginning.

use url::Url;

use crate::config::Origin;

/// A URL to return to: a path on the origin of this host, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    target: String,
    /// The method of the original request, if it was not GET. Pages announce what that requires; a
    /// redirected browser sends a GET.
    method: Option<String>,
}

/// The longest that is kept, in bytes: more than the head of any request holds
/// (`limits.header_bytes`).
const AT_MOST: usize = 1024 * 1024;
/// Up to this length, in bytes, everything is escaped that forms escape.
const LONG: usize = 1024;

impl ReturnTo {
    /// Parses untrusted input; anything that is not a URL of `origin` becomes `/`.
    ///
    /// Drops a fragment: browsers do not send it, so it has no meaning here.
    pub fn read(text: &str, origin: &Origin) -> Self {
        Self::parse(text, origin).unwrap_or_else(Self::root)
    }

    /// One of our own pages: a path with its query.
    pub(super) fn own(path: String) -> Self {
        Self { target: path, method: None }
    }

    /// Parses a complete URL; `None` if it is not on `origin`.
    pub(super) fn at(url: &str, origin: &Origin) -> Option<Self> {
        let path = url.strip_prefix(&origin.to_string())?;
        path.starts_with('/').then(|| Self::parse(path, origin)).flatten()
    }

    fn parse(text: &str, origin: &Origin) -> Option<Self> {
        #[cfg(test)]
        READ.set(READ.get() + text.len());
        if text.is_empty() || text.len() > AT_MOST || text.bytes().any(is_odd) {
            return None;
        }
        let base = Url::parse(&origin.to_string()).ok()?;
        let url = base.join(text).ok()?;
        let ours = url.origin() == base.origin() && url.username().is_empty();
        if !ours || url.password().is_some() {
            return None;
        }
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        // A path for this parser must be one for the next parser: `//host` is not.
        (!target.starts_with("//") && target.len() <= AT_MOST).then(|| Self::own(target))
    }

    /// The root of the host.
    pub fn root() -> Self {
        Self::own("/".to_owned())
    }

    /// The path and query, as in `Location`.
    pub fn as_str(&self) -> &str {
        &self.target
    }

    /// The same URL with `method`: a word in upper case, or else it counts as GET.
    #[must_use]
    pub(super) fn by(self, method: &str) -> Self {
        let word = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        let is_one = (1..=32).contains(&method.len()) && method.bytes().all(word);
        let method = (is_one && !["GET", "HEAD"].contains(&method)).then(|| method.to_owned());
        Self { method, ..self }
    }

    /// The method of the original request.
    pub(super) fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }

    /// The same, if it was not GET.
    pub(super) fn other_method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The URL of `page`, below `/.doorward/`, that leads here afterwards.
    pub fn through(&self, page: &str) -> String {
        if *self == Self::root() {
            return format!("/.doorward/{page}");
        }
        let return_to = escaped(&self.target);
        match &self.method {
            Some(method) => format!("/.doorward/{page}?return_to={return_to}&method={method}"),
            None => format!("/.doorward/{page}?return_to={return_to}"),
        }
    }
}

impl ReturnTo {
    /// The same for the variant of `page` for this kind of factor.
    pub(super) fn through_by(&self, page: &str, kind: &str) -> String {
        let url = self.through(page);
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}kind={kind}")
    }
}

/// A URL as the value of a parameter. A long one is escaped as little as possible: it may be nested
/// in another one, which is nested in a third.
pub(super) fn escaped(url: &str) -> String {
    if url.len() <= LONG {
        return url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    }
    let mut escaped = String::with_capacity(url.len() + url.len() / 8);
    for byte in url.bytes() {
        // Every character that ends a value or has a meaning in one (RFC 3986 §3.4).
        if byte.is_ascii_alphanumeric() || b"-._~/:?@!$'()*,;=".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    escaped
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Control bytes, spaces and backslashes are not allowed in a URL; browsers treat them differently.
fn is_odd(byte: u8) -> bool {
    byte <= b' ' || byte == b'\\' || byte == 0x7f
}

#[cfg(test)]
thread_local! {
    /// How many bytes this thread has parsed as a URL to return to.
    pub(super) static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let origin = "https://crm.example.com".parse().unwrap();
        ReturnTo::read(text, &origin).as_str().to_owned()
    }

    #[test]
    fn a_url_of_ours_is_kept() {
        assert_eq!(read("/bank/pay?id=7&x=%20y"), "/bank/pay?id=7&x=%20y");
        assert_eq!(read("https://crm.example.com/a?b"), "/a?b");
        assert_eq!(read("https://CRM.example.com:443/a#b"), "/a");
    }

    #[test]
    fn whatever_leads_elsewhere_leads_to_the_start_page() {
        for elsewhere in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "http://crm.example.com/",
            "https://crm.example.com.evil.example/",
            "https://crm.example.com@evil.example/",
            "https://user@crm.example.com/",
            "https://crm.example.com:8443/",
            "https://crmXexample.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\t/evil.example",
            "/%09/../\\evil",
            " /a",
            "/a\r\nSet-Cookie: x=y",
            "https://crm.example.com//evil.example",
            "/.//evil.example",
            "/a/..//evil.example",
        ] {
            assert_eq!(read(elsewhere), "/", "{elsewhere:?}");
        }
        assert_eq!(read(&format!("/{}", "a".repeat(AT_MOST))), "/");
    }

    #[test]
    fn whatever_has_a_place_leads_back_to_it_from_another_host() {
        let origin: Origin = "https://crm.example.com".parse().unwrap();
        let longest = ReturnTo::read(&format!("/{}", "a".repeat(30_000)), &origin);
        assert_ne!(longest, ReturnTo::root());
        let at = |url: &str| ReturnTo::at(url, &origin);
        assert_eq!(at(&format!("{origin}{}", longest.as_str())), Some(longest));
        for elsewhere in [
            "https://crm.example.com.evil.test/",
            "https://crm.example.com@evil.test/",
            "https://crm.example.com:8443/",
            "https://crm.example.com\\.evil.test",
            "https://crm.example.com//evil.test",
            "/a",
        ] {
            assert_eq!(at(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn steps_lead_back() {
        let origin = "https://crm.example.com".parse().unwrap();
        let place = ReturnTo::read("/a?b=c&d", &origin);
        assert_eq!(place.through("sign-in"), "/.doorward/sign-in?return_to=%2Fa%3Fb%3Dc%26d");
        assert_eq!(ReturnTo::root().through("sign-in"), "/.doorward/sign-in");
        // A long one has the same meaning in fewer bytes, however deep it is nested.
        let long = format!("/a/%C3%A9?b=c&d=+&{}", "x=%26&".repeat(1_000));
        let inner = ReturnTo::read(&long, &origin).through("sign-in");
        let outer = ReturnTo::own(inner.clone()).through("challenge");
        assert!(outer.len() < long.len() * 4, "{}", outer.len());
        let value = |url: &str| {
            let (_, query) = url.split_once('?').unwrap();
            url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
        };
        assert_eq!(value(&outer), inner);
        assert_eq!(value(&inner), long);
        let posted = place.by("POST").through("challenge");
        assert_eq!(posted, "/.doorward/challenge?return_to=%2Fa%3Fb%3Dc%26d&method=POST");
        for no_other in ["", "GET", "HEAD", "post", "PO ST", &"A".repeat(33)] {
            assert_eq!(ReturnTo::root().by(no_other), ReturnTo::root(), "{no_other:?}");
        }
    }
}
