//! What operators do to people: add them, look at them, let them in again.

use super::env::Env;
use crate::domain::event::{Event, What, Whom};
use crate::domain::link::{Link, Purpose};
use crate::domain::name::{Login, Name};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{Profile, User, UserId};
use crate::store::{Added, Reads, Unavailable};

/// A one-time link to set a password, to be handed to whom it is for.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// For whom.
    pub name: Name,
    /// What stands in the link; it is shown once, and kept only as a hash.
    pub token: Token,
    /// When it is over.
    pub expires: Timestamp,
}

/// What became of adding somebody.
#[derive(Clone, Debug)]
pub enum Adding {
    /// They are there, and set their password by this link.
    Added(NewLink),
    /// Somebody has this name, or it is somebody's e-mail address.
    NameTaken,
    /// Somebody has this e-mail address, or it is somebody's name.
    EmailTaken,
}

/// Adds somebody, in the name of the operator `by`, with a link instead of a password.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether somebody was added is not known then.
pub async fn add(env: &Env, by: &str, profile: Profile) -> Result<Adding, Unavailable> {
    let now = env.now()?;
    let (id, token) = env.chance.draw(|rng| (UserId::random(rng), Token::random(rng)));
    let user = User::new(id, profile, now);
    let link = link_for(&user, now);
    let new = NewLink { name: user.name().clone(), token, expires: link.expires };
    let events = [What::UserAdded, What::LinkMade].map(|what| event(by, id, what, now));
    let added = env.store.add_user(&user, Some((new.token.hash(), link)), &events).await?;
    Ok(match added {
        Added::Now => Adding::Added(new),
        Added::NameTaken => Adding::NameTaken,
        Added::EmailTaken => Adding::EmailTaken,
    })
}

/// Everybody, in the order of their names.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn list(env: &Env) -> Result<Vec<User>, Unavailable> {
    let mut everybody: Vec<User> = Vec::new();
    loop {
        let page = env.store.users(everybody.last().map(User::id), PAGE).await?;
        if page.is_empty() {
            break;
        }
        everybody.extend(page);
    }
    everybody.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(everybody)
}

/// Forgets all failures of whoever is called so, of both factors and all browsers. `None`: nobody
/// is.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn unlock(env: &Env, by: &str, whom: &Login) -> Result<Option<Name>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let unlocked = env.store.update(Reads::user(id), |held| {
        held.user.unlock();
        held.tell(event(by, id, What::Unlocked, now));
        held.user.name().clone()
    });
    unlocked.await
}

/// Makes a link by which whoever is called so sets a new password; the old one works until then,
/// and every earlier link is dead. `None`: nobody is called so.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn password_link(
    env: &Env,
    by: &str,
    whom: &Login,
) -> Result<Option<NewLink>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let token = env.chance.draw(Token::random);
    let made = env.store.update(Reads::user(id), |held| {
        held.user.next_link();
        let link = link_for(&held.user, now);
        let name = held.user.name().clone();
        let new = NewLink { name, token: token.clone(), expires: link.expires };
        held.make_link(token.hash(), link);
        held.tell(event(by, id, What::LinkMade, now));
        new
    });
    made.await
}

fn link_for(user: &User, now: Timestamp) -> Link {
    Link {
        purpose: Purpose::SetPassword,
        user: user.id(),
        number: user.last_link(),
        expires: now.plus(Link::LASTS),
    }
}

fn event(by: &str, user: UserId, what: What, at: Timestamp) -> Event {
    Event { at, whom: Whom::User(user), what, from: None, by: Some(by.to_owned()) }
}

/// So many people are read at a time.
const PAGE: usize = 1_000;
