//! Which headers are there at all, found in one pass. Most of those that matter to us are seldom
//! there, and what is not there need not be looked up.

use http::header::HeaderMap;

use crate::proxy::request::names::{is_method_override, is_targeted};
use crate::proxy::request::targets;

/// Which of a request's headers are there.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct InRequest {
    pub(super) accept: bool,
    pub(super) authorization: bool,
    pub(super) content_length: bool,
    pub(super) cookie: bool,
    pub(super) transfer_encoding: bool,
    pub(super) upgrade: bool,
    /// One by which a browser says that it asks for the script of a service worker.
    pub(super) service_worker: bool,
    /// One by which a request reaches further than its path.
    pub(super) reaches_further: bool,
    /// One that turns one method into another, in any spelling.
    pub(super) method_override: bool,
}

impl InRequest {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut there = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "accept" => there.accept = true,
                "authorization" => there.authorization = true,
                "content-length" => there.content_length = true,
                "cookie" => there.cookie = true,
                "transfer-encoding" => there.transfer_encoding = true,
                "upgrade" => there.upgrade = true,
                "service-worker" | "sec-fetch-dest" => there.service_worker = true,
                other => {
                    there.method_override |= is_method_override(other);
                    there.reaches_further |= targets::reaches_further(other);
                }
            }
        }
        there
    }
}

/// Which of an answer's headers are there.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct InAnswer {
    pub(super) cache_control: bool,
    /// One that speaks to one kind of cache only (RFC 9213).
    pub(super) targeted_cache_control: bool,
    pub(super) set_cookie: bool,
    pub(super) clear_site_data: bool,
    /// One that may say that the connection has been signed in.
    pub(super) binding: bool,
    pub(super) transfer_encoding: bool,
    /// One that is not `chunked` alone.
    pub(super) odd_coding: bool,
    /// A `Content-Length` other than 0.
    pub(super) length_above_zero: bool,
    /// One that is said twice, or as a list.
    pub(super) odd_length: bool,
    /// One that concerns the application's connection to us.
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
                    // Pingora says either of these itself.
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
