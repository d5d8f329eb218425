//! Finds out in one pass which headers a request has. Most of those that matter to us are rare, and
//! absent ones need no lookup.

use http::header::{HeaderMap, HeaderValue};

use super::other_targets;
use crate::policy::header::is_folded;

/// Which headers a request has, and what some of them say.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Present {
    /// `Authorization`.
    pub authorization: bool,
    /// `Content-Length`.
    pub content_length: bool,
    /// `Cookie`.
    pub cookie: bool,
    /// `Transfer-Encoding`.
    pub transfer_encoding: bool,
    /// `Upgrade`.
    pub upgrade: bool,
    /// It accepts a stream of events.
    pub event_stream: bool,
    /// The browser asks for the script of a service worker.
    ///
    /// On a host that we share with an application, we refuse it: a service worker of the
    /// application, or of anybody who can write to it, could read and forge our own pages there.
    pub service_worker: bool,
    /// A header that makes a request concern more than its path.
    pub reaches_further: bool,
    /// A header that overrides the method, in any spelling.
    pub method_override: bool,
}

impl Present {
    /// Those among `headers`.
    pub fn in_request(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "accept" => present.event_stream |= accepts_events(value.as_bytes()),
                "authorization" => present.authorization = true,
                "content-length" => present.content_length = true,
                "cookie" => present.cookie = true,
                "transfer-encoding" => present.transfer_encoding = true,
                "upgrade" => present.upgrade = true,
                "service-worker" => present.service_worker |= is(value, b"script"),
                "sec-fetch-dest" => present.service_worker |= is(value, b"serviceworker"),
                other => {
                    present.method_override |= is_method_override(other);
                    present.reaches_further |= other_targets::reaches_further(other);
                }
            }
        }
        present
    }
}

fn is(value: &HeaderValue, word: &[u8]) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(word)
}

/// Whether an `Accept` header names the media type of a stream of events.
fn accepts_events(value: &[u8]) -> bool {
    // Looks at the rarest letter of the name first.
    let (before, events) = (b"text/e".len(), b"text/event-stream");
    let mut found = memchr::memchr_iter(b'v', value).filter_map(|at| at.checked_sub(before));
    found.any(|start| value[start..].starts_with(events))
}

/// Whether frameworks let a header of this name, in lower case, override the method.
pub(super) fn is_method_override(name: &str) -> bool {
    const NAMES: [&[u8]; 3] = [b"x-http-method-override", b"x-http-method", b"x-method-override"];
    let name = name.as_bytes();
    // Fast path: all of them begin with the same letter.
    name.first() == Some(&b'x') && NAMES.iter().any(|known| is_folded(name, known))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn of(name: &'static str, value: &'static str) -> Present {
        let header = (name.parse().unwrap(), HeaderValue::from_static(value));
        Present::in_request(&[header].into_iter().collect())
    }

    #[test]
    fn service_worker_scripts_are_recognised() {
        assert!(of("Service-Worker", "script").service_worker);
        assert!(of("Sec-Fetch-Dest", "serviceworker").service_worker);
        assert!(!of("Sec-Fetch-Dest", "script").service_worker);
    }

    #[rstest]
    #[case("text/event-stream", true)]
    #[case("image/avif, text/event-stream;q=0.9", true)]
    #[case("text/html,image/avif,*/*;v=b3", false)]
    #[case("text/eventful", false)]
    #[case("vtext/event", false)]
    #[case("v", false)]
    #[case("", false)]
    fn a_stream_of_events_is_recognised(#[case] accept: &'static str, #[case] accepts: bool) {
        assert_eq!(of("Accept", accept).event_stream, accepts, "{accept}");
    }
}
