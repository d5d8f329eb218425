//! Limits for bytes that visitors have not taken yet: for one connection, for one address and in
//! total. Above a limit, we close the connections that have stalled longest.
//!
//! Such bytes are in many buffers: with the request, in the HTTP/2 library, in TLS. So each part of
//! a body counts itself, from the moment it is given to Pingora until the last reference is
//! dropped. The sweep over all connections adds up what they cost.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Limits;
use crate::proxy::downstream::connection::{Connection, Cut, STALLED};
use crate::proxy::downstream::watchdog::ticks;
use crate::proxy::request_limit::AddressLimits;

/// Wraps `bytes` so that they count as waiting for the visitor of `connection` until the last
/// reference to them is dropped; `kept` is dropped with them.
pub(in crate::proxy) fn counted<K: Send + 'static>(
    bytes: Bytes,
    connection: &Arc<Connection>,
    kept: K,
) -> Bytes {
    if bytes.is_empty() {
        return bytes;
    }
    connection.waits_for(bytes.len());
    Bytes::from_owner(Counted { bytes, connection: Arc::clone(connection), _kept: kept })
}

struct Counted<K> {
    bytes: Bytes,
    connection: Arc<Connection>,
    _kept: K,
}

impl<K> AsRef<[u8]> for Counted<K> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<K> Drop for Counted<K> {
    fn drop(&mut self) {
        self.connection.waits_no_more_for(self.bytes.len());
    }
}

/// How many connections were cut off, by the limit that was exceeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Shed {
    /// Visitors who read nothing for too long, regardless of how much waits.
    pub(in crate::proxy) untaken: u64,
    pub(in crate::proxy) of_connection: u64,
    pub(in crate::proxy) of_address: u64,
    pub(in crate::proxy) in_all: u64,
}

/// Checks what waits on these connections. Where a limit is exceeded, cuts off connections, longest
/// stalled first. Gives how many were cut off.
pub(in crate::proxy) fn look(open: &[Arc<Connection>], limits: &Limits, now: u64) -> Shed {
    let mut sums = Sums::of(open);
    let mut stalled = sums.stalled(open, now);
    stalled.sort_by_key(|one| one.since);
    let mut shed = Shed::default();
    for Stalled { connection, since, weight } in stalled {
        let too_long = |sum: usize, limit: usize| sum > limit && now > since + grace(sum, limit);
        let of_connection = sums.connections.entry(connection.connection_number()).or_default();
        let address = connection.address_limits().map(key);
        let of_address = address.and_then(|address| sums.addresses.get_mut(&address));
        // A trusted proxy serves many visitors over one connection.
        let reads_nothing = connection.watchdog().is_paused() && now > since + ticks(STALLED);
        let count = if reads_nothing {
            &mut shed.untaken
        } else if of_address.is_some()
            && too_long(of_connection.weight, limits.unsent_per_connection)
        {
            &mut shed.of_connection
        } else if of_address.as_ref().is_some_and(|sum| too_long(**sum, limits.unsent_per_address))
        {
            &mut shed.of_address
        } else if too_long(sums.all, limits.unsent) {
            &mut shed.in_all
        } else {
            continue;
        };
        *count += 1;
        connection.cut(Cut::Shed);
        of_connection.weight = of_connection.weight.saturating_sub(weight);
        if let Some(sum) = of_address {
            *sum = sum.saturating_sub(weight);
        }
        sums.all = sums.all.saturating_sub(weight);
    }
    shed
}

/// How long a visitor may take nothing where `sum` exceeds `limit`, in ticks: the larger the
/// excess, the shorter.
fn grace(sum: usize, limit: usize) -> u64 {
    let (sum, limit) = (sum as u64, limit as u64);
    let shrunk = LONGEST * limit.saturating_mul(limit) / sum.saturating_mul(sum).max(1);
    shrunk.clamp(SHORTEST, LONGEST)
}

/// The waiting bytes, added up.
#[derive(Default)]
struct Sums {
    connections: HashMap<u64, OfConnection>,
    addresses: HashMap<usize, usize>,
    all: usize,
}

#[derive(Default)]
struct OfConnection {
    weight: usize,
    /// Bytes counted on its streams.
    of_streams: usize,
    /// Whether its visitor reads nothing at all.
    is_paused: bool,
}

/// A connection whose visitor takes nothing.
struct Stalled<'l> {
    connection: &'l Arc<Connection>,
    since: u64,
    weight: usize,
}

impl Sums {
    fn of(open: &[Arc<Connection>]) -> Self {
        let mut sums = Self::default();
        for connection in open {
            let of_connection = sums.connections.entry(connection.connection_number()).or_default();
            if connection.is_stream() {
                of_connection.of_streams += connection.unsent().bytes();
                continue;
            }
            let weight = weight(connection);
            of_connection.weight = weight;
            of_connection.is_paused = connection.watchdog().is_paused();
            sums.all += weight;
            if let Some(address) = connection.address_limits() {
                *sums.addresses.entry(key(address)).or_default() += weight;
            }
        }
        sums
    }

    /// The connections that free memory when they are cut off. Cutting a stream frees its bytes,
    /// unless the HTTP/2 library holds them: it waits for a visitor who reads nothing, and keeps
    /// the bytes of streams that have ended. In that case the connection must be cut.
    fn stalled<'l>(&self, open: &'l [Arc<Connection>], now: u64) -> Vec<Stalled<'l>> {
        let stalled = open.iter().filter_map(|connection| {
            if connection.unsent().bytes() == 0 && !connection.watchdog().is_paused() {
                connection.unsent().rest();
                return None;
            }
            let since = connection.unsent().stalled_since(now);
            let of_connection = self.connections.get(&connection.connection_number())?;
            let goes = if connection.is_stream() {
                !of_connection.is_paused
            } else {
                of_connection.is_paused || connection.unsent().bytes() > of_connection.of_streams
            };
            goes.then(|| Stalled { connection, since, weight: weight(connection) })
        });
        stalled.collect()
    }
}

/// The memory that the waiting bytes of a connection cost. When a part of a long answer waits, the
/// application has already sent more: up to seven more parts are in Pingora's queue and in buffers.
fn weight(connection: &Connection) -> usize {
    let bytes = connection.unsent().bytes();
    let paused = if connection.watchdog().is_paused() { BUFFERS } else { 0 };
    bytes + (QUEUED * bytes).min(QUEUED * PART * connection.answers()) + paused
}

fn key(address: &AddressLimits) -> usize {
    std::ptr::from_ref(address).addr()
}

/// Smaller parts of a body are not counted.
pub(in crate::proxy) const COUNTED: usize = 4 * 1024;
/// How many bytes of one of our own pages may wait.
pub(in crate::proxy) const PAGE: usize = 64 * 1024;
/// The longest part of a body, and how many parts may be queued behind the one that waits.
const PART: usize = 64 * 1024;
const QUEUED: usize = 7;
/// Buffered on a connection whose visitor reads nothing.
const BUFFERS: usize = 64 * 1024;
/// Where too much waits, a visitor who takes something at least this often, in ticks, is not cut
/// off: 4 to 5 seconds. A shorter time cut off readers of 50 KiB a second, because the kernel
/// passes on what they take in larger steps.
const SHORTEST: u64 = 16;
const LONGEST: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::downstream::listener::Entered;

    const MIB: usize = 1 << 20;
    const LIMITS: fn() -> Limits = || Limits {
        unsent_per_connection: 2 * MIB,
        unsent_per_address: 4 * MIB,
        unsent: 8 * MIB,
        ..Limits::default()
    };

    fn connections(many: u64, address: &Arc<AddressLimits>) -> Vec<Arc<Connection>> {
        let connection = |number| {
            let connection = Connection::new(number, [192, 0, 2, 1].into(), Entered::default(), 0);
            Arc::new(connection.with_limits(Arc::clone(address)))
        };
        (1..=many).map(connection).collect()
    }

    fn cut(open: &[Arc<Connection>]) -> Vec<u64> {
        let cut = open.iter().filter(|connection| connection.is_cut().is_some());
        cut.map(|connection| connection.number()).collect()
    }

    /// Looks as often as the sweep does.
    fn looks(open: &[Arc<Connection>], from: u64, to: u64) {
        for now in from..=to {
            let open: Vec<_> =
                open.iter().filter(|connection| connection.is_cut().is_none()).cloned().collect();
            look(&open, &LIMITS(), now);
            for gone in open.iter().filter(|connection| connection.is_cut().is_some()) {
                gone.waits_no_more_for(gone.unsent().bytes());
            }
        }
    }

    #[test]
    fn bytes_wait_until_nobody_holds_them_and_what_is_kept_with_them_goes_with_them() {
        let connection = connections(1, &Arc::default()).remove(0);
        let kept = Arc::new(());
        let mut body = counted(Bytes::from_static(b"first last"), &connection, Arc::clone(&kept));
        assert_eq!(connection.unsent().bytes(), 10);
        let first = body.split_to(5);
        drop(body);
        assert_eq!((connection.unsent().bytes(), Arc::strong_count(&kept)), (10, 2));
        assert_eq!(first, "first");
        drop(first);
        assert_eq!((connection.unsent().bytes(), Arc::strong_count(&kept)), (0, 1));
    }

    #[test]
    fn whoever_takes_nothing_for_longest_goes_first_and_no_more_than_must() {
        let all = connections(6, &Arc::default());
        for (count, tick) in (1..=6).zip(1..) {
            all[count - 1].waits_for(MIB / 2);
            looks(&all[..count], tick, tick);
        }
        // Nearly six MiB wait where the limit is four: two connections must go.
        let grace = grace(all.iter().map(|connection| weight(connection)).sum(), 4 * MIB);
        looks(&all, 7, 1 + grace);
        assert_eq!(cut(&all), Vec::<u64>::new());
        looks(&all, 2 + grace, 60);
        assert_eq!(cut(&all), [1, 2]);
    }

    #[test]
    fn whoever_takes_something_stays_however_much_waits() {
        let all = connections(20, &Arc::default());
        for connection in &all {
            connection.waits_for(MIB / 2);
        }
        for turn in 1..100 {
            for connection in &all {
                connection.unsent().take();
            }
            looks(&all, turn * 7, turn * 7 + 6);
        }
        assert_eq!(cut(&all), Vec::<u64>::new());
    }

    #[test]
    fn where_nothing_waits_long_ago_nobody_goes() {
        let all = connections(3, &Arc::default());
        all[0].waits_for(MIB / 2);
        looks(&all, 1, 1000);
        all[0].waits_no_more_for(MIB / 2);
        looks(&all, 1001, 1001);
        for connection in &all {
            connection.waits_for(MIB);
        }
        looks(&all, 1002, 1002 + SHORTEST);
        assert_eq!(cut(&all), Vec::<u64>::new());
        looks(&all, 1003, 1003 + LONGEST);
        assert_eq!(cut(&all).len(), 1);
    }

    #[test]
    fn a_stream_goes_alone_unless_its_visitor_reads_nothing_at_all() {
        let connection = connections(1, &Arc::default()).remove(0);
        let streams: Vec<_> =
            (2..5).map(|number| Arc::new(Connection::stream_of(&connection, number, 0))).collect();
        let all = [std::slice::from_ref(&connection), &streams].concat();
        for stream in &streams {
            connection.begin_stream();
            stream.waits_for(MIB / 2);
        }
        let first = (1..60).find(|now| {
            looks(&all, *now, *now);
            !cut(&all).is_empty()
        });
        connection.end_stream();
        looks(&all, first.unwrap(), 60);
        assert_eq!(cut(&all).len(), 1, "one stream of three");
        assert!(connection.is_cut().is_none());
        for stream in &streams {
            stream.waits_for(MIB / 2);
        }
        connection.watchdog().pause();
        looks(&all, 61, 120);
        assert!(connection.is_cut().is_some());
    }

    #[test]
    fn what_the_library_keeps_of_streams_that_are_over_goes_with_the_connection() {
        let connection = connections(1, &Arc::default()).remove(0);
        Arc::new(Connection::stream_of(&connection, 2, 0)).waits_for(2 * MIB);
        looks(std::slice::from_ref(&connection), 1, 60);
        assert!(connection.is_cut().is_some());
    }

    #[test]
    fn whoever_reads_nothing_is_waited_for_so_long_and_no_longer() {
        let connection = connections(1, &Arc::default()).remove(0);
        connection.watchdog().pause();
        looks(std::slice::from_ref(&connection), 1, ticks(STALLED));
        assert!(connection.is_cut().is_none());
        looks(std::slice::from_ref(&connection), 1 + ticks(STALLED), 2 + ticks(STALLED));
        assert!(connection.is_cut().is_some());
    }

    #[test]
    fn a_trusted_proxy_may_hold_more_over_one_connection() {
        let connection = Arc::new(Connection::new(1, [192, 0, 2, 1].into(), Entered::default(), 0));
        connection.waits_for(3 * MIB);
        looks(std::slice::from_ref(&connection), 1, 100);
        assert!(connection.is_cut().is_none());
        connection.waits_for(5 * MIB);
        looks(std::slice::from_ref(&connection), 101, 200);
        assert!(connection.is_cut().is_some());
    }
}
