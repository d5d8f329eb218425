//! People come, go, and get other addresses: the record and the names that lead to it in one batch.

use super::{Store, TRIES, expect};
use crate::domain::event::Event;
use crate::domain::link::Link;
use crate::domain::secret::TokenHash;
use crate::domain::user::{User, UserId};
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::store::unavailable::Unavailable;

/// What became of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The user is there now.
    Now,
    /// Somebody has this name, or it is somebody's e-mail address.
    NameTaken,
    /// Somebody has this e-mail address, or it is somebody's name.
    EmailTaken,
}

/// Somebody new.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// A first link, where there is one.
    pub link: Option<(TokenHash, Link)>,
    /// What happened.
    pub events: Vec<Event>,
}

/// What became of changing a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed<T> {
    /// It was decided and written.
    Now(T),
    /// Somebody else has this e-mail address, or it is somebody's name; nothing was written.
    EmailTaken,
}

impl Store {
    /// Adds a user; the name and the e-mail address lead to this user from now on.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn add_user(
        &self,
        user: &User,
        link: Option<(TokenHash, Link)>,
        events: &[Event],
    ) -> Result<Added, Unavailable> {
        let new = NewUser { user: user.clone(), link, events: events.to_vec() };
        for _ in 0..TRIES {
            if let Some(taken) = self.what_is_taken(user).await? {
                return Ok(taken);
            }
            let batch = self.with_user(Batch::new(), &new)?;
            let batch = self.count_imported(batch, [(None, Some(user))]).await?;
            if self.commit(batch, events, Some(user.name().as_str())).await? {
                return Ok(Added::Now);
            }
        }
        Err(Unavailable::new("too many others add the same user"))
    }

    /// Adds many users in one batch, and says of each what became of it. If two of them want the
    /// same name or address, the first gets it.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn add_users(&self, people: &[NewUser]) -> Result<Vec<Added>, Unavailable> {
        let mut all = Vec::with_capacity(people.len());
        let (mut batch, mut names) = (Batch::new(), std::collections::HashSet::new());
        for new in people {
            let keys = self.keys_of(&new.user);
            let taken = if keys.iter().any(|key| names.contains(key)) {
                // Somebody before them in this batch has it: which of the two does not matter.
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
        // Somebody got in between with one of the names: each by itself, then.
        all.clear();
        for NewUser { user, link, events } in people {
            all.push(self.add_user(user, link.clone(), events).await?);
        }
        Ok(all)
    }

    /// Changes what is known of a user; the names that lead there follow. `None` if there is no
    /// such user.
    ///
    /// `decide` may be called several times, each time with what is there then. It does not change
    /// the user name.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn change_user<T>(
        &self,
        id: UserId,
        mut decide: impl FnMut(&mut User) -> (T, Vec<Event>),
    ) -> Result<Option<Changed<T>>, Unavailable> {
        let _line = self.line(id.as_bytes()).await;
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
                batch = batch.delete(Kind::Name, *key, Expect::Any);
            }
            batch = self.count_imported(batch, [(Some(before), Some(&user))]).await?;
            batch = self.post(batch, &events, before, &user, &[])?;
            let unchanged = !changed && events.is_empty();
            if unchanged || self.commit(batch, &events, Some(user.name().as_str())).await? {
                return Ok(Some(Changed::Now(decided)));
            }
        }
        Err(Unavailable::new("too many others write to the same user"))
    }

    /// Removes a user and every name that leads there: sessions and links lead nowhere from now on.
    /// `None` if there is no such user; `tell` says what happened.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn remove_user(
        &self,
        id: UserId,
        tell: impl Fn(&User) -> Event,
    ) -> Result<Option<User>, Unavailable> {
        let _line = self.line(id.as_bytes()).await;
        for _ in 0..TRIES {
            let read = self.read::<User>(Kind::User, id.as_bytes()).await?;
            let Some(user) = read.value else { return Ok(None) };
            let batch = Batch::new().delete(Kind::User, *id.as_bytes(), expect(read.version));
            let without = |batch: Batch, key| batch.delete(Kind::Name, key, Expect::Any);
            let batch = self.keys_of(&user).into_iter().fold(batch, without);
            let batch = self.count_imported(batch, [(Some(&user), None)]).await?;
            if self.commit(batch, &[tell(&user)], Some(user.name().as_str())).await? {
                return Ok(Some(user));
            }
        }
        Err(Unavailable::new("too many others write to the same user"))
    }

    async fn what_is_taken(&self, user: &User) -> Result<Option<Added>, Unavailable> {
        let taken = [Added::NameTaken, Added::EmailTaken];
        for (key, taken) in self.keys_of(user).iter().zip(taken) {
            if self.is_taken(key).await? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// What leads to `user`: the name, and the address where it is another word.
    fn keys_of(&self, user: &User) -> Vec<[u8; 32]> {
        let name = self.names.of(user.name().as_str());
        let email = user.email().map(|email| self.names.of(email.key()));
        [Some(name), email.filter(|email| *email != name)].into_iter().flatten().collect()
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

    /// Lets a name lead to `id`. What was guessed at it before there was a user behind it lies under
    /// another key than what is guessed at the user.
    fn with_name(&self, batch: Batch, key: &[u8; 32], id: UserId) -> Result<Batch, Unavailable> {
        self.put(batch, Kind::Name, key, Expect::Absent, None, &id)
    }
}
