//! How visits begin, and how they go on under a new id when more has been shown.

use super::env::{Caller, DeviceCookie, Env, Given, KnownCookie};
use crate::domain::assurance::{Proof, Proofs};
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::event::What;
use crate::domain::secret::Token;
use crate::domain::session::Session;
use crate::store::Held;

/// The names that a visit may need, drawn before it is decided: a decision may be made twice.
pub(super) struct Fresh {
    session: Token,
    browser: BrowserId,
    device: DeviceId,
}

impl Fresh {
    pub(super) fn draw(env: &Env) -> Self {
        env.chance.draw(|rng| Self {
            session: Token::random(rng),
            browser: BrowserId::random(rng),
            device: DeviceId::random(rng),
        })
    }
}

/// The visit as it is now, if it still goes on.
pub(super) fn live_session(env: &Env, caller: &Caller, held: &Held) -> Option<Session> {
    let session = held.session.clone()?;
    let epoch = held.user.epoch();
    (session.user == held.user.id() && session.is_alive(epoch, env.config.sessions, caller.now))
        .then_some(session)
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
        let expires = held.user.trust(fresh.device, env.config.trusted_devices, now);
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
    let risen = session.risen(proof, caller.now);
    let over = risen.began.plus(env.config.sessions.at_most);
    held.session = None;
    held.begin(fresh.session.hash(), risen, over);
    Given { session: Some(fresh.session.clone()), ..Given::default() }
}

/// A visit begins with `proofs`; whatever visit this browser had is over. If that is all
/// that is owed of this user (`all_shown`), the browser is known from now on.
pub(super) fn begin(
    env: &Env,
    caller: &Caller,
    held: &mut Held,
    proofs: Proofs,
    all_shown: bool,
    fresh: &Fresh,
) -> Given {
    let user = held.user.id();
    let known = all_shown.then(|| know(caller, held, fresh));
    let session = Session::begin(user, held.user.epoch(), proofs, caller.now);
    held.session = None;
    held.begin(fresh.session.hash(), session, caller.now.plus(env.config.sessions.at_most));
    held.tell(caller.event(user, What::SignedIn));
    Given { session: Some(fresh.session.clone()), known, ..Given::default() }
}

/// Everything that was owed has been shown: this browser is a known one.
fn know(caller: &Caller, held: &mut Held, fresh: &Fresh) -> KnownCookie {
    let known = caller.known_to(&held.user);
    let id = held.user.succeed(known, fresh.browser, caller.now);
    KnownCookie { user: held.user.id(), id }
}
