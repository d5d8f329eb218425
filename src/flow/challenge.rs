//! Answering the challenge: a code of the authenticator, or a recovery code.

use super::admit::Visit;
use super::env::{Caller, DeviceCookie, Env, Given, KnownCookie};
use crate::domain::assurance::Proof;
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::event::What;
use crate::domain::factor::{Answer, Rejection};
use crate::domain::secret::Token;
use crate::domain::session::Session;
use crate::store::{Held, Reads, Unavailable};

/// What became of an answer.
#[derive(Debug)]
pub enum Challenge {
    /// It was right; the visit goes on under a new id.
    Proven(Given),
    /// It was not accepted.
    Rejected(Rejection),
    /// The visit is over: it ended, or went on elsewhere, while the answer was typed.
    Over,
}

/// Judges `answer`, and, where it is right and the person wishes it, trusts this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether the answer was used up is not
/// known then.
pub async fn answer(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    answer: &Answer,
    trust_device: bool,
) -> Result<Challenge, Unavailable> {
    let fresh = Fresh::draw(env);
    let user = visit.session.user;
    let reads = Reads { session: Some(visit.hash), ..Reads::user(user) };
    let skew = env.config.second_factor.skew;
    let answered = env
        .store
        .update(reads, |held| {
            let Some(session) = live_session(env, caller, held) else { return Challenge::Over };
            let browser = caller.known_to(&held.user);
            let proof = match held.user.answer(answer, browser, skew, caller.now) {
                Ok(proof) => proof,
                Err(rejection) => {
                    if rejection == Rejection::Wrong {
                        held.tell(caller.event(user, What::SecondFactorRefused));
                        match held.user.answers_closed(browser, caller.now) {
                            Some(Rejection::Locked) => held.tell(caller.event(user, What::Locked)),
                            Some(_) => held.tell(caller.event(user, What::WaitBegan)),
                            None => {}
                        }
                    }
                    return Challenge::Rejected(rejection);
                }
            };
            held.tell(caller.event(user, shown(proof)));
            Challenge::Proven(rise(env, caller, held, &session, proof, trust_device, &fresh))
        })
        .await?;
    Ok(answered.unwrap_or(Challenge::Over))
}

fn shown(proof: Proof) -> What {
    match proof {
        Proof::RecoveryCode => What::RecoveryCodeUsed,
        Proof::Totp => What::TotpShown,
        Proof::TrustedDevice(_) => What::DeviceUsed,
        Proof::Password | Proof::Link => What::Confirmed,
    }
}

/// The names that a rise may need, drawn before it is decided: a decision may be made twice.
pub(super) struct Fresh {
    pub(super) session: Token,
    pub(super) browser: BrowserId,
    pub(super) device: DeviceId,
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
    let mut given = go_on(env, caller, held, session, proof, &fresh.session);

    let known = caller.known_to(&held.user);
    let id = held.user.succeed(known, fresh.browser, now);
    given.known = Some(KnownCookie { user, id });

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
    token: &Token,
) -> Given {
    let risen = session.risen(proof, caller.now);
    let over = risen.began.plus(env.config.sessions.at_most);
    held.session = None;
    held.begin(token.hash(), risen, over);
    Given { session: Some(token.clone()), ..Given::default() }
}
