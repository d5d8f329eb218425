//! A bounded pool of threads that hash passwords with Argon2id.
//!
//! The pool has its own threads, fewer than there are cores. They run at idle priority, so a flood
//! of sign-ins cannot slow down the proxy. One more thread guarantees a minimum of hashing on a
//! busy machine ([`super::floor`]). Each thread reuses its memory for the next job, wipes it when
//! there is no job, and frees it after a while.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use super::argon::{self, Argon, Cost};
use super::floor::{self, Progress, Spent};
use super::job::Job;
use super::places::{Places, Seat};
use super::queue::Queue;
use crate::domain::device::BrowserId;
use crate::domain::rng::SharedRng;
use crate::histogram::Histogram;
use crate::identity::{Full, Hashing, Load, Place, Work, Worker};

/// The size of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many passwords are hashed at the same time.
    pub threads: NonZeroUsize,
    /// How many jobs may be running or waiting in total.
    pub places: usize,
    /// How many of these places one client address may have (IPv4, or IPv6 /64).
    pub places_of_one: usize,
    /// How many additional places are reserved for known browsers, one for each browser at a time.
    /// Their jobs are hashed first.
    pub places_of_known: usize,
    /// How long a thread without work keeps its memory.
    pub idle: Duration,
}

impl Room {
    /// Uses half the cores and leaves the others to the proxy. Each thread gets 32 places, which at
    /// 20 ms for each hash is a wait of two thirds of a second; one address may have a quarter of
    /// all places.
    ///
    /// Another 16 places for each thread are reserved for known browsers. A user has at most ten of
    /// those ([`User::KNOWN_AT_MOST`]), so nobody can fill these places, even with all their
    /// cookies. A known browser is served within a third of a second, however many other visitors
    /// wait. Other visitors wait a second if all places of both kinds are taken.
    ///
    /// [`User::KNOWN_AT_MOST`]: crate::domain::user::User::KNOWN_AT_MOST
    pub fn beside(cores: NonZeroUsize) -> Self {
        let threads = NonZeroUsize::new(cores.get() / 2).unwrap_or(NonZeroUsize::MIN);
        let places = threads.get() * 32;
        Self {
            threads,
            places,
            places_of_one: places / 4,
            places_of_known: threads.get() * 16,
            idle: Duration::from_secs(5),
        }
    }
}

/// Hashes passwords with Argon2id. Its threads end when it is dropped.
pub struct Pool {
    shared: Arc<Shared>,
    places: Arc<Places>,
    threads: NonZeroUsize,
}

struct Shared {
    argon: Argon,
    /// How long each job took, without waiting.
    took: Arc<Histogram>,
    idle: Duration,
    state: Mutex<State>,
    news: Condvar,
    /// Wakes the floor thread.
    floor_news: Condvar,
    /// How many passwords the floor thread has hashed.
    by_floor: AtomicU64,
    /// Stops the idle threads after they have begun a job, as a busy machine does.
    #[cfg(test)]
    starve: std::sync::atomic::AtomicBool,
}

struct State {
    queue: Queue,
    progress: Progress,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread cannot be created.
    pub fn start(cost: Cost, room: Room, rng: SharedRng) -> io::Result<Self> {
        Self::measured(cost, room, rng, Arc::new(Histogram::new(&[])))
    }

    /// The same, and counts in `took` how long each job takes, without waiting.
    ///
    /// # Errors
    /// If a thread cannot be created.
    pub fn measured(
        cost: Cost,
        room: Room,
        rng: SharedRng,
        took: Arc<Histogram>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            argon: Argon::new(cost, rng),
            took,
            idle: room.idle,
            state: Mutex::new(State {
                queue: Queue::default(),
                progress: Progress::new(floor::now()),
            }),
            news: Condvar::new(),
            floor_news: Condvar::new(),
            by_floor: AtomicU64::new(0),
            #[cfg(test)]
            starve: std::sync::atomic::AtomicBool::new(false),
        });
        let pool = Self {
            shared: Arc::clone(&shared),
            places: Arc::new(Places::new(room.places, room.places_of_one, room.places_of_known)),
            threads: room.threads,
        };
        for number in 0..room.threads.get() {
            let shared = Arc::clone(&shared);
            let name = format!("passwords-{number}");
            thread::Builder::new().name(name).spawn(move || {
                yield_to_requests();
                // If a job panics, its caller gets an error, and the thread continues with fresh
                // memory.
                while catch_unwind(AssertUnwindSafe(|| shared.work())).is_err() {}
            })?;
        }
        let shared = Arc::clone(&pool.shared);
        thread::Builder::new().name("passwords-floor".to_owned()).spawn(move || {
            while catch_unwind(AssertUnwindSafe(|| shared.keep_floor())).is_err() {}
        })?;
        Ok(pool)
    }
}

/// Gives this thread idle priority, so that password guessing does not slow down other requests: a
/// hashing thread yields the processor as soon as a request needs it. Systems without such a
/// priority share the processor evenly.
#[cfg(target_os = "linux")]
fn yield_to_requests() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    // Niceness is not enough. It sets a thread's share of the processor, but the thread does not
    // yield immediately when another wakes (sched(7), `SCHED_IDLE`).
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    if let Err(error) = done {
        tracing::debug!(?error, "cannot lower the priority of a password hashing thread");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_requests() {}

impl Hashing for Pool {
    fn place(&self, address: IpAddr, known: Option<BrowserId>) -> Result<Place, Full> {
        let seat = Places::take(&self.places, address, known).ok_or(Full)?;
        Ok(Place::new(Turn { shared: Arc::clone(&self.shared), seat }))
    }

    fn load(&self) -> Load {
        let state = self.shared.state();
        Load {
            threads: self.threads.get(),
            running: state.progress.running(),
            waiting: state.queue.len(),
            by_floor: self.shared.by_floor.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().queue.closed = true;
        self.shared.news.notify_all();
        self.shared.floor_news.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("places", &self.places).finish_non_exhaustive()
    }
}

/// A reserved place whose work has not been submitted yet.
struct Turn {
    shared: Arc<Shared>,
    seat: Seat,
}

impl Worker for Turn {
    fn begin(self: Box<Self>, work: Work) {
        let Turn { shared, seat } = *self;
        let mut state = shared.state();
        let idle = state.queue.is_empty();
        state.progress.comes(idle, floor::now());
        state.queue.push(work, seat);
        drop(state);
        shared.news.notify_one();
        shared.floor_news.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned lock is safe to use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until the pool is closed and the queue is empty.
    fn work(&self) {
        let mut memory = argon::Memory::default();
        while let Some(job) = self.next(&mut memory) {
            let begun = Begun { shared: self, job, spent: Spent::so_far() };
            #[cfg(test)]
            while self.starve.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            self.hash(&begun.job, &mut memory);
        }
    }

    fn hash(&self, job: &Job, memory: &mut argon::Memory) {
        let began = floor::now();
        self.argon.work(job, memory);
        self.took.count(floor::now().saturating_duration_since(began));
    }

    /// Waits for a job; wipes and frees the memory while there is none.
    fn next(&self, memory: &mut argon::Memory) -> Option<Arc<Job>> {
        let mut state = self.state();
        loop {
            if let Some((work, seat)) = state.queue.next() {
                let job = Arc::new(Job::new(work, seat));
                state.progress.begins(&job);
                return Some(job);
            }
            if state.queue.closed {
                return None;
            }
            if memory.is_empty() {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if memory.is_dirty() {
                drop(state);
                memory.wipe();
                state = self.state();
            } else {
                let waited = self.news.wait_timeout(state, self.idle);
                let (held, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
                state = held;
                if outcome.timed_out() && state.queue.is_empty() {
                    memory.give_back();
                }
            }
        }
    }

    /// Runs jobs on which the idle threads make no progress, at most a fifth of the time, until the
    /// pool is closed.
    fn keep_floor(&self) {
        let mut memory = argon::Memory::default();
        while let Some(job) = self.next_stuck(&mut memory) {
            let spent = Spent::so_far();
            self.by_floor.fetch_add(1, Ordering::Relaxed);
            self.hash(&job, &mut memory);
            let until = floor::now() + spent.rest();
            let mut state = self.state();
            while !state.queue.closed && floor::now() < until {
                let left = until.saturating_duration_since(floor::now());
                let waited = self.floor_news.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Waits until the idle threads make no progress. Returns a job that one of them has begun or,
    /// if there is none, the next job in the queue.
    fn next_stuck(&self, memory: &mut argon::Memory) -> Option<Arc<Job>> {
        let mut state = self.state();
        loop {
            if state.queue.closed {
                return None;
            }
            if state.queue.is_empty() && state.progress.unfinished().is_none() {
                if !memory.is_empty() {
                    drop(state);
                    memory.give_back();
                    state = self.state();
                    continue;
                }
                state = self.floor_news.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = state.progress.patience_left(floor::now());
            if left.is_zero() {
                if let Some(job) = state.progress.unfinished() {
                    return Some(Arc::clone(job));
                }
                if let Some((work, seat)) = state.queue.next() {
                    return Some(Arc::new(Job::new(work, seat)));
                }
            }
            let waited = self.floor_news.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A job that an idle thread has begun. Dropping it, also during a panic, marks the job as ended.
struct Begun<'s> {
    shared: &'s Shared,
    job: Arc<Job>,
    spent: Spent,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let took = self.spent.since();
        self.shared.state().progress.ends(&self.job, took, floor::now());
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::digest::{Digest, Scheme};
    use crate::domain::password::{Password, PasswordHash};
    use crate::identity::Verified;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn rng() -> SharedRng {
        SharedRng::new(StdRng::seed_from_u64(3))
    }

    fn room(threads: usize, places: usize) -> Room {
        let threads = NonZeroUsize::new(threads).unwrap();
        Room { threads, places, places_of_one: places, places_of_known: 0, idle: Duration::ZERO }
    }

    fn pool() -> Pool {
        Pool::start(Cost::LEAST, room(1, 4), rng()).unwrap()
    }

    async fn hash(pool: &Pool, password: &str) -> PasswordHash {
        pool.place(HERE, None).unwrap().hash(Password::typed(password)).await.unwrap()
    }

    async fn verify(pool: &Pool, password: &str, stored: Option<&PasswordHash>) -> Verified {
        let place = pool.place(HERE, None).unwrap();
        place.verify(Password::typed(password), stored.cloned(), Vec::new()).await.unwrap()
    }

    #[tokio::test]
    async fn where_the_idle_threads_get_nowhere_something_is_hashed_all_the_same() {
        let pool = pool();
        pool.shared.starve.store(true, Ordering::Relaxed);
        let stored = hash(&pool, "three wet umbrellas").await;
        assert!(verify(&pool, "three wet umbrellas", Some(&stored)).await.right);
        assert!(!verify(&pool, "three dry umbrellas", Some(&stored)).await.right);
        assert_eq!(pool.load().by_floor, 3, "what is begun, and what waits behind it");
        assert_eq!(pool.places.taken(), 0);
        pool.shared.starve.store(false, Ordering::Relaxed);
        assert!(verify(&pool, "three wet umbrellas", Some(&stored)).await.right);
        assert!(pool.shared.state().progress.unfinished().is_none());
    }

    #[tokio::test]
    async fn the_right_password_is_told_from_a_wrong_one() {
        let pool = pool();
        let hash = hash(&pool, "plinth kiwi").await;
        assert!(verify(&pool, "plinth kiwi", Some(&hash)).await.right);
        assert!(!verify(&pool, "plinth kiw", Some(&hash)).await.right);
        assert!(!verify(&pool, "plinth kiwi", None).await.right);
    }

    #[tokio::test]
    async fn the_same_password_is_never_kept_the_same_way_twice() {
        let pool = pool();
        assert_ne!(hash(&pool, "plinth kiwi").await, hash(&pool, "plinth kiwi").await);
    }

    #[tokio::test]
    async fn a_hash_with_lesser_parameters_is_replaced_when_the_right_password_comes() {
        let old = pool();
        let hash = hash(&old, "plinth kiwi").await;
        let new = Pool::start(Cost::new(16, 2, 1).unwrap(), room(1, 4), rng()).unwrap();
        assert_eq!(verify(&new, "wrong", Some(&hash)).await.rehashed, None);
        let rehashed = verify(&new, "plinth kiwi", Some(&hash)).await.rehashed.unwrap();
        let again = verify(&new, "plinth kiwi", Some(&rehashed)).await;
        assert_eq!(again, Verified { right: true, rehashed: None });
        let lowered = verify(&old, "plinth kiwi", Some(&rehashed)).await;
        assert_eq!(lowered, Verified { right: true, rehashed: None });
    }

    async fn take_over(pool: &Pool, digest: &str) -> PasswordHash {
        let digest = Digest::parse(digest).unwrap();
        pool.place(HERE, None).unwrap().take_over(digest).await.unwrap()
    }

    #[tokio::test]
    async fn a_digest_made_elsewhere_is_hashed_once_more_and_replaced_at_the_first_success() {
        let pool = pool();
        let stored = take_over(&pool, "{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=").await;
        assert_eq!(stored.scheme().map(Scheme::name), Some("sha1"));
        assert!(stored.expose().starts_with("$argon2id$"), "{}", stored.expose());
        let wrong = verify(&pool, "three wet umbrella", Some(&stored)).await;
        assert_eq!(wrong, Verified { right: false, rehashed: None });
        let right = verify(&pool, "three wet umbrellas", Some(&stored)).await;
        let rehashed = right.rehashed.filter(|_| right.right).unwrap();
        assert_eq!(rehashed.scheme(), None);
        let again = verify(&pool, "three wet umbrellas", Some(&rehashed)).await;
        assert_eq!(again, Verified { right: true, rehashed: None });
    }

    /// htpasswd ignored everything after byte 72. So do we, as long as we do not know the whole
    /// password.
    #[tokio::test]
    async fn what_bcrypt_never_looked_at_may_be_typed_in_any_way_again_and_again() {
        let pool = pool();
        let long = "a long one that goes on and on and on, beyond the seventy-two bytes at which \
                    bcrypt stops looking at it";
        let digest = "$2y$05$0123456789abcdefghijkOce/KsKCv6M/834uUzRfhpAS4kbHYdgC";
        let stored = take_over(&pool, digest).await;
        for typed in [long, &long.replace("looking", "lokking"), long] {
            let verified = verify(&pool, typed, Some(&stored)).await;
            assert_eq!(verified, Verified { right: true, rehashed: None });
        }
        assert!(!verify(&pool, &long[1..], Some(&stored)).await.right);
    }

    #[tokio::test]
    async fn the_digest_of_nothing_lets_nobody_in() {
        let pool = pool();
        let nothing = take_over(&pool, "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=").await;
        assert!(!verify(&pool, "", Some(&nothing)).await.right);
    }

    #[tokio::test]
    async fn against_what_nothing_matches_the_right_password_is_wrong() {
        let pool = pool();
        for stored in [
            hash(&pool, "three wet umbrellas").await,
            take_over(&pool, "{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=").await,
        ] {
            let stored = stored.that_nothing_matches();
            let wrong = verify(&pool, "three wet umbrellas", Some(&stored)).await;
            assert_eq!(wrong, Verified { right: false, rehashed: None });
        }
    }

    #[tokio::test]
    async fn what_is_no_hash_is_our_trouble_and_not_a_wrong_password() {
        let pool = pool();
        for stored in ["", "plain text", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "$2b$12$abc"] {
            let place = pool.place(HERE, None).unwrap();
            let stored = Some(PasswordHash::new(stored.to_owned()));
            assert!(place.verify(Password::typed("x"), stored, Vec::new()).await.is_err());
        }
        assert!(!verify(&pool, "x", None).await.right, "and the pool goes on");
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_its_work_is_done_and_when_there_was_none() {
        let pool = Pool::start(Cost::LEAST, room(1, 1), rng()).unwrap();
        let held = pool.place(HERE, None).unwrap();
        assert_eq!(pool.place(HERE, None).unwrap_err(), Full);
        drop(held);
        for _ in 0..3 {
            assert_eq!(pool.places.taken(), 0);
            verify(&pool, "x", None).await;
        }
    }

    #[tokio::test]
    async fn a_visitor_who_hangs_up_leaves_no_place_taken() {
        let pool = Pool::start(Cost::LEAST, room(1, 1), rng()).unwrap();
        let (answer, waiting) = oneshot::channel();
        let Place(worker) = pool.place(HERE, None).unwrap();
        drop(waiting);
        worker.begin(Work::Hash { password: Password::typed("x"), answer });
        while pool.places.taken() > 0 {
            thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_waits_when_the_pool_is_dropped_is_still_done() {
        let pool = pool();
        let waiting = [(); 3].map(|()| {
            let (answer, waiting) = oneshot::channel();
            let Place(worker) = pool.place(HERE, None).unwrap();
            worker.begin(Work::Hash { password: Password::typed("x"), answer });
            waiting
        });
        drop(pool);
        for answer in waiting {
            assert!(answer.await.unwrap().is_ok());
        }
    }

    #[test]
    fn some_cores_are_left_to_serve() {
        let threads = |cores| Room::beside(NonZeroUsize::new(cores).unwrap()).threads.get();
        assert_eq!([threads(1), threads(2), threads(3), threads(16)], [1, 1, 1, 8]);
    }
}
