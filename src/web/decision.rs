//! What was decided about a request, as the access log says it. On a response of ours it is an
//! extension.

use std::sync::Arc;

use crate::domain::identity::Identity;
use crate::policy::Governor;

/// What was decided about a request.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The verdict; `None` if none was reached.
    pub verdict: Option<&'static str>,
    /// The rule that decided; `None` for our own pages.
    pub rule: Option<Governor>,
    /// The user, if the permit does not tell.
    pub user: Option<Arc<Identity>>,
}

impl Decision {
    /// The request is malformed or ambiguous, so no rule was asked.
    pub fn malformed() -> Self {
        Self { verdict: Some("malformed"), ..Self::default() }
    }
}
