//! Decides whether a request may pass: cookie, session, evidence, requirement, verdict.

use std::net::IpAddr;
use std::sync::Arc;

use super::env::Env;
use super::request_id;
use crate::config::{App, Config};
use crate::domain::assurance::{
    Evidence, First, FirstFactor, Requirement, Verdict, Visitor, judge,
};
use crate::domain::demand::Since;
use crate::domain::factor::Kind;
use crate::domain::host_session::HostSession;
use crate::domain::secret::TokenHash;
use crate::domain::time::Timestamp;
use crate::domain::user_session::{UserSession, UserSessionId};
use crate::policy::{Asker, Request, Ruling};
use crate::store::{Authenticated, Reads, Snapshot};
use crate::unavailable::Unavailable;

/// A live host session and its user.
#[derive(Clone, Debug)]
pub struct AuthenticatedRequest {
    /// The key of the session in the store.
    pub hash: TokenHash,
    /// The host session.
    pub session: Arc<HostSession>,
    /// The user session it belongs to.
    pub user_session: UserSessionId,
    /// The user.
    pub user: Arc<Snapshot>,
}

impl AuthenticatedRequest {
    /// What a decision about this request reads: the user's record, the host session and the user
    /// session.
    pub(super) fn reads(&self) -> Reads {
        Reads::user(self.session.user).in_session(Some(self.hash))
    }

    /// The user and all their proofs, in `app` or, if that is `None`, on all hosts.
    pub fn visitor(&self, env: &Env, app: Option<&App>, now: Timestamp) -> Visitor {
        let identity = Arc::clone(&self.user.identity);
        let demanded = || env.due(&self.user, app).is_some_and(|due| due <= now);
        let mut visitor = self.user.user.visitor(&self.session, identity, now);
        if visitor.has.has(Kind::Email) && !env.email_codes_count(&self.user.user, now) {
            visitor = visitor.without(Kind::Email);
        }
        // The provider must still be trusted to say so.
        visitor.proofs.provider =
            visitor.proofs.provider.filter(|_| env.trusts_the_provider_of(&self.user.user));
        // A user who has a second factor needs no demand to be asked for it.
        Visitor { demanded: !visitor.has_second_factor && demanded(), ..visitor }
    }
}

/// The decision about a request to an application.
#[derive(Debug)]
pub struct Admission {
    /// The verdict.
    pub verdict: Verdict,
    /// The requirement, and the rule it comes from.
    pub ruling: Ruling,
    /// The verdict and requirement if everything in observe mode were enforced, where they differ.
    pub watched: Option<(Verdict, Ruling)>,
    /// The user and what they have shown.
    pub evidence: Evidence,
    /// The authenticated request.
    pub authenticated: Option<AuthenticatedRequest>,
}

/// Decides a request to `app` from this address, if that is known, in the session with this id.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read; refuse the request then.
pub async fn admit(
    env: &Env,
    app: &App,
    request: &Request,
    address: Option<IpAddr>,
    session: Option<TokenHash>,
    now: Timestamp,
) -> Result<Admission, Unavailable> {
    let authenticated = authenticate(env, session, now).await?;
    let evidence: Evidence =
        authenticated.as_ref().map(|authenticated| authenticated.visitor(env, Some(app), now));
    Ok(Admission { authenticated, ..decide(app, request, address, evidence, now) })
}

/// Decides a request to `app` with this `evidence`.
pub fn decide(
    app: &App,
    request: &Request,
    address: Option<IpAddr>,
    evidence: Evidence,
    now: Timestamp,
) -> Admission {
    let asker = Asker { address, known: evidence.as_ref().and_then(Visitor::known) };
    let ruling = app.policy.requirement(request, &asker);
    let enforced = judge(&ruling.requirement, &evidence, now);
    let mut watched = app.policy.watched(request, &asker).map(|ruling| {
        let verdict = judge(&ruling.requirement, &evidence, now);
        (verdict, ruling)
    });
    let verdict = if app.enforce || matches!(enforced, Verdict::Pass(_) | Verdict::SaveCodes(_)) {
        enforced
    } else {
        watched.get_or_insert_with(|| (enforced, ruling.clone()));
        judge(&Requirement::nothing(), &evidence, now)
    };
    let watched = watched.filter(|(watched, _)| watched.name() != verdict.name());
    Admission { verdict, ruling, watched, evidence, authenticated: None }
}

/// The demand by which this visitor has to set up a second factor, in the words of the configuration;
/// `None` if the rule alone requires that, or something else is required.
pub fn demand_behind(
    config: &Config,
    since: &Since,
    app: &App,
    (verdict, ruling): (&Verdict, &Ruling),
    visitor: Option<&Visitor>,
    now: Timestamp,
) -> Option<String> {
    let visitor = visitor.filter(|visitor| visitor.demanded)?;
    let undemanded = Some(Visitor { demanded: false, ..visitor.clone() });
    let by_rule = judge(&ruling.requirement, &undemanded, now);
    if !matches!(verdict, Verdict::SetUp) || matches!(by_rule, Verdict::SetUp) {
        return None;
    }
    config.demands.asking(&visitor.identity, &app.name, since, now)
}

/// What led to the verdict, for the operator: the rule, and the demand if that asks for more.
pub fn decided_by(
    config: &Config,
    since: &Since,
    app: &App,
    (verdict, ruling): (&Verdict, &Ruling),
    visitor: Option<&Visitor>,
    now: Timestamp,
) -> String {
    let rule = app.policy.name_of(ruling.raised_by);
    match demand_behind(config, since, app, (verdict, ruling), visitor, now) {
        Some(demand) => format!("{rule} and {demand}"),
        None => rule,
    }
}

/// Decides whether `authenticated`, or an anonymous request, meets `requirement`, in `app` or, if
/// that is `None`, on all hosts.
pub fn judge_authenticated(
    env: &Env,
    requirement: &Requirement,
    authenticated: Option<&AuthenticatedRequest>,
    app: Option<&App>,
    now: Timestamp,
) -> Verdict {
    judge(
        requirement,
        &authenticated.map(|authenticated| authenticated.visitor(env, app, now)),
        now,
    )
}

/// Decides again about a request that was let through when it `began` and is still in progress. A
/// time limit (`within`) counts from then; everything else must hold now.
///
/// The host session may have a new id by now, but the user session stays the same. `used`: the
/// visitor has sent something, so the user session is in use. The decision holds until the
/// configuration, the user or the user session changes, or until the time it names.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read; end the request then.
pub async fn admit_still(
    env: &Env,
    app: &App,
    before: &Before,
    used: bool,
    now: Timestamp,
) -> Result<Still, Unavailable> {
    let mut until = None;
    let evidence = match &before.authenticated {
        None => None,
        Some(authenticated) => {
            let (id, session) = (authenticated.user_session, &authenticated.session);
            let Some(user_session) = env.store.user_session(id).await? else {
                return Ok(Still::Over);
            };
            let Some(person) = env.store.user(session.user).await? else {
                return Ok(Still::Over);
            };
            let lives = user_session.is_alive(person.user.epoch(), env.config.sessions, now);
            if user_session.user != session.user || !lives {
                return Ok(Still::Over);
            }
            until = expiry(env, app, session, &user_session, &person, now);
            if used && user_session.is_worth_touching(env.config.sessions, now) {
                note_use(env, id, now);
            }
            Some(AuthenticatedRequest { user: person, ..authenticated.clone() }.visitor(
                env,
                Some(app),
                now,
            ))
        }
    };
    let decided = decide(app, &before.request, before.address, evidence, before.began);
    Ok(match decided.verdict {
        Verdict::Pass(_) | Verdict::SaveCodes(_) => Still::Holds { until },
        _ => Still::Over,
    })
}

/// When time alone may change the decision for this `session`: the user session ends, a trusted
/// device expires, a first factor no longer counts, or a demand takes effect.
fn expiry(
    env: &Env,
    app: &App,
    session: &HostSession,
    user_session: &UserSession,
    person: &Snapshot,
    now: Timestamp,
) -> Option<Timestamp> {
    let device = session.proofs.trusted_device.as_ref();
    let device = device.and_then(|shown| person.user.device_trusted_until(shown.device));
    let ends = Some(user_session.expires(env.config.sessions));
    let is_others = |first: &&First| first.by != FirstFactor::Provider;
    let standing = session.proofs.first.as_ref().filter(is_others);
    let standing = standing.and_then(|_| person.user.stands_until());
    [ends, device, standing, env.due(person, Some(app))]
        .into_iter()
        .flatten()
        .filter(|at| *at > now)
        .min()
}

/// The new decision about a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// It would be refused now.
    Over,
    /// It would still be let through.
    Holds {
        /// From when on time alone may change that.
        until: Option<Timestamp>,
    },
}

/// A request that was let through.
#[derive(Clone, Debug)]
pub struct Before {
    /// The request.
    pub request: Arc<Request>,
    /// The client address, if it is known.
    pub address: Option<IpAddr>,
    /// The authenticated request, if it is one.
    pub authenticated: Option<AuthenticatedRequest>,
    /// When it began.
    pub began: Timestamp,
}

/// The live session with this id, if there is one. Its use is saved at most once a minute, or once
/// in a quarter of `sessions: { idle }` if that is shorter.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn authenticate(
    env: &Env,
    session: Option<TokenHash>,
    now: Timestamp,
) -> Result<Option<AuthenticatedRequest>, Unavailable> {
    let Some(hash) = session else { return Ok(None) };
    let Some(found) = env.store.authenticate(hash).await? else { return Ok(None) };
    let Authenticated { session, user_session, user } = found;
    let id = session.user_session;
    if user_session.user != session.user
        || !user_session.is_alive(user.user.epoch(), env.config.sessions, now)
    {
        return Ok(None);
    }
    if user_session.is_worth_touching(env.config.sessions, now) {
        note_use(env, id, now);
    }
    Ok(Some(AuthenticatedRequest { hash, session, user_session: id, user }))
}

/// Runs in the background. If saving fails, the user session may end earlier; the next use is saved
/// again.
fn note_use(env: &Env, id: UserSessionId, now: Timestamp) {
    let (store, limits) = (Arc::clone(&env.store), env.config.sessions);
    tokio::spawn(request_id::carried(async move {
        if let Err(error) = store.touch(id, limits, now).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot save when a user session was last used"
            );
        }
    }));
}
