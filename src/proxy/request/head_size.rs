//! How long the head of a request for one of our own pages may be.

/// How much longer than `limits.header_bytes` the head of a request for one of our own pages may be.
pub(in crate::proxy) const OWN_PAGES_MORE: usize = 32 * 1024;
