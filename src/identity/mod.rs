//! Sources of first factors, password hashing, and the limit on sign-in attempts of one address or
//! known browser.
//!
//! Hashing is slow by design, so capacity is limited. A caller takes a [`Place`] first and counts
//! the attempt only after it has one, so a visitor who is refused for lack of capacity loses
//! nothing. Some places are reserved for known browsers, so regular users can still sign in during
//! a flood of strangers.

pub mod limit;
pub mod local;
pub mod provider;
pub mod security_keys;
pub mod source;
pub mod webauthn;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::oneshot;

pub use limit::{Begin, Client, SignInLimit, Try};
pub use provider::{Provider, Providers};
pub use security_keys::{Assertion, Forged, Held, Registration, SecurityKeys};
pub use source::{Answer, Shown, Source, Sources};

use crate::domain::device::BrowserId;
use crate::domain::digest::{Digest, Effort};
use crate::domain::password::{Password, PasswordHash};
use crate::unavailable::{Kind, Unavailable};

/// The port (interface) for password hashing.
pub trait Hashing: Send + Sync {
    /// Takes a place for one job, for a visitor from `address`. `known` is the known browser of the
    /// user whose password it is. The place is freed when the job is done or the place is dropped.
    ///
    /// A cookie alone is not enough for `known`: the user's record must contain the browser. The
    /// number of browsers in records is bounded, the number of cookies ever issued is not.
    ///
    /// # Errors
    /// [`Full`] if there is no place, or if this visitor already has their share.
    fn place(&self, address: IpAddr, known: Option<BrowserId>) -> Result<Place, Full>;

    /// How busy it is now.
    fn load(&self) -> Load {
        Load::default()
    }
}

/// How busy password hashing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many threads hash passwords, besides the floor thread.
    pub threads: usize,
    /// How many jobs they have begun.
    pub running: usize,
    /// How many jobs wait.
    pub waiting: usize,
    /// How many passwords the floor thread has hashed so far.
    pub by_floor: u64,
}

/// No place is free. The visitor should try again soon (503); the attempt is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue for password hashing is full")]
pub struct Full;

impl Full {
    /// When to try again. By then a full queue has been worked off.
    pub const RETRY_AFTER: Duration = Duration::from_secs(2);
}

/// A place for one job.
///
/// A job that has begun runs to its end even if the caller is gone; a job in the queue does not. So
/// what must follow the job (such as the refund of a charge) belongs in a task that a closed
/// connection does not drop.
pub struct Place(Box<dyn Worker>);

/// Runs one job, then frees its place.
pub trait Worker: Send {
    /// Starts or queues `work`; never blocks.
    fn begin(self: Box<Self>, work: Work);
}

/// One job. Dropping it without an answer is a bug.
#[derive(Debug)]
pub enum Work {
    /// Compares a password with a stored hash.
    Verify {
        /// The typed password.
        password: Password,
        /// The stored hash. If it is `None`, the work is the same.
        stored: Option<PasswordHash>,
        /// Extra work to make all sign-ins equally long; work that `stored` needs anyway is not
        /// repeated.
        alike: Vec<Effort>,
        /// Receives the result.
        answer: oneshot::Sender<Result<Verified, Broken>>,
    },
    /// Hashes a new password.
    Hash {
        /// The new password.
        password: Password,
        /// Receives the result.
        answer: oneshot::Sender<Result<PasswordHash, Broken>>,
    },
    /// Hashes a digest that was imported.
    TakeOver {
        /// The imported digest.
        digest: Digest,
        /// Receives the result.
        answer: oneshot::Sender<Result<PasswordHash, Broken>>,
    },
}

/// The result of comparing a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether the password was right.
    pub right: bool,
    /// A new hash of the same password with the current parameters. Present if the password was
    /// right and the stored hash has weaker parameters or is over an imported digest.
    pub rehashed: Option<PasswordHash>,
}

/// Hashing failed: a worker is gone, or the stored hash is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct Broken(pub &'static str);

impl From<Broken> for Unavailable {
    fn from(Broken(why): Broken) -> Self {
        Self::new(Kind::Hashing, why)
    }
}

impl Place {
    /// A place whose job runs on `worker`.
    pub fn new(worker: impl Worker + 'static) -> Self {
        Self(Box::new(worker))
    }

    /// Compares `password` with `stored`. Takes the same time with and without a stored hash, if
    /// the hash has the current parameters. A hash over an imported digest also takes the same
    /// time, if the digest needs no more work than one of `alike`.
    ///
    /// # Errors
    /// [`Broken`] if hashing failed.
    pub async fn verify(
        self,
        password: Password,
        stored: Option<PasswordHash>,
        alike: Vec<Effort>,
    ) -> Result<Verified, Broken> {
        let (answer, waiting) = oneshot::channel();
        self.0.begin(Work::Verify { password, stored, alike, answer });
        waiting.await.unwrap_or(Err(GONE))
    }

    /// Hashes `password` with a new salt.
    ///
    /// # Errors
    /// [`Broken`] if hashing failed.
    pub async fn hash(self, password: Password) -> Result<PasswordHash, Broken> {
        let (answer, waiting) = oneshot::channel();
        self.0.begin(Work::Hash { password, answer });
        waiting.await.unwrap_or(Err(GONE))
    }

    /// Hashes an imported digest with a new salt.
    ///
    /// # Errors
    /// [`Broken`] if hashing failed.
    pub async fn take_over(self, digest: Digest) -> Result<PasswordHash, Broken> {
        let (answer, waiting) = oneshot::channel();
        self.0.begin(Work::TakeOver { digest, answer });
        waiting.await.unwrap_or(Err(GONE))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

const GONE: Broken = Broken("the worker thread has stopped");
