//! Names of headers that have a meaning for us, in lower case.

use crate::policy::header::is_folded;

/// Whether frameworks let a header of this name, in lower case, override the method.
pub(in crate::proxy) fn is_method_override(name: &str) -> bool {
    const NAMES: [&[u8]; 3] = [b"x-http-method-override", b"x-http-method", b"x-method-override"];
    let name = name.as_bytes();
    // Fast path: all of them begin with the same letter.
    name.first() == Some(&b'x') && NAMES.iter().any(|known| is_folded(name, known))
}

/// Whether a header of this name is for one kind of cache only.
pub(in crate::proxy) fn is_targeted(name: &str) -> bool {
    ONE_CACHES_OWN.contains(&name) || name.ends_with("-cache-control")
}

/// Headers that Varnish and similar caches, nginx and Akamai prefer to `Cache-Control`.
const ONE_CACHES_OWN: [&str; 3] = ["surrogate-control", "x-accel-expires", "edge-control"];
