//! Mailing a link to set a new password to whoever forgot theirs, or never had one.
//!
//! Whoever asks learns nothing: the same is said whether or not anybody is called so, and what
//! follows is done after the answer.

use std::sync::Arc;

use super::caller::Caller;
use super::env::Env;
use crate::domain::event::What;
use crate::domain::letter::{About, Letter};
use crate::domain::name::Login;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::store::{Reads, Unavailable};

/// Sets about mailing a link to whoever is called so; what comes of it nobody is told.
///
/// # Errors
/// The moment at which the next try from this address is read.
pub fn forgot(env: &Arc<Env>, caller: &Caller, login: Login) -> Result<(), Timestamp> {
    env.admits(caller)?;
    let (env, caller) = (Arc::clone(env), caller.clone());
    tokio::spawn(async move {
        if let Err(error) = mail_a_link(&env, &caller, &login).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "cannot mail a password link: the store is unavailable");
        }
    });
    Ok(())
}

/// Mails a link to the address of whoever is called so, if there is one, and if there were not too
/// many already.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn mail_a_link(env: &Env, caller: &Caller, login: &Login) -> Result<(), Unavailable> {
    let Some(user) = env.store.user_named(login).await? else { return Ok(()) };
    let token = env.chance.draw(Token::random);
    let mailed = env.store.update(Reads::user(user), |held| {
        let may = held.user.disabled().is_none() && held.user.email().is_some();
        if !may {
            return false;
        }
        if !held.user.may_be_sent_a_link(caller.now) {
            return true;
        }
        let link = held.user.reset_link(caller.now);
        let about = About::ResetPassword { token: token.clone() };
        held.make_link(token.hash(), link);
        if let Some(letter) = Letter::to(&held.user, about, caller.now) {
            held.send(letter);
        }
        held.tell(caller.event(user, What::ResetAsked));
        false
    });
    if mailed.await? == Some(true) {
        env.metrics.mailed("withheld");
    }
    Ok(())
}
