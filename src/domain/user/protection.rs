//! What users change about their own protection: factors, recovery codes, devices, sessions,
//! password and address.
//!
//! Ending sessions (S40) increases the epoch. The caller then gives the new epoch to the user's own
//! session so that it survives.

use std::time::Duration;

use rand_core::CryptoRng;

use super::User;
use crate::domain::assurance::Proof;
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::factor::code::Mailbox;
use crate::domain::factor::recovery::RecoveryCodes;
use crate::domain::factor::{
    Answer, Begun, Factor, FactorId, FactorName, Kind, Rejection, Settings,
};
use crate::domain::link::{Link, Purpose};
use crate::domain::name::Email;
use crate::domain::set_up::SetUpProof;
use crate::domain::time::Timestamp;

/// The result of adding another factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Another {
    /// It was added, with this id.
    Added(FactorId),
    /// The answer was wrong; not counted as a failure.
    Wrong,
    /// The user already has the maximum number of this kind.
    TooMany,
    /// Two-factor is off, or by other kinds than the one that this only backs up, so there is nothing
    /// to add to.
    Off,
}

/// What a user without a second factor must prove, besides the password, to set up the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstFactorAsks {
    /// Nothing.
    Nothing,
    /// A code mailed to their verified address.
    MailedCode,
    /// A one-time link from an administrator.
    Link,
}

/// Factors.
impl User {
    /// How long a mailed code proves nothing after a change of address, or after a password was set
    /// by mail: whoever reads the mailbox has both then.
    pub const MAIL_SETTLES: Duration = Duration::from_hours(72);

    /// Whether a factor of this kind would be their first one that cannot be phished. Setting it up
    /// asks what setting up the first second factor asks.
    pub fn is_first_to_resist(&self, kind: Kind) -> bool {
        let resists = |kind: Kind| kind.row().resists_phishing;
        resists(kind)
            && !self
                .factors
                .iter()
                .any(|factor| resists(factor.kind()) && !factor.is_for_other_rp_id())
    }

    /// Whether the user has the most factors of this kind that are allowed.
    pub fn has_most_of(&self, kind: Kind) -> bool {
        self.factors.iter().filter(|factor| factor.kind() == kind).count() >= kind.row().at_most
    }

    /// Adds a factor, proved by its first right answer. Existing ones stay, except that a phone
    /// replaces the one before, which ends every session.
    pub fn add_factor(
        &mut self,
        begun: Begun,
        answer: &Answer,
        settings: Settings,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Another {
        if !self.has_second_factor() {
            return Another::Off;
        }
        if begun.kind().row().backs_up.is_some_and(|kind| !self.has(kind)) {
            return Another::Off;
        }
        let changes = begun.kind() == Kind::Sms;
        if self.has_most_of(begun.kind()) && !changes {
            return Another::TooMany;
        }
        let id = FactorId::random(rng);
        let Ok(factor) = begun.finish(id, answer, settings, now) else { return Another::Wrong };
        if self.factors.iter().any(|other| other.is_same_as(&factor)) {
            return Another::Wrong;
        }
        let address = factor.mailbox().map(Mailbox::address);
        if address.is_some_and(|address| self.email.as_ref() != Some(address)) {
            return Another::Wrong;
        }
        let old: Vec<FactorId> = self.phones().filter(|_| changes).map(Factor::id).collect();
        if !old.is_empty() {
            self.forget_devices_of_backups();
            self.factors.retain(|other| !old.contains(&other.id()));
            self.devices.retain(|device| !old.iter().any(|id| device.rests_on(*id)));
            self.end_sessions();
        }
        self.factors.push(factor);
        Another::Added(id)
    }

    /// Whether the user has a factor of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.factors.iter().any(|factor| factor.kind() == kind)
    }

    /// Removes backups of factors that are gone, and a mailbox that is no longer that of the user.
    pub(super) fn remove_stale_backups(&mut self) {
        let is_stale = |factor: &Factor| {
            let backs_up = factor.kind().row().backs_up;
            let address = factor.mailbox().map(Mailbox::address);
            backs_up.is_some_and(|kind| !self.has(kind))
                || address.is_some_and(|address| self.email.as_ref() != Some(address))
        };
        let stale: Vec<FactorId> =
            self.factors.iter().filter(|factor| is_stale(factor)).map(Factor::id).collect();
        self.factors.retain(|factor| !stale.contains(&factor.id()));
        self.devices.retain(|device| !stale.iter().any(|id| device.rests_on(*id)));
    }

    /// Revokes the devices that are trusted because of a backup, with what it backs up.
    fn forget_devices_of_backups(&mut self) {
        let backups: Vec<FactorId> =
            self.factors.iter().filter(|one| !one.kind().stands_alone()).map(Factor::id).collect();
        self.devices.retain(|device| !backups.iter().any(|id| device.rests_on(*id)));
    }

    /// The mailbox that gets codes.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.factors.iter().find_map(Factor::mailbox)
    }

    /// Counts one more code by e-mail. Returns whether it may be sent.
    pub fn may_be_mailed_a_code(&mut self, is_known: bool, now: Timestamp) -> bool {
        let mut mailboxes = self.factors.iter_mut().filter_map(Factor::mailbox_mut);
        mailboxes.next().is_some_and(|mailbox| mailbox.may_be_sent(is_known, now))
    }

    /// The phones that get text messages.
    pub fn phones(&self) -> impl Iterator<Item = &Factor> {
        self.factors.iter().filter(|factor| factor.phone().is_some())
    }

    /// Replaces all factors by a new one, proved by its first right answer, so the user is never
    /// without one. Ends every session and, if the user wishes, revokes all trusted devices.
    pub fn replace_factors(
        &mut self,
        begun: Begun,
        answer: &Answer,
        settings: Settings,
        forget_devices: bool,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Another {
        if !self.has_second_factor() || !begun.kind().stands_alone() {
            return Another::Off;
        }
        let id = FactorId::random(rng);
        let Ok(factor) = begun.finish(id, answer, settings, now) else { return Another::Wrong };
        // A device stands in only for the kind that made it trusted.
        let resists = factor.kind().row().resists_phishing;
        let of_other_kinds: Vec<FactorId> = self
            .factors
            .iter()
            .filter(|old| old.kind() != factor.kind() || !old.is_sound())
            .map(Factor::id)
            .chain(self.recovery_codes.as_ref().map(RecoveryCodes::id))
            .collect();
        self.forget_devices_of_backups();
        self.factors = vec![factor];
        if forget_devices {
            self.devices.clear();
        }
        if resists {
            self.devices.retain(|device| !of_other_kinds.iter().any(|id| device.rests_on(*id)));
        }
        // Kept devices are now trusted because of this factor, which was just shown.
        self.devices.iter_mut().for_each(|device| device.rest_on(id));
        self.end_sessions();
        Another::Added(id)
    }

    /// Removes one of several factors and the devices that are trusted because of it; ends every
    /// session. Returns its kind if it was removed. The last sound one is never removed: that would
    /// turn two-factor off.
    pub fn remove_factor(&mut self, id: FactorId) -> Option<Kind> {
        let kind = self.factor(id)?.kind();
        if !self.may_remove_factor(id) {
            return None;
        }
        self.factors.retain(|factor| factor.id() != id);
        self.devices.retain(|device| !device.rests_on(id));
        self.remove_stale_backups();
        self.end_sessions();
        Some(kind)
    }

    /// Whether another factor than this one is sound, and no mere backup.
    pub fn may_remove_factor(&self, id: FactorId) -> bool {
        let stays = |other: &Factor| other.id() != id && other.kind().stands_alone();
        self.factors.iter().any(|other| stays(other) && other.is_sound())
    }

    /// Notes the RP ID that is in use now, for which a security key must be made; `None`: none can be
    /// used. Returns whether this changed anything.
    pub fn note_rp_id(&mut self, in_use: Option<&str>) -> bool {
        let mut changed = false;
        for factor in &mut self.factors {
            changed |= factor.note_rp_id(in_use);
        }
        changed
    }

    /// Lets a factor count as one that cannot be phished from now on. Returns its kind if this changed
    /// anything.
    pub fn count_factor(&mut self, id: FactorId, now: Timestamp) -> Option<Kind> {
        let factor = self.factors.iter_mut().find(|factor| factor.id() == id)?;
        factor.count_from(now).then(|| factor.kind())
    }

    /// Accepts a factor again although it may have been copied. Ends every session: what the copy
    /// has shown must not count again. Returns the kind if this changed anything.
    pub fn keep_factor(&mut self, id: FactorId, now: Timestamp) -> Option<Kind> {
        let factor = self.factors.iter_mut().find(|factor| factor.id() == id)?;
        let kind = factor.keep(now).then(|| factor.kind())?;
        self.end_sessions();
        Some(kind)
    }

    /// Renames a factor. Returns its kind if it exists.
    pub fn rename_factor(&mut self, id: FactorId, name: FactorName) -> Option<Kind> {
        let factor = self.factors.iter_mut().find(|factor| factor.id() == id)?;
        factor.rename(name);
        Some(factor.kind())
    }

    /// Turns two-factor off, proved by an answer as at the challenge. Removes all factors,
    /// recovery codes and trusted devices, and ends every session. A wrong answer counts as at the
    /// challenge. Returns the kind of the answer.
    ///
    /// # Errors
    /// The [`Rejection`], to be explained on the page; two-factor stays on.
    pub fn turn_off(
        &mut self,
        answer: &Answer,
        browser: Option<BrowserId>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Kind, Rejection> {
        let shown = self.answer(answer, browser, settings, now)?;
        let resists = |id| self.factor(id).is_some_and(|one| one.worth(now).resists_phishing);
        if !matches!(shown, Proof::Factor(_, id) if resists(id)) {
            self.weakened = Some(now);
        }
        self.factors.clear();
        self.recovery_codes = None;
        self.devices.clear();
        self.end_sessions();
        Ok(answer.kind())
    }

    /// Creates a new set of recovery codes, voids the old set, and revokes devices that are trusted
    /// because of the old set. Returns whether two-factor is on; if not, nothing is created.
    pub fn renew_recovery_codes(
        &mut self,
        settings: Settings,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> bool {
        if !self.has_second_factor() {
            return false;
        }
        if let Some(old) = self.recovery_codes.as_ref().map(RecoveryCodes::id) {
            self.devices.retain(|device| !device.rests_on(old));
        }
        self.recovery_codes = Some(RecoveryCodes::random(rng, settings.recovery_codes, now));
        true
    }

    /// How many recovery codes are left; `None` if two-factor is off.
    pub fn recovery_codes_left(&self) -> Option<usize> {
        self.has_second_factor()
            .then(|| self.recovery_codes.as_ref().map_or(0, |codes| codes.unused().count()))
    }

    /// What this user must prove, besides the password, to set up the first second factor. Somebody
    /// who stole the password would try exactly this.
    ///
    /// Mail proves nothing if there is no address, if the user changed it recently, or if the
    /// password was set by mail recently. After a reset by an operator only a link is accepted.
    pub fn first_factor_asks(&self, proof: SetUpProof, now: Timestamp) -> FirstFactorAsks {
        if self.awaits_a_link() {
            return FirstFactorAsks::Link;
        }
        match proof {
            SetUpProof::None => FirstFactorAsks::Nothing,
            SetUpProof::Mail if self.mail_proves(now) => FirstFactorAsks::MailedCode,
            SetUpProof::Mail | SetUpProof::Link => FirstFactorAsks::Link,
        }
    }

    /// From when on a mailed code is enough for the first second factor, if only time is missing for
    /// that.
    pub fn mail_proves_from(&self, proof: SetUpProof, now: Timestamp) -> Option<Timestamp> {
        let by_mail = proof == SetUpProof::Mail && self.email.is_some() && !self.awaits_a_link();
        let set = [self.email_since, self.password_mailed].into_iter().flatten().max();
        let settled = set.filter(|_| by_mail)?.plus(Self::MAIL_SETTLES);
        (settled > now).then_some(settled)
    }

    /// Whether a code that is mailed to this user proves something: there is an address, the user has
    /// not changed it recently, and the password was not set by mail recently.
    pub fn mail_proves(&self, now: Timestamp) -> bool {
        let settled =
            |at: Option<Timestamp>| at.is_none_or(|at| at.plus(Self::MAIL_SETTLES) <= now);
        self.email.is_some() && settled(self.email_since) && settled(self.password_mailed)
    }

    /// Whether setting up the first second factor requires a link from an administrator, because an
    /// operator has turned two-factor off.
    pub fn awaits_a_link(&self) -> bool {
        self.link_only
    }

    /// Checks a code that was sent to the user, which proves an address or a number and is no second
    /// factor yet, and counts a wrong one.
    ///
    /// # Errors
    /// The [`Rejection`], to be explained on the page.
    pub fn answer_sent(
        &mut self,
        right: bool,
        browser: Option<BrowserId>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if let Some(closed) = self.codes_closed(browser, now) {
            return Err(closed);
        }
        if right {
            self.tries(browser).second_factor.clear();
            return Ok(());
        }
        self.fail_code(browser, now);
        Err(Rejection::Wrong)
    }

    /// Freezes two-factor because the user reports that somebody else turned it on with this
    /// factor. Two-factor stays on, but neither this factor nor any that was added later is
    /// accepted; every session ends and all trusted devices are revoked. A link from an
    /// administrator ends this state. Returns whether this changed anything.
    pub fn freeze(&mut self, factor: FactorId, now: Timestamp) -> bool {
        if self.frozen.is_some() || !self.rests_on(factor) {
            return false;
        }
        self.frozen = Some(now);
        self.devices.clear();
        self.void_mailed_links();
        self.end_sessions();
        true
    }

    /// Whether two-factor, as it is on now, was turned on with this factor, even if the factor has
    /// been replaced since.
    fn rests_on(&self, factor: FactorId) -> bool {
        self.has_second_factor() && self.began_with == Some(factor)
    }

    /// The factor with which two-factor was turned on, if it is on.
    pub fn began_with(&self) -> Option<FactorId> {
        self.began_with.filter(|_| self.has_second_factor())
    }

    /// Since when this user's factors are frozen.
    pub fn frozen(&self) -> Option<Timestamp> {
        self.frozen
    }

    /// A link from an administrator was used: removes a frozen factor.
    pub(super) fn thaw(&mut self) {
        if self.frozen.take().is_some() {
            self.factors.clear();
            self.recovery_codes = None;
        }
    }
}

/// Devices, sessions, password.
impl User {
    /// Revokes a trusted device. Returns whether it existed.
    pub fn revoke_device(&mut self, id: DeviceId) -> bool {
        let before = self.devices.len();
        self.forget_device(id);
        self.devices.len() < before
    }

    /// Revokes all trusted devices. Returns how many there were.
    pub fn revoke_devices(&mut self) -> usize {
        std::mem::take(&mut self.devices).len()
    }

    /// Ends every session. Returns the new epoch, for the user session that is to survive.
    pub fn end_sessions(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// When the user last declined the offer of a second factor or of new recovery codes.
    pub fn declined(&self) -> Option<Timestamp> {
        self.declined
    }

    /// Records that the user declines the offer, which is then not shown for a while.
    pub fn decline(&mut self, now: Timestamp) {
        self.declined = Some(now);
    }
}

/// Mail and links.
impl User {
    /// How many mails of one sort may be sent in an hour.
    pub const MAILS_AN_HOUR: usize = 3;

    /// Counts one more mail that this user requests while signed in. Returns whether it may be
    /// sent.
    pub fn may_be_mailed(&mut self, now: Timestamp) -> bool {
        one_more(&mut self.mailed, now)
    }

    /// Counts one more link to set a password, which anybody who knows the address can request.
    /// Returns whether it may be sent. Counted separately, so that strangers do not use up the
    /// user's own quota.
    pub fn may_be_sent_a_link(&mut self, now: Timestamp) -> bool {
        one_more(&mut self.forgot, now)
    }

    /// Whether a link is still valid. Checks the expiry itself, because cleanup may be late.
    pub fn honours(&self, link: &Link, now: Timestamp) -> bool {
        let last = match link.purpose {
            Purpose::SetPassword => link.number == self.last_link,
            Purpose::ResetPassword => link.number == self.last_reset,
            Purpose::VerifyEmail => {
                link.address.is_some()
                    && link.address == self.new_email
                    && link.number == self.last_verification
            }
            Purpose::NotMe => link.factor.is_some_and(|factor| self.rests_on(factor)),
        };
        last && link.user == self.id && now < link.expires && self.disabled.is_none()
    }

    /// Issues a mailed link to set a password and voids all earlier ones.
    pub fn reset_link(&mut self, now: Timestamp) -> Link {
        self.last_reset += 1;
        Link::new(Purpose::ResetPassword, self.id, self.last_reset, now)
    }

    /// Issues a link that verifies `address` and voids all earlier ones.
    pub fn verification_link(&mut self, address: Email, now: Timestamp) -> Link {
        self.last_verification += 1;
        self.new_email = Some(address.clone());
        let link = Link::new(Purpose::VerifyEmail, self.id, self.last_verification, now);
        Link { address: Some(address), ..link }
    }

    /// A link with which this user reports that somebody else turned two-factor on with this
    /// factor.
    pub fn not_me_link(&self, factor: FactorId, now: Timestamp) -> Link {
        let link = Link::new(Purpose::NotMe, self.id, 0, now);
        Link { factor: Some(factor), ..link }
    }

    /// The new address that is not verified yet.
    pub fn new_email(&self) -> Option<&Email> {
        self.new_email.as_ref()
    }

    /// Makes the verified new address the user's address. Returns whether there was one.
    pub fn take_new_email(&mut self, now: Timestamp) -> bool {
        let Some(address) = self.new_email.take() else { return false };
        self.email = Some(address);
        self.email_since = Some(now);
        self.void_mailed_links();
        self.remove_stale_backups();
        true
    }

    /// Voids all mailed links to set a password or to verify an address, because somebody else may
    /// have requested them or may read the mailbox.
    pub(super) fn void_mailed_links(&mut self) {
        self.last_reset += 1;
        self.new_email = None;
    }
}

/// Adds one to the mails of the last hour, unless the limit is reached.
fn one_more(mailed: &mut Vec<Timestamp>, now: Timestamp) -> bool {
    mailed.retain(|at| now.within(Duration::from_hours(1), *at));
    let may = mailed.len() < User::MAILS_AN_HOUR;
    if may {
        mailed.push(now);
    }
    may
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::domain::assurance::{Proof, Proofs};
    use crate::domain::device::{Seen, TrustedDevice};
    use crate::domain::factor::code::{Emailed, Texted};
    use crate::domain::factor::totp;
    use crate::domain::name::Name;
    use crate::domain::password::PasswordHash;
    use crate::domain::phone::Number;
    use crate::domain::user::{Change, Profile, Trust, TurnedOn, UserId};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const HOW: Settings = Settings { skew: totp::Skew::new(1).unwrap(), recovery_codes: 2 };

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    fn key(n: u8) -> totp::Key {
        totp::Key::from_bytes(&[n; 20]).unwrap()
    }

    fn begun(n: u8) -> Begun {
        Begun::Totp(key(n))
    }

    fn code(n: u8, now: Timestamp) -> Answer {
        Answer::Totp(key(n).code_at(now))
    }

    fn newest(user: &User) -> FactorId {
        user.factors().last().unwrap().id()
    }

    fn bare() -> User {
        let profile = Profile {
            name: Name::parse("ada").unwrap(),
            full_name: None,
            email: Some(Email::parse("ada@example.com").unwrap()),
            groups: BTreeSet::new(),
        };
        User::new(UserId::from([1; 16]), profile, NOW)
    }

    /// A user with an authenticator and a trusted device.
    fn ada() -> User {
        let mut ada = bare();
        let turned = ada.turn_on(begun(5), &code(5, NOW), HOW, &mut rng(), NOW);
        assert!(matches!(turned, TurnedOn::Now(_)));
        let trust = Trust { lasting: Duration::from_hours(1), at_most: 10 };
        ada.trust(DeviceId::from([4; 16]), None, trust, &Seen::default(), NOW);
        ada
    }

    fn later(minutes: u64) -> Timestamp {
        NOW.plus(Duration::from_mins(minutes))
    }

    #[test]
    fn the_old_authenticator_works_until_the_new_one_is_proven_and_not_after() {
        let (mut ada, epoch) = (ada(), 0);
        let wrong = code(9, later(1));
        let replaced = ada.replace_factors(begun(6), &wrong, HOW, true, &mut rng(), later(1));
        assert_eq!(replaced, Another::Wrong);
        let old = code(5, later(1));
        assert!(ada.answer(&old, None, HOW, later(1)).is_ok());
        let right = code(6, later(2));
        let replaced = ada.replace_factors(begun(6), &right, HOW, true, &mut rng(), later(2));
        assert!(matches!(replaced, Another::Added(_)));
        let old = code(5, later(3));
        assert_eq!(ada.answer(&old, None, HOW, later(3)), Err(Rejection::Wrong));
        assert!(ada.devices().is_empty());
        assert_ne!(ada.epoch(), epoch);
    }

    #[test]
    fn the_last_authenticator_cannot_be_removed() {
        let mut ada = ada();
        let first = ada.factors()[0].id();
        assert_eq!(ada.remove_factor(first), None);
        let right = code(6, NOW);
        let mut other = StdRng::seed_from_u64(8);
        let added = ada.add_factor(begun(6), &right, HOW, &mut other, NOW);
        assert!(matches!(added, Another::Added(_)));
        assert!(ada.remove_factor(first).is_some());
        assert!(ada.has_second_factor());
    }

    #[test]
    fn turning_it_off_takes_a_code_and_takes_everything_along() {
        let mut ada = ada();
        let wrong = code(9, later(1));
        assert_eq!(ada.turn_off(&wrong, None, HOW, later(1)), Err(Rejection::Wrong));
        assert!(ada.has_second_factor());
        let code = ada.recovery_codes().unwrap().unused().next().unwrap().clone();
        let (epoch, code) = (ada.epoch(), Answer::RecoveryCode(code));
        assert_eq!(ada.turn_off(&code, None, HOW, later(1)).map(drop), Ok(()));
        assert!(!ada.has_second_factor() && ada.devices().is_empty());
        assert_eq!(ada.recovery_codes(), None);
        assert_ne!(ada.epoch(), epoch);
    }

    /// What a session with this proof counts for.
    fn honoured(ada: &User, proof: Proof) -> Proofs {
        ada.honoured(&Proofs::default().with(proof, NOW), NOW)
    }

    #[test]
    fn a_proof_is_worth_nothing_once_its_factor_is_gone() {
        let gone: [fn(&mut User); 5] = [
            |ada| {
                let right = code(5, later(1));
                assert_eq!(ada.turn_off(&right, None, HOW, later(1)).map(drop), Ok(()));
                let (right, mut other) = (code(5, later(2)), StdRng::seed_from_u64(8));
                ada.turn_on(begun(5), &right, HOW, &mut other, later(2));
            },
            |ada| {
                let (right, mut other) = (code(6, NOW), StdRng::seed_from_u64(8));
                ada.replace_factors(begun(6), &right, HOW, true, &mut other, NOW);
            },
            |ada| {
                let (right, mut other) = (code(6, NOW), StdRng::seed_from_u64(8));
                let first = newest(ada);
                ada.add_factor(begun(6), &right, HOW, &mut other, NOW);
                assert!(ada.remove_factor(first).is_some());
            },
            User::reset_second_factor,
            |ada| {
                ada.freeze(newest(ada), NOW);
                ada.thaw();
            },
        ];
        for (number, end) in gone.into_iter().enumerate() {
            let mut ada = ada();
            let proof = Proof::Factor(Kind::Totp, newest(&ada));
            assert!(honoured(&ada, proof).of(Kind::Totp).is_some());
            assert!(
                honoured(&ada, Proof::Factor(Kind::Totp, FactorId::from([0; 16])))
                    .of(Kind::Totp)
                    .is_none()
            );
            end(&mut ada);
            assert_eq!(honoured(&ada, proof).of(Kind::Totp), None, "{number}");
        }
    }

    #[test]
    fn a_new_set_of_recovery_codes_ends_what_the_old_one_proved_and_trusts() {
        let mut ada = bare();
        ada.turn_on(begun(5), &code(5, NOW), HOW, &mut rng(), NOW);
        let code = ada.recovery_codes().unwrap().unused().next().unwrap().clone();
        let proof = ada.answer(&Answer::RecoveryCode(code), None, HOW, NOW).unwrap();
        let trust = Trust { lasting: Duration::from_hours(1), at_most: 10 };
        let (by_app, by_code) = (DeviceId::from([1; 16]), DeviceId::from([2; 16]));
        let app = Some(newest(&ada));
        ada.trust(by_app, app, trust, &Seen::default(), NOW);
        ada.trust(by_code, proof.factor(), trust, &Seen::default(), NOW);
        assert!(honoured(&ada, proof).of(Kind::RecoveryCode).is_some());
        let mut other = StdRng::seed_from_u64(8);
        assert!(ada.renew_recovery_codes(HOW, &mut other, NOW));
        assert_eq!(honoured(&ada, proof).of(Kind::RecoveryCode), None);
        assert!(honoured(&ada, Proof::TrustedDevice(by_code)).trusted_device.is_none());
        assert!(honoured(&ada, Proof::TrustedDevice(by_app)).trusted_device.is_some());
    }

    #[test]
    fn a_device_is_trusted_no_longer_than_the_factor_that_was_shown_for_it() {
        let mut ada = ada();
        let first = newest(&ada);
        let (trust, mut other) =
            (Trust { lasting: Duration::from_hours(1), at_most: 10 }, StdRng::seed_from_u64(8));
        ada.add_factor(begun(6), &code(6, NOW), HOW, &mut other, NOW);
        ada.trust(DeviceId::from([8; 16]), Some(first), trust, &Seen::default(), NOW);
        let second = Some(newest(&ada));
        ada.trust(DeviceId::from([9; 16]), second, trust, &Seen::default(), NOW);
        assert!(ada.remove_factor(first).is_some());
        let left: Vec<_> = ada.devices().iter().map(TrustedDevice::id).collect();
        assert_eq!(left, [DeviceId::from([4; 16]), DeviceId::from([9; 16])]);
        // The owner wants to keep them when the phone is replaced.
        let right = code(7, NOW);
        ada.replace_factors(begun(7), &right, HOW, false, &mut other, NOW);
        assert!(ada.devices().iter().all(|device| device.rests_on(newest(&ada))));
    }

    #[test]
    fn a_frozen_factor_reads_nothing_and_is_a_factor_until_an_administrator_helps() {
        let mut ada = ada();
        assert!(!ada.freeze(FactorId::from([9; 16]), NOW), "a factor of somebody else");
        let factor = ada.factors()[0].id();
        assert!(ada.freeze(factor, NOW));
        assert!(!ada.freeze(factor, NOW));
        let right = code(5, later(1));
        assert_eq!(ada.answer(&right, None, HOW, later(1)), Err(Rejection::Frozen));
        let code = ada.recovery_codes().unwrap().unused().next().unwrap().clone();
        let code = Answer::RecoveryCode(code);
        assert_eq!(ada.answer(&code, None, HOW, later(1)), Err(Rejection::Frozen));
        assert!(ada.has_second_factor() && ada.devices().is_empty());
        ada.thaw();
        assert!(!ada.has_second_factor());
    }

    #[test]
    fn who_replaces_a_factor_that_is_not_theirs_is_not_rid_of_the_link_that_says_so() {
        let mut ada = ada();
        let factor = ada.began_with().unwrap();
        let link = ada.not_me_link(factor, NOW);
        let right = code(6, NOW);
        ada.replace_factors(begun(6), &right, HOW, true, &mut rng(), NOW);
        assert!(ada.honours(&link, NOW));
        assert!(ada.freeze(factor, NOW));

        ada.thaw();
        assert!(!ada.honours(&link, NOW), "two-factor is off");
        let mut other = StdRng::seed_from_u64(9);
        ada.turn_on(begun(7), &code(7, NOW), HOW, &mut other, NOW);
        assert!(!ada.honours(&link, NOW), "two-factor was turned on by something else");
    }

    #[test]
    fn mail_proves_nothing_to_somebody_who_changed_the_address_lately() {
        let mut ada = bare();
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, NOW), FirstFactorAsks::MailedCode);
        ada.verification_link(Email::parse("new@example.com").unwrap(), NOW);
        assert!(ada.take_new_email(NOW));
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, later(1)), FirstFactorAsks::Link);
        let settled = NOW.plus(User::MAIL_SETTLES);
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, settled), FirstFactorAsks::MailedCode);
        // An operator's list that says the same again is no news.
        let set = |to: &str| Some(Some(Email::parse(to).unwrap()));
        ada.change(&Change { email: set("new@example.com"), ..Change::default() });
        assert!(!ada.mail_proves(later(2)));
        ada.change(&Change { email: set("newer@example.com"), ..Change::default() });
        assert!(ada.mail_proves(later(2)), "what an operator says counts at once");
        ada.reset_second_factor();
        assert_eq!(ada.first_factor_asks(SetUpProof::None, settled), FirstFactorAsks::Link);
    }

    #[test]
    fn mail_proves_nothing_to_somebody_who_set_the_password_by_mail_lately() {
        let hash = || PasswordHash::new("$argon2id$…".to_owned());
        let mut ada = bare();
        ada.set_password_by_mail(hash(), NOW);
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, later(1)), FirstFactorAsks::Link);
        ada.set_password(hash());
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, later(2)), FirstFactorAsks::Link);
        let settled = NOW.plus(User::MAIL_SETTLES);
        assert_eq!(ada.mail_proves_from(SetUpProof::Mail, later(2)), Some(settled));
        assert_eq!(ada.mail_proves_from(SetUpProof::Link, later(2)), None);
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, settled), FirstFactorAsks::MailedCode);
        assert_eq!(ada.mail_proves_from(SetUpProof::Mail, settled), None);
        ada.set_password_by_link(hash());
        assert_eq!(ada.first_factor_asks(SetUpProof::Mail, later(3)), FirstFactorAsks::MailedCode);
    }

    #[test]
    fn codes_by_email_are_never_the_only_factor() {
        let address = Email::parse("ada@example.com").unwrap();
        let begun = || Begun::Email(Emailed::to(address.clone()));
        let right = Answer::Email(Some(address.clone()));
        let mut other = StdRng::seed_from_u64(9);
        let mut ada = bare();
        assert_eq!(ada.turn_on(begun(), &right, HOW, &mut other, NOW), TurnedOn::Wrong);
        let mut ada = self::ada();
        assert_eq!(ada.add_factor(begun(), &right, HOW, &mut other, NOW), Another::Off, "no phone");
        let replaced = ada.replace_factors(begun(), &right, HOW, true, &mut other, NOW);
        assert_eq!(replaced, Another::Off);

        let number = Number::parse("+41 79 123 45 67", None).unwrap();
        let phone = Begun::Sms(Texted::to(number.clone()));
        ada.add_factor(phone, &Answer::Sms(Some(number)), HOW, &mut other, NOW);
        let phone = newest(&ada);
        let added = ada.add_factor(begun(), &right, HOW, &mut other, NOW);
        assert_eq!(added, Another::Added(newest(&ada)));
        let mailbox = newest(&ada);
        assert_eq!(ada.kinds(), [Kind::Totp, Kind::Sms, Kind::RecoveryCode], "no way by itself");
        assert!(ada.may_remove_factor(mailbox) && ada.remove_factor(phone).is_some());
        assert_eq!(ada.factor(mailbox), None, "it goes with the phone");
    }

    #[test]
    fn a_code_counts_only_for_the_number_or_address_to_which_it_was_sent() {
        let number = |of: &str| Number::parse(of, None).unwrap();
        let address = |of: &str| Email::parse(of).unwrap();
        let (mine, mailbox) = (number("+41 79 123 45 67"), address("ada@example.com"));
        let mut other = StdRng::seed_from_u64(9);
        let mut ada = ada();
        let phone = Begun::Sms(Texted::to(mine.clone()));
        ada.add_factor(phone, &Answer::Sms(Some(mine.clone())), HOW, &mut other, NOW);
        let backup = Begun::Email(Emailed::to(mailbox.clone()));
        ada.add_factor(backup, &Answer::Email(Some(mailbox.clone())), HOW, &mut other, NOW);
        for (former, right) in [
            (Answer::Sms(Some(number("+41 79 123 45 68"))), Answer::Sms(Some(mine))),
            (Answer::Email(Some(address("ada@example.org"))), Answer::Email(Some(mailbox))),
        ] {
            assert_eq!(ada.answer(&former, None, HOW, NOW), Err(Rejection::Wrong), "{former:?}");
            assert!(ada.answer(&right, None, HOW, NOW).is_ok(), "{right:?}");
        }
    }

    #[test]
    fn codes_by_email_are_turned_on_for_the_address_of_the_user_only() {
        let (mut ada, mut other) = (with_a_phone(), StdRng::seed_from_u64(9));
        let former = Email::parse("ada@example.org").unwrap();
        let begun = Begun::Email(Emailed::to(former.clone()));
        let added = ada.add_factor(begun, &Answer::Email(Some(former)), HOW, &mut other, NOW);
        assert_eq!((added, ada.mailbox()), (Another::Wrong, None));
    }

    #[test]
    fn what_an_email_code_made_trusted_ends_with_the_phone_that_it_stood_in_for() {
        let mut other = StdRng::seed_from_u64(10);
        for replaces_all in [false, true] {
            let mut ada = with_a_phone();
            let address = Email::parse("ada@example.com").unwrap();
            let backup = Begun::Email(Emailed::to(address.clone()));
            ada.add_factor(backup, &Answer::Email(Some(address)), HOW, &mut other, NOW);
            let trust = Trust { lasting: Duration::from_hours(1), at_most: 10 };
            let device = DeviceId::from([8; 16]);
            ada.trust(device, Some(newest(&ada)), trust, &Seen::default(), NOW);
            let changed = if replaces_all {
                ada.replace_factors(begun(6), &code(6, NOW), HOW, false, &mut other, NOW)
            } else {
                let number = Number::parse("+41 79 123 45 68", None).unwrap();
                let phone = Begun::Sms(Texted::to(number.clone()));
                ada.add_factor(phone, &Answer::Sms(Some(number)), HOW, &mut other, NOW)
            };
            assert!(matches!(changed, Another::Added(_)));
            let left: Vec<_> = ada.devices().iter().map(TrustedDevice::id).collect();
            assert_eq!(left, [DeviceId::from([4; 16])], "{replaces_all}");
        }
    }

    /// Ada with an authenticator and a phone.
    fn with_a_phone() -> User {
        let mut ada = ada();
        let number = Number::parse("+41 79 123 45 67", None).unwrap();
        let phone = Begun::Sms(Texted::to(number.clone()));
        let mut other = StdRng::seed_from_u64(8);
        ada.add_factor(phone, &Answer::Sms(Some(number)), HOW, &mut other, NOW);
        ada
    }

    #[test]
    fn a_link_of_one_purpose_voids_none_of_another() {
        let mut ada = bare();
        let number = ada.next_link();
        let set = Link::new(Purpose::SetPassword, ada.id(), number, NOW);
        let first = ada.reset_link(NOW);
        assert!(ada.honours(&set, NOW) && ada.honours(&first, NOW));
        let second = ada.reset_link(NOW);
        assert!(!ada.honours(&first, NOW) && ada.honours(&second, NOW));
        assert!(ada.honours(&set, NOW));
        assert!(!ada.honours(&second, NOW.plus(Purpose::ResetPassword.lasts())));
        assert!(!ada.honours(&Link { user: UserId::from([2; 16]), ..second }, NOW));
    }

    /// A user to whom both kinds of link were mailed, and the links.
    fn mailed() -> (User, Link, Link) {
        let mut ada = ada();
        let verification = ada.verification_link(Email::parse("eve@example.org").unwrap(), NOW);
        let reset = ada.reset_link(NOW);
        assert!(ada.honours(&verification, NOW) && ada.honours(&reset, NOW));
        (ada, verification, reset)
    }

    #[test]
    fn whatever_ends_the_trust_in_a_person_voids_the_links_that_were_mailed() {
        let ends: [fn(&mut User); 3] = [
            |ada| ada.set_password(PasswordHash::new("$argon2id$…".to_owned())),
            |ada| assert!(ada.freeze(ada.factors()[0].id(), NOW)),
            |ada| assert!(ada.disable(NOW) && ada.enable()),
        ];
        for end in ends {
            let (mut ada, verification, reset) = mailed();
            end(&mut ada);
            assert!(!ada.honours(&verification, NOW) && !ada.honours(&reset, NOW));
            assert_eq!(ada.new_email(), None);
        }
    }

    #[test]
    fn a_link_that_was_mailed_to_an_address_dies_with_it() {
        let (mut ada, _, reset) = mailed();
        assert!(ada.take_new_email(NOW));
        assert!(!ada.honours(&reset, NOW), "the person has changed it");
        let (mut ada, verification, reset) = mailed();
        let email = Some(Email::parse("ada@example.org").unwrap());
        assert!(ada.change(&Change { email: Some(email), ..Change::default() }));
        assert!(!ada.honours(&reset, NOW), "an operator has changed it");
        assert!(!ada.honours(&verification, NOW));
    }

    #[test]
    fn three_mails_an_hour_may_be_asked_for() {
        let mut ada = bare();
        assert!((0..3).all(|_| ada.may_be_mailed(NOW)));
        assert!(!ada.may_be_mailed(later(30)));
        assert!(ada.may_be_mailed(later(61)));
        assert!((0..3).all(|_| ada.may_be_sent_a_link(later(61))), "these are counted apart");
        assert!(!ada.may_be_sent_a_link(later(61)));
        assert!(ada.may_be_mailed(later(62)));
    }
}
