//! Finds out in one pass which headers an answer has. Most of those that matter to us are rare, and
//! absent ones need no lookup.

use http::header::HeaderMap;

/// Which headers an answer has.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct InAnswer {
    pub(super) cache_control: bool,
    /// A cache header for one kind of cache only (RFC 9213).
    pub(super) targeted_cache_control: bool,
    pub(super) set_cookie: bool,
    pub(super) strict_transport_security: bool,
    /// A stream of events.
    pub(super) event_stream: bool,
    pub(super) clear_site_data: bool,
    /// A header that may say that the connection is authenticated.
    pub(super) binding: bool,
    pub(super) transfer_encoding: bool,
    /// A `Transfer-Encoding` other than `chunked` alone.
    pub(super) odd_coding: bool,
    /// What its `Content-Length` says, if that is a number.
    pub(super) length: Option<usize>,
    /// A `Content-Length` that is repeated, or a list.
    pub(super) odd_length: bool,
    /// A header that concerns only the application's connection to us.
    pub(super) hop_by_hop: bool,
    /// A header with a URL of the application.
    pub(super) url: bool,
}

impl InAnswer {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut there = Self::default();
        let mut has_length = false;
        for (name, value) in headers {
            match name.as_str() {
                "cache-control" => there.cache_control = true,
                "set-cookie" => there.set_cookie = true,
                "strict-transport-security" => there.strict_transport_security = true,
                "content-type" => {
                    let kind = value.as_bytes().get(..EVENTS.len());
                    there.event_stream |=
                        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
                }
                "location" | "content-location" | "refresh" => there.url = true,
                "clear-site-data" => there.clear_site_data = true,
                "www-authenticate" | "persistent-auth" => there.binding = true,
                "transfer-encoding" => {
                    let chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                    there.odd_coding |= there.transfer_encoding || !chunked;
                    there.transfer_encoding = true;
                }
                "content-length" => {
                    there.length = digits(value.as_bytes());
                    there.odd_length |= has_length || there.length.is_none();
                    has_length = true;
                }
                "connection" => {
                    // Pingora handles these two itself.
                    let value = value.as_bytes();
                    there.hop_by_hop |= !value.eq_ignore_ascii_case(b"keep-alive")
                        && !value.eq_ignore_ascii_case(b"close");
                }
                "keep-alive"
                | "proxy-connection"
                | "proxy-authenticate"
                | "proxy-authentication-info"
                | "proxy-authorization"
                | "te"
                | "trailer"
                | "upgrade" => there.hop_by_hop = true,
                other => there.targeted_cache_control |= is_targeted(other),
            }
        }
        there
    }

    /// Whether its `Content-Length` announces a body.
    pub(super) fn announces_body(self) -> bool {
        self.odd_length || self.length.is_some_and(|length| length > 0)
    }
}

/// The number that is written in digits alone; `None` if it is none, or none that memory can have.
fn digits(text: &[u8]) -> Option<usize> {
    let more = |number: usize, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    text.iter().try_fold(0, more).filter(|_| !text.is_empty())
}

/// The media type of a stream of events.
const EVENTS: &[u8] = b"text/event-stream";

/// Whether a header of this name is for one kind of cache only.
pub(super) fn is_targeted(name: &str) -> bool {
    ONE_CACHES_OWN.contains(&name) || name.ends_with("-cache-control")
}

/// Headers that Varnish and similar caches, nginx and Akamai prefer to `Cache-Control`.
const ONE_CACHES_OWN: [&str; 3] = ["surrogate-control", "x-accel-expires", "edge-control"];

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_LENGTH;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["0"], Some(0), false)]
    #[case(&["20971520"], Some(20_971_520), true)]
    #[case(&["5", "5"], Some(5), true)]
    #[case(&["5, 5"], None, true)]
    #[case(&["+5"], None, true)]
    #[case(&[""], None, true)]
    #[case(&["99999999999999999999"], None, true)]
    #[case(&[], None, false)]
    fn a_length_is_known_only_if_it_is_a_number(
        #[case] sent: &[&'static str],
        #[case] length: Option<usize>,
        #[case] announces: bool,
    ) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
        }
        let there = InAnswer::of(&headers);
        assert_eq!((there.length, there.announces_body()), (length, announces));
        let is_plain = sent.is_empty() || sent.len() == 1 && length.is_some();
        assert_eq!(there.odd_length, !is_plain);
    }
}
