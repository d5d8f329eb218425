//! How far below its path a request reaches: the methods of `WebDAV` act on whole collections (RFC
//! 4918).

/// The value of the `Depth` header (RFC 4918 §10.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Only what the path names.
    Zero,
    /// And what is directly below it.
    One,
    /// And everything below it; also if the header is absent.
    #[default]
    Infinity,
}

/// What the request does to a target that a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes the target, with everything below it: `Destination` (RFC 4918 §9.8.4: what was
    /// there is deleted first).
    Written,
    /// It reads the target.
    Read,
}

/// A target that a header names, besides the request's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTarget {
    /// The header, as it is usually written: `Destination`.
    pub header: &'static str,
    /// What the request does to it.
    pub role: Role,
    /// The target in origin form.
    pub target: Vec<u8>,
}

/// Which rules a request must meet besides those of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// None.
    Path,
    /// Those with a pattern that is the path and then continues literally.
    Literally,
    /// Those of everything directly below it.
    Children,
    /// Those of everything below it.
    Below,
}

impl Reach {
    /// How far `method` reaches. A `WebDAV` application applies `Depth` even to methods that we do
    /// not know, and deletes collections as a whole. Elsewhere, `DELETE /orders/7` deletes one
    /// thing, and must meet the rules for parts of it.
    pub(super) fn of(method: &str, depth: Depth, is_webdav: bool) -> Self {
        let by_depth = match depth {
            Depth::Zero => Self::Path,
            Depth::One => Self::Children,
            Depth::Infinity => Self::Below,
        };
        match method {
            "DELETE" if is_webdav => Self::Below,
            "DELETE" => Self::Literally,
            // RFC 4918 §9.8.3: 0 or infinity.
            "COPY" if depth == Depth::Zero => Self::Path,
            // RFC 4918 §9.9.2, RFC 5842 §5, 6, and the variants of Exchange.
            "COPY" | "MOVE" | "REBIND" | "UNBIND" | "BMOVE" | "BCOPY" | "BDELETE" => Self::Below,
            // RFC 4918 §9.1, §9.10; RFC 3253 §3.6, §8; RFC 5323; RFC 3744 §8: access rights are
            // inherited.
            "PROPFIND" | "LOCK" | "REPORT" | "SEARCH" | "LABEL" | "UPDATE" | "MERGE" | "ACL"
            | "BIND" | "BPROPFIND" | "BPROPPATCH" | "SUBSCRIBE" => by_depth,
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "OPTIONS" | "MKCOL" | "MKCALENDAR"
            | "PROPPATCH" | "UNLOCK" => Self::Path,
            _ if is_webdav => by_depth,
            _ => Self::Path,
        }
    }
}

/// The other methods that rules must be tried with, at the target in this role (`None`: the
/// request's own).
pub(super) fn also_as(method: &str, role: Option<Role>) -> &'static [&'static str] {
    match (role, method) {
        (Some(Role::Written), _) => &["PUT", "DELETE"],
        (Some(Role::Read), _) | (None, "COPY" | "BCOPY") => &["GET"],
        (None, "MOVE" | "BMOVE" | "REBIND") => &["GET", "DELETE"],
        (None, "UNBIND" | "BDELETE") => &["DELETE"],
        (None, _) => &[],
    }
}
