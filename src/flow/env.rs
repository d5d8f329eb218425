//! What flows work with: the configuration, and the services behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::access_log::AccessLog;
use crate::config::{App, Config};
use crate::domain::demand::{Demand, Since};
use crate::domain::device::BrowserId;
use crate::domain::factor::Kind;
use crate::domain::request_id::RequestId;
use crate::domain::rng::SharedRng;
use crate::domain::set_up::SetUpProof;
use crate::domain::time::Timestamp;
use crate::domain::user::{Origin, User, UserId};
use crate::identity::{
    Begin, Client, Full, Hashing, Place, Providers, SecurityKeys, SignInLimit, Sources, Try,
};
use crate::messages::sms::Texts;
use crate::metrics::Metrics;
use crate::store::{Keyring, Snapshot, Store};
use crate::unavailable::Unavailable;

use super::caller::Caller;
pub use super::clock::Clock;
use super::decision_log::DecisionLog;
pub use super::log_throttle::{LeftOut, Line, LogThrottle};
use super::request_id::RequestIds;

/// Everything that outlives a request. A reload makes a new one that shares all but the
/// configuration. Code that holds one keeps the same configuration until it is done.
#[derive(Clone)]
pub struct Env {
    /// The configuration.
    pub config: Arc<Config>,
    /// When its demands were first loaded.
    pub since: Arc<Since>,
    /// Where users, sessions and links are stored.
    pub store: Arc<Store>,
    /// Hashes passwords.
    pub hashing: Arc<dyn Hashing>,
    /// The sources of first factors.
    pub sources: Arc<Sources>,
    /// Verifies the answers of security keys.
    pub security_keys: Arc<dyn SecurityKeys>,
    /// The identity providers.
    pub providers: Arc<Providers>,
    /// Limits sign-in attempts for each address and known browser.
    pub limit: Arc<SignInLimit>,
    /// Limits repeated log lines.
    pub log_throttle: Arc<LogThrottle>,
    /// The decision log.
    pub decision_log: Arc<DecisionLog>,
    /// Makes the ids of requests.
    pub request_ids: Arc<RequestIds>,
    /// Sends text messages one after the other.
    pub texts: Arc<Texts>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The access log.
    pub access_log: Arc<AccessLog>,
    /// Signs cookies and forms.
    pub signer: Arc<Keyring>,
    /// The clock; read once for each request.
    pub clock: Arc<Clock>,
    /// The random generator.
    pub rng: SharedRng,
}

impl Env {
    /// The name of a user, for log lines; `None` if the user is gone, or cannot be read.
    pub(super) async fn name_of(&self, user: UserId) -> Option<String> {
        let found = self.store.user(user).await.ok()??;
        Some(found.user.name().as_str().to_owned())
    }

    /// The current time.
    ///
    /// # Errors
    /// [`Unavailable`] if the clock went back; every request is refused then.
    pub fn now(&self) -> Result<Timestamp, Unavailable> {
        self.clock.now()
    }

    /// Logs and counts an error of ours. `failed` is what could not be done: "request refused".
    pub fn report(&self, error: &Unavailable, failed: &str) {
        self.metrics.unavailable(error.kind());
        error.log(failed);
    }

    /// A new id for a request.
    pub fn request_id(&self) -> RequestId {
        self.request_ids.next(&self.rng)
    }

    /// From when on this user must have a second factor in `app` or, if that is `None`, anywhere.
    /// `None`: nothing demands it.
    pub fn due(&self, user: &Snapshot, app: Option<&App>) -> Option<Timestamp> {
        let app = app.map(|app| app.name.as_str());
        self.config.demands.due(&user.identity, user.user.made(), app, &self.since)
    }

    /// The demand by which this user must not be without a second factor now, if there is one. A
    /// demand for a single application is enough.
    pub fn demand_on(&self, user: &User, now: Timestamp) -> Option<Demand> {
        self.config.demands.on(&user.identity(), user.made(), &self.since, now)
    }

    /// Whether mail proves something for this user. The mailbox of somebody for whom a provider may
    /// speak usually opens with the account there, which is the first factor already.
    pub fn mail_proves(&self, user: &User) -> bool {
        user.accounts().next().is_none() || self.config.separate_mailboxes
    }

    /// Whether a code by e-mail counts for this user: the operator permits it, and the mailbox does not
    /// open with what is the first factor already (an account at a provider, a password that was set by
    /// mail within 72 hours).
    pub fn email_codes_count(&self, user: &User, now: Timestamp) -> bool {
        self.config.kinds.contains(&Kind::Email)
            && user.frozen().is_none()
            && self.mail_proves(user)
            && user.mail_proves(now)
    }

    /// Whether the provider that answers for this user is trusted to say that a second factor was
    /// shown there.
    pub(super) fn trusts_the_provider_of(&self, user: &User) -> bool {
        let Origin::Provider(account) = user.origin() else { return false };
        let provider = self.providers.of_issuer(account.issuer());
        provider.is_some_and(|provider| !provider.settings().trusted_amr.is_empty())
    }

    /// What this user must prove, besides the first factor, to set up the first second factor.
    pub fn set_up_proof(&self, user: &User) -> SetUpProof {
        match self.config.set_up_proof {
            SetUpProof::Mail if !self.mail_proves(user) => SetUpProof::Link,
            proof => proof,
        }
    }

    /// Counts one attempt from the caller's address; it is never given back.
    ///
    /// # Errors
    /// When the next attempt from this address is accepted.
    pub(super) fn admits(&self, caller: &Caller) -> Result<(), Timestamp> {
        match self.limit.begin(Client::of(caller.address), caller.now) {
            Begin::Now(_) => Ok(()),
            Begin::Later => Err(caller.now.plus(Full::RETRY_AFTER)),
            Begin::Refused(until) => Err(self.too_many(caller, false, until)),
        }
    }

    /// Counts one answer of a security key, until it is given back because it was right: nobody can
    /// guess one, but each costs a verification and an event. `of`: one of [`Client::of_keys`] and
    /// [`Client::of_keys_after`].
    ///
    /// # Errors
    /// When the next one is accepted.
    pub(super) fn key_tries(&self, caller: &Caller, of: Client) -> Result<Try, Timestamp> {
        match self.limit.begin(of, caller.now) {
            Begin::Now(tried) => Ok(tried),
            Begin::Later => Err(caller.now.plus(Full::RETRY_AFTER)),
            Begin::Refused(until) => {
                Err(self.too_many(caller, matches!(of, Client::KeysOf(_)), until))
            }
        }
    }

    pub(super) fn too_many(&self, caller: &Caller, known: bool, until: Timestamp) -> Timestamp {
        self.metrics.sign_in_rejected("sign_in_posts");
        if let Some(left_out) = self.log_throttle.due(Line::Limit, caller.now) {
            let address = caller.address;
            if known {
                tracing::info!(%address, left_out, "too many sign-in attempts from one browser");
            } else {
                tracing::info!(%address, left_out, "too many sign-in attempts from one address");
            }
        }
        until
    }

    /// Counts one password attempt and waits for a place in the hashing queue. `known` is the known
    /// browser of the user whose password it is; it is counted by itself, so that others behind its
    /// address cannot shut it out. All other attempts are counted by their address. When many
    /// people sign in at the same time, this takes seconds; refusing them would only make them try
    /// again at once.
    ///
    /// # Errors
    /// [`NoTurn`]; nothing is counted then.
    pub(super) async fn turn(
        &self,
        caller: &Caller,
        known: Option<BrowserId>,
    ) -> Result<Turn, NoTurn> {
        let place = || self.hashing.place(caller.address, known).ok();
        let (tried, place) = self.turn_with(caller, known, place).await?;
        Ok(Turn { place, tried })
    }

    /// The same for an attempt that takes no hashing: that of somebody who comes back from an identity
    /// provider.
    ///
    /// # Errors
    /// [`NoTurn`]; nothing is counted then.
    pub(super) async fn turn_without_hashing(
        &self,
        caller: &Caller,
        known: Option<BrowserId>,
    ) -> Result<Try, NoTurn> {
        self.turn_with(caller, known, || Some(())).await.map(|(tried, ())| tried)
    }

    async fn turn_with<P>(
        &self,
        caller: &Caller,
        known: Option<BrowserId>,
        place: impl Fn() -> Option<P>,
    ) -> Result<(Try, P), NoTurn> {
        let client = known.map_or_else(|| Client::of(caller.address), Client::Known);
        let mut waiting = None;
        let ticks = self.limit.patience().as_millis() / TICK.as_millis();
        for tick in 0..=ticks {
            match self.limit.begin(client, caller.now) {
                Begin::Now(tried) => match place() {
                    Some(place) => return Ok((tried, place)),
                    None => tried.give_back(),
                },
                Begin::Later => {}
                Begin::Refused(until) => {
                    let until = self.too_many(caller, known.is_some(), until);
                    return Err(NoTurn::Waiting(until));
                }
            }
            if waiting.is_none() {
                waiting = self.limit.wait(client);
            }
            if waiting.is_none() || tick == ticks {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        self.metrics.sign_in_rejected("busy");
        Err(NoTurn::Busy)
    }
}

/// A counted password attempt with its place in the hashing queue.
pub(super) struct Turn {
    /// The place.
    pub(super) place: Place,
    /// The count, given back if the password is right.
    pub(super) tried: Try,
}

/// Why no password is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many failures from this address or known browser: nothing is accepted until this time.
    Waiting(Timestamp),
    /// Too many sign-ins at the same time.
    Busy,
}

/// How often the queue is checked for a place.
const TICK: Duration = Duration::from_millis(100);

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("config", &self.config).finish_non_exhaustive()
    }
}
