//! The path of our own pages, and whether a request is for one of them.

/// The path of our own pages.
pub const OWN: &str = "/.doorward/";

/// Whether a request is for one of our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPage<'a> {
    /// It is for the application.
    No,
    /// It is for the page with this path below [`OWN`], in canonical spelling: no escapes, no upper
    /// case. Empty for `/.doorward/` itself, and for `/.doorward`, which people type.
    Page(&'a str),
    /// Some reading of it is one of our pages, but its spelling is not canonical: a 400.
    Odd,
}
