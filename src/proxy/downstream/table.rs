//! All open connections, with limits on their number and deadlines for each phase.
//!
//! One task checks all connections four times a second. It closes those that are late, and has
//! requests that have been in progress for a while authorized again. So a connection needs no timer
//! of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::{Deadlines, Limits};
use crate::domain::address_block::AddressBlock;
use crate::metrics::Connections;
use crate::proxy::authorization::Changes;
use crate::proxy::downstream::connection::{Connection, Cut, Phase};
use crate::proxy::downstream::listener::Entered;
use crate::proxy::downstream::unsent::Total;
use crate::proxy::downstream::unsent_limits::{self, Shed};
use crate::proxy::downstream::watchdog::ticks;
use crate::proxy::request_limit::AddressLimits;
use crate::proxy::socket::KEPT_TO_APPLICATIONS;

/// All open connections.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ConnectionTable {
    tick: AtomicU64,
    next: AtomicU64,
    open: AtomicUsize,
    closing: AtomicBool,
    /// The bytes that wait for visitors.
    unsent: Arc<Total>,
    /// Notified once there are [`CROWD`] connections.
    crowd: Notify,
    /// The connections of each address; IPv6 by /64.
    by_address: Mutex<HashMap<AddressBlock, Address>>,
    /// How many files this process may have open, besides those for itself; 0: no limit.
    files: AtomicUsize,
    connections: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
}

/// The connections of one address.
#[derive(Debug, Default)]
struct Address {
    connections: u32,
    limits: Arc<AddressLimits>,
}

/// A connection while it is open; dropping it takes the connection off the table.
#[derive(Debug)]
pub(in crate::proxy) struct Open {
    pub(in crate::proxy) connection: Arc<Connection>,
    connections: Arc<ConnectionTable>,
    /// A stream does not count towards the limits: its connection does.
    is_stream: bool,
}

/// Why a new connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Full {
    /// All connections are busy with requests.
    InAll,
    /// This address has as many connections as one address may have.
    Address,
}

impl ConnectionTable {
    /// Accepts a connection from `peer`. When the limit is reached, the connections idle for
    /// longest are closed.
    ///
    /// # Errors
    /// [`Full`] if no connection can be closed, or if `peer` has too many.
    pub(in crate::proxy) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        is_proxy: bool,
        entrance: Entered,
        limits: &Limits,
    ) -> Result<Open, Full> {
        let address = AddressBlock::of(peer);
        let at_most = limits.connections.min(self.files_for_visitors());
        if self.open.load(Ordering::Relaxed) >= at_most && !self.shed(at_most) {
            return Err(Full::InAll);
        }
        let of_address = {
            let mut by_address = self.by_address.lock();
            let has = by_address.entry(address).or_default();
            if !is_proxy && has.connections as usize >= limits.connections_per_address {
                return Err(Full::Address);
            }
            has.connections += 1;
            Arc::clone(&has.limits)
        };
        if self.open.fetch_add(1, Ordering::Relaxed) + 1 == CROWD {
            self.crowd.notify_one();
        }
        Ok(self.enlist(false, |number, now| {
            let connection = Connection::new(number, peer, entrance, now);
            let connection = connection.counted_in(Arc::clone(&self.unsent));
            if is_proxy { connection } else { connection.with_limits(of_address) }
        }))
    }

    /// Sets how many files this process may have open.
    pub(in crate::proxy) fn may_open(&self, files: usize) {
        self.files.store(files.saturating_sub(OWN_FILES), Ordering::Relaxed);
    }

    /// How many visitor connections the limit on open files allows: half of it.
    fn files_for_visitors(&self) -> usize {
        match self.files.load(Ordering::Relaxed) {
            0 => usize::MAX,
            files => files / 2,
        }
    }

    /// How many connections to applications may be in use at once so that visitors still find free
    /// files: the rest, less the idle connections that are kept for the next request.
    pub(in crate::proxy) fn files_for_applications(&self) -> usize {
        match self.files.load(Ordering::Relaxed) {
            0 => usize::MAX,
            files => (files / 2).saturating_sub(KEPT_TO_APPLICATIONS).max(files / 4),
        }
    }

    /// Begins a stream of `parent`.
    pub(in crate::proxy) fn stream(self: &Arc<Self>, parent: &Arc<Connection>) -> Open {
        let open = self.enlist(true, |number, now| Connection::stream_of(parent, number, now));
        open.connection.enter(Phase::Head, self.now());
        open
    }

    fn enlist(
        self: &Arc<Self>,
        is_stream: bool,
        connection: impl FnOnce(u64, u64) -> Connection,
    ) -> Open {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = Arc::new(connection(number, self.now()));
        self.shard(number).lock().insert(number, Arc::clone(&connection));
        Open { connection, connections: Arc::clone(self), is_stream }
    }

    fn shard(&self, number: u64) -> &Mutex<HashMap<u64, Arc<Connection>>> {
        let shard = usize::try_from(number % SHARDS as u64).unwrap_or_default();
        &self.connections[shard]
    }

    /// The current time, in ticks.
    pub(in crate::proxy) fn now(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(in crate::proxy) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until there have been [`CROWD`] connections at once.
    pub(in crate::proxy) async fn crowd(&self) {
        self.crowd.notified().await;
    }

    /// Whether we are shutting down and accept no more requests.
    pub(in crate::proxy) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Begins the shutdown: from now on, connections without a request in progress are closed, and
    /// so are tunnels and streams of events.
    pub(in crate::proxy) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        for connection in
            self.all(|connection| connection.phase().0 != Phase::Busy || connection.is_endless())
        {
            connection.cut(Cut::Shed);
        }
    }

    fn all(&self, mut which: impl FnMut(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let mut found = Vec::new();
        for shard in &self.connections {
            found.extend(shard.lock().values().filter(|connection| which(connection)).cloned());
        }
        found
    }

    /// Cuts off a hundredth of the connections, those that have waited longest first: idle ones,
    /// then those that are slow to send a request. Gives whether there is room now.
    fn shed(&self, of: usize) -> bool {
        let mut leaving = 0;
        let mut waiting = self.all(|connection| match (connection.is_cut(), connection.phase()) {
            (Some(Cut::Shed), _) => {
                leaving += 1;
                false
            }
            (Some(Cut::Late | Cut::Revoked), _) => false,
            (None, (Phase::Idle, _)) => true,
            (None, (Phase::Handshake | Phase::Head, since)) => self.now() > since + SLOW_TICKS,
            (None, (Phase::Busy, since)) => {
                !connection.is_stream()
                    && connection.only_awaits()
                    && self.now() > since + SLOW_TICKS
            }
        });
        // Connections that were cut off but have not gone yet have made room already: a burst of
        // new connections must not close all the old ones.
        if self.open().saturating_sub(leaving) < of {
            return true;
        }
        let rank = |phase| match phase {
            Phase::Idle => 0,
            Phase::Handshake | Phase::Head => 1,
            Phase::Busy => 2,
        };
        waiting.sort_by_key(|connection| {
            (rank(connection.phase().0), connection.phase().1, connection.number())
        });
        waiting.truncate((of / 100).max(1));
        for connection in &waiting {
            connection.cut(Cut::Shed);
        }
        !waiting.is_empty()
    }

    /// Advances the time by one tick. Cuts off what is late, and gives the requests that have been
    /// in progress for a while and must be authorized again because something has `changed`.
    pub(in crate::proxy) fn sweep(
        &self,
        deadlines: &Deadlines,
        limits: &Limits,
        changed: &Changes,
    ) -> Swept {
        let now = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
        let (handshake, idle, head) =
            (ticks(deadlines.handshake), ticks(deadlines.idle), ticks(deadlines.head));
        let body = ticks(deadlines.body);
        let (mut late, mut hopeless) = (0_u64, 0_u64);
        let (mut slow, mut untaken) = (0_u64, 0_u64);
        let mut census = Connections::default();
        let lasting = self.all(|connection| {
            let (phase, since) = connection.phase();
            *counted(&mut census, connection, phase) += 1;
            let age = now.saturating_sub(since);
            let deadline = match phase {
                Phase::Handshake => handshake,
                Phase::Idle => idle,
                Phase::Head => head,
                Phase::Busy => {
                    if self.is_closing() && connection.is_endless() {
                        connection.cut(Cut::Shed);
                    }
                    if connection.watchdog().lasts_too_long(now) {
                        hopeless += u64::from(connection.despair());
                    }
                    let comes_too_slowly = |come: u64| {
                        let due = come.saturating_mul(TICKS_A_SECOND).checked_div(limits.body_rate);
                        due.is_some_and(|due| age > body + due)
                    };
                    if connection.awaited().is_some_and(comes_too_slowly) {
                        connection.cut(Cut::Late);
                        slow += 1;
                    }
                    if connection.untaken_since().is_some_and(|since| now > since + UNTAKEN_TICKS) {
                        connection.cut(Cut::Late);
                        untaken += 1;
                    }
                    return age > LASTING_TICKS && connection.takes_review(changed, now);
                }
            };
            if age > deadline || (self.is_closing() && phase != Phase::Head) {
                connection.cut(Cut::Late);
                late += u64::from(phase != Phase::Idle);
            }
            false
        });
        if late > 0 {
            tracing::debug!(late, "connections closed: no complete request in time");
        }
        if hopeless > 0 {
            tracing::warn!(
                hopeless,
                "requests aborted: the application did not answer, and no error could be sent to \
                 the visitor"
            );
        }
        let waited_for =
            self.all(|connection| connection.is_cut().is_none() && connection.is_waited_for());
        let shed = unsent_limits::look(&waited_for, limits, now);
        Swept { lasting, slow, untaken: untaken + shed.untaken, shed, census }
    }
}

/// The result of a sweep over all connections.
#[derive(Debug)]
pub(in crate::proxy) struct Swept {
    /// Requests that must be authorized again.
    pub(in crate::proxy) lasting: Vec<Arc<Connection>>,
    /// How many were cut off because the request body arrived too slowly.
    pub(in crate::proxy) slow: u64,
    /// How many were cut off because the visitor did not take an answer.
    pub(in crate::proxy) untaken: u64,
    /// How many were cut off because too many bytes waited for visitors.
    pub(in crate::proxy) shed: Shed,
    /// What all connections are doing.
    pub(in crate::proxy) census: Connections,
}

/// The number in `census` to which a connection in this phase belongs.
fn counted<'c>(census: &'c mut Connections, connection: &Connection, phase: Phase) -> &'c mut u64 {
    match phase {
        _ if connection.is_stream() => &mut census.streams,
        Phase::Handshake => &mut census.handshake,
        Phase::Idle if connection.has_streams() => &mut census.request,
        Phase::Idle => &mut census.idle,
        Phase::Head => &mut census.head,
        Phase::Busy if connection.is_endless() => &mut census.endless,
        Phase::Busy => &mut census.request,
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Self { connection, connections, is_stream } = self;
        connection.authorize(None);
        connection.await_nothing();
        connections.shard(connection.number()).lock().remove(&connection.number());
        if *is_stream {
            return;
        }
        connections.open.fetch_sub(1, Ordering::Relaxed);
        let address = AddressBlock::of(connection.socket_peer());
        let mut by_address = connections.by_address.lock();
        if let Some(has) = by_address.get_mut(&address) {
            has.connections -= 1;
            if has.connections == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// A request that has been in progress for longer than this may be authorized again.
const LASTING_TICKS: u64 = 1;
/// A head that takes longer than this may be cut off to make room for others.
const SLOW_TICKS: u64 = 8;
const SHARDS: usize = 16;
/// How long a visitor may leave a local reply untaken, in ticks.
const UNTAKEN_TICKS: u64 = 40;
const TICKS_A_SECOND: u64 = 4;
/// Files for the store, the log, listeners, operators and e-mail.
const OWN_FILES: usize = 64;
/// More connections than one person's browsers open.
const CROWD: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proxy::downstream::watchdog::TICK;

    const DEADLINES: Deadlines = Deadlines {
        handshake: Duration::from_secs(10),
        head: Duration::from_secs(15),
        idle: Duration::from_secs(60),
        form: Duration::from_secs(30),
        body: Duration::from_secs(30),
        queue: Duration::from_secs(5),
    };

    fn limits(connections: usize, connections_per_address: usize) -> Limits {
        Limits { connections, connections_per_address, ..Limits::default() }
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn after(connections: &ConnectionTable, span: Duration) {
        for _ in 0..span.as_millis() / TICK.as_millis() {
            connections.sweep(&DEADLINES, &Limits::default(), &Changes::default());
        }
    }

    #[test]
    fn an_address_has_no_more_connections_than_one_address_may_have() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = |last, proxy| {
            connections.admit(from(last), proxy, Entered::default(), &limits(9, 2)).map(Some)
        };
        let (first, second) = (comes(1, false).unwrap(), comes(1, false).unwrap());
        assert_eq!(comes(1, false).unwrap_err(), Full::Address);
        assert!(comes(1, true).is_ok());
        assert!(comes(2, false).is_ok());
        drop((first, second));
        assert!(comes(1, false).is_ok());
    }

    #[test]
    fn one_household_counts_as_one_address() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = |from: &str| {
            connections.admit(from.parse().unwrap(), false, Entered::default(), &limits(9, 1))
        };
        let _first = comes("2001:db8::1").unwrap();
        assert_eq!(comes("2001:db8:0:0:ffff::2").unwrap_err(), Full::Address);
        assert!(comes("2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn those_who_wait_longest_make_room_and_requests_under_way_do_not() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = |last| {
            connections.admit(from(last), false, Entered::default(), &limits(3, 9)).map(Some)
        };
        let busy = comes(1).unwrap().unwrap();
        busy.connection.enter(Phase::Busy, connections.now());
        let eldest = comes(2).unwrap().unwrap();
        after(&connections, Duration::from_secs(1));
        let younger = comes(3).unwrap().unwrap();
        let fourth = comes(4).unwrap().unwrap();
        let cut = [&busy, &eldest, &younger].map(|open| open.connection.is_cut());
        assert_eq!(cut, [None, Some(Cut::Shed), None]);
        drop(eldest);
        fourth.connection.enter(Phase::Busy, connections.now());
        younger.connection.enter(Phase::Busy, connections.now());
        assert_eq!(comes(5).unwrap_err(), Full::InAll);
    }

    #[test]
    fn many_who_come_at_once_do_not_drive_everybody_out() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = || connections.admit(from(1), false, Entered::default(), &limits(200, 999));
        let waiting: Vec<_> = (0..200).map(|_| comes().unwrap()).collect();
        // None of the connections that were cut off has had time to go.
        let _come: Vec<_> = (0..4).map(|_| comes().unwrap()).collect();
        let cut = waiting.iter().map(|open| open.connection.is_cut().is_some());
        assert_eq!(cut.clone().filter(|cut| *cut).count(), 4, "as many as came");
        assert!(cut.take(4).all(|cut| cut), "the eldest first");
    }

    #[test]
    fn every_phase_has_its_deadline_and_a_request_under_way_has_none() {
        let connections = Arc::new(ConnectionTable::default());
        let tls = Entered { secure: true, ..Entered::default() };
        let comes = |entrance, phase: Phase| {
            let open = connections.admit(from(1), false, entrance, &limits(9, 9)).unwrap();
            open.connection.enter(phase, connections.now());
            open
        };
        let all = [
            comes(tls, Phase::Handshake),
            comes(Entered::default(), Phase::Head),
            comes(Entered::default(), Phase::Idle),
            comes(Entered::default(), Phase::Busy),
        ];
        let cut = || all.each_ref().map(|open| open.connection.is_cut().is_some());
        after(&connections, Duration::from_secs(10));
        assert_eq!(cut(), [false, false, false, false]);
        after(&connections, Duration::from_secs(1));
        assert_eq!(cut(), [true, false, false, false]);
        after(&connections, Duration::from_secs(5));
        assert_eq!(cut(), [true, true, false, false]);
        after(&connections, Duration::from_secs(45));
        assert_eq!(cut(), [true, true, true, false]);
    }

    #[test]
    fn visitors_find_files_left_however_many_there_are() {
        for files in [256, 1_024, 4_096, 65_536] {
            let connections = ConnectionTable::default();
            connections.may_open(files);
            let for_applications = connections.files_for_applications();
            assert!(connections.files_for_visitors() + for_applications + OWN_FILES <= files);
            assert!(for_applications >= (files - OWN_FILES) / 4);
        }
        let connections = Arc::new(ConnectionTable::default());
        connections.may_open(OWN_FILES + 4);
        let comes = || connections.admit(from(1), false, Entered::default(), &limits(9, 9));
        let busy: Vec<_> = (0..2).map(|_| comes().unwrap()).collect();
        for open in &busy {
            open.connection.enter(Phase::Busy, 0);
        }
        assert_eq!(comes().unwrap_err(), Full::InAll);
    }

    #[test]
    fn the_rest_of_a_body_that_nobody_needs_may_be_slow() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = || {
            let open =
                connections.admit(from(1), false, Entered::default(), &limits(9, 9)).unwrap();
            open.connection.enter(Phase::Busy, connections.now());
            open
        };
        let (needed, refused) = (comes(), comes());
        // The application took its time.
        after(&connections, DEADLINES.body + Duration::from_secs(5));
        needed.connection.await_body();
        refused.connection.await_rest();
        assert!(refused.connection.only_awaits(), "it can make room");
        after(&connections, Duration::from_secs(2));
        assert_eq!(needed.connection.is_cut(), Some(Cut::Late));
        assert_eq!(refused.connection.is_cut(), None);
    }

    #[test]
    fn an_own_page_that_nobody_takes_is_not_kept() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = || connections.admit(from(1), false, Entered::default(), &limits(9, 9));
        let (written, taken) = (comes().unwrap(), comes().unwrap());
        for open in [&written, &taken] {
            open.connection.enter(Phase::Busy, connections.now());
            open.connection.writes_since(Some(connections.now()));
        }
        taken.connection.writes_since(None);
        after(&connections, Duration::from_secs(9));
        assert_eq!(written.connection.is_cut(), None);
        after(&connections, Duration::from_secs(2));
        assert_eq!(
            (written.connection.is_cut(), taken.connection.is_cut()),
            (Some(Cut::Late), None)
        );
    }

    #[test]
    fn a_connection_whose_streams_all_wait_for_bodies_makes_room_and_no_other() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = || connections.admit(from(1), false, Entered::default(), &limits(2, 9));
        let all = [comes().unwrap(), comes().unwrap()];
        let stream = |open: &Open| {
            open.connection.begin_stream();
            open.connection.enter(Phase::Busy, connections.now());
            let stream = connections.stream(&open.connection);
            stream.connection.enter(Phase::Busy, connections.now());
            stream
        };
        let streams = [stream(&all[0]), stream(&all[0]), stream(&all[1]), stream(&all[1])];
        streams[..3].iter().for_each(|stream| stream.connection.await_body());
        after(&connections, Duration::from_secs(3));
        assert!(comes().is_ok());
        assert_eq!(all.each_ref().map(|open| open.connection.is_cut()), [Some(Cut::Shed), None]);
        streams[0].connection.await_nothing();
        assert!(!all[0].connection.only_awaits(), "one of them is answered now");
    }

    #[test]
    fn who_asks_for_nothing_leaves_when_we_stop() {
        let connections = Arc::new(ConnectionTable::default());
        let comes = || connections.admit(from(1), false, Entered::default(), &limits(9, 9));
        let (idle, busy) = (comes().unwrap(), comes().unwrap());
        busy.connection.enter(Phase::Busy, 0);
        connections.close();
        assert_eq!(idle.connection.is_cut(), Some(Cut::Shed));
        assert_eq!(busy.connection.is_cut(), None);
    }
}
