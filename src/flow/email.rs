//! Changing one's own e-mail address: it changes once a link sent to the new address is used.

use super::acting::Acting;
use super::caller::Caller;
use super::env::Env;
use super::factors::lost_backup;
use super::host_session::in_session;
use crate::domain::event::What;
use crate::domain::host_session::HostSession;
use crate::domain::link::Purpose;
use crate::domain::message::{About, Message};
use crate::domain::name::Email;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{Origin, User};
use crate::store::Changed;
use crate::unavailable::Unavailable;

/// The result of entering a new address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A link was sent to it.
    Now,
    /// The user has this address already.
    Already,
    /// The user must first prove access to the present address.
    OldAddressFirst,
    /// Too many mails were sent in the last hour.
    TooMany,
    /// The provider that answers for the user keeps the address.
    KeptElsewhere,
    /// The session has ended.
    Over,
}

/// Whether `user`, in this session, must first prove access to the present address: they have one,
/// and lately showed nothing but the password.
pub fn asks_old_address(env: &Env, user: &User, session: &HostSession, now: Timestamp) -> bool {
    let shown = session.proofs.mailed_code;
    let lately = shown.is_some_and(|at| now.within(env.config.confirm_for, at));
    !user.has_second_factor() && user.email().is_some() && !lately
}

/// Sends a link to a new address. The old address stays until the new one is verified, and gets a
/// notice.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn name_email(acting: Acting<'_>, address: &Email) -> Result<Named, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let user = authenticated.session.user;
    let token = env.rng.draw(Token::random);
    in_session(
        acting,
        || Named::Over,
        |tx, session| {
            if *tx.user.origin() != Origin::Local {
                return Named::KeptElsewhere;
            }
            if asks_old_address(env, &tx.user, &session, caller.now) {
                return Named::OldAddressFirst;
            }
            if tx.user.email() == Some(address) {
                return Named::Already;
            }
            if !tx.user.may_be_mailed(caller.now) {
                env.metrics.mailed("withheld");
                return Named::TooMany;
            }
            let link = tx.user.verification_link(address.clone(), caller.now);
            tx.put(&token.hash(), link);
            tx.send(Message {
                user,
                to: address.clone(),
                name: tx.user.name().as_str().to_owned(),
                about: About::VerifyEmail { token: token.clone() },
                written: caller.now,
            });
            tx.tell(caller.event(user, What::EmailAsked));
            Named::Now
        },
    )
    .await
}

/// The result of using a link to verify an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The user now has this address.
    Now,
    /// The link was used, has expired, or never existed.
    Dead,
    /// Another user has this address, or has it as name.
    Taken,
}

/// Gives the user the address that the link with this token names.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn verify_email(
    env: &Env,
    caller: &Caller,
    token: &Token,
) -> Result<Verified, Unavailable> {
    let link = env.store.link(token.hash()).await?;
    let link = link.filter(|link| link.purpose == Purpose::VerifyEmail);
    let Some(link) = link else { return Ok(Verified::Dead) };
    let changed = env.store.change_user(link.user, |user| {
        let had_backup = user.mailbox().is_some();
        // The user's record holds the pending address; once the address is set, nothing is pending.
        if !user.honours(&link, caller.now) || !user.take_new_email(caller.now) {
            return (Verified::Dead, Vec::new());
        }
        let mut events = vec![caller.event(link.user, What::EmailChanged)];
        events.extend(lost_backup(had_backup, user).map(|lost| caller.event(link.user, lost)));
        (Verified::Now, events)
    });
    Ok(match changed.await? {
        Some(Changed::Now(verified)) => verified,
        Some(Changed::EmailTaken) => Verified::Taken,
        None => Verified::Dead,
    })
}
