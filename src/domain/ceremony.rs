//! A ceremony: a set-up or a challenge that is under way.
//!
//! It survives a reload and a restart, and it belongs to one host session. What has begun for one
//! purpose cannot be finished for another.

use minicbor::{Decode, Encode};

use super::factor::{Begun, Kind};
use super::time::Timestamp;

/// A set-up or a challenge that waits for a right answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ceremony {
    #[n(0)]
    purpose: Purpose,
    #[n(1)]
    since: Timestamp,
    #[n(2)]
    begun: Begun,
}

/// What a right answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// The user's first second factor.
    #[n(0)]
    First,
    /// An additional factor.
    #[n(1)]
    Another,
    /// A factor that replaces all others.
    #[n(2)]
    Replacement,
    /// Nothing new: a factor that the user has is shown.
    #[n(3)]
    Challenge,
    /// Nothing new: the first factor is shown again.
    #[n(4)]
    Confirm,
    /// Nothing new: a factor is shown to turn two-factor off.
    #[n(5)]
    TurnOff,
}

impl Ceremony {
    /// A ceremony that begins now.
    pub const fn begin(purpose: Purpose, begun: Begun, now: Timestamp) -> Self {
        Self { purpose, since: now, begun }
    }

    /// What has begun for this purpose with this kind of factor, if it has not expired.
    pub fn begun(&self, purpose: Purpose, kind: Kind, now: Timestamp) -> Option<&Begun> {
        let fits = self.purpose == purpose && self.begun.kind() == kind;
        (fits && now.within(self.begun.lasts(), self.since)).then_some(&self.begun)
    }

    /// The same, if a page that is shown again shall show the same.
    pub fn kept(&self, purpose: Purpose, kind: Kind, now: Timestamp) -> Option<&Begun> {
        let begun = self.begun(purpose, kind, now)?;
        now.within(begun.is_kept_for(), self.since).then_some(begun)
    }

    /// The kind of factor.
    pub const fn kind(&self) -> Kind {
        self.begun.kind()
    }

    /// What has begun, for whatever purpose.
    pub const fn waits_for(&self) -> &Begun {
        &self.begun
    }

    /// The same after one more wrong code, if it waits for this purpose for one that was sent.
    #[must_use]
    pub fn with_one_more_wrong(self, purpose: Purpose) -> Self {
        if self.purpose != purpose {
            return self;
        }
        Self { begun: self.begun.with_one_more_wrong(), ..self }
    }

    /// Whether it is a challenge, not a set-up.
    pub fn is_challenge(&self) -> bool {
        matches!(self.purpose, Purpose::Challenge | Purpose::Confirm | Purpose::TurnOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::factor::totp;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn begun() -> Begun {
        Begun::Totp(totp::Key::from_bytes(&[9; 20]).unwrap())
    }

    #[test]
    fn a_key_waits_fifteen_minutes() {
        let ceremony = Ceremony::begin(Purpose::First, begun(), at(0));
        assert_eq!(ceremony.begun(Purpose::First, Kind::Totp, at(900)), Some(&begun()));
        assert_eq!(ceremony.begun(Purpose::First, Kind::Totp, at(901)), None);
    }

    #[test]
    fn what_a_security_key_is_asked_waits_five_minutes() {
        let begun = Begun::SecurityKey([9; 32].into());
        let ceremony = Ceremony::begin(Purpose::Challenge, begun.clone(), at(0));
        let waits = |at| ceremony.begun(Purpose::Challenge, Kind::SecurityKey, at);
        assert_eq!(waits(at(300)), Some(&begun));
        assert_eq!(waits(at(301)), None);
        assert_eq!(ceremony.begun(Purpose::First, Kind::SecurityKey, at(1)), None);
        let kept = |at| ceremony.kept(Purpose::Challenge, Kind::SecurityKey, at);
        assert_eq!((kept(at(60)), kept(at(61))), (Some(&begun), None));
    }

    #[test]
    fn a_key_that_waits_for_one_thing_is_worth_nothing_for_another() {
        let ceremony = Ceremony::begin(Purpose::Another, begun(), at(0));
        assert_eq!(ceremony.begun(Purpose::Another, Kind::Totp, at(1)), Some(&begun()));
        assert_eq!(ceremony.begun(Purpose::Replacement, Kind::Totp, at(1)), None);
        assert_eq!(ceremony.begun(Purpose::First, Kind::Totp, at(1)), None);
        assert_eq!(ceremony.begun(Purpose::Another, Kind::RecoveryCode, at(1)), None);
    }
}
