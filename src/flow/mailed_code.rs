//! Codes mailed to the verified address of a user without a second factor, to prove access to that
//! mailbox.

use super::acting::Acting;
use super::caller::Given;
use super::host_session::{Fresh, go_on, in_session};
use super::refused::tell_refused;
use crate::domain::assurance::Proof;
use crate::domain::event::What;
use crate::domain::factor::Rejection;
use crate::domain::mailed::{Code, MailedCode};
use crate::domain::message::{About, Message, WhatFor};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

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
pub async fn send_code(acting: Acting<'_>, what_for: WhatFor) -> Result<Sent, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let (code, mailed) = env.rng.draw(|rng| MailedCode::random(rng, caller.now));
    in_session(
        acting,
        || Sent::Over,
        |tx, mut session| {
            let lately = session.mailed.as_ref().map(MailedCode::again);
            if let Some(again) = lately.filter(|again| caller.now < *again) {
                return Sent::Lately { again };
            }
            if tx.user.email().is_none() {
                return Sent::Not;
            }
            if !tx.user.may_be_mailed(caller.now) {
                env.metrics.mailed("withheld");
                return Sent::Not;
            }
            let code = Secret::from(code.expose().to_owned());
            let message = Message::to(&tx.user, About::Code { code, what_for }, caller.now);
            if let Some(message) = message {
                tx.send(message);
            }
            session.mailed = Some(mailed.clone());
            tx.session = Some(session);
            tx.tell(caller.event(user, What::CodeMailed));
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
pub async fn show_code(acting: Acting<'_>, code: &Code) -> Result<Shown, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let fresh = Fresh::draw(env);
    in_session(
        acting,
        || Shown::Over,
        |tx, mut session| {
            let right = session.mailed.as_ref().is_some_and(|mailed| mailed.is(code, caller.now));
            let browser = caller.known_to(&tx.user);
            if let Err(rejection) = tx.user.answer_sent(right, browser, caller.now) {
                tell_refused(caller, tx, browser, false, rejection);
                return Shown::Rejected(rejection);
            }
            session.mailed = None;
            tx.tell(caller.event(user, What::MailedCodeShown));
            Shown::Proven(go_on(env, caller, tx, &session, Proof::MailedCode, &fresh))
        },
    )
    .await
}
