//! From the portal to another host: a ticket is given out there and taken here.

use super::admit::Visit;
use super::caller::{Caller, Given};
use super::env::Env;
use super::visits::{Fresh, in_session, live_stay, replace};
use crate::domain::secret::Token;
use crate::domain::session::Session;
use crate::domain::ticket::{Ticket, digest};
use crate::store::{Reads, Unavailable};

/// What became of a ticket that was presented.
#[derive(Debug)]
pub enum Entered {
    /// It was good, and is used up; a session has begun here.
    Begun {
        /// The new session.
        given: Given,
        /// The path to which the visitor was going.
        return_to: String,
    },
    /// It was used before, or is too late, or for another host or browser, or the stay that it
    /// comes from is over, or it never was one. If it was one, it is used up.
    Refused,
}

/// Gives out a ticket to `host`, on which the visitor is going to `return_to`, for the browser that
/// the host knows by this digest. `None`: the visit is over.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn give_out(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    host: &str,
    return_to: &str,
    browser: [u8; 16],
) -> Result<Option<Token>, Unavailable> {
    let token = env.chance.draw(|rng| Token::random(rng));
    let given = in_session(
        env,
        caller,
        visit,
        || None,
        |held, session| {
            let ticket = Ticket {
                user: session.user,
                stay: session.stay?,
                host: host.to_owned(),
                browser: browser.into(),
                return_to: return_to.to_owned(),
                proofs: session.proofs,
                expires: caller.now.plus(Ticket::LASTS),
            };
            held.give_out(token.hash(), ticket);
            Some(())
        },
    );
    Ok(given.await?.map(|()| token))
}

/// Takes a ticket on `host`: its session begins, with what was shown at the portal.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether the ticket was used up is not
/// known then.
pub async fn take(
    env: &Env,
    caller: &Caller,
    host: &str,
    token: &Token,
) -> Result<Entered, Unavailable> {
    let Some(ticket) = env.store.ticket(token.hash()).await? else { return Ok(Entered::Refused) };
    let fresh = Fresh::draw(env);
    let reads = Reads {
        session: caller.carried.session.as_ref().map(Token::hash),
        ticket: Some(token.hash()),
        ..Reads::user(ticket.user)
    };
    let entered = env
        .store
        .update(reads, |held| {
            let user = held.user.id();
            // Whoever presents it and must not: what was seen by others is good for nobody.
            let ticket = held.ticket.take().filter(|ticket| {
                let mut browsers = caller.carried.browsers.iter().map(|browser| digest(*browser));
                ticket.user == user
                    && browsers.any(|browser| ticket.is_good(host, browser, caller.now))
            });
            match ticket {
                Some(ticket) if live_stay(env, caller, held).is_some() => {
                    if let Some(stay) = &mut held.stay {
                        stay.reach(host);
                    }
                    let session = Session::begin(user, ticket.stay, ticket.proofs);
                    let given = replace(env, caller, held, session, &fresh);
                    Entered::Begun { given, return_to: ticket.return_to }
                }
                Some(_) | None => Entered::Refused,
            }
        })
        .await?;
    Ok(entered.unwrap_or(Entered::Refused))
}
