//! Adds many users at once from another system, with their password hashes or with links.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::administer::{NewLink, event, link_for};
use super::env::Env;
use crate::domain::digest::Digest;
use crate::domain::event::What;
use crate::domain::name::{Email, Login, Name};
use crate::domain::password::PasswordHash;
use crate::domain::secret::Token;
use crate::domain::user::{Profile, User, UserId};
use crate::store::{Added, NewUser};
use crate::unavailable::{Kind, Unavailable};

/// A user to import.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The profile.
    pub profile: Profile,
    /// The hash of the password, if there is one.
    pub password: Option<Digest>,
}

/// The result for one user.
#[derive(Clone, Debug)]
pub enum TakenOver {
    /// The user was added; with a link if links were requested.
    Added(Option<NewLink>),
    /// Another user has this name, or has it as e-mail address.
    NameTaken,
    /// Another user has this e-mail address, or has it as name.
    EmailTaken,
}

/// Whether the names of a new user are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// They are free.
    New,
    /// A user has this name: probably the same person.
    There,
    /// The name is the e-mail address of another user.
    NameIsEmail,
    /// The e-mail address is the address or the name of another user.
    EmailTaken,
}

/// Whether this name and this address are taken.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn known(env: &Env, name: &Name, email: Option<&Email>) -> Result<Known, Unavailable> {
    if let Some(id) = env.store.user_named(&Login::typed(name.as_str())).await? {
        let there = env.store.user(id).await?;
        let same = there.is_some_and(|there| there.user.name() == name);
        return Ok(if same { Known::There } else { Known::NameIsEmail });
    }
    let Some(email) = email else { return Ok(Known::New) };
    let taken = env.store.user_named(&Login::typed(email.as_str())).await?;
    Ok(if taken.is_some() { Known::EmailTaken } else { Known::New })
}

/// Imports users on behalf of the operator `by`, in one batch. Users without a password get a link
/// if `links` are requested. Returns the results in the same order.
///
/// Passwords are hashed one after another, so that visitors can sign in at the same time.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written, or the hashing queue stays full. Some
/// users may have been added or not.
pub async fn take_over(
    env: &Env,
    by: &str,
    people: Vec<Newcomer>,
    links: bool,
) -> Result<Vec<TakenOver>, Unavailable> {
    let now = env.now()?;
    let (mut new, mut made) = (Vec::with_capacity(people.len()), Vec::new());
    for Newcomer { profile, password } in people {
        let (id, token) = env.rng.draw(|rng| (UserId::random(rng), Token::random(rng)));
        let user = User::new(id, profile, now);
        let linked = links && password.is_none();
        let user = match password {
            Some(digest) => user.with_password(hashed(env, digest).await?),
            None => user,
        };
        let told = [Some(What::UserAdded), linked.then_some(What::LinkMade)];
        let events = told.into_iter().flatten().map(|what| event(by, id, what, now)).collect();
        let link = linked.then(|| link_for(&user, now));
        made.push(link.as_ref().map(|link| NewLink {
            name: user.name().clone(),
            token: token.clone(),
            expires: link.expires,
        }));
        new.push(NewUser { user, link: link.map(|link| (token.hash(), link)), events });
    }
    let added = env.store.add_users(&new).await?;
    let each = added.into_iter().zip(made).map(|(added, link)| match added {
        Added::Now => TakenOver::Added(link),
        Added::NameTaken => TakenOver::NameTaken,
        // Nobody who is imported has an account at a provider.
        Added::EmailTaken | Added::AccountTaken => TakenOver::EmailTaken,
    });
    Ok(each.collect())
}

async fn hashed(env: &Env, digest: Digest) -> Result<PasswordHash, Unavailable> {
    for _ in 0..PATIENCE {
        if let Ok(place) = env.hashing.place(OURS, None) {
            return Ok(place.take_over(digest).await?);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Unavailable::new(Kind::Hashing, "too many sign-ins at the same time; try again later"))
}

/// The address that an import counts as in the hashing queue.
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How often a place in the queue is requested: for ten seconds.
const PATIENCE: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
