//! Requests that no application should receive.

/// Why a target is refused. `Display` is for the log; the visitor gets a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no target.
    #[error("the request target is empty")]
    Empty,
    /// It does not begin with `/` (`*`, `host:port`, or an absolute URL of another kind).
    #[error("the request target does not begin with `/`")]
    NotOriginForm,
    /// NUL, a control byte or a space was sent unescaped (RFC 9112 §3.2 allows none).
    #[error("the request target contains a space, NUL or another control byte")]
    Control,
    /// Decoding the path, perhaps twice, gives NUL or a control byte.
    #[error("the path contains an escaped NUL or control byte")]
    HiddenControl,
    /// `#` was sent unescaped; browsers do not send fragments (RFC 9110 §4.2.5).
    #[error("the path contains `#`, which browsers never send")]
    Fragment,
    /// A `%` in the path is not followed by two hexadecimal digits.
    #[error("the path contains an invalid `%` escape")]
    BrokenEscape,
    /// The app has `spelling: strict`, and the path can be read in more ways than the standard
    /// allows.
    #[error("the path can be read in several ways (`spelling: strict`)")]
    OddlySpelt,
    /// A header names a target that no application should receive (`Destination`, RFC 4918 §10.3).
    #[error("header `{header}`: {why}")]
    InHeader {
        /// The header, as it is usually written.
        header: &'static str,
        /// What is wrong with its target.
        why: Box<Self>,
    },
    /// A header names something that is not a path on this host.
    #[error("it does not name a path on this host (or a URL with its scheme, host and port)")]
    ForeignTarget,
    /// A header names one of our own pages.
    #[error("it names one of Doorward's own pages")]
    OwnTarget,
    /// Headers name more targets than are checked.
    #[error("the headers of the request name too many targets")]
    TooManyTargets,
    /// Override headers name more methods than any application supports.
    #[error("the method can be read in too many ways")]
    TooManyMethods,
    /// The readings of the path are so many, or so long, that examining them would exceed the work
    /// limit.
    #[error("the path can be read in too many ways")]
    TooManyReadings,
    /// Reading and judging it would exceed the work limit.
    #[error("checking the request would cost too much")]
    TooCostly,
}

impl Unreadable {
    /// This problem, of the target that `header` names.
    #[must_use]
    pub fn in_header(self, header: &'static str) -> Self {
        Self::InHeader { header, why: Box::new(self) }
    }
}
