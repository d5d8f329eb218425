//! The ids of requests: where they come from, and which one the running task serves.
//!
//! Log lines and events name the request that they belong to. So that no function has to hand it on
//! for that alone, a task knows the request that it serves, as it does in any tracing library.

use parking_lot::Mutex;

use crate::domain::request_id::RequestId;
use crate::domain::rng::SharedRng;

tokio::task_local! {
    /// The request that the running task serves.
    static CURRENT: RequestId;
}

/// The request that the running task serves, if it serves one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}

/// Runs `work` for the request with this id.
pub fn within<W: Future>(id: RequestId, work: W) -> impl Future<Output = W::Output> {
    CURRENT.scope(id, work)
}

/// Runs `work`, in another task, for the request that the running task serves.
pub fn carried<W: Future>(work: W) -> impl Future<Output = W::Output> {
    let id = current();
    async move {
        match id {
            Some(id) => within(id, work).await,
            None => work.await,
        }
    }
}

/// Makes ids. Random bytes are drawn for many at once: the system is asked for them.
#[derive(Debug, Default)]
pub struct RequestIds(Mutex<Ready>);

/// Random bytes, of which the last `left` are not used yet.
struct Ready {
    bytes: [u8; RequestId::RANDOM * AT_ONCE],
    left: usize,
}

impl RequestIds {
    /// The next id.
    pub fn next(&self, rng: &SharedRng) -> RequestId {
        let mut ready = self.0.lock();
        if ready.left == 0 {
            rng.draw(|rng| rng.fill_bytes(&mut ready.bytes));
            ready.left = ready.bytes.len();
        }
        let left = ready.left;
        let taken = ready.bytes.get(left - RequestId::RANDOM..left);
        let random = taken.and_then(|taken| taken.try_into().ok()).unwrap_or_default();
        ready.left -= RequestId::RANDOM;
        RequestId::of(random)
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self { bytes: [0; RequestId::RANDOM * AT_ONCE], left: 0 }
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("left", &self.left).finish_non_exhaustive()
    }
}

/// For how many ids bytes are drawn at once.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn no_two_requests_have_the_same_id() {
        let (ids, rng) = (RequestIds::default(), SharedRng::new(StdRng::seed_from_u64(1)));
        let many = 10 * AT_ONCE;
        let made: BTreeSet<_> = (0..many).map(|_| ids.next(&rng).as_str().to_owned()).collect();
        assert_eq!(made.len(), many);
    }

    #[tokio::test]
    async fn a_task_that_goes_on_alone_knows_its_request() {
        let id = RequestId::of([7; RequestId::RANDOM]);
        assert_eq!(current(), None);
        let found = within(id, async { tokio::spawn(carried(async { current() })).await.unwrap() });
        assert_eq!(found.await, Some(id));
        assert_eq!(current(), None);
    }
}
