//! Sources of first factors: who says whether a typed password is somebody's.
//!
//! A user's [`Origin`] names their source, and a password is shown to that source alone. To add a
//! source, add a file that implements [`Source`], a variant of [`Origin`] and one of
//! [`FirstFactor`], and name it in [`Sources`].
//!
//! An administrator's link is a first factor without a source: its record is the proof.

use async_trait::async_trait;

use super::{Broken, Place};
use crate::domain::assurance::FirstFactor;
use crate::domain::digest::Effort;
use crate::domain::password::{Password, PasswordHash};
use crate::domain::user::Origin;

/// A source of passwords.
#[async_trait]
pub trait Source: Send + Sync {
    /// The first factor that a right password is.
    fn is(&self) -> FirstFactor;

    /// Checks a password. Takes the same time whatever the answer, except for
    /// [`Answer::Unavailable`].
    async fn check(&self, shown: Shown) -> Answer;
}

/// What a person has shown, and what is known of it here.
#[derive(Debug)]
pub struct Shown {
    /// The typed password.
    pub password: Password,
    /// The hash that is stored here, if the user has one.
    pub stored: Option<PasswordHash>,
    /// Extra work to make all sign-ins equally long.
    pub alike: Vec<Effort>,
    /// The place in the queue for hashing.
    pub place: Place,
}

/// What a source answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The password is right.
    Right(Learnt),
    /// It is wrong. This is final: no other source is asked.
    Wrong,
    /// The source does not know this person.
    Unknown,
    /// The source cannot answer now, so nobody signs in by it.
    Unavailable(Broken),
    /// The password is right, but the source demands that it be changed there first.
    MustChange,
}

/// What a source knows of a person whose password is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// A new hash to store: the same password with the current parameters.
    pub rehashed: Option<PasswordHash>,
}

/// All sources.
pub struct Sources {
    local: Box<dyn Source>,
}

impl Sources {
    /// Only the passwords that are stored here.
    pub fn local() -> Self {
        Self::with_local(Local)
    }

    /// The same, with another source in their place.
    pub fn with_local(local: impl Source + 'static) -> Self {
        Self { local: Box::new(local) }
    }

    /// The source that answers for users of this origin.
    pub fn of(&self, origin: &Origin) -> &dyn Source {
        match origin {
            // People of a provider may have a password here, too.
            Origin::Local | Origin::Provider(_) => &*self.local,
        }
    }
}

/// The passwords that are stored here.
#[derive(Clone, Copy, Debug)]
pub struct Local;

#[async_trait]
impl Source for Local {
    fn is(&self) -> FirstFactor {
        FirstFactor::Password
    }

    async fn check(&self, Shown { password, stored, alike, place }: Shown) -> Answer {
        let is_known = stored.is_some();
        match place.verify(password, stored, alike).await {
            Err(why) => Answer::Unavailable(why),
            Ok(verified) if verified.right => Answer::Right(Learnt { rehashed: verified.rehashed }),
            Ok(_) if is_known => Answer::Wrong,
            Ok(_) => Answer::Unknown,
        }
    }
}
