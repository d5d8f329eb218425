//! Requests under way, judged again: a tunnel, a stream of events, a long download must not outlive the
//! session, the user or the rule that allowed them.
//!
//! Nobody is asked about for nothing. A request is judged again once soon after it began, and then when
//! something has changed that it rests on: the configuration, the user, the stay, or the time, where that
//! alone decides. What is judged then costs nobody else their turn.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use tokio::task::JoinHandle;

use crate::flow::{Env, Line, Still};
use crate::proxy::authorization::Changes;
use crate::proxy::downstream::connection::Connection;
use crate::proxy::downstream::table::{ConnectionTable, Swept};
use crate::proxy::downstream::watchdog::TICK;
use crate::proxy::sites::Sites;

/// Looks at everybody who is connected, again and again: ends whom it is time for, or who is not
/// allowed any more.
pub(super) fn watch(
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = 0_u64;
        let mut last = sites.load_full();
        let mut changes = last.env().store.changes();
        let mut probe: Option<JoinHandle<bool>> = None;
        let mut clock = tokio::time::interval(TICK);
        // After a pause nothing is made up for: everybody has been waited for long enough.
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            ticks += 1;
            let sites_now = sites.load_full();
            let env = sites_now.env();
            let mut changed = Changes { touched: changes.take(), ..Changes::default() };
            changed.everything = !Arc::ptr_eq(&last, &sites_now);
            match env.now() {
                Ok(now) => changed.now = now,
                Err(_) => changed.everything = true,
            }
            if probe.as_ref().is_none_or(JoinHandle::is_finished) {
                let failed = match probe.take() {
                    Some(done) => !done.await.unwrap_or(false),
                    None => false,
                };
                changed.everything |= failed;
                let store = Arc::clone(&env.store);
                probe = Some(tokio::spawn(async move { store.probe().await.is_ok() }));
            }
            connections.may_open(open_files());
            let Swept { lasting, slow, untaken, shed } =
                connections.sweep(&sites_now.deadlines(), sites_now.limits(), &changed);
            env.metrics.connected(connections.open());
            tell(env, "limits.body_rate", slow, "requests aborted: their bodies were too slow");
            tell(
                env,
                "answers not taken",
                untaken,
                "requests aborted: the visitors did not read the response",
            );
            for (limit, cut) in [
                ("limits.unsent_mib_per_connection", shed.of_connection),
                ("limits.unsent_mib_per_address", shed.of_address),
                ("limits.unsent_mib", shed.in_all),
            ] {
                tell(
                    env,
                    limit,
                    cut,
                    "responses aborted: the visitors did not read them, and too many bytes waited \
                     to be sent",
                );
            }
            if !lasting.is_empty() {
                // What takes long to judge must not hold up whoever is looked at next.
                tokio::spawn(review(lasting, Arc::clone(&sites_now)));
            }
            if ticks.is_multiple_of(CERTIFICATES_EVERY) {
                let sites = Arc::clone(&sites_now);
                tokio::task::spawn_blocking(move || sites.certificates().refresh());
            }
            last = sites_now;
        }
    })
}

/// Counts and logs that `cut` requests were cut off by a limit.
fn tell(env: &Env, limit: &'static str, cut: u64, what: &str) {
    if cut == 0 {
        return;
    }
    env.metrics.turned_away_many(limit, cut);
    if let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::CutOff, now)
    {
        tracing::warn!(cut, limit, left_out, "{what}");
    }
}

/// How many files this process may have open; operators may change that while it runs.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Judges these requests again. Whoever is somebody comes first: most often they are whom it is about.
async fn review(connections: Vec<Arc<Connection>>, sites: Arc<Sites>) {
    let authorized =
        connections.iter().filter_map(|connection| Some((connection, connection.authorization()?)));
    let mut all: Vec<_> = authorized.collect();
    all.sort_by_key(|(_, authorization)| authorization.is_strangers());
    let (mut ended, mut reviewed) = (0_u64, 0_u64);
    for (connection, authorization) in all {
        reviewed += 1;
        let still = if sites.lets_in(connection.entrance()) {
            authorization.holds_in(&sites, connection.was_used()).await
        } else {
            Still::Over
        };
        match still {
            Still::Holds { until: Some(moment) } => connection.is_good_until(moment),
            Still::Holds { until: None } => {}
            Still::Over => ended += u64::from(connection.revoke(&authorization)),
        }
        if reviewed.is_multiple_of(AT_ONCE) {
            // Others have waited for this thread meanwhile.
            tokio::task::yield_now().await;
        }
    }
    sites.env().metrics.reviewed(reviewed);
    if ended > 0 {
        sites.env().metrics.ended(ended);
        tracing::info!(ended, "requests in progress ended: they are no longer allowed");
    }
}

/// How many are judged before others have their turn.
const AT_ONCE: u64 = 16;
/// How often certificates are looked at on disk, in ticks.
const CERTIFICATES_EVERY: u64 = 8;
