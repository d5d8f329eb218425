//! Finds out in one pass which headers a request has. Most of those that matter to us are rare, and
//! absent ones need no lookup.

use http::header::HeaderMap;

use super::other_targets;
use crate::policy::header::is_folded;

/// Which headers a request has.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Present {
    /// `Accept`.
    pub accept: bool,
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
    /// A header by which a browser says that it wants the script of a service worker.
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
        for name in headers.keys() {
            match name.as_str() {
                "accept" => present.accept = true,
                "authorization" => present.authorization = true,
                "content-length" => present.content_length = true,
                "cookie" => present.cookie = true,
                "transfer-encoding" => present.transfer_encoding = true,
                "upgrade" => present.upgrade = true,
                "service-worker" | "sec-fetch-dest" => present.service_worker = true,
                other => {
                    present.method_override |= is_method_override(other);
                    present.reaches_further |= other_targets::reaches_further(other);
                }
            }
        }
        present
    }
}

/// Whether frameworks let a header of this name, in lower case, override the method.
pub(super) fn is_method_override(name: &str) -> bool {
    const NAMES: [&[u8]; 3] = [b"x-http-method-override", b"x-http-method", b"x-method-override"];
    let name = name.as_bytes();
    // Fast path: all of them begin with the same letter.
    name.first() == Some(&b'x') && NAMES.iter().any(|known| is_folded(name, known))
}
