//! The RP ID for which people have set up their security keys (WebAuthn §4).
//!
//! A key is bound to the RP ID of its set-up, and no browser offers it for another one. So the one in
//! use is stored, a configuration with another one is noticed, and keys for another one are marked.

use super::Store;
use crate::domain::factor::Factor;
use crate::domain::factor::security_key::SecurityKey;
use crate::domain::user::{User, UserId};
use crate::store::batch::{Batch, Expect};
use crate::store::record::Kind;
use crate::unavailable::Unavailable;

/// The key of the setting for [`RpIds::last`].
const LAST: &[u8] = b"rp-id";

/// The key of the setting for [`RpIds::in_use`]; empty: none.
const IN_USE: &[u8] = b"rp-id-in-use";

/// How many users are read at once.
const PAGE: usize = 1_000;

/// The stored RP IDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpIds {
    /// The last one that was in use; `None` if there never was one.
    pub last: Option<String>,
    /// The one with which the keys were marked: that in use, or that there is none. `None` if this was
    /// never done.
    #[expect(clippy::option_option, reason = "never marked, or marked where there is none")]
    pub in_use: Option<Option<String>>,
}

impl Store {
    /// The stored RP IDs.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn rp_ids(&self) -> Result<RpIds, Unavailable> {
        let last: Option<String> = self.read(Kind::Setting, LAST).await?.value;
        let in_use: Option<String> = self.read(Kind::Setting, IN_USE).await?.value;
        let named = |id: String| (!id.is_empty()).then_some(id);
        Ok(RpIds { last: last.and_then(named), in_use: in_use.map(named) })
    }

    /// Marks every key that is for another RP ID than this one, and stores it; `None`: keys cannot be
    /// used. The last one that was in use stays stored then.
    ///
    /// # Errors
    /// Like [`Store::update`]. It may be repeated then.
    pub async fn use_rp_id(&self, id: Option<&str>) -> Result<(), Unavailable> {
        let known = self.rp_ids().await?;
        if known.in_use.is_some_and(|in_use| in_use.as_deref() == id) {
            return Ok(());
        }
        let mut after = None;
        while let Some(users) = self.users_after(&mut after).await? {
            for mut user in users {
                if user.note_rp_id(id) {
                    self.change_user(user.id(), |user| (user.note_rp_id(id), Vec::new())).await?;
                }
            }
        }
        let in_use = id.unwrap_or_default().to_owned();
        let batch = self.put(Batch::new(), Kind::Setting, IN_USE, Expect::Any, None, &in_use)?;
        let batch = match id {
            Some(_) => self.put(batch, Kind::Setting, LAST, Expect::Any, None, &in_use)?,
            None => batch,
        };
        self.commit(batch, &[], None).await.map(drop)
    }

    /// How many users have security keys for `from`, or, if that is not known, for any other RP ID
    /// than `to`; with that RP ID. `None` if nobody has. Reads all users.
    ///
    /// # Errors
    /// Like [`Store::user`].
    pub async fn keys_left_behind(
        &self,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Option<(String, usize)>, Unavailable> {
        let (mut left, mut people, mut after) = (None, 0, None);
        while let Some(users) = self.users_after(&mut after).await? {
            for user in &users {
                let keys = user.factors().iter().filter_map(Factor::security_key);
                let mut others = keys.map(SecurityKey::rp_id).filter(|id| match from {
                    Some(from) => *id == from,
                    None => Some(*id) != to,
                });
                if let Some(id) = others.next() {
                    left.get_or_insert_with(|| id.to_owned());
                    people += 1;
                }
            }
        }
        Ok(left.map(|id| (id, people)))
    }

    /// Some of the users after this one; `None` if there are no more.
    async fn users_after(
        &self,
        after: &mut Option<UserId>,
    ) -> Result<Option<Vec<User>>, Unavailable> {
        let users = self.users(*after, PAGE).await?;
        *after = users.last().map(User::id).or(*after);
        Ok(Some(users).filter(|users| !users.is_empty()))
    }
}
