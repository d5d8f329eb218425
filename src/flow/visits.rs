//! How visits begin, and how they go on under a new id when more has been shown.

use super::admit::Visit;
use super::caller::{Caller, DeviceCookie, Given, KnownCookie, Next};
use super::env::Env;
use crate::domain::assurance::{Proof, Proofs};
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::event::What;
use crate::domain::secret::Token;
use crate::domain::session::Session;
use crate::domain::stay::{Stay, StayId};
use crate::store::{Held, Reads, Unavailable};

/// The names that a visit may need, drawn before it is decided: a decision may be made twice.
pub(super) struct Fresh {
    session: Token,
    browser: BrowserId,
    device: DeviceId,
    stay: StayId,
}

impl Fresh {
    pub(super) fn draw(env: &Env) -> Self {
        env.chance.draw(|rng| Self {
            session: Token::random(rng),
            browser: BrowserId::random(rng),
            device: DeviceId::random(rng),
            stay: StayId::random(rng),
        })
    }
}

/// The session as it is now, if it still goes on.
pub(super) fn live_session(env: &Env, caller: &Caller, held: &Held) -> Option<Session> {
    let session = held.session.clone().filter(|session| session.user == held.user.id())?;
    live_stay(env, caller, held).map(|_| session)
}

/// Decides in the session of `visit` as it is now, and writes what was decided; `over`, if the session
/// has ended meanwhile.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether it was written is not known then.
pub(super) async fn in_session<T>(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    over: fn() -> T,
    decide: impl FnMut(&mut Held, Session) -> T,
) -> Result<T, Unavailable> {
    in_session_with(env, caller, visit.reads(), over, decide).await
}

/// As [`in_session`], for a decision that looks at more than the session: at what `reads` names.
pub(super) async fn in_session_with<T>(
    env: &Env,
    caller: &Caller,
    reads: Reads,
    over: fn() -> T,
    mut decide: impl FnMut(&mut Held, Session) -> T,
) -> Result<T, Unavailable> {
    let decided = env.store.update(reads, |held| match live_session(env, caller, held) {
        Some(session) => decide(held, session),
        None => over(),
    });
    Ok(decided.await?.unwrap_or_else(over))
}

/// The stay as it is now, if it still goes on and is the user's.
pub(super) fn live_stay<'h>(env: &Env, caller: &Caller, held: &'h Held) -> Option<&'h Stay> {
    let (user, epoch) = (held.user.id(), held.user.epoch());
    held.stay
        .as_ref()
        .filter(|stay| stay.user == user && stay.is_alive(epoch, env.config.sessions, caller.now))
}

/// A second factor was shown: the visit goes on under a new id with that proof, everything that was
/// owed has been shown, and the browser is trusted if its owner wishes so.
pub(super) fn rise(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    session: &Session,
    proof: Proof,
    trust_device: bool,
    fresh: &Fresh,
) -> Given {
    let now = caller.now;
    let user = held.user.id();
    let mut given = go_on(env, caller, held, session, proof, fresh);

    given.known = Some(know(caller, held, fresh));

    if trust_device {
        // The series that this browser had is replaced, not kept beside the new one.
        if let Some(device) = caller.device_of(user) {
            held.user.forget_device(device.id);
        }
        let (by, how) = (proof.factor(), env.config.trusted_devices);
        let expires = held.user.trust(fresh.device, by, how, &caller.seen(), now);
        held.tell(caller.event(user, What::DeviceTrusted));
        given.device = Some(DeviceCookie { user, id: fresh.device, number: 1, expires });
    }
    given
}

/// The visit goes on under a new id with one more proof; the old id is dead.
pub(super) fn go_on(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    session: &Session,
    proof: Proof,
    fresh: &Fresh,
) -> Given {
    replace(env, caller, held, session.risen(proof, caller.now), fresh)
}

/// The stay goes on with `session` in the place of the one before, under a new id.
pub(super) fn replace(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    session: Session,
    fresh: &Fresh,
) -> Given {
    let began = held.stay.as_ref().map_or(caller.now, |stay| stay.began);
    held.session = None;
    held.begin(fresh.session.hash(), session, began.plus(env.config.sessions.at_most));
    Given { session: Some(fresh.session.clone()), ..Given::default() }
}

/// Every session of the user has just ended but this one: it goes on under a new id, and so do those
/// of its stay on other hosts.
pub(super) fn go_on_alone(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    session: Session,
    fresh: &Fresh,
) -> Given {
    let epoch = held.user.epoch();
    if let Some(stay) = &mut held.stay {
        stay.epoch = epoch;
    }
    replace(env, caller, held, session, fresh)
}

/// A stay begins, with a session that has shown `proofs`; whatever stay this browser had is over. If
/// nothing more is owed of this user, the browser is known from now on.
pub(super) fn begin(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    proofs: Proofs,
    fresh: &Fresh,
) -> Given {
    let user = held.user.id();
    let next = env.next(&held.user, &proofs, caller.now);
    let over = caller.now.plus(env.config.sessions.at_most);
    held.session = None;
    held.stay = None;
    held.begin_stay(
        fresh.stay,
        Stay::begin(user, held.user.epoch(), caller.seen(), caller.now),
        over,
    );
    held.begin(fresh.session.hash(), Session::begin(user, fresh.stay, proofs), over);
    held.tell(caller.event(user, What::SignedIn));
    let all_shown = matches!(next, Next::Onward | Next::SetUpSoon | Next::Offer);
    let known = all_shown.then(|| know(caller, held, fresh));
    Given { session: Some(fresh.session.clone()), known, next, ..Given::default() }
}

/// Everything that was owed has been shown: this browser is a known one. If it was none before, and
/// is not the first, that is news to its owner.
fn know(caller: &Caller, held: &mut Held, fresh: &Fresh) -> KnownCookie {
    let user = held.user.id();
    let known = caller.known_to(&held.user);
    if known.is_none() && !held.user.known_browsers().is_empty() {
        held.tell(caller.event(user, What::NewBrowser));
    }
    if known.is_none() {
        held.attempts.clear();
    }
    let id = held.user.succeed(known, fresh.browser, caller.now);
    KnownCookie { user, id }
}
