//! Authorizes requests in progress again: a tunnel, an event stream or a long download must not
//! outlive the session, the user or the rule that allowed it.
//!
//! A request is authorized again once soon after it began. After that, only when something changes
//! on which it depends: the configuration, the user, the user session, or the time, if the decision
//! has a time limit. This runs in a task of its own, so that it delays nobody.

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

/// Checks all connections at every tick. Ends those that are late or no longer allowed.
pub(super) fn watch(
    sites: Arc<ArcSwap<Sites>>,
    connections: Arc<ConnectionTable>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = 0_u64;
        let mut last = sites.load_full();
        let mut touched = last.env().store.changes();
        let mut keys = last.env().signer.dropped();
        let mut probe: Option<JoinHandle<bool>> = None;
        let mut clock = tokio::time::interval(TICK);
        // Do not catch up on missed ticks.
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            ticks += 1;
            let sites_now = sites.load_full();
            let env = sites_now.env();
            let mut changed = Changes { touched: touched.take(), ..Changes::default() };
            let keys_now = env.signer.dropped();
            changed.everything = !Arc::ptr_eq(&last, &sites_now) || keys_now != keys;
            keys = keys_now;
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
            let Swept { lasting, slow, untaken, shed, census } =
                connections.sweep(&sites_now.deadlines(), sites_now.limits(), &changed);
            env.metrics.connected(census);
            tell(env, "limits.body_rate", slow, "requests aborted: their bodies were too slow");
            tell(
                env,
                "unread-response",
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
                // A slow check must not delay the next tick.
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
    env.metrics.limit_rejected_many(limit, cut);
    if let Ok(now) = env.now()
        && let Some(left_out) = env.log_throttle.due(Line::CutOff, now)
    {
        tracing::warn!(cut, limit, left_out, "{what}");
    }
}

/// How many files this process may have open. Operators may change that while it runs.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Authorizes these requests again. Signed-in visitors come first: most changes concern them.
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
            // Give other tasks on this thread a turn.
            tokio::task::yield_now().await;
        }
    }
    sites.env().metrics.reauthorized(reviewed);
    if ended > 0 {
        sites.env().metrics.revoked(ended);
        tracing::info!(ended, "requests in progress ended: they are no longer allowed");
    }
}

/// How many are checked before other tasks get a turn.
const AT_ONCE: u64 = 16;
/// How often the certificate files are checked, in ticks.
const CERTIFICATES_EVERY: u64 = 8;
