//! What allowed a request that is under way, and what may have changed since.

use std::sync::Arc;

use crate::domain::time::Timestamp;
use crate::flow::Still;
use crate::proxy::sites::{House, Place};
use crate::store::Touched;
use crate::web::Allowed;

/// By what a request was allowed.
#[derive(Clone)]
pub(super) struct Authorization {
    place: Arc<Place>,
    allowed: Allowed,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorization({})", self.place.address.authority)
    }
}

impl Authorization {
    pub(super) fn of(place: &Arc<Place>, allowed: Allowed) -> Self {
        Self { place: Arc::clone(place), allowed }
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
    pub(super) async fn holds_in(&self, house: &House, used: bool) -> Still {
        match house.find(&self.place.address.authority) {
            Some(place) => place.web.still_allows(&self.allowed, used).await,
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
