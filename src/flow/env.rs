//! What flows work with, and who calls them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{App, Config};
use crate::domain::agent::Agent;
use crate::domain::assurance::Proofs;
use crate::domain::chance::Chance;
use crate::domain::demand::{Demand, Since};
use crate::domain::device::{BrowserId, DeviceId, Seen};
use crate::domain::event::{Event, What, Whom};
use crate::domain::secret::Token;
use crate::domain::signed::Signer;
use crate::domain::time::Timestamp;
use crate::domain::user::{User, UserId};
use crate::identity::{Begin, Full, Hashing, Place, SignInLimit, Try};
use crate::metrics::Metrics;
use crate::store::{Snapshot, Store, Unavailable};

pub use super::clock::Clock;
pub use super::lines::{Line, Lines};
use super::offer;
use super::witness::Witness;

/// Everything that outlives a request. A new configuration makes a new one, which shares all the
/// rest: whoever holds one works with one configuration until the end.
#[derive(Clone)]
pub struct Env {
    /// What the operator wants.
    pub config: Arc<Config>,
    /// When the demands of that were first loaded.
    pub since: Arc<Since>,
    /// Where people, visits and links are kept.
    pub store: Arc<Store>,
    /// Where passwords are hashed.
    pub hashing: Arc<dyn Hashing>,
    /// How often one address may try to sign in.
    pub limit: Arc<SignInLimit>,
    /// How often a log line is written that a flood could repeat.
    pub lines: Arc<Lines>,
    /// What is remembered of decisions.
    pub witness: Arc<Witness>,
    /// Numbers about what happens.
    pub metrics: Arc<Metrics>,
    /// Who signs what browsers carry.
    pub signer: Arc<Signer>,
    /// What time it is; read once for each request.
    pub clock: Arc<Clock>,
    /// Where random bits come from.
    pub chance: Chance,
}

impl Env {
    /// What time it is.
    ///
    /// # Errors
    /// [`Unavailable`] if the clock cannot be believed; nobody is let through then.
    pub fn now(&self) -> Result<Timestamp, Unavailable> {
        self.clock.now()
    }

    /// From when on this user must have a second factor in `app`, or, if that is `None`, wherever
    /// they go; `None`: nothing demands it of them.
    pub fn due(&self, user: &Snapshot, app: Option<&App>) -> Option<Timestamp> {
        let app = app.map(|app| app.name.as_str());
        self.config.demands.due(&user.identity, user.user.made(), app, &self.since)
    }

    /// By which demand this user may not be without a second factor now, if by any: be it in one
    /// application, for nobody is to be in there tomorrow without.
    pub fn demand_on(&self, user: &User, now: Timestamp) -> Option<Demand> {
        self.config.demands.on(&user.identity(), user.made(), &self.since, now)
    }

    /// What this user does next who has shown a password, and a trusted device or not.
    pub(super) fn next(&self, user: &User, proofs: &Proofs, now: Timestamp) -> Next {
        if user.has_second_factor() {
            return match proofs.trusted_device {
                Some(_) => self.next_inside(user, proofs, now),
                None => Next::Challenge,
            };
        }
        let due = self.config.demands.due(&user.identity(), user.made(), None, &self.since);
        match due {
            Some(due) if due <= now => Next::SetUp,
            Some(_) => Next::SetUpSoon,
            None => self.next_inside(user, proofs, now),
        }
    }

    /// What this user does next who has shown everything that was owed.
    pub(super) fn next_inside(&self, user: &User, proofs: &Proofs, now: Timestamp) -> Next {
        match offer::fits(self, user, proofs, now) {
            Some(_) => Next::Offer,
            None => Next::Onward,
        }
    }

    /// Counts one more try from the caller's address that nothing gives back.
    ///
    /// # Errors
    /// The moment at which the next try from there is read.
    pub(super) fn admits(&self, caller: &Caller) -> Result<(), Timestamp> {
        match self.limit.begin(caller.address, caller.now) {
            Begin::Now(_) => Ok(()),
            Begin::Later => Err(caller.now.plus(Full::RETRY_AFTER)),
            Begin::Refused(until) => Err(self.too_many(caller, until)),
        }
    }

    fn too_many(&self, caller: &Caller, until: Timestamp) -> Timestamp {
        self.metrics.sign_in_turned_away("sign_in_posts");
        if let Some(left_out) = self.lines.due(Line::Limit, caller.now) {
            tracing::info!(address = %caller.address, left_out, "too many tries from one address");
        }
        until
    }

    /// Counts one more try of a password from the caller's address, and takes a place for hashing it:
    /// at once, or as soon as there is one. Where a whole office comes at nine, that takes seconds, and
    /// whoever is sent away only comes back at once.
    ///
    /// # Errors
    /// [`NoTurn`]; nothing is counted then.
    pub(super) async fn turn(
        &self,
        caller: &Caller,
        known: Option<BrowserId>,
    ) -> Result<Turn, NoTurn> {
        let mut waiting = None;
        let ticks = self.limit.patience().as_millis() / TICK.as_millis();
        for tick in 0..=ticks {
            match self.limit.begin(caller.address, caller.now) {
                Begin::Now(tried) => match self.hashing.place(caller.address, known) {
                    Ok(place) => return Ok(Turn { place, tried }),
                    Err(Full) => tried.give_back(),
                },
                Begin::Later => {}
                Begin::Refused(until) => return Err(NoTurn::Waiting(self.too_many(caller, until))),
            }
            if waiting.is_none() {
                waiting = self.limit.wait(caller.address);
            }
            if waiting.is_none() || tick == ticks {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        self.metrics.sign_in_turned_away("busy");
        Err(NoTurn::Busy)
    }
}

/// A try of a password that was counted, and the place in which it is hashed.
pub(super) struct Turn {
    /// Where it is hashed.
    pub(super) place: Place,
    /// To be given back if it turns out right.
    pub(super) tried: Try,
}

/// Why no password is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many from this address have failed: none is read before this moment.
    Waiting(Timestamp),
    /// Too many come at once.
    Busy,
}

/// How often it is looked whether there is one.
const TICK: Duration = Duration::from_millis(100);

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whoever we heard it from.
    pub peer: IpAddr,
    /// The visitor; `None` if a proxy that is trusted did not say.
    pub visitor: Option<IpAddr>,
}

impl Source {
    /// The visitor's address, or the next best.
    pub fn address(self) -> IpAddr {
        self.visitor.unwrap_or(self.peer)
    }
}

/// Who sends this request, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// When it came.
    pub now: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// The same, where that is the visitor's own address; `None` if a trusted proxy did not say.
    pub visitor: Option<IpAddr>,
    /// In what browser, as it calls itself.
    pub agent: Option<Agent>,
    /// With what.
    pub carried: Carried,
}

/// What a browser carries for us. Each was signed by us for this host, or is absent here.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The id of its session.
    pub session: Option<Token>,
    /// The trusted device that it is.
    pub device: Option<DeviceCookie>,
    /// The known browser that it is.
    pub known: Option<KnownCookie>,
    /// Its names before sign-in: several, where it came several times at once.
    pub browsers: Vec<[u8; 16]>,
}

/// What a flow gives the browser to carry from now on; the rest it keeps.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The id of a new session.
    pub session: Option<Token>,
    /// The trusted device that it now is, with its number.
    pub device: Option<DeviceCookie>,
    /// The known browser that it now is.
    pub known: Option<KnownCookie>,
    /// What its owner does next.
    pub next: Next,
}

/// What somebody does next who has just shown a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Whatever they wanted.
    #[default]
    Onward,
    /// Show the second factor.
    Challenge,
    /// Set up a second factor: it is demanded of them.
    SetUp,
    /// Set one up now or later: it will be demanded of them.
    SetUpSoon,
    /// Look at an offer, and go where they wanted.
    Offer,
}

/// What the cookie of a trusted device says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCookie {
    /// Whose device it is.
    pub user: UserId,
    /// Which.
    pub id: DeviceId,
    /// The number that the next use replaces.
    pub number: u64,
    /// When its time is over. Only what we give says so; what comes back is judged by the record.
    pub expires: Timestamp,
}

/// What the cookie of a known browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCookie {
    /// Who has signed in here.
    pub user: UserId,
    /// Which browser of theirs.
    pub id: BrowserId,
}

impl Caller {
    /// The class of this browser towards `user`: one of their known ones, or a stranger's.
    ///
    /// A cookie for another user says nothing, nor does one that the user has forgotten.
    pub fn known_to(&self, user: &User) -> Option<BrowserId> {
        let known = self.carried.known.filter(|known| known.user == user.id())?;
        user.knows(known.id).then_some(known.id)
    }

    /// The trusted device of `user` that this browser claims to be.
    pub fn device_of(&self, user: UserId) -> Option<DeviceCookie> {
        self.carried.device.filter(|device| device.user == user)
    }

    /// From where, and with what.
    pub fn seen(&self) -> Seen {
        Seen { address: Some(self.address), agent: self.agent.clone() }
    }

    /// That this caller did something to `user`.
    pub fn event(&self, user: UserId, what: What) -> Event {
        self.event_about(Whom::User(user), what)
    }

    /// That this caller did something.
    pub fn event_about(&self, whom: Whom, what: What) -> Event {
        let (from, agent) = (Some(self.address), self.agent.clone());
        Event { at: self.now, whom, what, from, by: None, agent }
    }
}
