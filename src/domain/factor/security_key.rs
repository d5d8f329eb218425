//! Security keys and passkeys (WebAuthn Level 3): what is stored of one, and what an answer changes.
//!
//! Whether an answer is genuine (challenge, origin, signature) is verified by `identity::webauthn`.
//! This file says what a verified answer then means. The fields are our own, so that the library
//! which verifies can be exchanged.

use std::fmt;
use std::time::Duration;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::aaguid::Aaguid;
use super::{FactorId, Kind, News, Rejection, Row, Told};
use crate::domain::time::Timestamp;

/// This kind in the table of factors.
pub const ROW: Row = Row {
    kind: Kind::SecurityKey,
    word: "security-key",
    also: &["security_key", "webauthn", "passkey", "fido2", "u2f"],
    name: "security key",
    amr: "hwk",
    amr_of_copies: "swk",
    at_most: 20,
    backs_up: None,
    can_be_guessed: false,
    resists_phishing: true,
    told: Told {
        shown: News {
            event: "security-key-shown",
            logged: "security key accepted",
            read: "You used a security key.",
            mailed: None,
        },
        added: News {
            event: "security-key-added",
            logged: "security key added",
            read: "You added a security key.",
            mailed: Some(("a security key was added", "Another security key was added.")),
        },
        replaced: News {
            event: "security-key-replaced",
            logged: "all second factors replaced with a security key",
            read: "You replaced your second factors with a security key.",
            mailed: Some((
                "your second factors were replaced",
                "Your second factors were replaced with a security key.",
            )),
        },
        removed: News {
            event: "security-key-removed",
            logged: "security key removed",
            read: "You removed a security key.",
            mailed: Some(("a security key was removed", "One of your security keys was removed.")),
        },
        renamed: News {
            event: "security-key-renamed",
            logged: "security key renamed",
            read: "You renamed a security key.",
            mailed: None,
        },
    },
};

/// What a key is asked to sign: 32 random bytes, used once (WebAuthn §13.4.3 asks for 16 or more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Challenge(#[n(0)] ByteArray<32>);

impl Challenge {
    /// A random challenge.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes.into())
    }

    /// The bytes. They are not a secret: the browser is told them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Challenge {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }
}

/// The name by which an authenticator knows one of its credentials: 1 to 1,023 bytes (WebAuthn
/// §6.5.1).
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct CredentialId(#[n(0)] ByteVec);

impl CredentialId {
    /// The maximum length in bytes.
    pub const AT_MOST: usize = 1023;

    /// `None` if the length is not allowed.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (1..=Self::AT_MOST).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({} bytes)", self.0.len())
    }
}

/// A public key as a `COSE_Key` (RFC 9052 §7), as the authenticator sent it; at most 2 KiB.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct PublicKey(#[n(0)] ByteVec);

impl PublicKey {
    /// The maximum length in bytes: an RSA key of 8,192 bits fits.
    pub const AT_MOST: usize = 2048;

    /// `None` if it is empty or too long.
    pub fn new(cose: Vec<u8>) -> Option<Self> {
        (1..=Self::AT_MOST).contains(&cose.len()).then(|| Self(cose.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bytes)", self.0.len())
    }
}

/// How a browser may reach a key (WebAuthn §5.8.4): a hint for its dialog, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// USB.
    Usb,
    /// NFC.
    Nfc,
    /// Bluetooth.
    Ble,
    /// Contact cards.
    SmartCard,
    /// Another device nearby, such as a phone.
    Hybrid,
    /// Built into the device with the browser.
    Internal,
}

impl Transport {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Usb, "usb"),
        (Self::Nfc, "nfc"),
        (Self::Ble, "ble"),
        (Self::SmartCard, "smart-card"),
        (Self::Hybrid, "hybrid"),
        (Self::Internal, "internal"),
    ];

    /// The transport with this word; browsers may send words that are newer than this list.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, its)| *its == word).map(|(transport, _)| *transport)
    }
}

/// A set of transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Transports(#[n(0)] u8);

impl Transports {
    /// The words of the transports in this set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let has = move |transport| self.0 & (1 << transport as u8) != 0;
        Transport::ALL.into_iter().filter(move |(each, _)| has(*each)).map(|(_, word)| word)
    }
}

impl FromIterator<Transport> for Transports {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> Self {
        Self(transports.into_iter().fold(0, |bits, transport| bits | 1 << transport as u8))
    }
}

/// A new key whose set-up was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// Its id.
    pub credential: CredentialId,
    /// Its public key.
    pub public_key: PublicKey,
    /// Its signature counter; 0 if it has none.
    pub counter: u32,
    /// Whether it verified its user, by PIN or biometrics.
    pub user_verified: bool,
    /// Whether it can be copied to other devices (backup eligibility).
    pub can_be_copied: bool,
    /// Whether it has been copied (backup state).
    pub is_copied: bool,
    /// Whether it can be found without a user name; `None` if the browser does not say.
    pub is_discoverable: Option<bool>,
    /// How browsers may reach it.
    pub transports: Transports,
    /// The model of the authenticator.
    pub aaguid: Aaguid,
    /// The RP ID that it is bound to (WebAuthn §4).
    pub rp_id: String,
}

/// A verified answer of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key.
    pub factor: FactorId,
    /// Its signature counter; 0 if it has none.
    pub counter: u32,
    /// Whether it verified its user, by PIN or biometrics.
    pub user_verified: bool,
    /// Whether it has been copied (backup state).
    pub is_copied: bool,
}

/// A security key or passkey of a user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else of the key")]
pub struct SecurityKey {
    #[n(0)]
    credential: CredentialId,
    #[n(1)]
    public_key: PublicKey,
    #[n(2)]
    counter: u32,
    #[n(3)]
    verifies_user: bool,
    #[n(4)]
    can_be_copied: bool,
    #[n(5)]
    is_copied: bool,
    #[n(6)]
    is_discoverable: Option<bool>,
    #[n(7)]
    transports: Transports,
    #[n(8)]
    aaguid: ByteArray<16>,
    /// When its counter went back; it is refused since then.
    #[n(9)]
    doubted: Option<Timestamp>,
    /// The challenges of sign-ins that it has answered lately.
    #[n(10)]
    answered: Vec<Answered>,
    /// From when on it counts as one that cannot be phished.
    #[n(11)]
    counts_from: Timestamp,
    /// The RP ID that it is bound to (WebAuthn §4).
    #[n(12)]
    rp_id: String,
    /// Whether this is another RP ID than the one in use, for which no browser offers it.
    #[n(13)]
    is_for_other_rp_id: bool,
}

/// A challenge of a sign-in that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Answered {
    #[n(0)]
    challenge: Challenge,
    /// When it was asked.
    #[n(1)]
    asked: Timestamp,
}

/// What a sign-in asks any key. It is kept in no record: the browser carries it, signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignInChallenge {
    /// What is to be signed.
    pub challenge: Challenge,
    /// When it was asked.
    pub asked: Timestamp,
}

impl SignInChallenge {
    /// How long an answer is accepted.
    pub const LASTS: Duration = Duration::from_mins(5);

    /// Whether it still waits for an answer.
    pub fn waits(&self, now: Timestamp) -> bool {
        now.within(Self::LASTS, self.asked)
    }
}

impl SecurityKey {
    /// How many sign-ins one key may answer in five minutes.
    const ANSWERS_AT_MOST: usize = 30;

    /// How long a key waits until it counts as one that cannot be phished, if somebody adds it who
    /// has shown nothing as strong: its owner has time to notice.
    pub const SETTLES: Duration = Duration::from_hours(72);

    /// Stores a new key. It counts as one that cannot be phished after [`SecurityKey::SETTLES`].
    pub(super) fn set_up(new: &New, now: Timestamp) -> Self {
        Self {
            credential: new.credential.clone(),
            public_key: new.public_key.clone(),
            counter: new.counter,
            verifies_user: new.user_verified,
            can_be_copied: new.can_be_copied,
            is_copied: new.is_copied,
            is_discoverable: new.is_discoverable,
            transports: new.transports,
            aaguid: new.aaguid.0.into(),
            doubted: None,
            answered: Vec::new(),
            counts_from: now.plus(Self::SETTLES),
            rp_id: new.rp_id.clone(),
            is_for_other_rp_id: false,
        }
    }

    /// Accepts a verified answer, unless its signature counter is not higher than the last one: then
    /// there may be a copy of the key, and it is refused from now on (WebAuthn §6.1.1, §7.2 step 22).
    ///
    /// Keys without a counter always send 0, and passkeys that are synchronised have none.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if it is for another RP ID, [`Rejection::Doubted`] if the counter went
    /// back, now or before.
    pub(super) fn check(&mut self, shown: &Shown, now: Timestamp) -> Result<(), Rejection> {
        if self.is_for_other_rp_id {
            return Err(Rejection::Wrong);
        }
        let counts = shown.counter > 0 || self.counter > 0;
        if counts && shown.counter <= self.counter {
            self.doubted.get_or_insert(now);
        }
        if let Some(since) = self.doubted {
            return Err(Rejection::Doubted { since });
        }
        self.counter = shown.counter;
        self.is_copied = shown.is_copied && self.can_be_copied;
        Ok(())
    }

    /// Accepts a verified answer to a sign-in: once for each challenge, and only from a key that
    /// verified its user when it was set up, and now (WebAuthn §7.2 step 17, and `uvInitialized` of
    /// §4). A found key without a PIN would get its PIN from the finder.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if it did not verify its user, [`Rejection::Expired`] if the challenge
    /// expired or was answered before, and those of [`SecurityKey::check`].
    pub(super) fn sign_in(
        &mut self,
        shown: &Shown,
        asked: SignInChallenge,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if !(self.verifies_user && shown.user_verified) {
            return Err(Rejection::Wrong);
        }
        let lasts = |answered: &Answered| now.within(SignInChallenge::LASTS, answered.asked);
        self.answered.retain(lasts);
        let again = self.answered.iter().any(|answered| answered.challenge == asked.challenge);
        if again || !asked.waits(now) || self.answered.len() >= Self::ANSWERS_AT_MOST {
            return Err(Rejection::Expired);
        }
        self.check(shown, now)?;
        self.answered.push(Answered { challenge: asked.challenge, asked: asked.asked });
        Ok(())
    }

    /// Accepts it again although its counter went back: its owner knows the reason. The counter of
    /// the next answer is taken as it is, and it counts as one that cannot be phished after
    /// [`SecurityKey::SETTLES`]. Returns whether this changed anything.
    pub(super) fn keep(&mut self, now: Timestamp) -> bool {
        if self.doubted.take().is_none() {
            return false;
        }
        self.counter = 0;
        self.counts_from = now.plus(Self::SETTLES);
        true
    }

    /// Notes the RP ID that is in use now; `None`: keys cannot be used. Returns whether this changed
    /// anything.
    pub(super) fn note_rp_id(&mut self, in_use: Option<&str>) -> bool {
        let is_for_other = in_use != Some(self.rp_id.as_str());
        std::mem::replace(&mut self.is_for_other_rp_id, is_for_other) != is_for_other
    }

    /// The RP ID that it is bound to.
    pub fn rp_id(&self) -> &str {
        &self.rp_id
    }

    /// Whether it is bound to another RP ID than the one in use, so that it cannot be used.
    pub const fn is_for_other_rp_id(&self) -> bool {
        self.is_for_other_rp_id
    }

    /// From when on it counts as one that cannot be phished.
    pub const fn counts_from(&self) -> Timestamp {
        self.counts_from
    }

    /// Lets it count as one that cannot be phished from now on.
    pub(super) fn count_from(&mut self, now: Timestamp) {
        self.counts_from = self.counts_from.min(now);
    }

    /// The id of the credential.
    pub const fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// The public key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether it verified its user, by PIN or biometrics, when it was set up.
    pub const fn verifies_user(&self) -> bool {
        self.verifies_user
    }

    /// Whether it can be copied to other devices.
    pub const fn can_be_copied(&self) -> bool {
        self.can_be_copied
    }

    /// Whether it has been copied, as it said last.
    pub const fn is_copied(&self) -> bool {
        self.is_copied
    }

    /// Whether it can be found without a user name; `None` if the browser did not say.
    pub const fn is_discoverable(&self) -> Option<bool> {
        self.is_discoverable
    }

    /// How browsers may reach it.
    pub const fn transports(&self) -> Transports {
        self.transports
    }

    /// The model of the authenticator, as it said itself.
    pub fn aaguid(&self) -> Aaguid {
        Aaguid(*self.aaguid)
    }

    /// When its counter went back; it is refused since then.
    pub const fn doubted(&self) -> Option<Timestamp> {
        self.doubted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const DOUBTED: Result<(), Rejection> = Err(Rejection::Doubted { since: NOW });

    fn new() -> New {
        New {
            credential: CredentialId::new(vec![1; 16]).unwrap(),
            public_key: PublicKey::new(vec![2; 77]).unwrap(),
            counter: 5,
            user_verified: true,
            can_be_copied: false,
            is_copied: false,
            is_discoverable: Some(true),
            transports: [Transport::Usb, Transport::Nfc].into_iter().collect(),
            aaguid: Aaguid([3; 16]),
            rp_id: "login.example.com".to_owned(),
        }
    }

    fn shown(counter: u32) -> Shown {
        Shown { factor: FactorId::from([4; 16]), counter, user_verified: true, is_copied: false }
    }

    #[test]
    fn a_key_for_another_rp_id_shows_nothing_until_its_own_is_in_use_again() {
        let mut key = SecurityKey::set_up(&new(), NOW);
        for other in [Some("example.com"), None] {
            assert!(key.note_rp_id(other) && !key.note_rp_id(other), "{other:?}");
            assert_eq!(key.check(&shown(6), NOW), Err(Rejection::Wrong));
            assert!(key.note_rp_id(Some("login.example.com")));
        }
        assert_eq!(key.check(&shown(6), NOW), Ok(()));
    }

    #[test]
    fn a_counter_that_goes_back_or_stands_still_is_refused_from_then_on() {
        for odd in [0, 4, 5] {
            let mut key = SecurityKey::set_up(&new(), NOW);
            assert_eq!(key.check(&shown(odd), NOW), DOUBTED, "{odd}");
            assert_eq!(key.doubted(), Some(NOW));
            assert_eq!(key.check(&shown(6), NOW), DOUBTED, "{odd}: the true one");
        }
        let mut key = SecurityKey::set_up(&new(), NOW);
        assert_eq!(key.check(&shown(6), NOW), Ok(()));
        assert_eq!(key.check(&shown(u32::MAX), NOW), Ok(()));
        assert_eq!(key.doubted(), None);
    }

    #[test]
    fn a_key_that_is_kept_begins_with_the_counter_that_it_has() {
        let mut key = SecurityKey::set_up(&new(), NOW);
        assert!(!key.keep(NOW), "nobody doubts it");
        key.check(&shown(2), NOW).unwrap_err();
        let later = NOW.plus(Duration::from_secs(9));
        assert!(key.keep(later));
        assert_eq!((key.doubted(), key.counts_from()), (None, later.plus(SecurityKey::SETTLES)));
        assert_eq!(key.check(&shown(3), later), Ok(()));
        assert_eq!(key.check(&shown(3), later), Err(Rejection::Doubted { since: later }));
    }

    #[test]
    fn a_key_without_a_counter_is_accepted_again_and_again() {
        let mut key = SecurityKey::set_up(&New { counter: 0, ..new() }, NOW);
        assert_eq!(key.check(&shown(0), NOW), Ok(()));
        assert_eq!(key.check(&shown(0), NOW), Ok(()));
        assert_eq!(key.check(&shown(1), NOW), Ok(()));
        assert_eq!(key.check(&shown(0), NOW), DOUBTED);
    }

    #[test]
    fn a_sign_in_is_answered_once_by_a_key_that_verifies_its_user() {
        let asked = SignInChallenge { challenge: [1; 32].into(), asked: NOW };
        let mut key = SecurityKey::set_up(&New { counter: 0, ..new() }, NOW);
        assert_eq!(key.sign_in(&shown(0), asked, NOW), Ok(()));
        assert_eq!(key.sign_in(&shown(0), asked, NOW), Err(Rejection::Expired), "again");
        let late = NOW.plus(Duration::from_secs(301));
        let other = SignInChallenge { challenge: [2; 32].into(), asked: NOW };
        assert_eq!(key.sign_in(&shown(0), other, late), Err(Rejection::Expired), "late");
        let without = Shown { user_verified: false, ..shown(0) };
        assert_eq!(key.sign_in(&without, other, NOW), Err(Rejection::Wrong), "not verified");
        assert_eq!(key.sign_in(&shown(0), other, NOW), Ok(()));
        let mut found = SecurityKey::set_up(&New { user_verified: false, ..new() }, NOW);
        assert_eq!(found.sign_in(&shown(6), asked, NOW), Err(Rejection::Wrong), "a PIN of later");
    }

    #[test]
    fn ids_and_keys_have_a_length() {
        assert!(CredentialId::new(vec![]).is_none());
        assert!(CredentialId::new(vec![0; 1023]).is_some());
        assert!(CredentialId::new(vec![0; 1024]).is_none());
        assert!(PublicKey::new(vec![]).is_none());
        assert!(PublicKey::new(vec![0; 2049]).is_none());
    }

    #[test]
    fn transports_are_told_as_browsers_name_them() {
        let words = ["internal", "usb", "pigeon"];
        let transports: Transports =
            words.iter().filter_map(|word| Transport::of_word(word)).collect();
        assert_eq!(transports.words().collect::<Vec<_>>(), ["usb", "internal"]);
        assert_eq!(Transports::default().words().count(), 0);
    }
}
