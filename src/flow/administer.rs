//! What operators do to people: add them, look at them, change them, keep them out, let them in
//! again.

use super::env::Env;
use crate::domain::event::{Event, What, Whom};
use crate::domain::link::{Link, Purpose};
use crate::domain::name::{Login, Name};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{Change, Profile, User, UserId};
use crate::store::{Added, Changed, Reads, Unavailable};

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

/// Somebody, and what happened to them last.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The person.
    pub user: User,
    /// The last events that are about them, the newest first.
    pub events: Vec<Event>,
    /// When this was so.
    pub now: Timestamp,
}

/// Everything that operators may know of whoever is called so. `None`: nobody is.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn show(env: &Env, whom: &Login, events: usize) -> Result<Option<Shown>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let Some(snapshot) = env.store.user(id).await? else { return Ok(None) };
    let events = env.store.events_of(id, events).await?;
    Ok(Some(Shown { user: snapshot.user.clone(), events, now: env.now()? }))
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
        held.attempts.clear();
        held.tell(event(by, id, What::Unlocked, now));
        held.user.name().clone()
    });
    unlocked.await
}

/// What became of changing whether somebody may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It is so from now on.
    Now(Name),
    /// It was so already; nothing happened.
    Already(Name),
}

/// Lets nobody in any longer who says to be whoever is called so: sessions, links and trusted
/// devices are over at once. `None`: nobody is called so.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn disable(env: &Env, by: &str, whom: &Login) -> Result<Option<Switched>, Unavailable> {
    let now = env.now()?;
    switch(env, by, whom, What::UserDisabled, |user| user.disable(now)).await
}

/// Lets whoever is called so sign in again. `None`: nobody is.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn enable(env: &Env, by: &str, whom: &Login) -> Result<Option<Switched>, Unavailable> {
    switch(env, by, whom, What::UserEnabled, User::enable).await
}

async fn switch(
    env: &Env,
    by: &str,
    whom: &Login,
    what: What,
    switched: impl Fn(&mut User) -> bool,
) -> Result<Option<Switched>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let done = env.store.update(Reads::user(id), |held| {
        let name = held.user.name().clone();
        if !switched(&mut held.user) {
            return Switched::Already(name);
        }
        held.tell(event(by, id, what, now));
        Switched::Now(name)
    });
    done.await
}

/// Turns two-factor off for whoever is called so, who lost everything. Says whether it was on.
/// `None`: nobody is called so.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn reset_second_factor(
    env: &Env,
    by: &str,
    whom: &Login,
) -> Result<Option<Switched>, Unavailable> {
    switch(env, by, whom, What::TwoFactorReset, |user| {
        let on = user.has_second_factor() || user.recovery_codes().is_some();
        if on {
            user.reset_second_factor();
        }
        on
    })
    .await
}

/// What became of changing somebody.
#[derive(Clone, Debug)]
pub enum Changing {
    /// This is what they are now; sessions live, and their next requests are judged anew.
    Changed(Box<User>),
    /// Somebody else has this e-mail address, or it is somebody's name.
    EmailTaken,
}

/// Changes what is known of whoever is called so. `None`: nobody is.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn change(
    env: &Env,
    by: &str,
    whom: &Login,
    change: &Change,
) -> Result<Option<Changing>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let changed = env.store.change_user(id, |user| {
        let news = user.change(change);
        let events = news.then(|| event(by, id, What::UserChanged, now));
        (user.clone(), events.into_iter().collect())
    });
    Ok(changed.await?.map(|changed| match changed {
        Changed::Now(user) => Changing::Changed(Box::new(user)),
        Changed::EmailTaken => Changing::EmailTaken,
    }))
}

/// Removes whoever is called so; their sessions and links lead nowhere from now on. `None`: nobody
/// is called so.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn remove(env: &Env, by: &str, whom: &Login) -> Result<Option<Name>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let removed = env.store.remove_user(id, |_| event(by, id, What::UserRemoved, now)).await?;
    Ok(removed.map(|user| user.name().clone()))
}

/// What became of making a link.
#[derive(Clone, Debug)]
pub enum Linking {
    /// Here it is.
    Made(NewLink),
    /// This person is disabled: no link would work.
    Disabled(Name),
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
) -> Result<Option<Linking>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let token = env.chance.draw(Token::random);
    let made = env.store.update(Reads::user(id), |held| {
        let name = held.user.name().clone();
        if held.user.disabled().is_some() {
            return Linking::Disabled(name);
        }
        held.user.next_link();
        let link = link_for(&held.user, now);
        let new = NewLink { name, token: token.clone(), expires: link.expires };
        held.make_link(token.hash(), link);
        held.tell(event(by, id, What::LinkMade, now));
        Linking::Made(new)
    });
    made.await
}

pub(super) fn link_for(user: &User, now: Timestamp) -> Link {
    Link::new(Purpose::SetPassword, user.id(), user.last_link(), now)
}

pub(super) fn event(by: &str, user: UserId, what: What, at: Timestamp) -> Event {
    Event { at, whom: Whom::User(user), what, from: None, by: Some(by.to_owned()), agent: None }
}

/// So many people are read at a time.
const PAGE: usize = 1_000;
