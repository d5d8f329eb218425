//! That the store cannot be used.

use std::error::Error;
use std::sync::Arc;

/// The store cannot be used: it is away, it failed, or what it holds is damaged.
///
/// The visitor is told only that; the operator reads the source in the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store is unavailable: {what}")]
pub struct Unavailable {
    what: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Unavailable {
    /// `what` went wrong, in words for the operator: small letters, no full stop.
    pub const fn new(what: &'static str) -> Self {
        Self { what, source: None }
    }

    /// What the store holds is damaged, as `why` says: it stays unavailable.
    pub(super) fn damaged(why: impl Error + Send + Sync + 'static) -> Self {
        Self::because(DAMAGED, why)
    }

    /// Whether what the store holds is damaged, so that only a backup helps.
    pub fn is_damage(&self) -> bool {
        self.what == DAMAGED
    }

    /// `what` went wrong, because of `source`.
    pub fn because(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { what, source: Some(Arc::new(source)) }
    }
}

const DAMAGED: &str = "it is damaged";
