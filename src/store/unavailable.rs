//! The error of a store that cannot be used.

use std::error::Error;
use std::sync::Arc;

/// The store cannot be used: it cannot be reached, it failed, or its content is damaged.
///
/// Visitors are told only that the store is unavailable; the log shows operators the cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store is unavailable: {what}")]
pub struct Unavailable {
    what: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Unavailable {
    /// `what` describes the problem for operators: lower case, no full stop.
    pub const fn new(what: &'static str) -> Self {
        Self { what, source: None }
    }

    /// The content of the store is damaged, as `why` explains. The store stays unavailable.
    pub(super) fn damaged(why: impl Error + Send + Sync + 'static) -> Self {
        Self::because(DAMAGED, why)
    }

    /// Whether the content of the store is damaged, so that only a backup helps.
    pub fn is_damage(&self) -> bool {
        self.what == DAMAGED
    }

    /// `what` describes the problem, `source` is its cause.
    pub fn because(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { what, source: Some(Arc::new(source)) }
    }
}

const DAMAGED: &str = "it is damaged";
