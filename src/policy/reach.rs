//! How far below its path a request reaches: the methods of `WebDAV` act on whole
//! collections (RFC 4918).

/// How deep, as the header of this name says (RFC 4918 §10.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What the path names, alone.
    Zero,
    /// And what lies directly below it.
    One,
    /// And everything below it; also where the header is absent.
    #[default]
    Infinity,
}

/// What a header does that names another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// That target is written, with everything below it: `Destination` (RFC 4918 §9.8.4: what was there
    /// is deleted first).
    Written,
    /// That target is read.
    Read,
}

/// Which rules a request must meet besides those of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// None.
    Path,
    /// Those whose pattern is the path and then, literally, more.
    Literally,
    /// Those of whatever lies directly below it.
    Children,
    /// Those of everything below it.
    Below,
}

impl Reach {
    /// How far `method` reaches. An application that speaks `WebDAV` obeys `Depth` in methods that nobody
    /// knows, too, and deletes collections as a whole; elsewhere `DELETE /orders/7` is one thing, and
    /// meets what rules say of parts of it.
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
            // RFC 4918 §9.9.2, RFC 5842 §5, 6, and what Exchange made of these.
            "COPY" | "MOVE" | "REBIND" | "UNBIND" | "BMOVE" | "BCOPY" | "BDELETE" => Self::Below,
            // RFC 4918 §9.1, §9.10; RFC 3253 §3.6, §8; RFC 5323; RFC 3744 §8: rights are inherited.
            "PROPFIND" | "LOCK" | "REPORT" | "SEARCH" | "LABEL" | "UPDATE" | "MERGE" | "ACL"
            | "BIND" | "BPROPFIND" | "BPROPPATCH" | "SUBSCRIBE" => by_depth,
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "OPTIONS" | "MKCOL" | "MKCALENDAR"
            | "PROPPATCH" | "UNLOCK" => Self::Path,
            _ if is_webdav => by_depth,
            _ => Self::Path,
        }
    }
}

/// As which other methods rules must see `method`, at the target in this role (`None`: its own).
pub(super) fn also_as(method: &str, role: Option<Role>) -> &'static [&'static str] {
    match (role, method) {
        (Some(Role::Written), _) => &["PUT", "DELETE"],
        (Some(Role::Read), _) | (None, "COPY" | "BCOPY") => &["GET"],
        (None, "MOVE" | "BMOVE" | "REBIND") => &["GET", "DELETE"],
        (None, "UNBIND" | "BDELETE") => &["DELETE"],
        (None, _) => &[],
    }
}
