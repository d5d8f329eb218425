//! A request's method, in every way in which an application may read it.

use std::borrow::Cow;

use super::query::each_override;
use super::unreadable::Unreadable;

/// The readings of one method, beginning with the one that was sent, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Methods {
    sent: Cow<'static, str>,
    others: Vec<String>,
    /// Whether one of them was not written in upper case: software that distinguishes letter case
    /// (RFC 9110 §9.1) does not know such a method.
    is_cased: bool,
}

/// More readings than this are not plausible but hostile.
const MOST: usize = 5;

/// The ordinary methods need no allocation.
const ORDINARY: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Whether the meaning of a method with exactly this name is standard: it is in RFC 9110 §9, or
/// PATCH (RFC 5789). What applications do with other methods is not known: many run a script as for
/// POST (CWE-650).
pub fn is_standard(method: &str) -> bool {
    ORDINARY.contains(&method) || matches!(method, "CONNECT" | "TRACE")
}

impl Methods {
    /// The method as sent; in upper case; `GET` for `HEAD`; and the values of the override headers
    /// and of `_method` in the query.
    pub(super) fn read(
        sent: &str,
        overrides: &[&str],
        query: Option<&[u8]>,
    ) -> Result<Self, Unreadable> {
        let known = ORDINARY.into_iter().find(|known| *known == sent);
        let mut methods = Self {
            sent: known.map_or_else(|| Cow::Owned(sent.to_owned()), Cow::Borrowed),
            others: Vec::new(),
            is_cased: false,
        };
        if known.is_none() {
            methods.add(sent)?;
        }
        for said in overrides {
            for method in said.split(',') {
                methods.add(method)?;
            }
        }
        if let Some(query) = query {
            let mut added = Ok(());
            let read = each_override(query, |method| {
                // A value that is still escaped is no method.
                if let (Ok(()), Ok(method)) = (&added, str::from_utf8(method))
                    && !method.contains('%')
                {
                    added = methods.add(method);
                }
            });
            read.map_err(|_| Unreadable::TooManyMethods).and(added)?;
        }
        if methods.all().any(|method| method == "HEAD") {
            methods.add("GET")?;
        }
        Ok(methods)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.sent).chain(self.others.iter().map(String::as_str))
    }

    /// Whether one of them was not written in upper case.
    pub(super) fn is_cased(&self) -> bool {
        self.is_cased
    }

    fn add(&mut self, method: &str) -> Result<(), Unreadable> {
        let method = method.trim();
        self.is_cased |= method.bytes().any(|byte| byte.is_ascii_lowercase());
        let method = method.to_ascii_uppercase();
        if !method.is_empty() && !self.all().any(|known| known == method) {
            self.others.push(method);
        }
        if self.others.len() < MOST { Ok(()) } else { Err(Unreadable::TooManyMethods) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GET", &[], None, "GET")]
    #[case("get", &[], None, "get GET")]
    #[case("HEAD", &[], None, "HEAD GET")]
    #[case("POST", &["delete"], None, "POST DELETE")]
    #[case("POST", &[" put , PATCH"], None, "POST PUT PATCH")]
    #[case("POST", &["POST", ""], None, "POST")]
    #[case("GET", &["head"], None, "GET HEAD")]
    #[case("POST", &[], Some("a=1&_method=delete"), "POST DELETE")]
    #[case("POST", &[], Some("%5fmethod=%44ELETE"), "POST DELETE")]
    #[case("POST", &[], Some("%255fmethod=%2544ELETE"), "POST DELETE")]
    #[case("POST", &[], Some("%u005fmethod=put"), "POST PUT")]
    #[case("POST", &[], Some("_method[]=put&_method%00=LINK"), "POST PUT LINK")]
    #[case("POST", &[], Some(".method=delete"), "POST DELETE")]
    #[case("POST", &[], Some("_method%ff=delete"), "POST")]
    #[case("POST", &[], Some("method=delete"), "POST")]
    fn a_method_is_also_what_headers_and_query_make_of_it(
        #[case] sent: &str,
        #[case] overrides: &[&str],
        #[case] query: Option<&str>,
        #[case] read: &str,
    ) {
        let methods = Methods::read(sent, overrides, query.map(str::as_bytes)).unwrap();
        assert_eq!(methods.all().collect::<Vec<_>>().join(" "), read);
    }

    #[test]
    fn hundreds_of_methods_are_none() {
        let many = (0..20).map(|n| format!("M{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(Methods::read("POST", &[&many], None), Err(Unreadable::TooManyMethods));
    }
}
