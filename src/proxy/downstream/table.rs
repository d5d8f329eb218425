//! Who is connected: no more than there is room for, and nobody for longer than they may.
//!
//! One task looks at all links four times a second. It ends what is late, and asks again about
//! whatever has been under way for a while. So no link needs a timer of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::{Deadlines, Limits};
use crate::proxy::authorization::Changes;
use crate::proxy::downstream::connection::{AddressRoom, Connection, Cut, Phase};
use crate::proxy::downstream::listener::Entered;
use crate::proxy::downstream::shedding::{self, Shed};
use crate::proxy::downstream::watchdog::ticks;
use crate::proxy::socket::KEPT_TO_APPLICATIONS;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(in crate::proxy) struct ConnectionTable {
    tick: AtomicU64,
    next: AtomicU64,
    open: AtomicUsize,
    closing: AtomicBool,
    /// Whether so much waits for visitors that nothing may be added.
    full: AtomicBool,
    /// Told when there are as many as make a crowd.
    crowd: Notify,
    /// How many connections each address has; IPv6 by /64, which is one household or less.
    by_address: Mutex<HashMap<IpAddr, Address>>,
    /// How many files this process may have open, beside those for itself; 0: as many as it likes.
    files: AtomicUsize,
    connections: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS],
}

/// What one address has.
#[derive(Debug, Default)]
struct Address {
    connections: u32,
    room: Arc<AddressRoom>,
}

/// A link while it is open.
#[derive(Debug)]
pub(in crate::proxy) struct Open {
    pub(in crate::proxy) connection: Arc<Connection>,
    connections: Arc<ConnectionTable>,
    /// A stream has no place of its own: its connection has one.
    is_stream: bool,
}

/// Why nobody more is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Full {
    /// All places are taken by requests under way.
    InAll,
    /// This address has all that one address may have.
    Address,
}

impl ConnectionTable {
    /// Takes in a connection from `peer`. Where no place is left, those who have waited longest
    /// without a request make room.
    ///
    /// # Errors
    /// [`Full`] if there is no room.
    pub(in crate::proxy) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        is_proxy: bool,
        entrance: Entered,
        limits: &Limits,
    ) -> Result<Open, Full> {
        let address = household(peer);
        let at_most = limits.connections.min(self.files_for_visitors());
        if self.open.load(Ordering::Relaxed) >= at_most && !self.shed(at_most) {
            return Err(Full::InAll);
        }
        let room = {
            let mut by_address = self.by_address.lock();
            let has = by_address.entry(address).or_default();
            if !is_proxy && has.connections as usize >= limits.connections_per_address {
                return Err(Full::Address);
            }
            has.connections += 1;
            Arc::clone(&has.room)
        };
        if self.open.fetch_add(1, Ordering::Relaxed) + 1 == CROWD {
            self.crowd.notify_one();
        }
        Ok(self.enlist(false, |number, now| {
            let connection = Connection::new(number, peer, entrance, now);
            if is_proxy { connection } else { connection.in_room(room) }
        }))
    }

    /// This process may have so many files open.
    pub(in crate::proxy) fn may_open(&self, files: usize) {
        self.files.store(files.saturating_sub(OWN_FILES), Ordering::Relaxed);
    }

    /// How many connections visitors may have for there to be files for them: half of all.
    fn files_for_visitors(&self) -> usize {
        match self.files.load(Ordering::Relaxed) {
            0 => usize::MAX,
            files => files / 2,
        }
    }

    /// How many connections to applications may be in use at once for visitors to find files left: what
    /// remains, but for those that are kept for the next request.
    pub(in crate::proxy) fn files_for_applications(&self) -> usize {
        match self.files.load(Ordering::Relaxed) {
            0 => usize::MAX,
            files => (files / 2).saturating_sub(KEPT_TO_APPLICATIONS).max(files / 4),
        }
    }

    /// A stream of `connection` begins.
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

    /// How late it is, in ticks.
    pub(in crate::proxy) fn now(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(in crate::proxy) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until there are as many as make a crowd, if there have not been yet.
    pub(in crate::proxy) async fn crowd(&self) {
        self.crowd.notified().await;
    }

    /// Whether so much waits for visitors that nothing may be added.
    pub(in crate::proxy) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether nobody is to ask anything more.
    pub(in crate::proxy) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Ends whatever has no request under way, from now on.
    pub(in crate::proxy) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        for connection in self.all(|connection| connection.phase().0 != Phase::Busy) {
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

    /// Cuts off a hundredth of the connections, those first that have waited longest: idle ones, and
    /// where there are none, those that have begun to say something long ago. Says whether there is
    /// room then.
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
        // Who was cut off before and is not gone yet has made room already: many who come at once
        // must not empty the house.
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

    /// A tick later: cuts off what is late, and gives what has been under way for a while and has to be
    /// judged again, since something has `changed`.
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
        let lasting = self.all(|connection| {
            let (phase, since) = connection.phase();
            let age = now.saturating_sub(since);
            let deadline = match phase {
                Phase::Handshake => handshake,
                Phase::Idle => idle,
                Phase::Head => head,
                Phase::Busy => {
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
        let (shed, full) = shedding::look(&waited_for, limits, now);
        self.full.store(full, Ordering::Relaxed);
        Swept { lasting, slow, untaken: untaken + shed.untaken, shed }
    }
}

/// What was found on looking at all links.
#[derive(Debug)]
pub(in crate::proxy) struct Swept {
    /// Requests that have to be judged again.
    pub(in crate::proxy) lasting: Vec<Arc<Connection>>,
    /// How many were cut off since the body of their request came too slowly.
    pub(in crate::proxy) slow: u64,
    /// How many were cut off since an answer of ours was not taken.
    pub(in crate::proxy) untaken: u64,
    /// How many were cut off since too much waited for visitors.
    pub(in crate::proxy) shed: Shed,
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
        let address = household(connection.socket_peer());
        let mut by_address = connections.by_address.lock();
        if let Some(has) = by_address.get_mut(&address) {
            has.connections -= 1;
            if has.connections == 0 {
                by_address.remove(&address);
            }
        }
    }
}

fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// A request that has been under way for so long may be judged again.
const LASTING_TICKS: u64 = 1;
/// Whoever takes longer than this over a head is slow enough to make room for others.
const SLOW_TICKS: u64 = 8;
const SHARDS: usize = 16;
/// For how long an answer of ours may not be taken, in ticks.
const UNTAKEN_TICKS: u64 = 40;
const TICKS_A_SECOND: u64 = 4;
/// Files for the store, the log, listeners, operators and letters.
const OWN_FILES: usize = 64;
/// So many connections are more than a person's browsers open.
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
        let six = |text: &str| household(text.parse().unwrap());
        assert_eq!(six("2001:db8::1"), six("2001:db8:0:0:ffff::2"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
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
        // Nobody of those who are cut off has had a moment to go.
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
