//! What allowed a request that is under way, and what may have changed since.

use std::sync::Arc;

use crate::domain::time::Timestamp;
use crate::flow::Still;
use crate::proxy::sites::{Sites, VirtualHost};
use crate::store::Touched;
use crate::web::Allowed;

/// By what a request was allowed.
#[derive(Clone)]
pub(super) struct Authorization {
    virtual_host: Arc<VirtualHost>,
    allowed: Allowed,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorization({})", self.virtual_host.address.authority)
    }
}

impl Authorization {
    pub(super) fn of(virtual_host: &Arc<VirtualHost>, allowed: Allowed) -> Self {
        Self { virtual_host: Arc::clone(virtual_host), allowed }
    }

    /// Whether this is the `other`, of the same request.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.allowed.is_of_one_request_with(&other.allowed)
    }

    /// Whether it rests on nothing but the configuration.
    pub(super) fn is_strangers(&self) -> bool {
        self.allowed.rests_on().is_none()
    }

    /// Whether the request would be allowed in this house, too; `used`: its visitor has sent
    /// something meanwhile.
    pub(super) async fn holds_in(&self, sites: &Sites, used: bool) -> Still {
        match sites.find(&self.virtual_host.address.authority) {
            Some(virtual_host) => virtual_host.web.still_allows(&self.allowed, used).await,
            None => Still::Over,
        }
    }
}

/// What has changed since somebody looked at those who are connected.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What everything rests on: the configuration, or that there is a store and a clock.
    pub(super) everything: bool,
    pub(super) touched: Touched,
    pub(super) now: Timestamp,
}

impl Changes {
    /// Whether what this request rests on may have changed.
    pub(super) fn concerns(&self, authorization: &Authorization) -> bool {
        let rests_on = authorization.allowed.rests_on();
        self.everything
            || rests_on
                .is_some_and(|(user, user_session)| self.touched.concerns(user, user_session))
    }

    /// The moment of this, in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.now.millis()
    }
}
