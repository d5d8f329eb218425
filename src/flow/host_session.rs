//! How sessions begin, and how they continue under a new id when more was shown.

use super::acting::Acting;
use super::caller::{Caller, DeviceCookie, Given, KnownCookie, Next};
use super::env::Env;
use crate::domain::assurance::{FirstFactor, Proof, Proofs};
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::event::What;
use crate::domain::host_session::HostSession;
use crate::domain::secret::Token;
use crate::domain::user_session::{UserSession, UserSessionId};
use crate::store::{Reads, Transaction};
use crate::unavailable::Unavailable;

/// The random ids that a session may need, drawn before the decision, which may run twice.
pub(super) struct Fresh {
    session: Token,
    browser: BrowserId,
    device: DeviceId,
    user_session: UserSessionId,
}

impl Fresh {
    pub(super) fn draw(env: &Env) -> Self {
        env.rng.draw(|rng| Self {
            session: Token::random(rng),
            browser: BrowserId::random(rng),
            device: DeviceId::random(rng),
            user_session: UserSessionId::random(rng),
        })
    }
}

/// The session as it is now, if it has not ended.
pub(super) fn live_session(env: &Env, caller: &Caller, tx: &Transaction) -> Option<HostSession> {
    let session = tx.session.clone().filter(|session| session.user == tx.user.id())?;
    live_user_session(env, caller, tx).map(|_| session)
}

/// Decides on the session of `acting` as it is now and writes the decision. Returns `over` if the
/// session has ended meanwhile.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The decision may have been written or
/// not.
pub(super) async fn in_session<T>(
    acting: Acting<'_>,
    over: fn() -> T,
    decide: impl FnMut(&mut Transaction, HostSession) -> T,
) -> Result<T, Unavailable> {
    in_session_with(acting, acting.authenticated.reads(), over, decide).await
}

/// Like [`in_session`], for a decision that also reads the records in `reads`.
pub(super) async fn in_session_with<T>(
    acting: Acting<'_>,
    reads: Reads,
    over: fn() -> T,
    mut decide: impl FnMut(&mut Transaction, HostSession) -> T,
) -> Result<T, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let decided = env.store.update(reads, |tx| match live_session(env, caller, tx) {
        Some(session) => decide(tx, session),
        None => over(),
    });
    Ok(decided.await?.unwrap_or_else(over))
}

/// The user session as it is now, if it has not ended and belongs to the user.
pub(super) fn live_user_session<'h>(
    env: &Env,
    caller: &Caller,
    tx: &'h Transaction,
) -> Option<&'h UserSession> {
    let (user, epoch) = (tx.user.id(), tx.user.epoch());
    tx.user_session.as_ref().filter(|user_session| {
        user_session.user == user && user_session.is_alive(epoch, env.config.sessions, caller.now)
    })
}

/// A second factor was shown: the session continues under a new id with this proof, nothing more is
/// required, and the browser is trusted if the user wants it.
pub(super) fn rise(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    session: &HostSession,
    proof: Proof,
    trust_device: bool,
    fresh: &Fresh,
) -> Given {
    let now = caller.now;
    let user = tx.user.id();
    let mut given = go_on(env, caller, tx, session, proof, fresh);

    given.known = Some(know(caller, tx, fresh));

    if trust_device {
        // Replace the series that this browser had; do not keep both.
        if let Some(device) = caller.device_of(user) {
            tx.user.forget_device(device.id);
        }
        let (by, how) = (proof.factor(), env.config.trusted_devices);
        let expires = tx.user.trust(fresh.device, by, how, &caller.seen(), now);
        tx.tell(caller.event(user, What::DeviceTrusted));
        given.device = Some(DeviceCookie { user, id: fresh.device, number: 1, expires });
    }
    given
}

/// The session continues under a new id with one more proof; the old id is void.
pub(super) fn go_on(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    session: &HostSession,
    proof: Proof,
    fresh: &Fresh,
) -> Given {
    replace(env, caller, tx, session.risen(proof, caller.now), fresh)
}

/// The user session continues with `session`, under a new id, in place of the old one.
pub(super) fn replace(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    session: HostSession,
    fresh: &Fresh,
) -> Given {
    let began = tx.user_session.as_ref().map_or(caller.now, |user_session| user_session.began);
    tx.session = None;
    tx.begin(fresh.session.hash(), session, began.plus(env.config.sessions.at_most));
    Given { session: Some(fresh.session.clone()), ..Given::default() }
}

/// All other sessions of the user have just ended. This one continues under a new id, and so do
/// those of its user session on other hosts.
pub(super) fn go_on_alone(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    session: HostSession,
    fresh: &Fresh,
) -> Given {
    let epoch = tx.user.epoch();
    if let Some(user_session) = &mut tx.user_session {
        user_session.epoch = epoch;
    }
    replace(env, caller, tx, session, fresh)
}

/// A user session begins with a host session that has shown `proofs`; an earlier user session of
/// this browser ends. If nothing more is required, the browser becomes a known one.
pub(super) fn begin(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    proofs: Proofs,
    fresh: &Fresh,
) -> Given {
    let user = tx.user.id();
    let next = env.next(&tx.user, &proofs, caller.now);
    let by_passkey = proofs.first.is_some_and(|first| first.by == FirstFactor::Passkey);
    let over = caller.now.plus(env.config.sessions.at_most);
    tx.session = None;
    tx.user_session = None;
    tx.begin_user_session(
        fresh.user_session,
        UserSession::begin(user, tx.user.epoch(), caller.seen(), caller.now),
        over,
    );
    tx.begin(fresh.session.hash(), HostSession::begin(user, fresh.user_session, proofs), over);
    tx.tell(caller.event(user, if by_passkey { What::SignedInByPasskey } else { What::SignedIn }));
    let all_shown = matches!(next, Next::Onward | Next::SetUpSoon | Next::Offer);
    let known = all_shown.then(|| know(caller, tx, fresh));
    Given { session: Some(fresh.session.clone()), known, next, ..Given::default() }
}

/// Everything required was shown: the browser becomes a known one. If it is new and not the first,
/// the user gets a notice.
fn know(caller: &Caller, tx: &mut Transaction, fresh: &Fresh) -> KnownCookie {
    let user = tx.user.id();
    let known = caller.known_to(&tx.user);
    if known.is_none() && !tx.user.known_browsers().is_empty() {
        tx.tell(caller.event(user, What::NewBrowser));
    }
    if known.is_none() {
        tx.attempts.clear();
    }
    let id = tx.user.succeed(known, fresh.browser, caller.now);
    KnownCookie { user, id }
}
