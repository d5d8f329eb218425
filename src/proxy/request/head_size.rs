//! How long the head of a request for one of our own pages may be.

/// How many bytes more than `limits.header_bytes` the head of such a request may have.
pub(in crate::proxy) const OWN_PAGES_MORE: usize = 32 * 1024;
