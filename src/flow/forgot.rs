//! Mailing a link to set a new password to users who forgot theirs or never had one.
//!
//! The answer reveals nothing: it is the same whether or not the user exists, and the work is done
//! after it was sent.

use std::sync::Arc;

use super::caller::Caller;
use super::env::Env;
use super::request_id;
use crate::domain::event::What;
use crate::domain::message::{About, Message};
use crate::domain::name::Login;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::store::Reads;
use crate::unavailable::Unavailable;

/// Starts mailing a link to the user with this name or address. The result is not reported.
///
/// # Errors
/// When the next attempt from this address is accepted.
pub fn forgot(env: &Arc<Env>, caller: &Caller, login: Login) -> Result<(), Timestamp> {
    env.admits(caller)?;
    let (env, caller) = (Arc::clone(env), caller.clone());
    tokio::spawn(request_id::carried(async move {
        if let Err(error) = mail_a_link(&env, &caller, &login).await {
            env.report(&error, "cannot mail a password link");
        }
    }));
    Ok(())
}

/// Mails a link to the user with this name or address, if there is one and the limit is not
/// reached.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn mail_a_link(env: &Env, caller: &Caller, login: &Login) -> Result<(), Unavailable> {
    let Some(user) = env.store.user_named(login).await? else { return Ok(()) };
    let token = env.rng.draw(Token::random);
    let mailed = env.store.update(Reads::user(user), |tx| {
        let user_exists = tx.user.disabled().is_none() && tx.user.email().is_some();
        let may = user_exists && env.mail_proves(&tx.user);
        if !may {
            return false;
        }
        if !tx.user.may_be_sent_a_link(caller.now) {
            return true;
        }
        let link = tx.user.reset_link(caller.now);
        let about = About::ResetPassword { token: token.clone() };
        tx.put(&token.hash(), link);
        if let Some(message) = Message::to(&tx.user, about, caller.now) {
            tx.send(message);
        }
        tx.tell(caller.event(user, What::ResetAsked));
        false
    });
    if mailed.await? == Some(true) {
        env.metrics.mailed("withheld");
    }
    Ok(())
}
