//! Codes mailed to the verified address of a user without a second factor, to prove access to that
//! mailbox.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::challenge::tell_refused;
use super::env::Env;
use super::visits::{Fresh, go_on, in_session};
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::Rejection;
use crate::domain::letter::{About, Letter, WhatFor};
use crate::domain::mailed::{Code, MailedCode};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::Unavailable;

/// The result of requesting a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was sent.
    Now,
    /// One was sent a moment ago; the next can be sent at this time.
    Lately {
        /// When.
        again: Timestamp,
    },
    /// Too many were sent in the last hour, or the user has no address.
    Not,
    /// The session has ended.
    Over,
}

/// Mails a code to the user of this session. An earlier code becomes void.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn send_code(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    what_for: WhatFor,
) -> Result<Sent, Unavailable> {
    let user = visit.session.user;
    let (code, mailed) = env.chance.draw(|rng| MailedCode::random(rng, caller.now));
    in_session(
        env,
        caller,
        visit,
        || Sent::Over,
        |held, mut session| {
            let lately = session.mailed.as_ref().map(MailedCode::again);
            if let Some(again) = lately.filter(|again| caller.now < *again) {
                return Sent::Lately { again };
            }
            if held.user.email().is_none() {
                return Sent::Not;
            }
            if !held.user.may_be_mailed(caller.now) {
                env.metrics.mailed("withheld");
                return Sent::Not;
            }
            let code = Secret::from(code.expose().to_owned());
            let letter = Letter::to(&held.user, About::Code { code, what_for }, caller.now);
            if let Some(letter) = letter {
                held.send(letter);
            }
            session.mailed = Some(mailed.clone());
            held.session = Some(session);
            held.tell(caller.event(user, What::CodeMailed));
            Sent::Now
        },
    )
    .await
}

/// The result of entering a code.
#[derive(Debug)]
pub enum Shown {
    /// It was right; the session continues under a new id.
    Proven(Given),
    /// It was not accepted.
    Rejected(Rejection),
    /// The session has ended.
    Over,
}

/// Checks a mailed code and uses it up if it is right. Wrong codes count as failures of the second
/// factor.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn show_code(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    code: &Code,
) -> Result<Shown, Unavailable> {
    let user = visit.session.user;
    let fresh = Fresh::draw(env);
    in_session(
        env,
        caller,
        visit,
        || Shown::Over,
        |held, mut session| {
            let right = session.mailed.as_ref().is_some_and(|mailed| mailed.is(code, caller.now));
            let browser = caller.known_to(&held.user);
            if let Err(rejection) = held.user.answer_mailed(right, browser, caller.now) {
                tell_refused(caller, held, browser, rejection);
                return Shown::Rejected(rejection);
            }
            session.mailed = None;
            held.tell(caller.event(user, What::MailedCodeShown));
            Shown::Proven(go_on(env, caller, held, &session, Proof::MailedCode, &fresh))
        },
    )
    .await
}
