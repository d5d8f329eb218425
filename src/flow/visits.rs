//! How sessions begin, and how they continue under a new id when more was shown.

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

/// The random ids that a session may need, drawn before the decision, which may run twice.
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

/// The session as it is now, if it has not ended.
pub(super) fn live_session(env: &Env, caller: &Caller, held: &Held) -> Option<Session> {
    let session = held.session.clone().filter(|session| session.user == held.user.id())?;
    live_stay(env, caller, held).map(|_| session)
}

/// Decides on the session of `visit` as it is now and writes the decision. Returns `over` if the
/// session has ended meanwhile.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The decision may have been written or
/// not.
pub(super) async fn in_session<T>(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    over: fn() -> T,
    decide: impl FnMut(&mut Held, Session) -> T,
) -> Result<T, Unavailable> {
    in_session_with(env, caller, visit.reads(), over, decide).await
}

/// Like [`in_session`], for a decision that also reads the records in `reads`.
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

/// The user session as it is now, if it has not ended and belongs to the user.
pub(super) fn live_stay<'h>(env: &Env, caller: &Caller, held: &'h Held) -> Option<&'h Stay> {
    let (user, epoch) = (held.user.id(), held.user.epoch());
    held.stay
        .as_ref()
        .filter(|stay| stay.user == user && stay.is_alive(epoch, env.config.sessions, caller.now))
}

/// A second factor was shown: the session continues under a new id with this proof, nothing more is
/// required, and the browser is trusted if the user wants it.
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
        // Replace the series that this browser had; do not keep both.
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

/// The session continues under a new id with one more proof; the old id is void.
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

/// The user session continues with `session`, under a new id, in place of the old one.
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

/// All other sessions of the user have just ended. This one continues under a new id, and so do
/// those of its user session on other hosts.
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

/// A user session begins with a host session that has shown `proofs`; an earlier user session of
/// this browser ends. If nothing more is required, the browser becomes a known one.
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

/// Everything required was shown: the browser becomes a known one. If it is new and not the first,
/// the user gets a notice.
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
