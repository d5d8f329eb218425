//! Limits the number of concurrent requests. When the limit is reached, a request waits for a
//! moment, in a queue that is no longer than the limit.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::proxy::downstream::unsent::Total;

/// A limit on concurrent requests. Each caller passes its size, because a reload may change it.
#[derive(Debug, Default)]
pub(super) struct RequestLimit {
    inside: AtomicUsize,
    waiting: AtomicUsize,
    left: Notify,
}

/// Counts towards the limit until dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<RequestLimit>);

impl RequestLimit {
    /// How many slots are taken.
    pub(super) fn taken(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    /// A slot, if fewer than `size` are taken.
    pub(super) fn try_enter(self: &Arc<Self>, size: usize) -> Option<Slot> {
        let free = |inside: usize| (inside < size).then_some(inside + 1);
        let entered = self.inside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free);
        entered.is_ok().then(|| Slot(Arc::clone(self)))
    }

    /// A slot, as soon as fewer than `size` are taken. `None` if that takes longer than `within`,
    /// or if `size` others wait already.
    pub(super) async fn enter(self: &Arc<Self>, size: usize, within: Duration) -> Option<Slot> {
        if let Some(slot) = self.try_enter(size) {
            return Some(slot);
        }
        // Boxed, because hardly any request waits: its state would enlarge the future of every one.
        Box::pin(self.wait(size, within)).await
    }

    async fn wait(self: &Arc<Self>, size: usize, within: Duration) -> Option<Slot> {
        let _waiting = Waiting::in_line(&self.waiting, size)?;
        let entered = async {
            loop {
                // Register before the check: a slot that becomes free in between is not missed.
                let mut next = pin!(self.left.notified());
                next.as_mut().enable();
                if let Some(slot) = self.try_enter(size) {
                    return slot;
                }
                next.await;
            }
        };
        tokio::time::timeout(within, entered).await.ok()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.left.notify_one();
        }
    }
}

/// Counts as waiting until dropped.
struct Waiting<'r>(&'r AtomicUsize);

impl<'r> Waiting<'r> {
    fn in_line(waiting: &'r AtomicUsize, at_most: usize) -> Option<Self> {
        let line = waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |others| {
            (others < at_most).then_some(others + 1)
        });
        line.is_ok().then(|| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The limits of one address: how many requests it may have at once, counted apart for anonymous
/// visitors and for those who are signed in; and how many bytes wait there.
#[derive(Debug, Default)]
pub(super) struct AddressLimits {
    strangers: Arc<RequestLimit>,
    people: Arc<RequestLimit>,
    /// The bytes that wait for its visitors.
    pub(super) unsent: Total,
}

impl AddressLimits {
    /// Limits the requests of its visitors who are signed in, or of the others.
    pub(super) fn requests(&self, are_signed_in: bool) -> &Arc<RequestLimit> {
        if are_signed_in { &self.people } else { &self.strangers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn whoever_finds_no_room_waits_until_somebody_leaves() {
        let limit = Arc::new(RequestLimit::default());
        let (first, _second) = (limit.try_enter(2).unwrap(), limit.try_enter(2).unwrap());
        assert!(limit.try_enter(2).is_none());
        let mut third = Box::pin(limit.enter(2, LONG));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        let third = third.await.unwrap();
        assert_eq!(limit.inside.load(Ordering::SeqCst), 2);
        drop(third);
        assert_eq!(limit.inside.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_nor_behind_as_many_as_there_is_room_for() {
        let limit = Arc::new(RequestLimit::default());
        let _inside = limit.try_enter(1).unwrap();
        let mut waiting = Box::pin(limit.enter(1, LONG));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(limit.enter(1, LONG).await.is_none(), "the queue is full");
        assert!(waiting.await.is_none(), "it took too long");
        assert_eq!(limit.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_queue() {
        let limit = Arc::new(RequestLimit::default());
        let inside = limit.try_enter(1).unwrap();
        let mut gone = Box::pin(limit.enter(1, LONG));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        let mut next = Box::pin(limit.enter(1, LONG));
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(inside);
        assert!(next.await.is_some());
    }
}
