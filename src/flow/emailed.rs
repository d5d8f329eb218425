//! Codes by e-mail beside text messages: turning them on, and sending one at a challenge.
//!
//! A mailbox is weak proof. So a code is sent only if a text of the same challenge is a minute old, and
//! only to somebody whose mailbox does not open with the first factor: see [`Env::email_codes_count`].

use super::acting::Acting;
use super::caller::Caller;
use super::env::Env;
use super::host_session::in_session;
use super::next::owed_for_another;
use crate::domain::ceremony::{Ceremony, Purpose};
use crate::domain::event::What;
use crate::domain::factor::code::{Emailed, Mailbox};
use crate::domain::factor::{Begun, Kind, Rejection};
use crate::domain::host_session::HostSession;
use crate::domain::mailed::MailedCode;
use crate::domain::message::{About, Message, WhatFor};
use crate::domain::name::Email;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::user::{FirstFactorAsks, User};
use crate::unavailable::Unavailable;

/// The result of asking for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It will be sent at once.
    Now,
    /// One was sent a moment ago.
    Lately,
    /// No text for this challenge is a minute old.
    NotYet,
    /// Too many were sent in the last hour or day.
    TooMany,
    /// No code would be accepted now.
    Closed(Rejection),
    /// Codes by e-mail do not count for this user: see [`Env::email_codes_count`].
    Not,
}

/// Whether this user may turn codes by e-mail on, beside a phone.
pub fn may_be_set_up(env: &Env, user: &User, now: Timestamp) -> bool {
    user.has(Kind::Sms) && env.email_codes_count(user, now)
}

/// Whether this user has turned codes by e-mail on, and they count now.
fn is_on(env: &Env, user: &User, now: Timestamp) -> bool {
    user.mailbox().is_some() && env.email_codes_count(user, now)
}

/// Whether a code by e-mail may be asked for, or entered, in this session: a text for this challenge is a
/// minute old, or a code by e-mail waits already.
pub fn is_offered(env: &Env, user: &User, session: &HostSession, now: Timestamp) -> bool {
    let waits = || session.email_for(Purpose::Challenge, now).is_some();
    let is_old = || text_is_old_at(user, session, now).is_some_and(|at| at <= now);
    is_on(env, user, now) && (waits() || is_old())
}

/// When a code by e-mail can be asked for in this session, if a text for this challenge was sent.
pub fn offered_at(
    env: &Env,
    user: &User,
    session: &HostSession,
    now: Timestamp,
) -> Option<Timestamp> {
    text_is_old_at(user, session, now).filter(|_| is_on(env, user, now))
}

/// When the newest text to the phone of this user, for this challenge, is a minute old.
fn text_is_old_at(user: &User, session: &HostSession, now: Timestamp) -> Option<Timestamp> {
    let texted = session.text_for(Purpose::Challenge, now)?;
    let is_to_phone = user.phones().any(|phone| phone.phone() == texted.recipient());
    texted.again().filter(|_| is_to_phone)
}

/// Whether what waits may be answered: a code by e-mail only while it counts, and while it was sent to the
/// address of the user.
pub(super) fn may_be_answered(env: &Env, user: &User, begun: &Begun, now: Timestamp) -> bool {
    match begun {
        Begun::Email(emailed) => {
            env.email_codes_count(user, now) && emailed.recipient() == user.email()
        }
        Begun::Totp(_) | Begun::SecurityKey(_) | Begun::Sms(_) => true,
    }
}

/// Sends a code for a set-up beside a phone, or for a challenge. An earlier code by e-mail of this session
/// becomes void; one by text message stays.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn send(acting: Acting<'_>, purpose: Purpose) -> Result<Sent, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let (user, now) = (authenticated.session.user, caller.now);
    let (code, mailed) = env.rng.draw(|rng| MailedCode::random(rng, now));
    in_session(
        acting,
        || Sent::Not,
        |tx, mut session| {
            let to = match recipient(env, caller, &tx.user, &session, purpose) {
                Ok(to) => to,
                Err(why) => return why,
            };
            if session.email_for(purpose, now).is_some_and(|emailed| emailed.is_recent(now)) {
                return Sent::Lately;
            }
            let is_known = caller.known_to(&tx.user).is_some();
            let (what_for, may) = match purpose {
                Purpose::Challenge => {
                    (WhatFor::SignIn, tx.user.may_be_mailed_a_code(is_known, now))
                }
                _ => (WhatFor::BackUp, tx.user.may_be_mailed(now)),
            };
            if !may {
                env.metrics.mailed("withheld");
                return Sent::TooMany;
            }
            let code = Secret::from(code.expose().to_owned());
            let Some(message) = Message::to(&tx.user, About::Code { code, what_for }, now) else {
                return Sent::Not;
            };
            tx.send(message);
            let begun = Begun::Email(Emailed::sent(to, mailed.clone()));
            session.begin_ceremony(Ceremony::begin(purpose, begun, now));
            tx.session = Some(session);
            tx.tell(caller.event(user, What::CodeMailed));
            Sent::Now
        },
    )
    .await
}

/// Where the code goes, if it may be sent.
fn recipient(
    env: &Env,
    caller: &Caller,
    user: &User,
    session: &HostSession,
    purpose: Purpose,
) -> Result<Email, Sent> {
    let now = caller.now;
    let address = match purpose {
        Purpose::Another if may_be_set_up(env, user, now) => {
            let owed = owed_for_another(env, user, Kind::Email, &session.proofs, now);
            user.email().filter(|_| owed == FirstFactorAsks::Nothing)
        }
        Purpose::Challenge if is_on(env, user, now) => {
            if text_is_old_at(user, session, now).is_none_or(|at| now < at) {
                return Err(Sent::NotYet);
            }
            if let Some(rejection) = user.answers_closed(caller.known_to(user), now) {
                return Err(Sent::Closed(rejection));
            }
            // The outbox sends to the address of the user.
            let address = user.mailbox().map(Mailbox::address);
            address.filter(|address| user.email() == Some(address))
        }
        _ => None,
    };
    address.cloned().ok_or(Sent::Not)
}
