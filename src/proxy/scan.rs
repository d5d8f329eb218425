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
    pub(super) request_id: bool,
    /// A stream of events.
    pub(super) event_stream: bool,
    pub(super) clear_site_data: bool,
    /// A header that may say that the connection is authenticated.
    pub(super) binding: bool,
    pub(super) transfer_encoding: bool,
    /// A `Transfer-Encoding` other than `chunked` alone.
    pub(super) odd_coding: bool,
    /// A `Content-Length` other than 0.
    pub(super) length_above_zero: bool,
    /// A `Content-Length` that is repeated, or a list.
    pub(super) odd_length: bool,
    /// A header that concerns only the application's connection to us.
    pub(super) hop_by_hop: bool,
}

impl InAnswer {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut there = Self::default();
        let mut length = false;
        for (name, value) in headers {
            match name.as_str() {
                "cache-control" => there.cache_control = true,
                "set-cookie" => there.set_cookie = true,
                "strict-transport-security" => there.strict_transport_security = true,
                "x-request-id" => there.request_id = true,
                "content-type" => {
                    let kind = value.as_bytes().get(..EVENTS.len());
                    there.event_stream |=
                        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
                }
                "clear-site-data" => there.clear_site_data = true,
                "www-authenticate" | "persistent-auth" => there.binding = true,
                "transfer-encoding" => {
                    let chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                    there.odd_coding |= there.transfer_encoding || !chunked;
                    there.transfer_encoding = true;
                }
                "content-length" => {
                    let value = value.as_bytes();
                    there.odd_length |= length || !value.iter().all(u8::is_ascii_digit);
                    there.length_above_zero |= value != b"0";
                    length = true;
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
}

/// The media type of a stream of events.
const EVENTS: &[u8] = b"text/event-stream";

/// Whether a header of this name is for one kind of cache only.
pub(super) fn is_targeted(name: &str) -> bool {
    ONE_CACHES_OWN.contains(&name) || name.ends_with("-cache-control")
}

/// Headers that Varnish and similar caches, nginx and Akamai prefer to `Cache-Control`.
const ONE_CACHES_OWN: [&str; 3] = ["surrogate-control", "x-accel-expires", "edge-control"];
