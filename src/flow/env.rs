//! What flows work with: the configuration, and the services behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{App, Config};
use crate::domain::chance::Chance;
use crate::domain::demand::{Demand, Since};
use crate::domain::device::BrowserId;
use crate::domain::signed::Signer;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::identity::{Begin, Full, Hashing, Place, SignInLimit, Try};
use crate::metrics::Metrics;
use crate::store::{Snapshot, Store, Unavailable};

use super::caller::Caller;
pub use super::clock::Clock;
pub use super::lines::{Line, Lines};
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
            tracing::info!(
                address = %caller.address,
                left_out,
                "too many sign-in attempts from one address"
            );
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
