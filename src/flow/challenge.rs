//! Answering the challenge with a second factor or a recovery code.

use std::sync::Arc;

use super::acting::Acting;
use super::answer::{Submitted, counted};
use super::caller::{Caller, Given, Next};
use super::emailed;
use super::env::Env;
use super::host_session::{Fresh, in_session, rise};
use super::refused::tell_refused;
use super::set_up::{begun, waiting};
use super::texts::entered;
use crate::domain::assurance::Proof;
use crate::domain::ceremony::Purpose;
use crate::domain::event::What;
use crate::domain::factor::{Begun, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::user::User;
use crate::store::Transaction;
use crate::unavailable::Unavailable;

/// The result of an answer.
#[derive(Debug)]
pub enum Challenge {
    /// It was accepted; the session continues under a new id.
    Proven(Given),
    /// It was not accepted.
    Rejected(Rejection),
    /// The session ended or got another id while the code was typed.
    Over,
}

/// Asks for an answer of this `kind`, if that needs something which the answer must contain: what a
/// security key is to sign. It waits in this session, and can be answered once. `None`: nothing is
/// needed, the user has no such factor, or the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn ask(acting: Acting<'_>, kind: Kind) -> Result<Option<Begun>, Unavailable> {
    ask_for(acting, kind, Purpose::Challenge).await
}

/// The same for this purpose.
///
/// # Errors
/// Like [`ask`].
pub(super) async fn ask_for(
    acting: Acting<'_>,
    kind: Kind,
    purpose: Purpose,
) -> Result<Option<Begun>, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let Some(new) = env.rng.draw(|rng| Begun::challenge(kind, rng)) else { return Ok(None) };
    in_session(
        acting,
        || None,
        |tx, session| {
            let has = tx.user.kinds().contains(&kind);
            has.then(|| waiting(caller, tx, session, purpose, &new))
        },
    )
    .await
}

/// Checks `answer` and, if it is correct and the user wants it, trusts this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The answer may have been used up or not.
pub async fn answer(
    acting: Acting<'_>,
    answer: &Submitted,
    trust_device: bool,
) -> Result<Challenge, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    let counted = match counted(acting, answer) {
        Ok(counted) => counted,
        Err(until) => return Ok(Challenge::Rejected(Rejection::Waiting { until })),
    };
    let answered = in_session(
        acting,
        || Challenge::Over,
        |tx, session| {
            let proof = match shown(env, caller, tx, &session, answer) {
                Ok(proof) => proof,
                Err(rejection) => return Challenge::Rejected(rejection),
            };
            let session = session.without_challenge();
            tx.tell(caller.event(user, What::FactorShown(answer.kind())));
            let next = next(env, caller, &tx.user, &session, proof, answer.kind());
            let given = rise(env, caller, tx, &session, proof, trust_device, &fresh);
            Challenge::Proven(Given { next, ..given })
        },
    )
    .await?;
    if let (Challenge::Proven(_), Some(counted)) = (&answered, counted) {
        counted.give_back();
    }
    if matches!(answered, Challenge::Proven(_)) {
        entered(acting, answer.kind()).await;
    }
    Ok(answered)
}

/// Verifies and checks `answer`, and tells of it if it is refused.
fn shown(
    env: &Env,
    caller: &Caller,
    tx: &mut Transaction,
    session: &HostSession,
    answer: &Submitted,
) -> Result<Proof, Rejection> {
    let browser = caller.known_to(&tx.user);
    let asked = begun(session, Purpose::Challenge, answer.kind(), caller.now);
    let asked = asked.filter(|begun| emailed::may_be_answered(env, &tx.user, begun, caller.now));
    if let Some(rejection) = no_guess(caller, tx, asked.as_ref(), answer) {
        return Err(rejection);
    }
    let verified = env.verified(tx, asked.as_ref(), answer, caller.now);
    let (settings, now) = (env.config.second_factor, caller.now);
    let shown = verified.and_then(|answer| tx.user.answer(&answer, browser, settings, now));
    if let Err(rejection) = shown {
        answered(tx, session, Purpose::Challenge, answer, rejection);
        tell_refused(caller, tx, browser, answer.is_signed(), rejection);
    }
    shown
}

/// Why a code is refused of which none was sent for this purpose. It cannot be right, so it is no guess:
/// nothing is counted, written or told.
pub(super) fn no_guess(
    caller: &Caller,
    tx: &Transaction,
    asked: Option<&Begun>,
    answer: &Submitted,
) -> Option<Rejection> {
    let nothing_was_sent = answer.was_sent() && asked.is_none();
    nothing_was_sent.then(|| {
        let closed = tx.user.answers_closed(caller.known_to(&tx.user), caller.now);
        closed.unwrap_or(Rejection::Expired)
    })
}

/// What a security key was asked cannot be answered again, and a code that was sent only a few times.
/// A set-up or another challenge in another tab goes on.
pub(super) fn answered(
    tx: &mut Transaction,
    session: &HostSession,
    purpose: Purpose,
    answer: &Submitted,
    rejection: Rejection,
) {
    if answer.answers(session) {
        tx.session = Some(session.clone().without_challenge());
    }
    if answer.was_sent() && rejection == Rejection::Wrong {
        tx.session = Some(session.clone().with_one_more_wrong(answer.kind(), purpose));
    }
}

/// An offer follows a sign-in that ends with this proof, and any use of a recovery code. Users who
/// were signed in already get none.
fn next(
    env: &Env,
    caller: &Caller,
    user: &User,
    session: &HostSession,
    proof: Proof,
    kind: Kind,
) -> Next {
    let now = caller.now;
    let visitor = user.visitor(session, Arc::new(user.identity()), now);
    if visitor.known().is_some() && kind.is_factor() {
        return Next::Onward;
    }
    env.next_inside(user, &session.risen(proof, now).proofs, now)
}
