//! Whether a request may go on: cookie, session, evidence, requirement, verdict.

use std::net::IpAddr;
use std::sync::Arc;

use super::env::Env;
use crate::config::App;
use crate::domain::assurance::{Evidence, Requirement, Verdict, Visitor, judge};
use crate::domain::secret::TokenHash;
use crate::domain::session::Session;
use crate::domain::stay::{Stay, StayId};
use crate::domain::time::Timestamp;
use crate::policy::{Asker, Request, Ruling};
use crate::store::{Reads, Snapshot, Unavailable, Visited};

/// A live session and whose it is.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Under what the session is kept.
    pub hash: TokenHash,
    /// The session.
    pub session: Arc<Session>,
    /// The stay that it belongs to.
    pub stay: StayId,
    /// Whose it is.
    pub user: Arc<Snapshot>,
}

impl Visit {
    /// What a decision about whoever this visit is looks at: their record, the session and its stay.
    pub(super) fn reads(&self) -> Reads {
        Reads { session: Some(self.hash), ..Reads::user(self.session.user) }
    }

    /// Who the visitor is, and all their proofs, in `app` or, if that is `None`, anywhere.
    pub fn visitor(&self, env: &Env, app: Option<&App>, now: Timestamp) -> Visitor {
        let identity = Arc::clone(&self.user.identity);
        let demanded = || env.due(&self.user, app).is_some_and(|due| due <= now);
        let visitor = self.user.user.visitor(&self.session, identity, now);
        // Whoever has one needs no demand to be asked for it.
        Visitor { demanded: !visitor.has_second_factor && demanded(), ..visitor }
    }
}

/// What is decided of a request to an application.
#[derive(Debug)]
pub struct Admission {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What was asked, and by which rule.
    pub ruling: Ruling,
    /// What would have become of it, and why, were everything enforced that is only watched; where
    /// that is something else.
    pub watched: Option<(Verdict, Ruling)>,
    /// The visitor, and what they have shown.
    pub evidence: Evidence,
    /// Their visit.
    pub visit: Option<Visit>,
}

/// Judges a request to `app` from this address, where that is known, in the session with this id.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read; the request is to be refused then.
pub async fn admit(
    env: &Env,
    app: &App,
    request: &Request,
    address: Option<IpAddr>,
    session: Option<TokenHash>,
    now: Timestamp,
) -> Result<Admission, Unavailable> {
    let visit = visit(env, session, now).await?;
    let evidence: Evidence = visit.as_ref().map(|visit| visit.visitor(env, Some(app), now));
    Ok(Admission { visit, ..decide(app, request, address, evidence, now) })
}

/// Decides a request to `app` of whoever has shown this `evidence`.
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
    Admission { verdict, ruling, watched, evidence, visit: None }
}

/// Judges what `visit` has shown, or that there is none, against `requirement`, in `app` or, if that
/// is `None`, anywhere.
pub fn judge_visit(
    env: &Env,
    requirement: &Requirement,
    visit: Option<&Visit>,
    app: Option<&App>,
    now: Timestamp,
) -> Verdict {
    judge(requirement, &visit.map(|visit| visit.visitor(env, app, now)), now)
}

/// Judges a request again that was let through when it `began`, and is still under way. What had to
/// be shown lately was shown lately then; everything else must be so now.
///
/// Its session may have gone on under another id meanwhile: what lasts is the stay. `used`: the
/// visitor has sent something, so the stay is in use. The answer holds until something changes: the
/// configuration, the user, the stay; or until the moment that it names.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read; the request is to be ended then.
pub async fn admit_still(
    env: &Env,
    app: &App,
    before: &Before,
    used: bool,
    now: Timestamp,
) -> Result<Still, Unavailable> {
    let mut until = None;
    let evidence = match &before.visit {
        None => None,
        Some(visit) => {
            let (id, session) = (visit.stay, &visit.session);
            let Some(stay) = env.store.stay(id).await? else { return Ok(Still::Over) };
            let Some(person) = env.store.user(session.user).await? else {
                return Ok(Still::Over);
            };
            let lives = stay.is_alive(person.user.epoch(), env.config.sessions, now);
            if stay.user != session.user || !lives {
                return Ok(Still::Over);
            }
            until = expiry(env, app, session, &stay, &person, now);
            if used && stay.is_worth_touching(now) {
                note_use(env, id, now);
            }
            Some(Visit { user: person, ..visit.clone() }.visitor(env, Some(app), now))
        }
    };
    let decided = decide(app, &before.request, before.address, evidence, before.began);
    Ok(match decided.verdict {
        Verdict::Pass(_) | Verdict::SaveCodes(_) => Still::Holds { until },
        _ => Still::Over,
    })
}

/// The next moment at which time alone may change what is decided of whoever is in this `session`: their
/// stay ends, a trusted device is trusted no more, a demand is due.
fn expiry(
    env: &Env,
    app: &App,
    session: &Session,
    stay: &Stay,
    person: &Snapshot,
    now: Timestamp,
) -> Option<Timestamp> {
    let device = session.proofs.trusted_device.as_ref();
    let device = device.and_then(|shown| person.user.device_trusted_until(shown.device));
    let ends = Some(stay.expires(env.config.sessions));
    [ends, device, env.due(person, Some(app))].into_iter().flatten().filter(|at| *at > now).min()
}

/// What has become of a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// It would not be let through now.
    Over,
    /// It would.
    Holds {
        /// From when on time alone may have changed that.
        until: Option<Timestamp>,
    },
}

/// A request that was let through.
#[derive(Clone, Debug)]
pub struct Before {
    /// What was asked for.
    pub request: Arc<Request>,
    /// From where, where that is known.
    pub address: Option<IpAddr>,
    /// In which visit, if in one.
    pub visit: Option<Visit>,
    /// When.
    pub began: Timestamp,
}

/// The live session with this id, if there is one; its use is noted, at most once a minute.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn visit(
    env: &Env,
    session: Option<TokenHash>,
    now: Timestamp,
) -> Result<Option<Visit>, Unavailable> {
    let Some(hash) = session else { return Ok(None) };
    let Some(visited) = env.store.visit(hash).await? else { return Ok(None) };
    let Visited { session, stay, user } = visited;
    let Some(id) = session.stay else { return Ok(None) };
    if stay.user != session.user || !stay.is_alive(user.user.epoch(), env.config.sessions, now) {
        return Ok(None);
    }
    if stay.is_worth_touching(now) {
        note_use(env, id, now);
    }
    Ok(Some(Visit { hash, session, stay: id, user }))
}

/// Nobody waits for this: a use that is not noted shortens the stay, and the next one is noted.
fn note_use(env: &Env, id: StayId, now: Timestamp) {
    let store = Arc::clone(&env.store);
    tokio::spawn(async move {
        if let Err(error) = store.touch(id, now).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot save when a user session was last used"
            );
        }
    });
}
