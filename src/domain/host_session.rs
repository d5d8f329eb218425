//! A host session: what one browser has proved on one host.
//!
//! It belongs to a user session ([`user_session`](super::user_session)) and ends with it. It is
//! stored under the hash of its id. The id changes at sign-in and whenever more is proved; the old
//! id then stops working (OWASP Session Management Cheat Sheet, "Renew the Session ID After Any
//! Privilege Level Change").

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::assurance::{Proof, Proofs};
use super::factor::totp;
use super::identity::UserId;
use super::mailed::MailedCode;
use super::time::Timestamp;
use super::user_session::UserSessionId;

/// A host session. Fields 1 to 3 are retired; they moved to the user session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostSession {
    /// The user.
    #[n(0)]
    pub user: UserId,
    /// What was proved in it.
    #[n(4)]
    pub proofs: Proofs,
    /// The authenticator that is being set up.
    #[n(5)]
    pub pending: Option<Pending>,
    /// The user session that it belongs to. Absent in records from before there were user sessions;
    /// those have ended.
    #[n(6)]
    pub user_session: Option<UserSessionId>,
    /// The code that was mailed to the person at this browser.
    #[n(7)]
    pub mailed: Option<MailedCode>,
}

/// A TOTP key that is being set up and waits for its first right code. It survives a reload, a
/// wrong code and a restart.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pending {
    #[n(0)]
    key: totp::Key,
    #[n(1)]
    since: Timestamp,
    /// Absent if it will be the first second factor.
    #[n(2)]
    becomes: Option<Becomes>,
}

/// What the key becomes after its first right code. A key that waits for one of these cannot be
/// used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Becomes {
    /// The user's first second factor.
    #[n(0)]
    First,
    /// An additional authenticator.
    #[n(1)]
    Another,
    /// An authenticator that replaces all others.
    #[n(2)]
    Replacement,
}

impl HostSession {
    /// A session that starts with `proofs`.
    pub const fn begin(user: UserId, user_session: UserSessionId, proofs: Proofs) -> Self {
        Self { user, proofs, pending: None, user_session: Some(user_session), mailed: None }
    }

    /// A copy of this session with one more proof, to be stored under a new id.
    #[must_use]
    pub fn risen(&self, proof: Proof, now: Timestamp) -> Self {
        Self { proofs: self.proofs.clone().with(proof, now), ..self.clone() }
    }

    /// The key that waits to become this, if it has not expired.
    pub fn pending(&self, becomes: Becomes, now: Timestamp) -> Option<&totp::Key> {
        self.pending
            .as_ref()
            .filter(|pending| pending.becomes.unwrap_or(Becomes::First) == becomes)
            .filter(|pending| now.within(Pending::LASTS, pending.since))
            .map(|pending| &pending.key)
    }

    /// This session without a waiting key.
    #[must_use]
    pub fn without_pending(self) -> Self {
        Self { pending: None, ..self }
    }

    /// Stores `key`, which now waits for its first code; replaces any other waiting key.
    pub fn await_first_code(&mut self, key: totp::Key, becomes: Becomes, now: Timestamp) {
        let becomes = (becomes != Becomes::First).then_some(becomes);
        self.pending = Some(Pending { key, since: now, becomes });
    }
}

impl Pending {
    /// How long a key waits before it expires.
    pub const LASTS: Duration = Duration::from_mins(15);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::factor::FactorId;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn authenticate() -> HostSession {
        HostSession::begin(UserId::from([1; 16]), UserSessionId::from([2; 16]), Proofs::default())
    }

    #[test]
    fn a_rise_stays_in_the_same_user_session() {
        let risen = authenticate().risen(Proof::Totp(FactorId::unknown()), at(500));
        assert_eq!(risen.user_session, authenticate().user_session);
        assert_eq!(risen.proofs.totp.map(|shown| shown.at), Some(at(500)));
    }

    #[test]
    fn a_pending_key_waits_fifteen_minutes() {
        let mut authenticated = authenticate();
        let key = totp::Key::from_bytes(&[9; 20]).unwrap();
        authenticated.await_first_code(key.clone(), Becomes::First, at(0));
        assert_eq!(authenticated.pending(Becomes::First, at(900)), Some(&key));
        assert_eq!(authenticated.pending(Becomes::First, at(901)), None);
    }

    #[test]
    fn a_key_that_waits_for_one_thing_is_worth_nothing_for_another() {
        let mut authenticated = authenticate();
        let key = totp::Key::from_bytes(&[9; 20]).unwrap();
        authenticated.await_first_code(key.clone(), Becomes::Another, at(0));
        assert_eq!(authenticated.pending(Becomes::Another, at(1)), Some(&key));
        assert_eq!(authenticated.pending(Becomes::Replacement, at(1)), None);
        assert_eq!(authenticated.pending(Becomes::First, at(1)), None);
    }
}
