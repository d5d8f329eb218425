//! A user and every change that can be made to one.
//!
//! A user is one record. Each operation is a pure method on the whole record, and the store writes
//! the result only if nobody else wrote in between. So a one-time code works once, and a hundred
//! parallel guesses count as a hundred guesses.

mod operated;
mod protection;
mod provided;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::assurance::{FirstFactor, Kinds, Proof, Proofs, TrustShown, Visitor, Worth};
use super::device::{BrowserId, DeviceId, KnownBrowser, Presented, Seen, TrustedDevice};
use super::factor::recovery::{self, RecoveryCodes};
use super::factor::security_key::{self, SecurityKey, SignInChallenge};
use super::factor::{Answer, Begun, Factor, FactorId, Kind, Rejection, Settings};
use super::host_session::HostSession;
pub use super::identity::{Identity, UserId};
use super::lockout::{Charge, Tries, WrongCodes};
use super::name::{Email, FullName, Group, Name};
use super::password::PasswordHash;
use super::provider::Account;
use super::time::Timestamp;
pub use protection::{Another, FirstFactorAsks};

/// A user: identity, credentials, and failed attempts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct User {
    #[n(0)]
    id: UserId,
    /// Who answers for this user.
    #[n(1)]
    origin: Origin,
    #[n(2)]
    name: Name,
    #[n(3)]
    full_name: Option<String>,
    #[n(4)]
    email: Option<Email>,
    #[n(5)]
    groups: BTreeSet<Group>,
    #[n(6)]
    made: Timestamp,
    #[n(7)]
    password: Option<PasswordHash>,
    /// The second factors, in the order in which they were added.
    #[n(8)]
    factors: Vec<Factor>,
    #[n(9)]
    recovery_codes: Option<RecoveryCodes>,
    #[n(10)]
    devices: Vec<TrustedDevice>,
    #[n(11)]
    known: Vec<KnownBrowser>,
    /// Failed attempts from unknown browsers.
    #[n(12)]
    strangers: Tries,
    /// User sessions store it and end when it increases.
    #[n(13)]
    epoch: u64,
    /// The number of the newest link to set a password; earlier ones are void.
    #[n(14)]
    last_link: u64,
    /// When an operator disabled this user.
    #[n(15)]
    disabled: Option<Timestamp>,
    /// When the user changed to this address; `None` if they never changed it.
    #[n(16)]
    email_since: Option<Timestamp>,
    /// A new address that is not verified yet.
    #[n(17)]
    new_email: Option<Email>,
    /// The number of the newest link to verify an address.
    #[n(18)]
    last_verification: u64,
    /// The number of the newest mailed link to set a password.
    #[n(19)]
    last_reset: u64,
    /// The times of mails that the user requested while signed in.
    #[n(20)]
    mailed: Vec<Timestamp>,
    /// When the user reported the factor as not their own; it is refused since then.
    #[n(21)]
    frozen: Option<Timestamp>,
    /// Whether setting up the first second factor requires a link from an administrator.
    #[n(22)]
    link_only: bool,
    /// When the user last declined what is offered after a sign-in.
    #[n(23)]
    declined: Option<Timestamp>,
    /// The factor with which two-factor was last turned on. It may have been replaced since.
    #[n(24)]
    began_with: Option<FactorId>,
    /// Wrong codes from unknown browsers; a successful sign-in does not clear them.
    #[n(25)]
    wrong_codes: WrongCodes,
    /// When the user was last told that somebody enters wrong codes after the right password.
    #[n(26)]
    told_of_wrong_codes: Option<Timestamp>,
    /// The times of mailed links that anybody can request.
    #[n(27)]
    forgot: Vec<Timestamp>,
    /// The accounts at providers that may speak for this user, besides the origin's own.
    #[n(28)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    providers: Vec<Account>,
    /// When the provider that answers for this user last did so.
    #[n(29)]
    spoken: Option<Timestamp>,
    /// When two-factor was last turned off by an answer that can be phished.
    #[n(30)]
    weakened: Option<Timestamp>,
    /// The groups that the provider that answers for this user gives, besides `groups`, which
    /// operators give.
    #[n(31)]
    #[cbor(default, skip_if = "BTreeSet::is_empty")]
    given: BTreeSet<Group>,
    /// How many seconds the word of the provider that answers for this user lasts; `None`: as long as
    /// that of one that is not asked again.
    #[n(32)]
    word_lasts: Option<u64>,
    /// When the password was last set by a mailed link; `None` if it was replaced by a link from an
    /// administrator since.
    #[n(33)]
    password_mailed: Option<Timestamp>,
}

/// Who answers for a user: who checks the first factor, and owns the name, the address and the
/// groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The records here, kept by operators.
    Local,
    /// An identity provider, with the account there.
    Provider(Account),
}

impl Origin {
    /// The account at a provider, if that is the origin.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Local => None,
            Self::Provider(account) => Some(account),
        }
    }

    /// For how long other first factors count after the origin has last spoken for the user, unless it
    /// has said how long itself; `None`: without limit.
    fn stands_for(&self) -> Option<Duration> {
        match self {
            Self::Local => None,
            Self::Provider(_) => Some(User::PROVIDER_STANDS),
        }
    }
}

// The first form was a number alone.
impl<C> Encode<C> for Origin {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Local => e.u8(0)?.ok(),
            Self::Provider(account) => (1_u8, account).encode(e, ctx),
        }
    }
}

impl<'b, C> Decode<'b, C> for Origin {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let unknown = |number: u8| minicbor::decode::Error::unknown_variant(number.into());
        if d.datatype()? == minicbor::data::Type::Array {
            return match <(u8, Account)>::decode(d, ctx)? {
                (1, account) => Ok(Self::Provider(account)),
                (number, _) => Err(unknown(number)),
            };
        }
        match d.u8()? {
            0 => Ok(Self::Local),
            number => Err(unknown(number)),
        }
    }
}

/// What an operator states about a new user.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The user name.
    pub name: Name,
    /// The full name.
    pub full_name: Option<String>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The groups.
    pub groups: BTreeSet<Group>,
}

/// An operator's change to a user. `None` or empty fields are left unchanged.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new full name, or `Some(None)` to remove it.
    pub full_name: Option<Option<FullName>>,
    /// The new e-mail address, or `Some(None)` to remove it.
    pub email: Option<Option<Email>>,
    /// Replaces the groups by these.
    pub groups: Option<BTreeSet<Group>>,
    /// Adds these groups.
    pub add_groups: Vec<Group>,
    /// Removes these groups.
    pub remove_groups: Vec<Group>,
    /// Who answers for the user from now on.
    pub origin: Option<Origin>,
}

/// The result of turning two-factor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedOn {
    /// It is now on, by this factor, and recovery codes were made.
    Now(FactorId),
    /// It was already on; nothing changed.
    Already,
    /// The first answer was wrong. This is not counted as a failure, because there is no factor to
    /// guess yet.
    Wrong,
}

/// The limits for trusted devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// How long a device is trusted after the challenge.
    pub lasting: Duration,
    /// How many a user may have; beyond that the least recently used is removed.
    pub at_most: usize,
}

impl User {
    /// How many known browsers a user may have; beyond that the least recently seen is removed.
    pub const KNOWN_AT_MOST: usize = 10;

    /// A new user without a password.
    pub fn new(id: UserId, profile: Profile, now: Timestamp) -> Self {
        let Profile { name, full_name, email, groups } = profile;
        Self {
            id,
            origin: Origin::Local,
            name,
            full_name,
            email,
            groups,
            made: now,
            password: None,
            factors: Vec::new(),
            recovery_codes: None,
            devices: Vec::new(),
            known: Vec::new(),
            strangers: Tries::default(),
            epoch: 0,
            last_link: 0,
            disabled: None,
            email_since: None,
            new_email: None,
            last_verification: 0,
            last_reset: 0,
            mailed: Vec::new(),
            frozen: None,
            link_only: false,
            declined: None,
            began_with: None,
            wrong_codes: WrongCodes::default(),
            told_of_wrong_codes: None,
            forgot: Vec::new(),
            providers: Vec::new(),
            spoken: None,
            weakened: None,
            given: BTreeSet::new(),
            word_lasts: None,
            password_mailed: None,
        }
    }

    /// The id.
    pub fn id(&self) -> UserId {
        self.id
    }

    /// Who answers for this user.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The user name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The e-mail address.
    pub fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }

    /// When the user was created.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// The epoch that live user sessions have.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number that a valid link to set a password must have.
    pub fn last_link(&self) -> u64 {
        self.last_link
    }

    /// Issues the number for a new link to set a password and voids all earlier links.
    pub fn next_link(&mut self) -> u64 {
        self.last_link += 1;
        self.last_link
    }

    /// What applications are told.
    pub fn identity(&self) -> Identity {
        Identity {
            user: self.id,
            name: self.name.as_str().to_owned(),
            written: self.name.written().to_owned(),
            full_name: self.full_name.clone(),
            email: self.email.as_ref().map(|email| email.as_str().to_owned()),
            groups: self.groups.union(&self.given).map(|group| group.as_str().to_owned()).collect(),
        }
    }

    /// This user as the visitor of `session`.
    pub fn visitor(
        &self,
        session: &HostSession,
        identity: Arc<Identity>,
        now: Timestamp,
    ) -> Visitor {
        Visitor {
            identity,
            proofs: self.honoured(&session.proofs, now),
            has_second_factor: self.has_second_factor(),
            has: self.can_show(now),
            demanded: false,
            codes_unsaved: self.recovery_codes.as_ref().is_some_and(|codes| !codes.are_saved()),
        }
    }

    /// The kinds of factors that this user can show, recovery codes among them.
    pub fn can_show(&self, now: Timestamp) -> Kinds {
        let sound = self.factors.iter().filter(|factor| factor.is_sound());
        let kinds = sound.map(|factor| {
            let resists = factor.worth(now).resists_phishing;
            if resists { Kinds::only(factor.kind()) } else { Kinds::weaker(factor.kind()) }
        });
        let codes = self.recovery_codes.as_ref().filter(|codes| codes.unused().next().is_some());
        let codes = codes.map(|_| Kinds::only(Kind::RecoveryCode));
        kinds.chain(codes).fold(Kinds::NONE, Kinds::or)
    }

    /// The proofs that are still worth something. A proof of a removed factor is dropped, or of one
    /// that is not sound, and a trusted device counts only while it is trusted.
    pub fn honoured(&self, proofs: &Proofs, now: Timestamp) -> Proofs {
        let codes = self.recovery_codes.as_ref().map(RecoveryCodes::id);
        let unsound = || self.factors.iter().filter(|factor| !factor.is_sound()).map(Factor::id);
        let trusts = |id| {
            let device = self.devices.iter().find(|one| one.id() == id && one.is_trusted(now));
            device.is_some_and(|device| !unsound().any(|factor| device.rests_on(factor)))
        };
        let mut honoured = proofs.clone().valued(|shown| {
            let factor = self.factor(shown.factor).filter(|factor| factor.is_sound());
            let code = || (codes == Some(shown.factor)).then(Worth::default);
            factor.map(|factor| factor.worth(now)).or_else(code)
        });
        let by = |device: &TrustedDevice| {
            let factor = self.factors.iter().find(|factor| device.rests_on(factor.id()));
            let by_code = codes.filter(|id| device.rests_on(*id)).map(|_| Kind::RecoveryCode);
            factor.map(Factor::kind).or(by_code)
        };
        honoured.trusted_device =
            honoured.trusted_device.filter(|shown| trusts(shown.device)).map(|shown| {
                let device = self.devices.iter().find(|device| device.id() == shown.device);
                TrustShown { by: device.and_then(by), ..shown }
            });
        // A passkey was the first factor as well, so both end together.
        let has_key = honoured.of(Kind::SecurityKey).is_some();
        let lives = |by| by != FirstFactor::Passkey || has_key;
        honoured.first =
            honoured.first.filter(|first| self.stands(first.by, now) && lives(first.by));
        honoured
    }
}

/// The password.
impl User {
    /// Until when this device is trusted, if the user still has it.
    pub fn device_trusted_until(&self, id: DeviceId) -> Option<Timestamp> {
        self.devices.iter().find(|device| device.id() == id).map(TrustedDevice::expires)
    }

    /// The hash to verify against, if a password is set.
    pub fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }

    /// Counts a password attempt from a known browser before its result is known.
    ///
    /// Attempts from all other browsers are counted where attempts on unknown names are counted, so
    /// that nothing distinguishes the two: see [`Store::update_attempts`].
    ///
    /// # Errors
    /// When the next attempt from this browser is accepted; nothing is counted.
    ///
    /// [`Store::update_attempts`]: crate::store::Store::update_attempts
    pub fn charge_password(
        &mut self,
        browser: BrowserId,
        now: Timestamp,
    ) -> Result<Charge, Timestamp> {
        self.tries(Some(browser)).password.charge(now)
    }

    /// Until when passwords from this known browser are refused.
    pub fn password_closed(&self, browser: BrowserId, now: Timestamp) -> Option<Timestamp> {
        self.tries_so_far(Some(browser)).password.closed_until(now)
    }

    /// Takes `charge` back because the password was right. Other failures stay counted.
    pub fn refund_password(&mut self, browser: BrowserId, charge: &Charge) {
        self.tries(Some(browser)).password.refund(charge);
    }

    /// Records a wrong password from an unknown browser. Operators see this count, and it is exact.
    /// The waiting time is computed from another count.
    pub fn note_wrong_password(&mut self, now: Timestamp) {
        self.strangers.password.fail(now);
    }

    /// Replaces the hash by one of the same password with the current parameters.
    pub fn rehash_password(&mut self, hash: PasswordHash) {
        self.password = Some(hash);
    }

    /// Sets a new password. Ends every session, voids every link to set a password or verify an
    /// address, revokes all trusted devices and clears failed password attempts.
    pub fn set_password(&mut self, hash: PasswordHash) {
        self.password = Some(hash);
        self.epoch += 1;
        self.next_link();
        self.void_mailed_links();
        self.devices.clear();
        self.strangers.password.clear();
        for browser in &mut self.known {
            browser.tries.password.clear();
        }
    }

    /// Sets a password with a link from an administrator, who has checked the user's identity. So
    /// this also removes a frozen factor.
    pub fn set_password_by_link(&mut self, hash: PasswordHash) {
        self.thaw();
        self.weakened = None;
        self.password_mailed = None;
        self.set_password(hash);
    }

    /// Sets a password with a link that was mailed. Whoever reads the mailbox could have done that.
    pub fn set_password_by_mail(&mut self, hash: PasswordHash, now: Timestamp) {
        self.password_mailed = Some(now);
        self.set_password(hash);
    }
}

/// The second factor.
impl User {
    /// Whether two-factor is on.
    pub fn has_second_factor(&self) -> bool {
        !self.factors.is_empty()
    }

    /// The second factors, in the order in which they were added.
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// The second factor with this id, if the user has it.
    pub fn factor(&self, id: FactorId) -> Option<&Factor> {
        self.factors.iter().find(|factor| factor.id() == id)
    }

    /// The kinds of answers that this user can give at a challenge, the one used last first;
    /// recovery codes come last. Those that only back up another kind are not among them.
    pub fn kinds(&self) -> Vec<Kind> {
        let usable = self.factors.iter().filter(|factor| !factor.is_for_other_rp_id());
        let usable = usable.filter(|factor| factor.kind().stands_alone());
        let mut factors: Vec<&Factor> = usable.collect();
        factors.sort_by_key(|factor| std::cmp::Reverse(factor.last_used()));
        let mut kinds = Vec::new();
        for kind in factors.into_iter().map(Factor::kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.extend(self.recovery_codes.as_ref().map(|_| Kind::RecoveryCode));
        kinds
    }

    /// The recovery codes, if two-factor was ever on.
    pub fn recovery_codes(&self) -> Option<&RecoveryCodes> {
        self.recovery_codes.as_ref()
    }

    /// Checks an answer to a challenge. Uses it up if it is right, counts it if it is wrong.
    ///
    /// All kinds share one count per class of browser. During a wait or a lock only kinds are
    /// accepted that nobody can guess: recovery codes, which have 65 bits, and security keys. A right
    /// one ends the wait or lock; a wrong one is not counted. A code that was used before is not a
    /// failure either.
    ///
    /// From unknown browsers at most [`WrongCodes::AT_MOST`] wrong codes are allowed within thirty
    /// days, whatever was right in between. What cannot be guessed is accepted even then.
    ///
    /// # Errors
    /// The [`Rejection`], to be explained on the page.
    pub fn answer(
        &mut self,
        answer: &Answer,
        browser: Option<BrowserId>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Proof, Rejection> {
        if !self.has_second_factor() {
            return Err(Rejection::NotSetUp);
        }
        if self.frozen.is_some() {
            return Err(Rejection::Frozen);
        }
        let closed = self.codes_closed(browser, now);
        let judged = match (answer, closed) {
            (Answer::RecoveryCode(code), _) => self.check_recovery_code(code, now),
            (_, Some(rejection)) if answer.kind().row().can_be_guessed => Err(rejection),
            (_, _) => self.check_factors(answer, settings, now),
        };
        match (judged, closed) {
            (Ok(_), _) => self.tries(browser).second_factor.clear(),
            (Err(Rejection::Wrong), None) => self.fail_code(browser, now),
            (Err(Rejection::Wrong), Some(rejection)) => return Err(rejection),
            (Err(Rejection::Doubted { .. }), _) => self.distrust_devices_of_doubted_factors(),
            (Err(_), _) => {}
        }
        judged.map(|id| Proof::Factor(answer.kind(), id))
    }

    /// Whoever has a copy of a key may have made a device of theirs trusted.
    fn distrust_devices_of_doubted_factors(&mut self) {
        let doubted = self.factors.iter().filter(|factor| factor.is_doubted());
        let doubted: Vec<FactorId> = doubted.map(Factor::id).collect();
        self.devices.retain(|device| !doubted.iter().any(|id| device.rests_on(*id)));
    }

    fn check_recovery_code(
        &mut self,
        code: &recovery::Code,
        now: Timestamp,
    ) -> Result<FactorId, Rejection> {
        let codes = self.recovery_codes.as_mut().ok_or(Rejection::Wrong)?;
        codes.check(code, now).map(|()| codes.id())
    }

    fn check_factors(
        &mut self,
        answer: &Answer,
        settings: Settings,
        now: Timestamp,
    ) -> Result<FactorId, Rejection> {
        let mut best = Err(Rejection::Wrong);
        for factor in self.factors.iter_mut().filter(|factor| factor.kind() == answer.kind()) {
            match factor.check(answer, settings, now) {
                Ok(()) => return Ok(factor.id()),
                Err(Rejection::Wrong) => {}
                Err(rejection) => best = Err(rejection),
            }
        }
        best
    }

    /// Checks the answer of a passkey that signs in. It is the first and the second factor in one.
    /// Failures of codes and passwords do not matter: nobody can guess one.
    ///
    /// # Errors
    /// The [`Rejection`]; visitors are not told which.
    pub fn sign_in_by_key(
        &mut self,
        shown: &security_key::Shown,
        asked: SignInChallenge,
        now: Timestamp,
    ) -> Result<FactorId, Rejection> {
        if self.disabled.is_some() {
            return Err(Rejection::NotSetUp);
        }
        if self.frozen.is_some() {
            return Err(Rejection::Frozen);
        }
        let factor = self.factors.iter_mut().find(|factor| factor.id() == shown.factor);
        // Whoever phished a password and a code may have added one: it does not sign in before its
        // owner has had time to hear of it.
        let factor = factor.filter(|factor| factor.worth(now).resists_phishing);
        let factor = factor.ok_or(Rejection::Wrong)?;
        let id = factor.id();
        let signed_in = factor.sign_in(shown, asked, now);
        if matches!(signed_in, Err(Rejection::Doubted { .. })) {
            self.distrust_devices_of_doubted_factors();
        }
        signed_in.map(|()| id)
    }

    /// Why and until when answers from this class of browser are refused; `None` if they are
    /// accepted.
    pub fn answers_closed(&self, browser: Option<BrowserId>, now: Timestamp) -> Option<Rejection> {
        if self.frozen.is_some() {
            return Some(Rejection::Frozen);
        }
        self.codes_closed(browser, now)
    }

    fn codes_closed(&self, browser: Option<BrowserId>, now: Timestamp) -> Option<Rejection> {
        let failures = &self.tries_so_far(browser).second_factor;
        let used_up = self.wrong_codes.closed_until(now).is_some();
        let unknown = !browser.is_some_and(|browser| self.knows(browser));
        if failures.are_locking() || (unknown && used_up) {
            return Some(Rejection::Locked);
        }
        failures.closed_until(now).map(|until| Rejection::Waiting { until })
    }

    /// Counts a wrong code.
    fn fail_code(&mut self, browser: Option<BrowserId>, now: Timestamp) {
        self.tries(browser).second_factor.fail(now);
        if !browser.is_some_and(|browser| self.knows(browser)) {
            self.wrong_codes.count(now);
        }
    }

    /// The number of wrong codes from unknown browsers that count now.
    pub fn wrong_codes(&self, now: Timestamp) -> usize {
        self.wrong_codes.within(WrongCodes::SPAN, now)
    }

    /// Whether to notify this user that somebody who knows the password enters wrong codes: after
    /// the third wrong code from this class of browser, at most once a day. Call it once for each
    /// wrong code.
    pub fn is_to_hear_of_wrong_codes(
        &mut self,
        browser: Option<BrowserId>,
        now: Timestamp,
    ) -> bool {
        const DAY: Duration = Duration::from_hours(24);
        const MANY: usize = 3;
        let in_a_row = self.tries_so_far(browser).second_factor.count();
        let known = browser.is_some_and(|browser| self.knows(browser));
        let lately = if known { 0 } else { self.wrong_codes.within(DAY, now) };
        let many = lately.max(usize::try_from(in_a_row).unwrap_or(usize::MAX)) >= MANY;
        let news = many && self.told_of_wrong_codes.is_none_or(|told| told.plus(DAY) <= now);
        if news {
            self.told_of_wrong_codes = Some(now);
        }
        news
    }

    /// Turns two-factor on. The first right answer makes `begun` a factor, and recovery codes are
    /// created.
    pub fn turn_on(
        &mut self,
        begun: Begun,
        answer: &Answer,
        settings: Settings,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> TurnedOn {
        if self.has_second_factor() {
            return TurnedOn::Already;
        }
        let id = FactorId::random(rng);
        if !begun.kind().stands_alone() {
            return TurnedOn::Wrong;
        }
        let Ok(mut factor) = begun.finish(id, answer, settings, now) else {
            return TurnedOn::Wrong;
        };
        // There was no factor that could have been stronger, unless it was turned off just now.
        let settled = |at: Timestamp| at.plus(SecurityKey::SETTLES) <= now;
        if self.weakened.is_none_or(settled) {
            factor.count_from(now);
        }
        self.factors.push(factor);
        self.began_with = Some(id);
        self.link_only = false;
        self.recovery_codes = Some(RecoveryCodes::random(rng, settings.recovery_codes, now));
        TurnedOn::Now(id)
    }

    /// Records that the user has saved the recovery codes. Returns whether this changed anything.
    pub fn save_recovery_codes(&mut self, now: Timestamp) -> bool {
        match &mut self.recovery_codes {
            Some(codes) if !codes.are_saved() => {
                codes.save(now);
                true
            }
            _ => false,
        }
    }
}

/// Browsers.
impl User {
    /// Whether this is one of the user's known browsers.
    pub fn knows(&self, browser: BrowserId) -> bool {
        self.known.iter().any(|known| known.id == browser)
    }

    /// Records a complete sign-in: clears the failures of this class of browser and makes the
    /// browser a known one, as `browser` or, if the user does not know that one, as `new`.
    pub fn succeed(
        &mut self,
        browser: Option<BrowserId>,
        new: BrowserId,
        now: Timestamp,
    ) -> BrowserId {
        *self.tries(browser) = Tries::default();
        if let Some(known) = self.known.iter_mut().find(|known| Some(known.id) == browser) {
            known.last_seen = now;
            return known.id;
        }
        self.known.push(KnownBrowser { id: new, last_seen: now, tries: Tries::default() });
        while self.known.len() > Self::KNOWN_AT_MOST {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, known)| known.last_seen);
            let Some((oldest, _)) = oldest else { break };
            self.known.remove(oldest);
        }
        new
    }

    /// Makes a browser a trusted device with this `id`, because this factor was shown, and returns
    /// when the trust expires. Its cookie starts with number 1.
    pub fn trust(
        &mut self,
        id: DeviceId,
        by: Option<FactorId>,
        how: Trust,
        seen: &Seen,
        now: Timestamp,
    ) -> Timestamp {
        self.devices.retain(|device| device.is_trusted(now));
        let device = TrustedDevice::new(id, by, how.lasting, seen, now);
        let expires = device.expires();
        self.devices.push(device);
        while self.devices.len() > how.at_most.max(1) {
            let oldest = self.devices.iter().enumerate().min_by_key(|(_, d)| d.last_used());
            let Some((oldest, _)) = oldest else { break };
            self.devices.remove(oldest);
        }
        expires
    }

    /// Removes a trusted device.
    pub fn forget_device(&mut self, id: DeviceId) {
        self.devices.retain(|device| device.id() != id);
    }

    /// Checks the cookie of a trusted device and issues its next number; `None` if this user has no
    /// such device. Removes the device if its cookie was copied.
    pub fn present_device(
        &mut self,
        id: DeviceId,
        number: u64,
        seen: &Seen,
        now: Timestamp,
    ) -> Option<Presented> {
        let device = self.devices.iter_mut().find(|device| device.id() == id)?;
        let presented = device.present(number, seen, now);
        if presented == Presented::Copied {
            self.devices.retain(|device| device.id() != id);
        }
        Some(presented)
    }

    /// The trusted devices. Expired ones stay in the list until the next device is added.
    pub fn devices(&self) -> &[TrustedDevice] {
        &self.devices
    }

    fn tries_so_far(&self, browser: Option<BrowserId>) -> &Tries {
        let known = self.known.iter().find(|known| Some(known.id) == browser);
        known.map_or(&self.strangers, |known| &known.tries)
    }

    fn tries(&mut self, browser: Option<BrowserId>) -> &mut Tries {
        match self.known.iter_mut().find(|known| Some(known.id) == browser) {
            Some(known) => &mut known.tries,
            None => &mut self.strangers,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::domain::assurance::FirstFactor;
    use crate::domain::factor::totp;

    const ONE: Settings = Settings { skew: totp::Skew::new(1).unwrap(), recovery_codes: 12 };
    const MONTH: Trust = Trust { lasting: Duration::from_hours(30 * 24), at_most: 10 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    fn key() -> totp::Key {
        totp::Key::from_bytes(&[5; 20]).unwrap()
    }

    fn begun() -> Begun {
        Begun::Totp(key())
    }

    fn ada() -> User {
        let profile = Profile {
            name: Name::parse("ada").unwrap(),
            full_name: None,
            email: None,
            groups: BTreeSet::new(),
        };
        User::new(UserId::from([1; 16]), profile, at(0))
    }

    fn ada_with_two_factor() -> User {
        let mut ada = ada();
        let turned_on = ada.turn_on(begun(), &right_code(at(30)), ONE, &mut rng(), at(30));
        assert!(matches!(turned_on, TurnedOn::Now(_)));
        ada
    }

    fn right_code(now: Timestamp) -> Answer {
        Answer::Totp(key().code_at(now))
    }

    fn wrong_code(now: Timestamp) -> Answer {
        let right = key().code_at(now);
        let wrong = if right.expose() == "000000" { "000001" } else { "000000" };
        Answer::Totp(wrong.parse().unwrap())
    }

    fn recovery_code(user: &User) -> Answer {
        Answer::RecoveryCode(user.recovery_codes().unwrap().unused().next().unwrap().clone())
    }

    fn fail(user: &mut User, times: u32) -> Timestamp {
        let mut now = at(1_000_000);
        for _ in 0..times {
            assert_eq!(user.answer(&wrong_code(now), None, ONE, now), Err(Rejection::Wrong));
            now = now.plus(Duration::from_hours(2));
        }
        now
    }

    #[test]
    fn two_factor_is_on_only_after_a_first_right_code() {
        let mut ada = ada();
        let wrong = wrong_code(at(30));
        assert_eq!(ada.turn_on(begun(), &wrong, ONE, &mut rng(), at(30)), TurnedOn::Wrong);
        assert!(!ada.has_second_factor());
        assert!(ada_with_two_factor().has_second_factor());
    }

    #[test]
    fn turning_it_on_twice_changes_nothing() {
        let mut ada = ada_with_two_factor();
        let before = ada.clone();
        let code = right_code(at(90));
        assert_eq!(ada.turn_on(begun(), &code, ONE, &mut rng(), at(90)), TurnedOn::Already);
        assert_eq!(ada, before);
    }

    #[test]
    fn a_recovery_code_works_once_in_place_of_the_authenticator() {
        let mut ada = ada_with_two_factor();
        let code = recovery_code(&ada);
        assert!(matches!(
            ada.answer(&code, None, ONE, at(99)),
            Ok(Proof::Factor(Kind::RecoveryCode, _))
        ));
        assert_eq!(ada.answer(&code, None, ONE, at(99)), Err(Rejection::Used));
        assert_eq!(ada.most_failures(), (0, 0));
    }

    #[test]
    fn during_a_wait_a_right_code_is_not_read_and_a_recovery_code_is() {
        let mut ada = ada_with_two_factor();
        let now = at(5_000);
        for _ in 0..5 {
            assert_eq!(ada.answer(&wrong_code(now), None, ONE, now), Err(Rejection::Wrong));
        }
        let waiting = Err(Rejection::Waiting { until: at(5_030) });
        assert_eq!(ada.answer(&right_code(now), None, ONE, now), waiting);
        let wrong = Answer::RecoveryCode("AAAA-AAAA-AAAAA".parse().unwrap());
        assert_eq!(ada.answer(&wrong, None, ONE, now), waiting);
        assert_eq!(ada.most_failures(), (0, 5));
        let code = recovery_code(&ada);
        assert!(matches!(
            ada.answer(&code, None, ONE, now),
            Ok(Proof::Factor(Kind::RecoveryCode, _))
        ));
        assert!(matches!(
            ada.answer(&right_code(now), None, ONE, now),
            Ok(Proof::Factor(Kind::Totp, _))
        ));
    }

    #[test]
    fn fifty_failures_lock_until_a_recovery_code_or_an_unlock() {
        let mut ada = ada_with_two_factor();
        let now = fail(&mut ada, 50);
        assert_eq!(ada.answer(&right_code(now), None, ONE, now), Err(Rejection::Locked));
        assert_eq!(ada.answers_closed(None, now), Some(Rejection::Locked));
        let mut unlocked = ada.clone();
        unlocked.unlock();
        assert!(matches!(
            unlocked.answer(&right_code(now), None, ONE, now),
            Ok(Proof::Factor(Kind::Totp, _))
        ));
        let code = recovery_code(&ada);
        assert!(matches!(
            ada.answer(&code, None, ONE, now),
            Ok(Proof::Factor(Kind::RecoveryCode, _))
        ));
    }

    #[test]
    fn guessers_elsewhere_do_not_lock_a_known_browser_out() {
        let mut ada = ada_with_two_factor();
        let mine = ada.succeed(None, BrowserId::from([3; 16]), at(100));
        let now = fail(&mut ada, 50);
        assert_eq!(ada.answer(&right_code(now), None, ONE, now), Err(Rejection::Locked));
        assert!(matches!(
            ada.answer(&right_code(now), Some(mine), ONE, now),
            Ok(Proof::Factor(Kind::Totp, _))
        ));
    }

    #[test]
    fn fifty_wrong_codes_a_month_are_read_from_unknown_browsers_whatever_the_owner_does() {
        type Operation = fn(&mut User, Timestamp);
        let owner: [(&str, Operation); 4] = [
            ("signs in by a new browser", |ada, now| {
                ada.answer(&right_code(now), None, ONE, now).ok();
                ada.succeed(None, BrowserId::from([9; 16]), now);
            }),
            ("signs in by a known one", |ada, now| {
                let mine = ada.succeed(None, BrowserId::from([3; 16]), now);
                ada.answer(&right_code(now), Some(mine), ONE, now).ok();
                ada.succeed(Some(mine), mine, now);
            }),
            ("uses a recovery code", |ada, now| {
                let code = ada.recovery_codes().unwrap().unused().next().cloned();
                if let Some(code) = code {
                    ada.answer(&Answer::RecoveryCode(code), None, ONE, now).unwrap();
                }
                ada.succeed(None, BrowserId::from([9; 16]), now);
            }),
            ("changes the password", |ada, _| {
                ada.set_password(PasswordHash::new("$argon2id$…".to_owned()));
            }),
        ];
        for (does, operation) in owner {
            let mut ada = ada_with_two_factor();
            let (mut read, mut now) = (0, at(10_000));
            // Every day for a month, as many attempts as are accepted.
            for _ in 0..29 {
                for _ in 0..60 {
                    now = now.plus(Duration::from_mins(20));
                    let judged = ada.answer(&wrong_code(now), None, ONE, now);
                    read += usize::from(judged == Err(Rejection::Wrong));
                }
                now = now.plus(Duration::from_mins(240));
                operation(&mut ada, now);
            }
            assert_eq!(read, WrongCodes::AT_MOST, "the owner {does}");
            assert_eq!(ada.wrong_codes(now), read);
            assert_eq!(ada.answers_closed(None, now), Some(Rejection::Locked), "the owner {does}");
        }
    }

    #[test]
    fn whose_wrong_codes_are_used_up_gets_in_by_a_known_browser_a_recovery_code_or_an_operator() {
        let mut ada = ada_with_two_factor();
        let mine = ada.succeed(None, BrowserId::from([3; 16]), at(100));
        let mut now = at(10_000);
        while ada.answers_closed(None, now) != Some(Rejection::Locked) {
            ada.answer(&wrong_code(now), None, ONE, now).ok();
            // What a sign-in of the owner clears.
            ada.strangers.second_factor.clear();
            now = now.plus(Duration::from_mins(1));
        }
        assert_eq!(ada.answer(&right_code(now), None, ONE, now), Err(Rejection::Locked));
        assert!(ada.answer(&right_code(now), Some(mine), ONE, now).is_ok());
        let code = recovery_code(&ada);
        assert!(ada.answer(&code, None, ONE, now).is_ok());
        assert_eq!(ada.answers_closed(None, now), Some(Rejection::Locked), "and is not open yet");
        let later = now.plus(WrongCodes::SPAN);
        assert_eq!(ada.clone().answers_closed(None, later), None, "time opens it");
        ada.unlock();
        assert_eq!(ada.answers_closed(None, now), None);
    }

    #[test]
    fn the_owner_hears_of_the_third_wrong_code_once_a_day() {
        let mut ada = ada_with_two_factor();
        let told = |ada: &mut User, browser, now| {
            assert_eq!(ada.answer(&wrong_code(now), browser, ONE, now), Err(Rejection::Wrong));
            ada.is_to_hear_of_wrong_codes(browser, now)
        };
        let hours = |hours| at(10_000).plus(Duration::from_hours(hours));
        assert!(!told(&mut ada, None, hours(0)));
        assert!(!told(&mut ada, None, hours(1)));
        ada.succeed(None, BrowserId::from([9; 16]), hours(1));
        assert!(told(&mut ada, None, hours(2)), "a sign-in in between hides none");
        assert!(!told(&mut ada, None, hours(3)));
        assert!(!told(&mut ada, None, hours(25)));
        assert!(told(&mut ada, None, hours(26)), "a day later");
        let mine = Some(BrowserId::from([9; 16]));
        let told: Vec<_> = (60..64).map(|hour| told(&mut ada, mine, hours(hour))).collect();
        assert_eq!(told, [false, false, true, false], "be it by the cookie of a known browser");
    }

    #[test]
    fn a_right_password_alone_forgets_no_failure_of_the_second_factor() {
        let mut ada = ada_with_two_factor();
        let mine = ada.succeed(None, BrowserId::from([4; 16]), at(100));
        let now = fail(&mut ada, 3);
        let charge = ada.charge_password(mine, now).unwrap();
        ada.refund_password(mine, &charge);
        assert_eq!(ada.most_failures(), (0, 3));
        ada.succeed(None, BrowserId::from([3; 16]), now);
        assert_eq!(ada.most_failures(), (0, 0));
    }

    #[test]
    fn a_new_password_ends_sessions_and_trusted_devices() {
        let mut ada = ada_with_two_factor();
        ada.trust(DeviceId::from([4; 16]), None, MONTH, &Seen::default(), at(100));
        let epoch = ada.epoch();
        ada.set_password(PasswordHash::new("$argon2id$…".to_owned()));
        assert_ne!(ada.epoch(), epoch);
        assert!(ada.devices().is_empty());
    }

    #[test]
    fn a_proof_by_a_device_that_is_trusted_no_longer_is_left_out() {
        let mut ada = ada_with_two_factor();
        let device = DeviceId::from([4; 16]);
        ada.trust(device, None, MONTH, &Seen::default(), at(100));
        let proofs = crate::domain::assurance::Proofs::default()
            .with(Proof::First(FirstFactor::Password), at(200))
            .with(Proof::TrustedDevice(device), at(200));
        let session = HostSession::begin(
            ada.id(),
            crate::domain::user_session::UserSessionId::from([3; 16]),
            proofs,
        );
        let identity = Arc::new(ada.identity());
        let shown = |ada: &User, now| {
            ada.visitor(&session, Arc::clone(&identity), now).proofs.trusted_device.is_some()
        };
        assert!(shown(&ada, at(300)));
        assert!(!shown(&ada, at(100).plus(MONTH.lasting)));
        assert_eq!(
            ada.present_device(device, 9, &Seen::default(), at(300)),
            Some(Presented::Copied)
        );
        assert!(!shown(&ada, at(300)));
    }

    #[test]
    fn the_least_recently_used_of_too_many_devices_goes() {
        let mut ada = ada_with_two_factor();
        for n in 0..10_u8 {
            ada.trust(
                DeviceId::from([n; 16]),
                None,
                MONTH,
                &Seen::default(),
                at(100 + u64::from(n)),
            );
        }
        ada.present_device(DeviceId::from([0; 16]), 1, &Seen::default(), at(500));
        ada.trust(DeviceId::from([99; 16]), None, MONTH, &Seen::default(), at(600));
        assert_eq!(ada.devices().len(), 10);
        assert_eq!(ada.present_device(DeviceId::from([1; 16]), 1, &Seen::default(), at(700)), None);
        assert!(
            ada.present_device(DeviceId::from([0; 16]), 2, &Seen::default(), at(700)).is_some()
        );
    }

    #[test]
    fn a_person_has_ten_known_browsers_at_most() {
        let mut ada = ada();
        for n in 0..11_u8 {
            ada.succeed(None, BrowserId::from([n; 16]), at(u64::from(n)));
        }
        assert!(!ada.knows(BrowserId::from([0; 16])));
        assert!(ada.knows(BrowserId::from([10; 16])));
    }
}
