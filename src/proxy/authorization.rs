//! What allowed a request that is in progress, and what may have changed since.

use std::sync::Arc;

use crate::domain::time::Timestamp;
use crate::flow::Still;
use crate::proxy::sites::{Sites, VirtualHost};
use crate::store::Touched;
use crate::web::Allowed;

/// What allowed a request.
#[derive(Clone)]
pub(super) struct Authorization {
    virtual_host: Arc<VirtualHost>,
    allowed: Allowed,
    /// [`Web::dropped_keys`], read before the cookies of the request.
    ///
    /// [`Web::dropped_keys`]: crate::web::Web::dropped_keys
    dropped_keys: u64,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorization({})", self.virtual_host.address.authority)
    }
}

impl Authorization {
    /// That `virtual_host` has allowed a request. `dropped_keys` was read before its cookies.
    pub(super) fn of(virtual_host: &Arc<VirtualHost>, allowed: Allowed, dropped_keys: u64) -> Self {
        Self { virtual_host: Arc::clone(virtual_host), allowed, dropped_keys }
    }

    /// Whether this and `other` belong to the same request.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.allowed.is_of_one_request_with(&other.allowed)
    }

    /// Whether it depends on nothing but the configuration: the visitor was anonymous.
    pub(super) fn is_strangers(&self) -> bool {
        self.allowed.rests_on().is_none()
    }

    /// Whether `sites`, too, would allow the request; `used`: its visitor has sent something since
    /// the last check.
    pub(super) async fn holds_in(&self, sites: &Sites, used: bool) -> Still {
        match sites.find(&self.virtual_host.address.authority) {
            // The key that signed the cookie may be gone; who signed in since shows another cookie.
            Some(virtual_host)
                if !self.is_strangers() && virtual_host.web.dropped_keys() != self.dropped_keys =>
            {
                Still::Over
            }
            Some(virtual_host) => virtual_host.web.still_allows(&self.allowed, used).await,
            None => Still::Over,
        }
    }
}

/// What has changed since the last check of all connections.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether something changed on which every request depends: the configuration, or the store or
    /// the clock is unavailable.
    pub(super) everything: bool,
    pub(super) touched: Touched,
    pub(super) now: Timestamp,
}

impl Changes {
    /// Whether something on which this request depends may have changed.
    pub(super) fn concerns(&self, authorization: &Authorization) -> bool {
        let rests_on = authorization.allowed.rests_on();
        self.everything
            || rests_on
                .is_some_and(|(user, user_session)| self.touched.concerns(user, user_session))
    }

    /// The time of this check, in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.now.millis()
    }
}
