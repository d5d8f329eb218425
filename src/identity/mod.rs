//! Who says who somebody is: the port of password hashing, and how often one address may try.
//!
//! Hashing is slow by design, so that room for it is scarce. Whoever wants a password hashed takes
//! a [`Place`] first, and charges the attempt once there is one: a visitor who is turned away for
//! want of room has lost nothing. Some room is kept for browsers that have been here before: however
//! many strangers come, those who use the place every day still get in.

pub mod limit;
pub mod local;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::oneshot;

pub use limit::{Begin, SignInLimit, Try};

use crate::domain::device::BrowserId;
use crate::domain::digest::{Digest, Effort};
use crate::domain::password::{Password, PasswordHash};

/// Where passwords are hashed.
pub trait Hashing: Send + Sync {
    /// A place for one piece of work, for a visitor from `address`, and for whichever known browser
    /// of the person whose password it is the visitor was found to be. It is given back when the
    /// work is done, or when the place is dropped.
    ///
    /// What a browser says is not enough for `known`: the user's record must name it. The number of
    /// those is bounded; that of the cookies which were ever given out is not.
    ///
    /// # Errors
    /// [`Full`] if there is none, or if this visitor has their share already.
    fn place(&self, address: IpAddr, known: Option<BrowserId>) -> Result<Place, Full>;

    /// How many passwords were hashed so far by what is kept for them on a busy machine.
    fn hashed_by_floor(&self) -> u64 {
        0
    }
}

/// There is no place: the visitor should try again in a moment (503), and is charged nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every place for hashing passwords is taken")]
pub struct Full;

impl Full {
    /// When it is worth trying again: by then a full queue has been worked off.
    pub const RETRY_AFTER: Duration = Duration::from_secs(2);
}

/// A place for one piece of work.
///
/// The work outlives whoever waits for it only as far as it has begun: what must follow it (the
/// refund of a charge) belongs into a task that no closed connection drops.
pub struct Place(Box<dyn Worker>);

/// Does one piece of work, then gives its place back.
pub trait Worker: Send {
    /// Begins, or queues, `work`; never blocks.
    fn begin(self: Box<Self>, work: Work);
}

/// One piece of work. Whoever drops it unanswered is broken.
#[derive(Debug)]
pub enum Work {
    /// Compare a password with what we keep.
    Verify {
        /// What was typed.
        password: Password,
        /// What is kept; `None`: nothing, and the work is the same.
        stored: Option<PasswordHash>,
        /// What is done besides, as far as `stored` does not take it anyway.
        alike: Vec<Effort>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Verified, Broken>>,
    },
    /// Make what we keep of a new password.
    Hash {
        /// What was chosen.
        password: Password,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<PasswordHash, Broken>>,
    },
    /// Make what we keep of a password that was digested elsewhere.
    TakeOver {
        /// What was found.
        digest: Digest,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<PasswordHash, Broken>>,
    },
}

/// What became of comparing a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether it was the right one.
    pub right: bool,
    /// The same password with today's parameters, where it was right and they have risen, or only a
    /// digest of it was known.
    pub rehashed: Option<PasswordHash>,
}

/// Hashing does not work at all: a worker is gone, or what is kept is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("passwords cannot be hashed: {0}")]
pub struct Broken(pub &'static str);

impl Place {
    /// A place whose work `worker` does.
    pub fn new(worker: impl Worker + 'static) -> Self {
        Self(Box::new(worker))
    }

    /// Compares `password` with `stored`. Takes the same time whether there is something stored or
    /// not, if it was made with today's parameters, and whether over a digest that was made elsewhere
    /// or not, if that takes no more than one of `alike`.
    ///
    /// # Errors
    /// [`Broken`] if it cannot be said.
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

    /// Makes what we keep of `password`, with a new salt.
    ///
    /// # Errors
    /// [`Broken`] if it cannot be made.
    pub async fn hash(self, password: Password) -> Result<PasswordHash, Broken> {
        let (answer, waiting) = oneshot::channel();
        self.0.begin(Work::Hash { password, answer });
        waiting.await.unwrap_or(Err(GONE))
    }

    /// Makes what we keep of a password that was digested elsewhere, with a new salt.
    ///
    /// # Errors
    /// [`Broken`] if it cannot be made.
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

const GONE: Broken = Broken("the worker is gone");
