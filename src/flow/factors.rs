//! Adding, replacing, removing and renaming second factors.

use super::acting::Acting;
use super::answer::{Submitted, counted, counted_at_set_up, tell_forged, used_up};
use super::caller::Given;
use super::emailed::{may_be_answered, may_be_set_up};
use super::host_session::{Fresh, go_on, go_on_alone, in_session};
use super::next::owed_for_another;
use super::set_up::{FirstFactor, begun, waiting};
use super::texts::entered;
use crate::domain::assurance::{Kinds, Proof};
use crate::domain::ceremony::Purpose;
use crate::domain::event::What;
use crate::domain::factor::{Begun, FactorId, FactorName, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::time::Timestamp;
use crate::domain::user::{Another, FirstFactorAsks, User};
use crate::unavailable::Unavailable;

/// Where a new factor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Added to the existing ones.
    Beside,
    /// Replaces all existing ones. Every other session ends.
    Instead {
        /// Whether all trusted devices are revoked.
        forget_devices: bool,
    },
}

/// The result of adding a factor.
#[derive(Debug)]
pub enum Adding {
    /// It was added; the session continues under a new id.
    Added(Given),
    /// The answer was wrong.
    Wrong,
    /// It is a security key that is none of those that are accepted here.
    OtherModel,
    /// The user has the most factors of this kind that are allowed.
    TooMany,
    /// What had begun is missing or older than fifteen minutes: begin again.
    Late,
    /// Too many codes of this user were wrong: none is accepted now.
    Closed(Rejection),
    /// Too many answers from this address were wrong: none is accepted until this time.
    Waiting {
        /// When the next one is accepted.
        until: Timestamp,
    },
    /// Something must be shown first; never [`FirstFactorAsks::Nothing`].
    Owes(FirstFactorAsks),
    /// Two-factor is off, or users may not set up this kind.
    Off,
    /// The session has ended.
    Over,
}

impl Adding {
    /// The result of a code that was sent and is refused.
    const fn of_wrong_code(why: Rejection) -> Self {
        match why {
            Rejection::Wrong => Self::Wrong,
            closed => Self::Closed(closed),
        }
    }
}

impl Place {
    /// The purpose of its ceremony.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::Beside => Purpose::Another,
            Self::Instead { .. } => Purpose::Replacement,
        }
    }
}

/// Begins to set up a further factor of this `kind`, to be added at `place`, or goes on with what
/// has begun in this session: it stays the same after a reload, a wrong answer or a restart.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn begin(
    acting: Acting<'_>,
    kind: Kind,
    place: Place,
) -> Result<FirstFactor, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let Some(new) = env.begins(kind) else { return Ok(FirstFactor::None) };
    in_session(
        acting,
        || FirstFactor::None,
        |tx, session| {
            if !tx.user.has_second_factor() || tx.user.frozen().is_some() {
                return FirstFactor::None;
            }
            if !may_back_up(acting, &tx.user, kind, place) {
                return FirstFactor::None;
            }
            match owed_for_another(env, &tx.user, kind, &session.proofs, caller.now) {
                FirstFactorAsks::Nothing => {
                    FirstFactor::Waits(waiting(caller, tx, session, place.purpose(), &new))
                }
                owed => FirstFactor::Owes(owed),
            }
        },
    )
    .await
}

/// Whether a factor of this `kind` goes there: a backup only beside what it backs up.
fn may_back_up(acting: Acting<'_>, user: &User, kind: Kind, place: Place) -> bool {
    let Acting { env, caller, .. } = acting;
    kind.stands_alone() || (place == Place::Beside && may_be_set_up(env, user, caller.now))
}

/// Whether this session has lately shown what no code is as strong as. Or else somebody who phished
/// a code could add a key of their own for what codes do not open.
fn is_strong(acting: Acting<'_>, user: &User, session: &HostSession) -> bool {
    let Acting { env, caller, .. } = acting;
    let shown = user.honoured(&session.proofs, caller.now);
    let lately = |at| caller.now.within(env.config.confirm_for, at);
    shown.link.is_some_and(lately)
        || shown.second_factor(Kinds::PHISHING_RESISTANT).is_some_and(lately)
}

/// Adds a factor with its first correct answer. An empty `name` means the default name.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn add(
    acting: Acting<'_>,
    submitted: &Submitted,
    place: Place,
    name: Option<&FactorName>,
) -> Result<Adding, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    let (kind, settings) = (submitted.kind(), env.config.second_factor);
    if env.begins(kind).is_none() {
        return Ok(Adding::Off);
    }
    let counted = match counted(acting, submitted) {
        Ok(counted) => counted,
        Err(until) => return Ok(Adding::Waiting { until }),
    };
    let added = in_session(
        acting,
        || Adding::Over,
        |tx, session| {
            if tx.user.frozen().is_some() || !may_back_up(acting, &tx.user, kind, place) {
                return Adding::Off;
            }
            let owed = owed_for_another(env, &tx.user, kind, &session.proofs, caller.now);
            if owed != FirstFactorAsks::Nothing {
                return Adding::Owes(owed);
            }
            let Some(begun) = asked(acting, &tx.user, &session, (kind, place)) else {
                tell_forged(caller, tx, submitted);
                return Adding::Late;
            };
            let answer = &match env.verified(tx, Some(&begun), submitted, caller.now) {
                Ok(answer) => answer,
                Err(why) => {
                    used_up(tx, &session, submitted);
                    tell_forged(caller, tx, submitted);
                    return match why {
                        Rejection::OtherModel => Adding::OtherModel,
                        _ => Adding::Wrong,
                    };
                }
            };
            if let Err(why) = counted_at_set_up(caller, tx, &session, place.purpose(), answer) {
                return Adding::of_wrong_code(why);
            }
            let is_as_strong = is_strong(acting, &tx.user, &session);
            let (owner, now) = (&mut tx.user, caller.now);
            let changes = kind == Kind::Sms && owner.phones().next().is_some();
            let another = env.rng.draw(|rng| match place {
                Place::Beside => owner.add_factor(begun, answer, settings, rng, now),
                Place::Instead { forget_devices } => {
                    owner.replace_factors(begun, answer, settings, forget_devices, rng, now)
                }
            });
            let id = match another {
                Another::Added(id) => id,
                Another::Wrong => {
                    used_up(tx, &session, submitted);
                    tell_forged(caller, tx, submitted);
                    return Adding::Wrong;
                }
                Another::TooMany => {
                    used_up(tx, &session, submitted);
                    tell_forged(caller, tx, submitted);
                    return Adding::TooMany;
                }
                Another::Off => return Adding::Off,
            };
            if is_as_strong {
                tx.user.count_factor(id, caller.now);
            }
            if let Some(name) = name {
                tx.user.rename_factor(id, name.clone());
            }
            let proof = Proof::Factor(kind, id);
            let session = session.without_ceremony();
            Adding::Added(match place {
                Place::Beside => {
                    if !changes {
                        tx.tell(caller.event(user, What::FactorAdded(kind)));
                        return Adding::Added(go_on(env, caller, tx, &session, proof, &fresh));
                    }
                    tx.tell(caller.event(user, What::FactorRemoved(kind)));
                    tx.tell(caller.event(user, What::FactorAdded(kind)));
                    let session = session.risen(proof, caller.now);
                    go_on_alone(env, caller, tx, session, &fresh)
                }
                Place::Instead { .. } => {
                    tx.tell(caller.event(user, What::FactorReplaced(kind)));
                    let session = session.risen(proof, caller.now);
                    go_on_alone(env, caller, tx, session, &fresh)
                }
            })
        },
    )
    .await?;
    if let (Adding::Added(_), Some(counted)) = (&added, counted) {
        counted.give_back();
    }
    if matches!(added, Adding::Added(_)) {
        entered(acting, kind).await;
    }
    Ok(added)
}

/// What waits in this session for an answer that would add this kind of factor.
fn asked(
    acting: Acting<'_>,
    user: &User,
    session: &HostSession,
    (kind, place): (Kind, Place),
) -> Option<Begun> {
    let now = acting.caller.now;
    let begun = begun(session, place.purpose(), kind, now)?;
    may_be_answered(acting.env, user, &begun, now).then_some(begun)
}

/// The result of removing a factor.
#[derive(Debug)]
pub enum Removing {
    /// It was removed; every other session has ended, and this one continues under a new id.
    Removed(Given),
    /// There is no such factor, or it is the only one.
    Not,
    /// The session has ended.
    Over,
}

/// That codes by e-mail have ended with a change of something else, if the user had them before.
pub(super) fn lost_backup(had_backup: bool, user: &User) -> Option<What> {
    (had_backup && user.mailbox().is_none()).then_some(What::FactorRemoved(Kind::Email))
}

/// Removes one of several factors.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn remove(acting: Acting<'_>, id: FactorId) -> Result<Removing, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        acting,
        || Removing::Over,
        |tx, session| {
            let had_backup = tx.user.mailbox().is_some();
            let Some(kind) = tx.user.remove_factor(id) else { return Removing::Not };
            tx.tell(caller.event(user, What::FactorRemoved(kind)));
            if let Some(lost) = lost_backup(had_backup, &tx.user).filter(|_| kind != Kind::Email) {
                tx.tell(caller.event(user, lost));
            }
            Removing::Removed(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}

/// Accepts a security key again although its counter went back. It counts at once as one that
/// cannot be phished, if something as strong was shown, and after three days otherwise. Every other
/// session ends, and this one continues under a new id. `None` if there is no such key, nobody doubts
/// it, or the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn keep(acting: Acting<'_>, id: FactorId) -> Result<Option<Given>, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        acting,
        || None,
        |tx, session| {
            // What the key itself has shown counts for nothing while it is doubted.
            let is_as_strong = is_strong(acting, &tx.user, &session);
            tx.user.keep_factor(id, caller.now)?;
            if is_as_strong {
                tx.user.count_factor(id, caller.now);
            }
            tx.tell(caller.event(user, What::KeyKept));
            Some(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}

/// Renames a factor. Returns `false` if there is no such factor or the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn rename(
    acting: Acting<'_>,
    id: FactorId,
    name: &FactorName,
) -> Result<bool, Unavailable> {
    let Acting { caller, authenticated, .. } = acting;
    let user = authenticated.session.user;
    in_session(
        acting,
        || false,
        |tx, _| {
            let renamed = tx.user.rename_factor(id, name.clone());
            if let Some(kind) = renamed {
                tx.tell(caller.event(user, What::FactorRenamed(kind)));
            }
            renamed.is_some()
        },
    )
    .await
}
