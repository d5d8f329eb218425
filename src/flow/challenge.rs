//! Answering the challenge with a second factor or a recovery code.

use std::sync::Arc;

use super::acting::Acting;
use super::caller::{Caller, Given, Next};
use super::env::Env;
use super::host_session::{Fresh, in_session, rise};
use crate::domain::assurance::Proof;
use crate::domain::device::BrowserId;
use crate::domain::event::What;
use crate::domain::factor::{Answer, Kind, Rejection};
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

/// Checks `answer` and, if it is correct and the user wants it, trusts this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The answer may have been used up or not.
pub async fn answer(
    acting: Acting<'_>,
    answer: &Answer,
    trust_device: bool,
) -> Result<Challenge, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    let settings = env.config.second_factor;
    in_session(
        acting,
        || Challenge::Over,
        |tx, session| {
            let browser = caller.known_to(&tx.user);
            let proof = match tx.user.answer(answer, browser, settings, caller.now) {
                Ok(proof) => proof,
                Err(rejection) => {
                    tell_refused(caller, tx, browser, rejection);
                    return Challenge::Rejected(rejection);
                }
            };
            tx.tell(caller.event(user, What::FactorShown(answer.kind())));
            let next = next(env, caller, &tx.user, &session, proof, answer.kind());
            let given = rise(env, caller, tx, &session, proof, trust_device, &fresh);
            Challenge::Proven(Given { next, ..given })
        },
    )
    .await
}

/// Events for a wrong answer, and for a lock if it was one too many.
pub(super) fn tell_refused(
    caller: &Caller,
    tx: &mut Transaction,
    browser: Option<BrowserId>,
    rejection: Rejection,
) {
    if rejection != Rejection::Wrong {
        return;
    }
    let user = tx.user.id();
    tx.tell(caller.event(user, What::SecondFactorRefused));
    if tx.user.is_to_hear_of_wrong_codes(browser, caller.now) {
        tx.tell(caller.event(user, What::CodesGuessed));
    }
    match tx.user.answers_closed(browser, caller.now) {
        Some(Rejection::Locked) => tx.tell(caller.event(user, What::Locked)),
        Some(_) => tx.tell(caller.event(user, What::WaitBegan)),
        None => {}
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
