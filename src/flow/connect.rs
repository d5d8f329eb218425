//! Connecting accounts at identity providers to a user, and disconnecting them.

use super::acting::Acting;
use super::caller::{Caller, Given};
use super::env::Env;
use super::host_session::{Fresh, go_on_alone, in_session};
use crate::domain::event::What;
use crate::domain::provider::Account;
use crate::domain::user::{User, UserId};
use crate::store::Changed;
use crate::unavailable::Unavailable;

/// The result of connecting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connecting {
    /// It may speak for the user from now on, or did so before.
    Now,
    /// It speaks for another user.
    Taken,
    /// The user has the most accounts that are allowed, or is gone.
    Not,
}

/// Lets `account` speak for `user`, who has just signed in there.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub(super) async fn connect(
    env: &Env,
    caller: &Caller,
    user: UserId,
    account: &Account,
) -> Result<Connecting, Unavailable> {
    let changed = env.store.change_user(user, |user| {
        if user.has_account(account) {
            return (Connecting::Now, Vec::new());
        }
        if user.accounts().count() >= User::ACCOUNTS_AT_MOST {
            return (Connecting::Not, Vec::new());
        }
        user.connect(account.clone());
        (Connecting::Now, vec![caller.event(user.id(), What::ProviderConnected)])
    });
    Ok(match changed.await? {
        Some(Changed::Now(connecting)) => connecting,
        // What is new is the account.
        Some(Changed::EmailTaken) => Connecting::Taken,
        None => Connecting::Not,
    })
}

/// The result of disconnecting an account.
#[derive(Debug)]
pub enum Disconnecting {
    /// It speaks for the user no longer. Every other session has ended, and this one continues under a
    /// new id.
    Now(Given),
    /// There is no such account, or it must stay.
    Not,
    /// The session has ended.
    Over,
}

/// Whether the user may disconnect this account: somebody must be left who answers for them, and a way
/// to sign in.
pub fn may_disconnect(env: &Env, user: &User, account: &Account) -> bool {
    user.may_disconnect(account, |other| env.providers.of_issuer(other.issuer()).is_some())
}

/// Disconnects the account with this handle ([`Account::handle`]).
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn disconnect(acting: Acting<'_>, handle: &str) -> Result<Disconnecting, Unavailable> {
    let Acting { env, caller, authenticated } = acting;
    let fresh = Fresh::draw(env);
    let user = authenticated.session.user;
    in_session(
        acting,
        || Disconnecting::Over,
        |tx, session| {
            let found = tx.user.accounts().find(|account| account.handle() == handle).cloned();
            let Some(account) = found.filter(|one| may_disconnect(env, &tx.user, one)) else {
                return Disconnecting::Not;
            };
            tx.user.disconnect(&account);
            tx.tell(caller.event(user, What::ProviderDisconnected));
            Disconnecting::Now(go_on_alone(env, caller, tx, session, &fresh))
        },
    )
    .await
}
