//! From the portal to another host: the portal issues a ticket, and the host takes it.

use super::acting::Acting;
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, in_session, live_user_session, replace};
use crate::domain::host_session::HostSession;
use crate::domain::secret::Token;
use crate::domain::ticket::{Ticket, digest};
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// The result of presenting a ticket.
#[derive(Debug)]
pub enum Entered {
    /// It was valid and is used up; a host session has begun.
    Begun {
        /// The new host session.
        given: Given,
        /// The path that the visitor wanted.
        return_to: String,
    },
    /// It was used, has expired, is for another host or browser, its user session has ended, or it
    /// never existed. If it existed, it is used up now.
    Refused,
}

/// Issues a ticket for `host` and the path `return_to`, bound to the browser with this digest.
/// `None`: the session has ended.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn give_out(
    acting: Acting<'_>,
    host: &str,
    return_to: &str,
    browser: [u8; 16],
) -> Result<Option<Token>, Unavailable> {
    let Acting { env, caller, .. } = acting;
    let token = env.rng.draw(|rng| Token::random(rng));
    let given = in_session(
        acting,
        || None,
        |tx, session| {
            let ticket = Ticket {
                user: session.user,
                user_session: session.user_session,
                host: host.to_owned(),
                browser: browser.into(),
                return_to: return_to.to_owned(),
                proofs: session.proofs,
                expires: caller.now.plus(Ticket::LASTS),
            };
            tx.put(&token.hash(), ticket);
            Some(())
        },
    );
    Ok(given.await?.map(|()| token))
}

/// Takes a ticket on `host`: a host session begins with what was shown at the portal.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The ticket may have been used up or not.
pub async fn take(
    env: &Env,
    caller: &Caller,
    host: &str,
    token: &Token,
) -> Result<Entered, Unavailable> {
    let Some(ticket) = env.store.ticket(token.hash()).await? else { return Ok(Entered::Refused) };
    let fresh = Fresh::draw(env);
    let mut reads = Reads::user(ticket.user)
        .in_session(caller.carried.session.as_ref().map(Token::hash))
        .and::<Ticket>(&token.hash());
    reads.user_session = Some(ticket.user_session);
    let entered = env
        .store
        .update(reads, |tx| {
            let user = tx.user.id();
            // Consume rejected tickets, too: others have seen them.
            let ticket = tx.take::<Ticket>(&token.hash()).filter(|ticket| {
                let mut browsers = caller.carried.browsers.iter().map(|browser| digest(*browser));
                ticket.user == user
                    && browsers.any(|browser| ticket.is_good(host, browser, caller.now))
            });
            match ticket {
                Some(ticket) if live_user_session(env, caller, tx).is_some() => {
                    if let Some(user_session) = &mut tx.user_session {
                        user_session.reach(host);
                    }
                    let session = HostSession::begin(user, ticket.user_session, ticket.proofs);
                    let given = replace(env, caller, tx, session, &fresh);
                    Entered::Begun { given, return_to: ticket.return_to }
                }
                Some(_) | None => Entered::Refused,
            }
        })
        .await?;
    Ok(entered.unwrap_or(Entered::Refused))
}
