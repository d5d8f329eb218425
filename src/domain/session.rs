//! A visit of one browser to one host.
//!
//! A session is kept under the hash of its id. The id is new at sign-in and at every rise in
//! assurance, and the old one is dead (OWASP Session Management Cheat Sheet, "Renew the Session ID
//! After Any Privilege Level Change").

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::assurance::{Proof, Proofs};
use super::factor::totp;
use super::identity::UserId;
use super::time::Timestamp;

/// One visit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// Whose.
    #[n(0)]
    pub user: UserId,
    /// The user's epoch when it began: it is over once that has moved on.
    #[n(1)]
    pub epoch: u64,
    /// When the visit began; a rise does not change it.
    #[n(2)]
    pub began: Timestamp,
    /// When it was last used, at most a minute late.
    #[n(3)]
    pub seen: Timestamp,
    /// What was shown in it.
    #[n(4)]
    pub proofs: Proofs,
    /// An authenticator that is being set up.
    #[n(5)]
    pub pending: Option<Pending>,
}

/// A key that waits for its first right code: the same after a reload, a wrong code, a restart.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pending {
    #[n(0)]
    key: totp::Key,
    #[n(1)]
    since: Timestamp,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without use.
    pub idle: Duration,
    /// In all.
    pub at_most: Duration,
}

impl Session {
    /// How late `seen` may be written.
    pub const SEEN_EVERY: Duration = Duration::from_mins(1);

    /// A visit that begins now.
    pub fn begin(user: UserId, epoch: u64, proofs: Proofs, now: Timestamp) -> Self {
        Self { user, epoch, began: now, seen: now, proofs, pending: None }
    }

    /// This visit with one more thing shown: to be kept under a new id.
    #[must_use]
    pub fn risen(&self, proof: Proof, now: Timestamp) -> Self {
        Self { proofs: self.proofs.clone().with(proof, now), seen: now, ..self.clone() }
    }

    /// Whether it still goes on, for a user of this `epoch`.
    pub fn is_alive(&self, epoch: u64, limits: Limits, now: Timestamp) -> bool {
        let in_time = now < self.expires(limits);
        self.epoch == epoch && in_time
    }

    /// When it is over if it is not used again.
    pub fn expires(&self, limits: Limits) -> Timestamp {
        self.seen.plus(limits.idle).min(self.began.plus(limits.at_most))
    }

    /// Whether `seen` is so old that this use is worth writing down.
    pub fn is_worth_touching(&self, now: Timestamp) -> bool {
        self.seen.plus(Self::SEEN_EVERY) <= now
    }

    /// The key that waits for its first code, if its time is not over.
    pub fn pending(&self, now: Timestamp) -> Option<&totp::Key> {
        self.pending
            .as_ref()
            .filter(|pending| now.within(Pending::LASTS, pending.since))
            .map(|pending| &pending.key)
    }

    /// This visit with no key waiting.
    #[must_use]
    pub fn without_pending(self) -> Self {
        Self { pending: None, ..self }
    }

    /// Lets `key` wait for its first code, from now.
    pub fn await_first_code(&mut self, key: totp::Key, now: Timestamp) {
        self.pending = Some(Pending { key, since: now });
    }
}

impl Pending {
    /// How long a key waits.
    pub const LASTS: Duration = Duration::from_mins(15);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { idle: Duration::from_hours(1), at_most: Duration::from_hours(24) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn visit() -> Session {
        Session::begin(UserId::from([1; 16]), 3, Proofs::default(), at(0))
    }

    #[test]
    fn a_visit_ends_when_idle_or_old_or_when_its_user_moved_on() {
        assert!(visit().is_alive(3, LIMITS, at(3_599)));
        assert!(!visit().is_alive(3, LIMITS, at(3_600)));
        assert!(!visit().is_alive(4, LIMITS, at(0)));
        let busy = Session { seen: at(86_000), ..visit() };
        assert!(busy.is_alive(3, LIMITS, at(86_399)));
        assert!(!busy.is_alive(3, LIMITS, at(86_400)));
    }

    #[test]
    fn a_rise_does_not_make_a_visit_younger() {
        let risen = visit().risen(Proof::Totp, at(500));
        assert_eq!(risen.began, at(0));
        assert_eq!(risen.proofs.totp, Some(at(500)));
    }

    #[test]
    fn a_pending_key_waits_fifteen_minutes() {
        let mut visit = visit();
        let key = totp::Key::from_bytes(&[9; 20]).unwrap();
        visit.await_first_code(key.clone(), at(0));
        assert_eq!(visit.pending(at(900)), Some(&key));
        assert_eq!(visit.pending(at(901)), None);
    }
}
