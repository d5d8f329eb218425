//! Where our own pages are, and how a request asks for one.

/// Where our own pages are.
pub const OWN: &str = "/.doorward/";

/// Whether a request is for one of our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPage<'a> {
    /// It is for the application.
    No,
    /// It is for the page with this path below [`OWN`], canonically spelt: no escapes, no upper
    /// case. Empty for `/.doorward/` itself, and for `/.doorward`, which people type.
    Page(&'a str),
    /// It might be read as one of our pages but is not spelt as one: a 400.
    Odd,
}
