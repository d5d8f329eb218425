//! The state of one visitor connection, or of one stream of it: its phase, since when, and how it
//! is closed from outside.
//!
//! Pingora's filters run only when bytes flow. Some connections must end although no bytes flow: a
//! request head that never arrives, an idle tunnel whose user session has ended. For these, we drop
//! the future that serves the connection, which closes the visitor's side and the application's
//! side.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use parking_lot::Mutex;

use crate::domain::time::Timestamp;
use crate::proxy::authorization::{Authorization, Changes};
use crate::proxy::downstream::listener::Entered;
use crate::proxy::downstream::unsent::{Total, Unsent};
use crate::proxy::downstream::watchdog::{Watchdog, ticks};
use crate::proxy::memo::Memo;
use crate::proxy::request_limit::AddressLimits;

/// A visitor's connection (HTTP/1.1), or one stream of it (HTTP/2).
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    number: u64,
    peer: IpAddr,
    /// The visitor's address according to a load balancer, if the peer is one.
    introduced: OnceLock<IpAddr>,
    /// The visitor's address as a header value, computed on first use.
    told: OnceLock<HeaderValue>,
    entrance: Entered,
    only_for: OnceLock<Box<str>>,
    /// The tick at which the current phase began, with the phase in the lowest byte.
    phase: AtomicU64,
    cut: AtomicU8,
    /// Wakes the one task that serves this connection.
    waker: AtomicWaker,
    /// The limits of the visitor's address; `None` if the address has no limit.
    address: Option<Arc<AddressLimits>>,
    /// What waits for all visitors; `None` for a stream, whose connection counts it.
    all: Option<Arc<Total>>,
    /// The connection to which this stream belongs.
    parent: Option<Arc<Connection>>,
    /// Whether we wait for the request body, and how much of it has arrived. For a connection with
    /// streams: how many of them wait.
    awaits_body: AtomicBool,
    awaiting: AtomicU32,
    body: AtomicU64,
    /// The tick since which the visitor has not taken a local reply; 0 if there is none.
    untaken: AtomicU64,
    /// Bytes that the visitor has not taken yet; for a connection, including those of its streams.
    unsent: Unsent,
    /// Bytes of the request head read so far.
    head: AtomicUsize,
    /// How many bytes of the current request are left to read, where we know.
    left: AtomicU64,
    /// Open streams, and streams that the visitor has reset.
    streams: AtomicU32,
    given_up: AtomicU32,
    /// Whether the visitor has sent something since the last check.
    used: AtomicBool,
    /// Whether the connection to the application is reserved for this visitor.
    bound: AtomicBool,
    /// Whether the answer is written without chunked encoding although Pingora chunks it.
    without_chunks: AtomicBool,
    /// Whether the response in progress does not end by itself: a tunnel, or a stream of events.
    endless: AtomicBool,
    authorization: Mutex<Option<Authorization>>,
    /// When the current request must be authorized again, in milliseconds; 0: at the next check.
    due: AtomicU64,
    /// When it was last authorized again, in ticks.
    reviewed: AtomicU64,
    /// Measures how long the application has been silent while the request waits for its answer.
    watchdog: Watchdog,
    /// What the last request told about the visitor; shared by all streams of a connection.
    memo: Arc<Memo>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Phase {
    /// The TLS handshake is in progress.
    Handshake,
    /// It waits for a request.
    Idle,
    /// A request head is being received.
    Head,
    /// A request is in progress; with HTTP/2 there may be several.
    Busy,
}

/// Why we closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Cut {
    /// It was too slow, or idle for too long.
    Late,
    /// Another visitor needed the capacity, or we are shutting down.
    Shed,
    /// Its request is no longer allowed.
    Revoked,
}

tokio::task_local! {
    /// The connection that the running task serves.
    static CURRENT: Arc<Connection>;
}

impl Connection {
    pub(in crate::proxy) fn new(number: u64, peer: IpAddr, entrance: Entered, tick: u64) -> Self {
        let phase = if entrance.secure { Phase::Handshake } else { Phase::Idle };
        Self {
            number,
            peer,
            introduced: OnceLock::new(),
            told: OnceLock::new(),
            entrance,
            only_for: OnceLock::new(),
            phase: AtomicU64::new(tick << 8 | phase as u64),
            cut: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            address: None,
            all: None,
            parent: None,
            awaits_body: AtomicBool::new(false),
            awaiting: AtomicU32::new(0),
            body: AtomicU64::new(0),
            untaken: AtomicU64::new(0),
            unsent: Unsent::default(),
            head: AtomicUsize::new(0),
            left: AtomicU64::new(UNKNOWN),
            streams: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            used: AtomicBool::new(false),
            bound: AtomicBool::new(false),
            without_chunks: AtomicBool::new(false),
            endless: AtomicBool::new(false),
            authorization: Mutex::new(None),
            due: AtomicU64::new(NEVER),
            reviewed: AtomicU64::new(tick),
            watchdog: Watchdog::new(ticks(STALLED)),
            memo: Arc::default(),
        }
    }

    /// Sets the limits of the visitor's address.
    pub(in crate::proxy) fn with_limits(self, address: Arc<AddressLimits>) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Adds what waits for its visitor to `all`.
    pub(in crate::proxy) fn counted_in(self, all: Arc<Total>) -> Self {
        Self { all: Some(all), ..self }
    }

    /// A stream of `parent`.
    pub(in crate::proxy) fn stream_of(parent: &Arc<Self>, number: u64, tick: u64) -> Self {
        let Self { peer, entrance, ref only_for, ref memo, ref address, .. } = **parent;
        let (only_for, memo) = (only_for.clone(), Arc::clone(memo));
        let introduced = parent.introduced.clone();
        let (address, parent) = (address.clone(), Some(Arc::clone(parent)));
        let connection = Self::new(number, peer, entrance, tick);
        Self { introduced, only_for, address, parent, memo, ..connection }
    }

    /// The limits of the visitor's address; `None` if the address has no limit.
    pub(in crate::proxy) fn address_limits(&self) -> Option<&AddressLimits> {
        self.address.as_deref()
    }

    /// Begins to wait for the body of the current request.
    pub(in crate::proxy) fn await_body(&self) {
        self.await_body_after(0);
    }

    /// Begins to wait for a body of which so many bytes count as arrived.
    fn await_body_after(&self, bytes: u64) {
        self.body.store(bytes, Ordering::Release);
        if !self.awaits_body.swap(true, Ordering::Release)
            && let Some(parent) = &self.parent
        {
            parent.awaiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Begins to wait for the rest of a body that nobody needs. It may come as slowly as it likes: the
    /// answer was given, and the wait is short.
    pub(in crate::proxy) fn await_rest(&self) {
        self.await_body_after(FAST_ENOUGH);
    }

    /// Counts `bytes` of the body that have arrived.
    pub(in crate::proxy) fn has_body(&self, bytes: usize) {
        self.body.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Stops waiting for the body: it is complete, or the answer has begun.
    pub(in crate::proxy) fn await_nothing(&self) {
        if self.awaits_body.load(Ordering::Relaxed)
            && self.awaits_body.swap(false, Ordering::Relaxed)
            && let Some(parent) = &self.parent
        {
            parent.awaiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many bytes of the body have arrived; `None` if we do not wait for one.
    pub(in crate::proxy) fn awaited(&self) -> Option<u64> {
        self.awaits_body.load(Ordering::Acquire).then(|| self.body.load(Ordering::Relaxed))
    }

    /// Whether it has streams.
    pub(in crate::proxy) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Whether this connection does nothing but wait for request bodies.
    pub(in crate::proxy) fn only_awaits(&self) -> bool {
        let streams = self.streams.load(Ordering::Relaxed);
        match streams {
            0 => self.awaits_body.load(Ordering::Relaxed),
            _ => self.awaiting.load(Ordering::Relaxed) >= streams,
        }
    }

    /// Notes that a local reply is being written since `tick`; `None`: the visitor has taken it.
    pub(in crate::proxy) fn writes_since(&self, tick: Option<u64>) {
        self.untaken.store(tick.map_or(0, |tick| tick.max(1)), Ordering::Relaxed);
    }

    /// Since when a local reply is being written and has not been taken.
    pub(in crate::proxy) fn untaken_since(&self) -> Option<u64> {
        Some(self.untaken.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// The bytes that wait for the visitor.
    pub(in crate::proxy) fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    /// Whether bytes wait for the visitor, or did at the last check.
    pub(in crate::proxy) fn is_waited_for(&self) -> bool {
        self.unsent.is_any() || self.watchdog.is_paused()
    }

    /// Adds `bytes` to what waits for the visitor.
    pub(in crate::proxy) fn waits_for(&self, bytes: usize) {
        self.unsent.add(bytes);
        if let Some(parent) = &self.parent {
            parent.unsent.add(bytes);
        }
        for total in self.totals() {
            total.add(bytes);
        }
    }

    /// Removes `bytes` from what waits for the visitor.
    pub(in crate::proxy) fn waits_no_more_for(&self, bytes: usize) {
        self.unsent.remove(bytes);
        self.unsent.take();
        // The end of a stream does not mean that the visitor reads: only bytes that were sent count
        // on the connection.
        if let Some(parent) = &self.parent {
            parent.unsent.remove(bytes);
        }
        for total in self.totals() {
            total.remove(bytes);
        }
    }

    /// How many bytes wait for all visitors.
    pub(in crate::proxy) fn unsent_in_all(&self) -> usize {
        let all = self.parent.as_ref().map_or(&self.all, |parent| &parent.all);
        all.as_deref().map_or(0, Total::bytes)
    }

    /// What waits for its address, and for all visitors.
    fn totals(&self) -> impl Iterator<Item = &Total> {
        let all = self.parent.as_ref().map_or(&self.all, |parent| &parent.all);
        let of_address = self.address.as_ref().map(|address| &address.unsent);
        of_address.into_iter().chain(all.as_deref())
    }

    /// How many answers the visitor may receive at once.
    pub(in crate::proxy) fn answers(&self) -> usize {
        self.streams.load(Ordering::Relaxed).max(1) as usize
    }

    /// The number of the connection; for a stream, the number of its parent.
    pub(in crate::proxy) fn connection_number(&self) -> u64 {
        self.parent.as_ref().map_or(self.number, |parent| parent.number)
    }

    /// The connection that serves the current request; `None` outside of a request.
    pub(in crate::proxy) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Whether this is one stream of a connection.
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        self.parent.is_some()
    }

    /// A number that is unique in this process.
    pub(in crate::proxy) fn number(&self) -> u64 {
        self.number
    }

    /// The visitor's address: the other end of the socket, or what a load balancer there says.
    pub(in crate::proxy) fn peer(&self) -> IpAddr {
        self.introduced.get().copied().unwrap_or(self.peer)
    }

    /// The other end of the socket.
    pub(in crate::proxy) fn socket_peer(&self) -> IpAddr {
        self.peer
    }

    /// Sets the visitor's address as a trusted load balancer gives it. The balancer sends it once,
    /// before anything else.
    pub(in crate::proxy) fn introduce(&self, peer: IpAddr) {
        self.introduced.set(peer).ok();
    }

    /// The visitor's address as we send it to applications.
    pub(in crate::proxy) fn peer_told(&self) -> &HeaderValue {
        self.told.get_or_init(|| {
            // An address is always a header value.
            HeaderValue::try_from(self.peer().to_string())
                .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        })
    }

    pub(in crate::proxy) fn entrance(&self) -> Entered {
        self.entrance
    }

    /// Limits the connection to this host, for which the visitor has shown a client certificate.
    pub(in crate::proxy) fn enters_only_for(&self, host: &str) {
        self.only_for.set(host.into()).ok();
    }

    /// The only host that the visitor may address, if the listener asked for a client certificate
    /// (RFC 9110 §7.4).
    pub(in crate::proxy) fn only_for(&self) -> Option<&str> {
        self.only_for.get().map(AsRef::as_ref)
    }

    /// The current phase, and the tick at which it began.
    pub(in crate::proxy) fn phase(&self) -> (Phase, u64) {
        let word = self.phase.load(Ordering::Relaxed);
        if self.streams.load(Ordering::Relaxed) > 0 {
            // Streams that have ended may have left another phase in `word`.
            return (Phase::Busy, word >> 8);
        }
        let phase = match word & 0xff {
            0 => Phase::Handshake,
            1 => Phase::Idle,
            2 => Phase::Head,
            _ => Phase::Busy,
        };
        (phase, word >> 8)
    }

    pub(in crate::proxy) fn enter(&self, phase: Phase, tick: u64) {
        self.head.store(0, Ordering::Relaxed);
        if phase != Phase::Busy {
            self.left.store(UNKNOWN, Ordering::Relaxed);
        }
        self.watchdog.reset();
        self.await_nothing();
        self.writes_since(None);
        self.endless.store(false, Ordering::Relaxed);
        self.phase.store(tick << 8 | phase as u64, Ordering::Relaxed);
    }

    /// Counts `read` bytes. Gives how many bytes of a request head were read so far; 0 outside of a
    /// head.
    pub(in crate::proxy) fn has_read(&self, read: usize) -> usize {
        match self.phase().0 {
            Phase::Head => self.head.fetch_add(read, Ordering::Relaxed) + read,
            Phase::Handshake | Phase::Idle | Phase::Busy => 0,
        }
    }

    /// Whether a request head is being read.
    pub(in crate::proxy) fn is_in_head(&self) -> bool {
        self.phase().0 == Phase::Head
    }

    /// Notes that all of the request head, and nothing after it, was passed on.
    pub(in crate::proxy) fn has_whole_head(&self) {
        self.left.store(WHOLE_HEAD, Ordering::Relaxed);
    }

    /// Whether all of the request head, and nothing after it, was passed on.
    pub(in crate::proxy) fn is_head_whole(&self) -> bool {
        self.left.load(Ordering::Relaxed) == WHOLE_HEAD
    }

    /// Notes that the body of the request, none of which was read, has so many bytes.
    pub(in crate::proxy) fn expects(&self, bytes: u64) {
        self.left.store(bytes.min(WHOLE_HEAD - 1), Ordering::Relaxed);
    }

    /// How many bytes of the request are left to read; `None` if we do not know.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        Some(self.left.load(Ordering::Relaxed)).filter(|left| *left < WHOLE_HEAD)
    }

    /// Ends the connection: wakes its task, which ends as soon as it runs. The first reason is
    /// kept.
    pub(in crate::proxy) fn cut(&self, why: Cut) {
        let first =
            self.cut.compare_exchange(0, why as u8 + 1, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.waker.wake();
        }
    }

    /// Why it was cut off; `None` if it was not.
    pub(in crate::proxy) fn is_cut(&self) -> Option<Cut> {
        match self.cut.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Cut::Late),
            2 => Some(Cut::Shed),
            _ => Some(Cut::Revoked),
        }
    }

    /// Runs `work` with this connection as [`Connection::current`].
    pub(in crate::proxy) fn serve<W: Future>(
        self: &Arc<Self>,
        work: W,
    ) -> impl Future<Output = W::Output> {
        CURRENT.scope(Arc::clone(self), work)
    }

    /// Waits for `work`; `None` if the connection is cut first. Only one task may do that.
    pub(in crate::proxy) async fn unless_cut<W: Future>(&self, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            // Register before the checks: what happens after them wakes the task.
            self.waker.register(context.waker());
            if self.is_cut().is_some() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Counts a new stream; gives how many are open, including it.
    pub(in crate::proxy) fn begin_stream(&self) -> u32 {
        self.streams.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts the end of a stream; gives how many are still open.
    pub(in crate::proxy) fn end_stream(&self) -> u32 {
        self.streams.fetch_sub(1, Ordering::Relaxed) - 1
    }

    /// Counts an answer that the visitor did not wait for; gives how many there were.
    pub(in crate::proxy) fn give_up(&self) -> u32 {
        self.given_up.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many answers the visitor did not wait for.
    pub(in crate::proxy) fn times_given_up(&self) -> u32 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Whether the visitor has sent something since the last call.
    pub(in crate::proxy) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Notes that the visitor has sent something.
    pub(in crate::proxy) fn use_now(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// From now on, connections to applications that serve this connection serve no other.
    pub(in crate::proxy) fn bind(&self) {
        self.bound.store(true, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Relaxed)
    }

    /// The current answer, the last on this connection, is written without chunked encoding.
    pub(in crate::proxy) fn say_without_chunks(&self) {
        self.without_chunks.store(true, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn says_without_chunks(&self) -> bool {
        self.without_chunks.load(Ordering::Relaxed)
    }

    /// The response in progress does not end by itself: nobody waits for its end at a shutdown.
    pub(in crate::proxy) fn has_no_end(&self) {
        self.endless.store(true, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Relaxed)
    }

    /// What the last request on this connection told about its visitor.
    pub(in crate::proxy) fn memo(&self) -> &Memo {
        &self.memo
    }

    /// How long the application has been silent about the current request.
    pub(in crate::proxy) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// Stops waiting for the application. Tells the request, or cuts the connection if the request
    /// cannot be told. Gives whether it was cut.
    pub(in crate::proxy) fn despair(&self) -> bool {
        let cut = self.watchdog.is_paused() || self.watchdog.give_up(ticks(LAST_WORDS));
        if cut {
            self.cut(Cut::Late);
        } else {
            self.waker.wake();
        }
        cut
    }

    /// Sets the authorization of the current request, so that it can be checked again; `None`: no
    /// request.
    pub(in crate::proxy) fn authorize(&self, on: Option<Authorization>) {
        // Check once in any case: a change that came before this call was announced without us.
        let due = if on.is_some() { 0 } else { NEVER };
        *self.authorization.lock() = on;
        self.due.store(due, Ordering::Release);
    }

    /// Whether the current request must be authorized again: for the first time, because something
    /// that it depends on has `changed`, because the time limit of the decision has passed, or
    /// because the visitor has sent something, which counts as use of the user session. If so, no
    /// other check is due until [`Connection::is_good_until`] sets one.
    pub(in crate::proxy) fn takes_review(&self, changed: &Changes, tick: u64) -> bool {
        let due = self.due.load(Ordering::Acquire);
        let used_for_long = || {
            self.used.load(Ordering::Relaxed)
                && tick > self.reviewed.load(Ordering::Relaxed) + USED_TICKS
        };
        let rests_on_it = || {
            let authorization = self.authorization.lock();
            authorization.as_ref().is_some_and(|authorization| changed.concerns(authorization))
        };
        let is_due = due <= changed.now() || used_for_long() || rests_on_it();
        if is_due {
            self.due.store(NEVER, Ordering::Release);
            self.reviewed.store(tick, Ordering::Relaxed);
        }
        is_due
    }

    /// Notes that time alone does not change the decision before this moment.
    pub(in crate::proxy) fn is_good_until(&self, moment: Timestamp) {
        self.due.fetch_min(moment.millis(), Ordering::AcqRel);
    }

    /// Cuts off the request that was `judged`, unless it has ended meanwhile: the request after it
    /// was not judged. Gives whether it did.
    pub(in crate::proxy) fn revoke(&self, judged: &Authorization) -> bool {
        let authorization = self.authorization.lock();
        let is_same = authorization.as_ref().is_some_and(|authorization| authorization.is(judged));
        if is_same {
            self.cut(Cut::Revoked);
        }
        is_same
    }

    pub(in crate::proxy) fn authorization(&self) -> Option<Authorization> {
        self.authorization.lock().clone()
    }
}

/// How long a visitor may take none of the bytes that wait.
pub(in crate::proxy) const STALLED: Duration = Duration::from_mins(1);
/// No time limit, in milliseconds.
const NEVER: u64 = u64::MAX;
/// It is not known where the request ends.
const UNKNOWN: u64 = u64::MAX;
/// It is known where its head ends.
const WHOLE_HEAD: u64 = u64::MAX - 1;
/// More bytes than `limits.body_rate` expects of a request in a day.
const FAST_ENOUGH: u64 = 1 << 40;
/// How often we note that an open request is in use, in ticks.
const USED_TICKS: u64 = 40;
/// How long we may take to report that an application does not answer.
const LAST_WORDS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<Connection> {
        Arc::new(Connection::new(1, [127, 0, 0, 1].into(), Entered::default(), 7))
    }

    #[tokio::test]
    async fn what_is_cut_off_ends_though_nothing_moves() {
        let connection = connection();
        let work = tokio::spawn({
            let connection = Arc::clone(&connection);
            async move { connection.unless_cut(std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        connection.cut(Cut::Revoked);
        assert_eq!(work.await.unwrap(), None);
    }

    #[tokio::test]
    async fn whoever_is_served_is_known_to_the_filters() {
        let connection = connection();
        let number = connection
            .serve(async { Connection::current().map(|connection| connection.number()) })
            .await;
        assert_eq!(number, Some(1));
        assert!(Connection::current().is_none());
    }

    #[test]
    fn the_first_reason_stays() {
        let connection = connection();
        connection.cut(Cut::Shed);
        connection.cut(Cut::Revoked);
        assert_eq!(connection.is_cut(), Some(Cut::Shed));
    }

    #[test]
    fn a_connection_with_a_stream_is_not_idle() {
        let connection = connection();
        connection.begin_stream();
        connection.enter(Phase::Idle, 9);
        assert_eq!(connection.phase(), (Phase::Busy, 9));
        connection.end_stream();
        assert_eq!(connection.phase(), (Phase::Idle, 9));
    }

    #[test]
    fn only_the_head_of_a_request_is_counted() {
        let connection = connection();
        assert_eq!(connection.has_read(9), 0);
        connection.enter(Phase::Head, 8);
        assert_eq!((connection.has_read(9), connection.has_read(2)), (9, 11));
        connection.enter(Phase::Busy, 9);
        assert_eq!(connection.has_read(9), 0);
        connection.use_now();
        assert_eq!((connection.was_used(), connection.was_used()), (true, false));
        assert_eq!(connection.phase(), (Phase::Busy, 9));
    }
}
