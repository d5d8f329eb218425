//! One connection of a visitor, or one stream of it: in which phase it is, since when, and how it is
//! cut off from outside.
//!
//! Pingora's filters run only when bytes flow. Whatever must end although nothing moves (a head that
//! never comes, an idle tunnel whose session is over) is ended here: the future that serves a link
//! is dropped, and with it both of its sides.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;

use crate::domain::time::Timestamp;
use crate::proxy::authorization::{Authorization, Changes};
use crate::proxy::downstream::listener::Entered;
use crate::proxy::downstream::unsent::Unsent;
use crate::proxy::downstream::watchdog::{Watchdog, ticks};
use crate::proxy::memo::Memo;
use crate::proxy::room::Room;

/// A connection of a visitor, or one stream of it.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    number: u64,
    peer: IpAddr,
    /// From where it comes, as a balancer that is the peer has said.
    introduced: OnceLock<IpAddr>,
    /// The same in words, once somebody has asked for them.
    told: OnceLock<HeaderValue>,
    entrance: Entered,
    only_for: OnceLock<Box<str>>,
    /// When it came into its phase, in ticks, and the phase in the lowest byte.
    phase: AtomicU64,
    cut: AtomicU8,
    /// Wakes the one task that serves it.
    waker: OnceLock<Waker>,
    /// Room for the requests of its address; none where anybody may come from there.
    address: Option<Arc<AddressRoom>>,
    /// The connection that this is a stream of.
    parent: Option<Arc<Connection>>,
    /// Whether the body of its request is waited for, and how much of that has come. Of a connection: how
    /// many of its streams wait so.
    awaits_body: AtomicBool,
    awaiting: AtomicU32,
    body: AtomicU64,
    /// Since when an answer of ours is not taken, in ticks; 0: it is.
    untaken: AtomicU64,
    /// What waits for its visitor; of a connection: with that of its streams.
    unsent: Unsent,
    /// Bytes of the request head that were read so far.
    head: AtomicUsize,
    /// Streams that are open, and those that the visitor has given up.
    streams: AtomicU32,
    given_up: AtomicU32,
    /// Whether the visitor has sent something since somebody looked.
    used: AtomicBool,
    /// Whether the connection to the application belongs to this visitor alone.
    bound: AtomicBool,
    /// Whether what is written has no chunks, though Pingora writes some.
    without_chunks: AtomicBool,
    authorization: Mutex<Option<Authorization>>,
    /// When the request under way has to be judged again, in milliseconds; 0: as soon as somebody looks.
    due: AtomicU64,
    /// When it was judged again the last time, in ticks.
    reviewed: AtomicU64,
    /// Of the application, while the request under way waits for its answer.
    watchdog: Watchdog,
    /// What the last request said of its visitor; one for all streams of a connection.
    memo: Arc<Memo>,
}

/// Room for the requests of one address: of whoever is not signed in, and of those who are.
#[derive(Debug, Default)]
pub(in crate::proxy) struct AddressRoom {
    pub(in crate::proxy) strangers: Arc<Room>,
    pub(in crate::proxy) people: Arc<Room>,
    /// In which tick too much waited for visitors from there for anything to be added.
    full_at: AtomicU64,
}

impl AddressRoom {
    pub(in crate::proxy) fn is_full_at(&self, tick: u64) {
        self.full_at.store(tick, Ordering::Relaxed);
    }

    /// Whether so much waits for visitors from there, in this tick, that nothing may be added.
    pub(in crate::proxy) fn is_full(&self, tick: u64) -> bool {
        let at = self.full_at.load(Ordering::Relaxed);
        at > 0 && tick <= at + 1
    }
}

/// What a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Phase {
    /// TLS is being negotiated.
    Handshake,
    /// It waits for a request.
    Idle,
    /// The head of a request is coming.
    Head,
    /// A request is under way; of HTTP/2: several may be.
    Busy,
}

/// Why a link was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Cut {
    /// It was slow, or nobody asked for anything.
    Late,
    /// Its place was needed for somebody else, or we are stopping.
    Shed,
    /// What it was allowed to do, it is allowed no more.
    Revoked,
}

tokio::task_local! {
    /// The link that the running task serves.
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
            waker: OnceLock::new(),
            address: None,
            parent: None,
            awaits_body: AtomicBool::new(false),
            awaiting: AtomicU32::new(0),
            body: AtomicU64::new(0),
            untaken: AtomicU64::new(0),
            unsent: Unsent::default(),
            head: AtomicUsize::new(0),
            streams: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            used: AtomicBool::new(false),
            bound: AtomicBool::new(false),
            without_chunks: AtomicBool::new(false),
            authorization: Mutex::new(None),
            due: AtomicU64::new(NEVER),
            reviewed: AtomicU64::new(tick),
            watchdog: Watchdog::new(ticks(STALLED)),
            memo: Arc::default(),
        }
    }

    /// The same from an address that has only so much room.
    pub(in crate::proxy) fn in_room(self, address: Arc<AddressRoom>) -> Self {
        Self { address: Some(address), ..self }
    }

    /// A stream of `connection`.
    pub(in crate::proxy) fn stream_of(parent: &Arc<Self>, number: u64, tick: u64) -> Self {
        let Self { peer, entrance, ref only_for, ref memo, ref address, .. } = **parent;
        let (only_for, memo) = (only_for.clone(), Arc::clone(memo));
        let introduced = parent.introduced.clone();
        let (address, parent) = (address.clone(), Some(Arc::clone(parent)));
        let connection = Self::new(number, peer, entrance, tick);
        Self { introduced, only_for, address, parent, memo, ..connection }
    }

    /// Room for the requests of its address; none where anybody may come from there.
    pub(in crate::proxy) fn address_room(&self) -> Option<&AddressRoom> {
        self.address.as_deref()
    }

    /// The body of the request under way is waited for from now on.
    pub(in crate::proxy) fn await_body(&self) {
        self.body.store(0, Ordering::Relaxed);
        if !self.awaits_body.swap(true, Ordering::Relaxed)
            && let Some(parent) = &self.parent
        {
            parent.awaiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So much of it has come.
    pub(in crate::proxy) fn has_body(&self, bytes: usize) {
        self.body.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// It is waited for no more: it is whole, or its answer has begun.
    pub(in crate::proxy) fn await_nothing(&self) {
        if self.awaits_body.load(Ordering::Relaxed)
            && self.awaits_body.swap(false, Ordering::Relaxed)
            && let Some(parent) = &self.parent
        {
            parent.awaiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How much of the body has come that is waited for; nothing if none is.
    pub(in crate::proxy) fn awaited(&self) -> Option<u64> {
        self.awaits_body.load(Ordering::Relaxed).then(|| self.body.load(Ordering::Relaxed))
    }

    /// Whether nothing is done here but to wait for the bodies of requests.
    pub(in crate::proxy) fn only_awaits(&self) -> bool {
        let streams = self.streams.load(Ordering::Relaxed);
        match streams {
            0 => self.awaits_body.load(Ordering::Relaxed),
            _ => self.awaiting.load(Ordering::Relaxed) >= streams,
        }
    }

    /// An answer of ours is written from this tick on; or has been taken.
    pub(in crate::proxy) fn writes_since(&self, tick: Option<u64>) {
        self.untaken.store(tick.map_or(0, |tick| tick.max(1)), Ordering::Relaxed);
    }

    /// Since when an answer of ours is written and not taken.
    pub(in crate::proxy) fn untaken_since(&self) -> Option<u64> {
        Some(self.untaken.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// What waits for its visitor.
    pub(in crate::proxy) fn unsent(&self) -> &Unsent {
        &self.unsent
    }

    /// Whether something waits for its visitor, or did when somebody looked last.
    pub(in crate::proxy) fn is_waited_for(&self) -> bool {
        self.unsent.is_any() || self.watchdog.is_paused()
    }

    /// So many bytes wait for its visitor from now on.
    pub(in crate::proxy) fn waits_for(&self, bytes: usize) {
        self.unsent.add(bytes);
        if let Some(parent) = &self.parent {
            parent.unsent.add(bytes);
        }
    }

    /// So many bytes wait no more.
    pub(in crate::proxy) fn waits_no_more_for(&self, bytes: usize) {
        self.unsent.remove(bytes);
        self.unsent.take();
        // That a stream is over does not mean that its visitor reads: what is sent counts there.
        if let Some(parent) = &self.parent {
            parent.unsent.remove(bytes);
        }
    }

    /// How many answers there may be for its visitor at once.
    pub(in crate::proxy) fn answers(&self) -> usize {
        self.streams.load(Ordering::Relaxed).max(1) as usize
    }

    /// The number of its connection: its own, if it is none of several streams.
    pub(in crate::proxy) fn connection_number(&self) -> u64 {
        self.parent.as_ref().map_or(self.number, |parent| parent.number)
    }

    /// The link that serves the request under way; `None` outside of one.
    pub(in crate::proxy) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Whether it is one stream of a connection.
    pub(in crate::proxy) fn is_stream(&self) -> bool {
        self.parent.is_some()
    }

    /// No two links of this process have the same.
    pub(in crate::proxy) fn number(&self) -> u64 {
        self.number
    }

    /// From where it comes: from the other end of the socket, or from where a balancer there says.
    pub(in crate::proxy) fn peer(&self) -> IpAddr {
        self.introduced.get().copied().unwrap_or(self.peer)
    }

    /// The other end of the socket.
    pub(in crate::proxy) fn socket_peer(&self) -> IpAddr {
        self.peer
    }

    /// It comes from `peer`, as a balancer says that is believed. It says so once, before anything else.
    pub(in crate::proxy) fn introduce(&self, peer: IpAddr) {
        self.introduced.set(peer).ok();
    }

    /// The visitor's address, as applications are told it.
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

    /// The visitor has shown a certificate to the listener as this host; nothing else is for it.
    pub(in crate::proxy) fn enters_only_for(&self, host: &str) {
        self.only_for.set(host.into()).ok();
    }

    /// As which host alone the visitor was let in, where certificates are asked for
    /// (RFC 9110 §7.4).
    pub(in crate::proxy) fn only_for(&self) -> Option<&str> {
        self.only_for.get().map(AsRef::as_ref)
    }

    /// In which phase it is, and since which tick.
    pub(in crate::proxy) fn phase(&self) -> (Phase, u64) {
        let word = self.phase.load(Ordering::Relaxed);
        if self.streams.load(Ordering::Relaxed) > 0 {
            // Whatever the last of its other streams has left behind.
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
        self.watchdog.reset();
        self.await_nothing();
        self.writes_since(None);
        self.phase.store(tick << 8 | phase as u64, Ordering::Relaxed);
    }

    /// Counts `read` bytes; gives how many of a request head were read so far, outside of one none.
    pub(in crate::proxy) fn has_read(&self, read: usize) -> usize {
        match self.phase().0 {
            Phase::Head => self.head.fetch_add(read, Ordering::Relaxed) + read,
            Phase::Handshake | Phase::Idle | Phase::Busy => 0,
        }
    }

    /// Ends it as soon as its task looks, which is woken. The first reason stays.
    pub(in crate::proxy) fn cut(&self, why: Cut) {
        let first =
            self.cut.compare_exchange(0, why as u8 + 1, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            // Either we see whom to wake, or they see that they are cut off.
            fence(Ordering::SeqCst);
            self.wake();
        }
    }

    /// Why it was cut off, if it was.
    pub(in crate::proxy) fn is_cut(&self) -> Option<Cut> {
        match self.cut.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Cut::Late),
            2 => Some(Cut::Shed),
            _ => Some(Cut::Revoked),
        }
    }

    /// Does `work` in the name of this link.
    pub(in crate::proxy) fn serve<W: Future>(
        self: &Arc<Self>,
        work: W,
    ) -> impl Future<Output = W::Output> {
        CURRENT.scope(Arc::clone(self), work)
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Waits for `work`; `None` if the link is cut off before. Only one task may do that.
    pub(in crate::proxy) async fn unless_cut<W: Future>(&self, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            if self.is_cut().is_some() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            if let Some(waker) = self.waker.get() {
                // That of a task stays the same for as long as it lives.
                debug_assert!(waker.will_wake(context.waker()), "one task serves a connection");
            } else {
                self.waker.set(context.waker().clone()).ok();
                fence(Ordering::SeqCst);
            }
            // It may have been cut off before there was anybody to wake.
            if self.is_cut().is_some() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// A stream begins; gives how many are open with it.
    pub(in crate::proxy) fn begin_stream(&self) -> u32 {
        self.streams.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A stream ends; gives how many are still open.
    pub(in crate::proxy) fn end_stream(&self) -> u32 {
        self.streams.fetch_sub(1, Ordering::Relaxed) - 1
    }

    /// The visitor did not wait for an answer; gives how often that was.
    pub(in crate::proxy) fn give_up(&self) -> u32 {
        self.given_up.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How often the visitor did not wait for an answer.
    pub(in crate::proxy) fn times_given_up(&self) -> u32 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Whether the visitor has sent something since this was asked.
    pub(in crate::proxy) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The visitor has sent something.
    pub(in crate::proxy) fn use_now(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// From now on, connections to applications that serve this link serve no other.
    pub(in crate::proxy) fn bind(&self) {
        self.bound.store(true, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Relaxed)
    }

    /// The answer under way, which is the last, is written without chunks.
    pub(in crate::proxy) fn say_without_chunks(&self) {
        self.without_chunks.store(true, Ordering::Relaxed);
    }

    pub(in crate::proxy) fn says_without_chunks(&self) -> bool {
        self.without_chunks.load(Ordering::Relaxed)
    }

    /// What the last request of this connection said of its visitor.
    pub(in crate::proxy) fn memo(&self) -> &Memo {
        &self.memo
    }

    /// How long the application has said nothing to the request under way.
    pub(in crate::proxy) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// The application is waited for no more. The request is to be told, and is cut off if it cannot
    /// be; gives whether it was.
    pub(in crate::proxy) fn despair(&self) -> bool {
        let cut = self.watchdog.is_paused() || self.watchdog.give_up(ticks(LAST_WORDS));
        if cut {
            self.cut(Cut::Late);
        } else {
            self.wake();
        }
        cut
    }

    /// By what the request under way is allowed, so that it can be asked again; or nothing.
    pub(in crate::proxy) fn authorize(&self, on: Option<Authorization>) {
        // Once, in any case: what has changed before it stood was told to nobody who could look here.
        let due = if on.is_some() { 0 } else { NEVER };
        *self.authorization.lock() = on;
        self.due.store(due, Ordering::Release);
    }

    /// Whether the request under way has to be judged again: for the first time, since something has
    /// `changed` on which it rests, since time may have changed what was decided, or since its visitor has
    /// sent something, whose stay is in use then. If so, it is taken for judged until
    /// [`Connection::is_good_until`] says more.
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

    /// Time alone changes nothing of what was decided before this moment.
    pub(in crate::proxy) fn is_good_until(&self, moment: Timestamp) {
        self.due.fetch_min(moment.millis(), Ordering::AcqRel);
    }

    /// Cuts off the request that was `judged`, unless it has ended meanwhile: what came after it was not.
    /// Gives whether it did.
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

/// How long a visitor may take nothing of what is sent.
pub(in crate::proxy) const STALLED: Duration = Duration::from_mins(1);
/// No moment in milliseconds.
const NEVER: u64 = u64::MAX;
/// How often it is noted that somebody uses what they hold open, in ticks.
const USED_TICKS: u64 = 40;
/// How long it may take to say that an application does not answer.
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
