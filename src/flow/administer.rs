//! What operators do to users: add, show, change, disable, enable and remove them.

use super::env::Env;
use super::factors::lost_backup;
use crate::domain::event::{Event, What, Whom};
use crate::domain::factor::{Factor, FactorId};
use crate::domain::link::{Link, Purpose};
use crate::domain::name::{Login, Name};
use crate::domain::provider::Account;
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;
use crate::domain::user::{Change, Origin, Profile, User, UserId};
use crate::store::{Added, Changed, Reads};
use crate::unavailable::Unavailable;

/// A one-time link to set a password, for an administrator to hand over.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The user it is for.
    pub name: Name,
    /// The token in the link. It is shown once and kept only as a hash.
    pub token: Token,
    /// When it expires.
    pub expires: Timestamp,
}

/// The result of adding a user.
#[derive(Clone, Debug)]
pub enum Adding {
    /// The user was added and sets the password with this link.
    Added(NewLink),
    /// Another user has this name, or has it as e-mail address.
    NameTaken,
    /// Another user has this e-mail address, or has it as name.
    EmailTaken,
}

/// The result of adding somebody for whom a provider answers.
#[derive(Clone, Debug)]
pub enum AddingAccount {
    /// The user was added, and signs in at the provider.
    Added(Name),
    /// Like [`Adding`].
    Taken(Added),
    /// The configuration has no provider with this name.
    NoProvider,
    /// The subject is not one.
    NoSubject,
}

/// Adds a user for whom the account of `subject` at `provider` answers, on behalf of the operator
/// `by`. They sign in there.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The user may have been added or not.
pub async fn add_account(
    env: &Env,
    by: &str,
    profile: Profile,
    provider: &str,
    subject: &str,
) -> Result<AddingAccount, Unavailable> {
    let now = env.now()?;
    let Some(provider) = env.providers.named(provider) else {
        return Ok(AddingAccount::NoProvider);
    };
    let Some(account) = Account::new(&provider.settings().issuer, subject) else {
        return Ok(AddingAccount::NoSubject);
    };
    let id = env.rng.draw(UserId::random);
    let user = User::new(id, profile, now).of_provider(account);
    let added = env.store.add_user(&user, None, &[event(by, id, What::UserAdded, now)]).await?;
    Ok(match added {
        Added::Now => AddingAccount::Added(user.name().clone()),
        taken => AddingAccount::Taken(taken),
    })
}

/// Adds a user on behalf of the operator `by`, with a link instead of a password.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The user may have been added or not.
pub async fn add(env: &Env, by: &str, profile: Profile) -> Result<Adding, Unavailable> {
    let now = env.now()?;
    let (id, token) = env.rng.draw(|rng| (UserId::random(rng), Token::random(rng)));
    let user = User::new(id, profile, now);
    let link = link_for(&user, now);
    let new = NewLink { name: user.name().clone(), token, expires: link.expires };
    let events = [What::UserAdded, What::LinkMade].map(|what| event(by, id, what, now));
    let added = env.store.add_user(&user, Some((new.token.hash(), link)), &events).await?;
    Ok(match added {
        Added::Now => Adding::Added(new),
        Added::NameTaken => Adding::NameTaken,
        // A local user has no account at a provider.
        Added::EmailTaken | Added::AccountTaken => Adding::EmailTaken,
    })
}

/// A user and their latest events.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The user.
    pub user: User,
    /// The latest events about the user, newest first.
    pub events: Vec<Event>,
    /// When this was read.
    pub now: Timestamp,
}

/// Everything that operators may see of the user with this name or address. `None`: no such user.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn show(env: &Env, whom: &Login, events: usize) -> Result<Option<Shown>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let Some(snapshot) = env.store.user(id).await? else { return Ok(None) };
    let events = env.store.events_of(id, events).await?;
    Ok(Some(Shown { user: snapshot.user.clone(), events, now: env.now()? }))
}

/// All users, sorted by name.
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

/// Clears all failures of the user with this name or address, for both factors and all browsers.
/// `None`: no such user.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn unlock(env: &Env, by: &str, whom: &Login) -> Result<Option<Name>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let unlocked = env.store.update(Reads::user(id), |tx| {
        tx.user.unlock();
        tx.attempts.clear();
        tx.tell(event(by, id, What::Unlocked, now));
        tx.user.name().clone()
    });
    unlocked.await
}

/// The result of letting a key count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counting {
    /// It counts as one that cannot be phished from now on.
    Now(Name),
    /// It did so before.
    Already(Name),
    /// The user has no security key with this name or id, or several with this name.
    NoSuchKey(Name),
}

/// Lets a security key of the user with this name or address count as one that cannot be phished from
/// now on: the operator knows that its owner added it. `key` is its id or its name. `None`: no such user.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn trust_key(
    env: &Env,
    by: &str,
    whom: &Login,
    key: &str,
) -> Result<Option<Counting>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let counted = env.store.update(Reads::user(id), |tx| {
        let name = tx.user.name().clone();
        let keys = tx.user.factors().iter().filter(|factor| factor.security_key().is_some());
        let is_it = |factor: &&Factor| {
            factor.id().to_string() == key || factor.name().is_some_and(|n| n.to_string() == key)
        };
        let found: Vec<FactorId> = keys.filter(is_it).map(Factor::id).collect();
        let [found] = found.as_slice() else { return Counting::NoSuchKey(name) };
        match tx.user.count_factor(*found, now) {
            Some(_) => {
                tx.tell(event(by, id, What::KeyTrusted, now));
                Counting::Now(name)
            }
            None => Counting::Already(name),
        }
    });
    counted.await
}

/// The result of disabling or enabling a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switched {
    /// The state has changed.
    Now(Name),
    /// The user was in this state already; nothing changed.
    Already(Name),
}

/// Disables the user with this name or address. Sessions, links and trusted devices end at once.
/// `None`: no such user.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn disable(env: &Env, by: &str, whom: &Login) -> Result<Option<Switched>, Unavailable> {
    let now = env.now()?;
    switch(env, by, whom, What::UserDisabled, |user| user.disable(now)).await
}

/// Enables the user with this name or address again. `None`: no such user.
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
    let done = env.store.update(Reads::user(id), |tx| {
        let name = tx.user.name().clone();
        if !switched(&mut tx.user) {
            return Switched::Already(name);
        }
        tx.tell(event(by, id, what, now));
        Switched::Now(name)
    });
    done.await
}

/// Turns two-factor off for a user who lost every factor. Says whether it was on. `None`: no such
/// user.
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

/// The result of changing a user.
#[derive(Clone, Debug)]
pub enum Changing {
    /// The user as changed. Sessions continue, and their next requests are authorized again.
    Changed(Box<User>),
    /// Another user has this e-mail address, or has it as name.
    EmailTaken,
    /// The account that is to answer for the user belongs to another user.
    AccountTaken,
}

/// Changes the profile of the user with this name or address. `None`: no such user.
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
        let had_backup = user.mailbox().is_some();
        let news = user.change(change).then_some(What::UserChanged);
        let events = news.into_iter().chain(lost_backup(had_backup, user));
        (user.clone(), events.map(|what| event(by, id, what, now)).collect())
    });
    Ok(match changed.await? {
        Some(Changed::Now(user)) => Some(Changing::Changed(Box::new(user))),
        Some(Changed::EmailTaken) if takes_an_account(env, id, change).await? => {
            Some(Changing::AccountTaken)
        }
        Some(Changed::EmailTaken) => Some(Changing::EmailTaken),
        None => None,
    })
}

/// Whether `change` gives the user an account that belongs to another one.
async fn takes_an_account(env: &Env, id: UserId, change: &Change) -> Result<bool, Unavailable> {
    let Some(Origin::Provider(account)) = &change.origin else { return Ok(false) };
    let whose = env.store.user_of_account(account).await?;
    Ok(change.email.is_none() || whose.is_some_and(|whose| whose != id))
}

/// Removes the user with this name or address, with all sessions and links. `None`: no such user.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub async fn remove(env: &Env, by: &str, whom: &Login) -> Result<Option<Name>, Unavailable> {
    let Some(id) = env.store.user_named(whom).await? else { return Ok(None) };
    let now = env.now()?;
    let removed = env.store.remove_user(id, |_| event(by, id, What::UserRemoved, now)).await?;
    Ok(removed.map(|user| user.name().clone()))
}

/// The result of making a link.
#[derive(Clone, Debug)]
pub enum Linking {
    /// The link.
    Made(NewLink),
    /// The user is disabled, so a link would not work.
    Disabled(Name),
}

/// Makes a link with which the user sets a new password. The old password works until then, and
/// earlier links stop working. `None`: no such user.
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
    let token = env.rng.draw(Token::random);
    let made = env.store.update(Reads::user(id), |tx| {
        let name = tx.user.name().clone();
        if tx.user.disabled().is_some() {
            return Linking::Disabled(name);
        }
        tx.user.next_link();
        let link = link_for(&tx.user, now);
        let new = NewLink { name, token: token.clone(), expires: link.expires };
        tx.put(&token.hash(), link);
        tx.tell(event(by, id, What::LinkMade, now));
        Linking::Made(new)
    });
    made.await
}

pub(super) fn link_for(user: &User, now: Timestamp) -> Link {
    Link::new(Purpose::SetPassword, user.id(), user.last_link(), now)
}

pub(super) fn event(by: &str, user: UserId, what: What, at: Timestamp) -> Event {
    Event::by_operator(by, Whom::User(user), what, at)
}

/// How many users are read at a time.
const PAGE: usize = 1_000;
