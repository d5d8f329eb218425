//! Requests under way, asked about again: a tunnel, a stream of events, a long download must not
//! outlive the session, the user or the rule that allowed them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use super::connections::Connections;
use super::house::{House, Place};
use super::link::{Cut, Link};
use super::silence::TICK;
use crate::web::Allowed;

/// By what a request was allowed.
#[derive(Clone)]
pub(super) struct Standing {
    place: Arc<Place>,
    allowed: Allowed,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Standing({})", self.place.address.authority)
    }
}

impl Standing {
    pub(super) fn on(place: &Arc<Place>, allowed: Allowed) -> Self {
        Self { place: Arc::clone(place), allowed }
    }

    /// Whether the request would be allowed in this house, too; `used`: its visitor has sent
    /// something meanwhile.
    async fn holds_in(&self, house: &House, used: bool) -> bool {
        match house.find(&self.place.address.authority) {
            Some(place) => place.web.still_allows(&self.allowed, used).await,
            None => false,
        }
    }
}

/// Looks at everybody who is connected, again and again: ends whom it is time for, or who is not
/// allowed any more.
pub(super) fn watch(house: Arc<ArcSwap<House>>, connections: Arc<Connections>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = 0_u64;
        let mut asking: Option<JoinHandle<()>> = None;
        let mut clock = tokio::time::interval(TICK);
        // After a pause nothing is made up for: everybody has been waited for long enough.
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            ticks += 1;
            let house_now = house.load_full();
            let lasting = connections.sweep(&house_now.deadlines());
            house_now.env().metrics.connected(connections.open());
            // What takes long to ask must not hold up what only has to be looked at.
            if !lasting.is_empty() && asking.as_ref().is_none_or(JoinHandle::is_finished) {
                asking = Some(tokio::spawn(ask(lasting, Arc::clone(&house_now))));
            }
            if ticks.is_multiple_of(CERTIFICATES_EVERY) {
                let house = Arc::clone(&house_now);
                tokio::task::spawn_blocking(move || house.certificates().refresh());
            }
        }
    })
}

/// Asks again about everybody who has been under way for a while.
async fn ask(lasting: Vec<Arc<Link>>, house: Arc<House>) {
    let mut ended = 0_u64;
    for link in lasting {
        let Some(standing) = link.standing() else { continue };
        let lets_in = house.lets_in(link.entrance());
        if !lets_in || !standing.holds_in(&house, link.was_used()).await {
            link.cut(Cut::Revoked);
            ended += 1;
        }
    }
    if ended > 0 {
        house.env().metrics.ended(ended);
        tracing::info!(ended, "requests under way were ended: they are not allowed any more");
    }
}

/// How often certificates are looked at on disk, in ticks.
const CERTIFICATES_EVERY: u64 = 8;
