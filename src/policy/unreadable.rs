//! Requests that no application should see.

/// Why a target is refused. `Display` is for the log; the visitor is told 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no target.
    #[error("the request target is empty")]
    Empty,
    /// It does not begin with `/` (`*`, `host:port`, or an absolute URL of another kind).
    #[error("the request target does not begin with `/`")]
    NotOriginForm,
    /// NUL, a control byte or a space was sent as it is (RFC 9112 §3.2 allows none).
    #[error("the request target contains a space, NUL or another control byte")]
    Control,
    /// NUL or a control byte comes out of an escape in the path, perhaps decoded twice.
    #[error("the path contains an escaped NUL or control byte")]
    HiddenControl,
    /// `#` was sent as it is; fragments are the browser's own (RFC 9110 §4.2.5).
    #[error("the path contains `#`, which browsers never send")]
    Fragment,
    /// A `%` in the path is not followed by two hexadecimal digits.
    #[error("the path contains an invalid `%` escape")]
    BrokenEscape,
    /// The application is `spelling: strict`, and the path can be read in more ways than the
    /// standard says.
    #[error("the path can be read in several ways (`spelling: strict`)")]
    OddlySpelt,
    /// A header names a target that is no path on this host, one of our own pages, or too many
    /// targets (`Destination`, RFC 4918 §10.3).
    #[error("a header names a target that is not a path on this host")]
    ForeignTarget,
    /// Override headers name more methods than any application knows.
    #[error("the method can be read in too many ways")]
    TooManyMethods,
    /// There are so many ways to read the path, or they are so long, that looking at all of them would
    /// cost more than any request may.
    #[error("the path can be read in too many ways")]
    TooManyReadings,
    /// Reading and judging it would cost more than any request may.
    #[error("checking the request would cost too much")]
    TooCostly,
}
