//! Adding, changing and removing users. The record and its names change in one batch.

use data_encoding::BASE64URL_NOPAD;

use super::{Store, TRIES, expect};
use crate::domain::event::Event;
use crate::domain::factor::Factor;
use crate::domain::factor::security_key::{CredentialId, SecurityKey};
use crate::domain::link::Link;
use crate::domain::name::Email;
use crate::domain::secret::TokenHash;
use crate::domain::user::{User, UserId};
use crate::store::batch::{Batch, Expect};
use crate::store::keys::Hashes;
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// The result of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The user was added.
    Now,
    /// The name is already somebody's name or e-mail address.
    NameTaken,
    /// The e-mail address is already somebody's name or e-mail address.
    EmailTaken,
    /// The account at a provider, or a security key, is already somebody's.
    AccountTaken,
}

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// A one-time link for them, if any.
    pub link: Option<(TokenHash, Link)>,
    /// The events of adding them.
    pub events: Vec<Event>,
}

/// The result of changing a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed<T> {
    /// The change was written.
    Now(T),
    /// The e-mail address is already somebody else's name or address; nothing was written.
    EmailTaken,
}

impl Store {
    /// Adds a user with the names that lead to them.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn add_user(
        &self,
        user: &User,
        link: Option<(TokenHash, Link)>,
        events: &[Event],
    ) -> Result<Added, Unavailable> {
        let _naming = self.naming.read().await;
        self.add(&NewUser { user: user.clone(), link, events: events.to_vec() }).await
    }

    async fn add(&self, new: &NewUser) -> Result<Added, Unavailable> {
        let user = &new.user;
        for _ in 0..TRIES {
            if let Some(taken) = self.what_is_taken(user).await? {
                return Ok(taken);
            }
            let batch = self.with_user(Batch::new(), new)?;
            let batch = self.count_imported(batch, [(None, Some(user))]).await?;
            if self.commit(batch, &new.events, Some(user.name().as_str())).await? {
                return Ok(Added::Now);
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same user"))
    }

    /// Adds many users in one batch; returns the result for each. If two of them want the same name
    /// or address, the first one gets it.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn add_users(&self, people: &[NewUser]) -> Result<Vec<Added>, Unavailable> {
        let _naming = self.naming.read().await;
        let mut all = Vec::with_capacity(people.len());
        let (mut batch, mut names) = (Batch::new(), std::collections::HashSet::new());
        for new in people {
            let keys = self.keys_of(&new.user);
            let taken = if keys.iter().any(|key| names.contains(key)) {
                // An earlier user in this batch has it. Name and address are not distinguished
                // here.
                Some(Added::NameTaken)
            } else {
                self.what_is_taken(&new.user).await?
            };
            if taken.is_none() {
                names.extend(keys);
                batch = self.with_user(batch, new)?;
            }
            all.push(taken.unwrap_or(Added::Now));
        }
        let added = people.iter().zip(&all).filter(|(_, added)| **added == Added::Now);
        let added = added.map(|(new, _)| (None, Some(&new.user)));
        batch = self.count_imported(batch, added).await?;
        let added = people.iter().zip(&all).filter(|(_, added)| **added == Added::Now);
        let told = added.map(|(new, _)| (&*new.events, Some(new.user.name().as_str())));
        if self.commit_told(batch, &told.collect::<Vec<_>>()).await? {
            return Ok(all);
        }
        // Somebody else took one of the names meanwhile, so add each user separately.
        all.clear();
        for new in people {
            all.push(self.add(new).await?);
        }
        Ok(all)
    }

    /// Changes a user's data and the names that lead to them. `None` if there is no such user.
    ///
    /// `decide` may be called several times, each time with the current record. It must not change
    /// the user name.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn change_user<T>(
        &self,
        id: UserId,
        mut decide: impl FnMut(&mut User) -> (T, Vec<Event>),
    ) -> Result<Option<Changed<T>>, Unavailable> {
        let _line = self.line(id.as_bytes()).await;
        let _naming = self.naming.read().await;
        for _ in 0..TRIES {
            let read = self.read::<User>(Kind::User, id.as_bytes()).await?;
            let Some(before) = &read.value else { return Ok(None) };
            let mut user = before.clone();
            let (decided, events) = decide(&mut user);
            let (old, new) = (self.keys_of(before), self.keys_of(&user));

            let mut batch = Batch::new();
            let changed = self.step(&mut batch, Kind::User, id.as_bytes(), &read, Some(&user))?;
            for key in new.iter().filter(|key| !old.contains(key)) {
                if self.is_taken(key).await? {
                    return Ok(Some(Changed::EmailTaken));
                }
                batch = self.with_name(batch, key, id)?;
            }
            for key in old.iter().filter(|key| !new.contains(key)) {
                batch = without_name(batch, key);
            }
            batch = self.count_imported(batch, [(Some(before), Some(&user))]).await?;
            batch = self.post(batch, &events, before, &user, &[])?;
            let unchanged = !changed && events.is_empty();
            if unchanged || self.commit(batch, &events, Some(user.name().as_str())).await? {
                return Ok(Some(Changed::Now(decided)));
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same user"))
    }

    /// Removes a user and all names that lead to them; their sessions and links become void. `None`
    /// if there is no such user. `tell` creates the event.
    ///
    /// # Errors
    /// Like [`Store::update`].
    pub async fn remove_user(
        &self,
        id: UserId,
        tell: impl Fn(&User) -> Event,
    ) -> Result<Option<User>, Unavailable> {
        let _line = self.line(id.as_bytes()).await;
        let _naming = self.naming.read().await;
        for _ in 0..TRIES {
            let read = self.read::<User>(Kind::User, id.as_bytes()).await?;
            let Some(user) = read.value else { return Ok(None) };
            let batch = Batch::new().delete(Kind::User, *id.as_bytes(), expect(read.version));
            let batch = self.keys_of(&user).iter().fold(batch, without_name);
            let batch = self.with_former(batch, user.name())?;
            let batch = self.count_imported(batch, [(Some(&user), None)]).await?;
            if self.commit(batch, &[tell(&user)], Some(user.name().as_str())).await? {
                return Ok(Some(user));
            }
        }
        Err(Unavailable::store("too many conflicting writes to the same user"))
    }

    async fn what_is_taken(&self, user: &User) -> Result<Option<Added>, Unavailable> {
        let names = self.keyring.names();
        for (name, taken) in keys_of(user) {
            if self.is_taken(&names.of(&name)).await? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// The security keys of `now` that `before` did not have and that are somebody else's.
    pub(super) async fn keys_of_others(
        &self,
        before: &User,
        now: &User,
    ) -> Result<Vec<CredentialId>, Unavailable> {
        let names = self.keyring.names();
        let mut taken = Vec::new();
        for new in credentials(now).filter(|new| !credentials(before).any(|old| old == *new)) {
            if self.is_taken(&names.of(&key_of(new))).await? {
                taken.push(new.clone());
            }
        }
        Ok(taken)
    }

    /// Makes the security keys that are new in `now` lead there, and those that are gone nowhere.
    pub(super) fn with_keys(
        &self,
        mut batch: Batch,
        before: &User,
        now: &User,
    ) -> Result<Batch, Unavailable> {
        let names = self.keyring.names();
        for new in credentials(now).filter(|new| !credentials(before).any(|old| old == *new)) {
            batch = self.with_name(batch, &names.of(&key_of(new)), now.id())?;
        }
        for old in credentials(before).filter(|old| !credentials(now).any(|new| new == *old)) {
            batch = without_name(batch, &names.of(&key_of(old)));
        }
        Ok(batch)
    }

    /// The hashes of everything that leads to `user`.
    pub(super) fn keys_of(&self, user: &User) -> Vec<Hashes> {
        let names = self.keyring.names();
        keys_of(user).iter().map(|(name, _)| names.of(name)).collect()
    }

    /// These names lead to nobody any more. The caller holds `naming`.
    pub(super) fn without_names(&self, batch: Batch, lost: &[String]) -> Batch {
        let names = self.keyring.names();
        lost.iter().fold(batch, |batch, name| without_name(batch, &names.of(name)))
    }

    fn with_user(&self, batch: Batch, new: &NewUser) -> Result<Batch, Unavailable> {
        let (id, absent) = (new.user.id(), Expect::Absent);
        let mut batch = self.put(batch, Kind::User, id.as_bytes(), absent, None, &new.user)?;
        for key in self.keys_of(&new.user) {
            batch = self.with_name(batch, &key, id)?;
        }
        if let Some((hash, link)) = &new.link {
            let over = Some(link.expires);
            batch = self.put(batch, Kind::Token, hash.as_bytes(), absent, over, link)?;
        }
        Ok(batch)
    }

    /// Makes a name lead to `id`. Attempts on the name from before it belonged to a user are stored
    /// under another key than attempts on the user.
    fn with_name(
        &self,
        mut batch: Batch,
        hashes: &Hashes,
        id: UserId,
    ) -> Result<Batch, Unavailable> {
        let Some((current, older)) = hashes.split_last() else { return Ok(batch) };
        for hash in older {
            batch = batch.check(Kind::Name, *hash, Expect::Absent);
        }
        self.put(batch, Kind::Name, current, Expect::Absent, None, &id)
    }
}

/// Everything that leads to `user`: the user name; if different, the e-mail address; accounts at
/// providers; security keys. And what it means if another user has it.
pub(super) fn keys_of(user: &User) -> Vec<(String, Added)> {
    let name = user.name().as_str();
    let email = user.email().map(Email::key).filter(|email| *email != name);
    let mut keys = vec![(name.to_owned(), Added::NameTaken)];
    keys.extend(email.map(|email| (email.to_owned(), Added::EmailTaken)));
    keys.extend(user.accounts().map(|account| (account.key(), Added::AccountTaken)));
    keys.extend(credentials(user).map(|its| (key_of(its), Added::AccountTaken)));
    keys
}

fn credentials(user: &User) -> impl Iterator<Item = &CredentialId> {
    let keys = user.factors().iter().filter_map(Factor::security_key);
    keys.map(SecurityKey::credential)
}

/// What a security key is found by, beside user names and accounts at providers. None of these can
/// be equal: names have no control characters, and accounts begin with another one.
fn key_of(credential: &CredentialId) -> String {
    format!("\u{2}{}", BASE64URL_NOPAD.encode(credential.as_bytes()))
}

fn without_name(batch: Batch, hashes: &Hashes) -> Batch {
    hashes.iter().fold(batch, |batch, hash| batch.delete(Kind::Name, *hash, Expect::Any))
}

/// Whether both have the same security keys.
pub(super) fn have_same_keys(one: &User, other: &User) -> bool {
    credentials(one).eq(credentials(other))
}
