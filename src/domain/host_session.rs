//! A host session: what one browser has proved on one host.
//!
//! It belongs to a user session ([`user_session`](super::user_session)) and ends with it. It is
//! stored under the hash of its id. The id changes at sign-in and whenever more is proved; the old
//! id then stops working (OWASP Session Management Cheat Sheet, "Renew the Session ID After Any
//! Privilege Level Change").

use minicbor::{Decode, Encode};

use super::assurance::{Proof, Proofs};
use super::ceremony::{Ceremony, Purpose};
use super::factor::code::{Emailed, Texted};
use super::factor::{Begun, Kind};
use super::identity::UserId;
use super::mailed::MailedCode;
use super::time::Timestamp;
use super::user_session::UserSessionId;

/// A host session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostSession {
    /// The user.
    #[n(0)]
    pub user: UserId,
    /// The user session that it belongs to.
    #[n(1)]
    pub user_session: UserSessionId,
    /// What was proved in it.
    #[n(2)]
    pub proofs: Proofs,
    /// The set-up of a factor, or a challenge, that is under way.
    #[n(3)]
    pub ceremony: Option<Ceremony>,
    /// The code that was mailed to the person at this browser.
    #[n(4)]
    pub mailed: Option<MailedCode>,
    /// The same as `ceremony` for a code that was sent: a page that asks for something else does not
    /// void it.
    #[n(5)]
    pub sent: Option<Ceremony>,
    /// The same for a code by e-mail: it voids no code by text message, and the other way round.
    #[n(6)]
    pub emailed: Option<Ceremony>,
}

impl HostSession {
    /// A session that starts with `proofs`.
    pub const fn begin(user: UserId, user_session: UserSessionId, proofs: Proofs) -> Self {
        Self { user, user_session, proofs, ceremony: None, mailed: None, sent: None, emailed: None }
    }

    /// A copy of this session with one more proof, to be stored under a new id.
    #[must_use]
    pub fn risen(&self, proof: Proof, now: Timestamp) -> Self {
        Self { proofs: self.proofs.clone().with(proof, now), ..self.clone() }
    }

    /// What is under way with this kind of factor, or another kind in its place.
    pub const fn ceremony_of(&self, kind: Kind) -> Option<&Ceremony> {
        match kind {
            Kind::Sms => self.sent.as_ref(),
            Kind::Email => self.emailed.as_ref(),
            Kind::Totp | Kind::RecoveryCode | Kind::SecurityKey => self.ceremony.as_ref(),
        }
    }

    /// The code by text message that was sent last in this session, or would be, for whatever purpose.
    pub const fn last_text(&self) -> Option<&Texted> {
        match &self.sent {
            Some(ceremony) => match ceremony.waits_for() {
                Begun::Sms(texted) => Some(texted),
                _ => None,
            },
            None => None,
        }
    }

    /// The code by text message for this purpose, if it has not expired.
    pub fn text_for(&self, purpose: Purpose, now: Timestamp) -> Option<&Texted> {
        match self.sent.as_ref()?.begun(purpose, Kind::Sms, now)? {
            Begun::Sms(texted) => Some(texted),
            _ => None,
        }
    }

    /// The code by e-mail for this purpose, if it has not expired.
    pub fn email_for(&self, purpose: Purpose, now: Timestamp) -> Option<&Emailed> {
        match self.emailed.as_ref()?.begun(purpose, Kind::Email, now)? {
            Begun::Email(emailed) => Some(emailed),
            _ => None,
        }
    }

    /// Begins a ceremony in the place of an earlier one.
    pub fn begin_ceremony(&mut self, ceremony: Ceremony) {
        match ceremony.kind() {
            Kind::Sms => self.sent = Some(ceremony),
            Kind::Email => self.emailed = Some(ceremony),
            Kind::Totp | Kind::RecoveryCode | Kind::SecurityKey => self.ceremony = Some(ceremony),
        }
    }

    /// This session without a challenge that is under way; a set-up goes on.
    #[must_use]
    pub fn without_challenge(self) -> Self {
        let set_up = |one: Option<Ceremony>| one.filter(|ceremony| !ceremony.is_challenge());
        let (ceremony, sent) = (set_up(self.ceremony), set_up(self.sent));
        Self { ceremony, sent, emailed: set_up(self.emailed), ..self }
    }

    /// This session after one more wrong code of this kind for this purpose.
    #[must_use]
    pub fn with_one_more_wrong(mut self, kind: Kind, purpose: Purpose) -> Self {
        let waits = self.ceremony_of(kind).cloned();
        if let Some(ceremony) = waits {
            self.begin_ceremony(ceremony.with_one_more_wrong(purpose));
        }
        self
    }

    /// This session without a ceremony.
    #[must_use]
    pub fn without_ceremony(self) -> Self {
        Self { ceremony: None, sent: None, emailed: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::factor::FactorId;

    #[test]
    fn a_rise_stays_in_the_same_user_session() {
        let session = HostSession::begin(
            UserId::from([1; 16]),
            UserSessionId::from([2; 16]),
            Proofs::default(),
        );
        let now = Timestamp::from_secs(500);
        let risen = session.risen(Proof::Factor(Kind::Totp, FactorId::from([5; 16])), now);
        assert_eq!(risen.user_session, session.user_session);
        assert_eq!(risen.proofs.of(Kind::Totp).map(|shown| shown.at), Some(now));
    }
}
