//! Second factors: the table of their kinds, and one factor of a user.
//!
//! The set of kinds is closed. Each kind is one row of [`KINDS`] and a file here with what is
//! stored and checked; the words of the configuration, of logs and of `Remote-Amr` come from the
//! table. To add a kind, add a variant to [`Kind`], [`Is`], [`Begun`] and [`Answer`] and a row; the
//! compiler shows what is missing in this file, and a test walks the table for the pages.

use std::fmt;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::id::random_id;
use super::mailed::MailedCode;
use security_key::SignInChallenge;

pub mod aaguid;
pub mod code;
pub mod recovery;
pub mod security_key;
pub mod totp;

use super::assurance::Worth;
use super::phone::Number;
use super::secret::Secret;
use super::time::Timestamp;

/// A kind of second factor, or what stands in for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Codes of an authenticator app.
    #[n(0)]
    Totp,
    /// Recovery codes.
    #[n(1)]
    RecoveryCode,
    /// Security keys and passkeys.
    #[n(2)]
    SecurityKey,
    /// Codes in text messages.
    #[n(3)]
    Sms,
    /// Codes in e-mails, which only stand in for those in text messages.
    #[n(4)]
    Email,
}

/// What there is to know of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// Its word in the configuration, in JSON and in logs.
    pub word: &'static str,
    /// Other words that people write for it in the configuration; they are told the right one.
    pub also: &'static [&'static str],
    /// Its name on pages and in mails.
    pub name: &'static str,
    /// The authentication method that `Remote-Amr` names (RFC 8176 §2, or our own word).
    pub amr: &'static str,
    /// The same for a factor that can be copied.
    pub amr_of_copies: &'static str,
    /// How many factors of this kind a user may have; 0 if it only stands in for a factor.
    pub at_most: usize,
    /// The kind beside which alone it may be set up, and in whose place it is offered.
    pub backs_up: Option<Kind>,
    /// Whether somebody could guess an answer. If so, wrong ones are counted, and a wait or a lock
    /// refuses right ones, too.
    pub can_be_guessed: bool,
    /// Whether it cannot be phished: the answer is bound to the host that asked.
    pub resists_phishing: bool,
    /// What is logged, and what the user reads, when something happens with one.
    pub told: Told,
}

/// The events of a kind, in words.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// A right answer was given.
    pub shown: News,
    /// Another factor was added.
    pub added: News,
    /// The user's factors were replaced by a new one.
    pub replaced: News,
    /// A factor was removed.
    pub removed: News,
    /// A factor was renamed.
    pub renamed: News,
}

/// One event, in words for logs, for the user's activity, and for the notice by mail.
#[derive(Clone, Copy, Debug)]
pub struct News {
    /// Its name in logs and metrics, in kebab-case; stable.
    pub event: &'static str,
    /// For log lines.
    pub logged: &'static str,
    /// A sentence for the user's activity.
    pub read: &'static str,
    /// The subject and the first sentence of the notice; `None` if the user gets none.
    pub mailed: Option<(&'static str, &'static str)>,
}

/// The table: a row for each kind, in the order of [`Kind`].
pub static KINDS: [Row; 5] = [totp::ROW, recovery::ROW, security_key::ROW, code::SMS, code::EMAIL];

impl Kind {
    /// The row of this kind.
    pub const fn row(self) -> &'static Row {
        &KINDS[self as usize]
    }

    /// Its word in the configuration, in JSON and in logs.
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// Its name with an article: `a recovery code`.
    pub fn a_name(self) -> String {
        let name = self.row().name;
        let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {name}")
    }

    /// Whether a user can set one up. A recovery code only stands in for one.
    pub const fn is_factor(self) -> bool {
        self.row().at_most > 0
    }

    /// Whether it is a factor in its own right, not only a backup of another kind.
    pub const fn stands_alone(self) -> bool {
        self.is_factor() && self.row().backs_up.is_none()
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|row| row.kind)
    }

    /// The kind with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.word() == word)
    }
}

// A row stands where its kind is looked up.
const _: () = {
    let mut index = 0;
    while index < KINDS.len() {
        assert!(KINDS[index].kind as usize == index, "a row is in the wrong place");
        index += 1;
    }
};

/// Identifies one factor of a user, or one set of recovery codes. It is not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorId(#[n(0)] ByteArray<16>);

random_id!(FactorId);

/// A user's own name for a factor: 1 to 64 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct FactorName(#[n(0)] String);

impl FactorName {
    /// The maximum number of characters in a name.
    pub const AT_MOST: usize = 64;

    /// Parses a name as typed, without the white space around it. `None` if it is empty, too long,
    /// or contains control characters.
    pub fn parse(typed: &str) -> Option<Self> {
        let name = typed.trim();
        let fits = (1..=Self::AT_MOST).contains(&name.chars().count());
        (fits && !name.chars().any(char::is_control)).then(|| Self(name.to_owned()))
    }
}

impl fmt::Display for FactorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses six digits as typed. Spaces are ignored, because apps show one in the middle.
///
/// # Errors
/// [`Rejection::Wrong`] if the text is anything else.
pub(super) fn six_digits(typed: &str) -> Result<Secret, Rejection> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let six = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    if six { Ok(Secret::from(digits)) } else { Err(Rejection::Wrong) }
}

/// One second factor of a user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Factor {
    #[n(0)]
    id: FactorId,
    #[n(1)]
    name: Option<FactorName>,
    #[n(2)]
    added: Timestamp,
    #[n(3)]
    last_used: Timestamp,
    #[n(4)]
    is: Is,
}

/// What a factor stores, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Is {
    /// An authenticator.
    #[n(0)]
    Totp(#[n(0)] totp::Totp),
    /// A security key.
    #[n(1)]
    SecurityKey(#[n(0)] security_key::SecurityKey),
    /// A phone that gets text messages.
    #[n(2)]
    Sms(#[n(0)] code::Phone),
    /// A mailbox that gets codes.
    #[n(3)]
    Email(#[n(0)] code::Mailbox),
}

/// What the set-up of a factor, or a challenge, has begun with: it waits for a right answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Begun {
    /// The key that an authenticator is shown.
    #[n(0)]
    Totp(#[n(0)] totp::Key),
    /// What a security key is asked to sign.
    #[n(1)]
    SecurityKey(#[n(0)] security_key::Challenge),
    /// Where a code goes as a text message, and the code once it was sent.
    #[n(2)]
    Sms(#[n(0)] code::Texted),
    /// The same for an e-mail.
    #[n(3)]
    Email(#[n(0)] code::Emailed),
}

/// What a visitor gives as a second factor, or instead of one. Those of security keys are verified.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A code of an authenticator.
    Totp(totp::Code),
    /// A recovery code.
    RecoveryCode(recovery::Code),
    /// A new security key.
    NewSecurityKey(security_key::New),
    /// A security key.
    SecurityKey(security_key::Shown),
    /// A code from a text message: the number to which it was sent, if it is right.
    Sms(Option<Number>),
    /// A code from an e-mail: the address to which it was sent, if it is right.
    Email(Option<super::name::Email>),
}

/// The settings of all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The accepted clock skew of an authenticator.
    pub skew: totp::Skew,
    /// How many recovery codes a set has.
    pub recovery_codes: usize,
}

impl Begun {
    /// Begins to set up a factor of this kind; `None` if the kind only stands in for a factor.
    pub fn random(kind: Kind, rng: &mut dyn CryptoRng) -> Option<Self> {
        match kind {
            Kind::Totp => Some(Self::Totp(totp::Key::random(rng))),
            Kind::RecoveryCode => None,
            Kind::SecurityKey => Some(Self::SecurityKey(security_key::Challenge::random(rng))),
            Kind::Sms => Some(Self::Sms(code::Texted::default())),
            Kind::Email => Some(Self::Email(code::Emailed::default())),
        }
    }

    /// Begins a challenge by this kind; `None` if its answers need nothing that has begun, or the
    /// visitor must ask for it: a page that is only opened sends no code.
    pub fn challenge(kind: Kind, rng: &mut dyn CryptoRng) -> Option<Self> {
        match kind {
            Kind::Totp | Kind::RecoveryCode | Kind::Sms | Kind::Email => None,
            Kind::SecurityKey => Some(Self::SecurityKey(security_key::Challenge::random(rng))),
        }
    }

    /// The kind that is set up.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Totp(_) => Kind::Totp,
            Self::SecurityKey(_) => Kind::SecurityKey,
            Self::Sms(_) => Kind::Sms,
            Self::Email(_) => Kind::Email,
        }
    }

    /// How long it waits before it expires.
    pub const fn lasts(&self) -> Duration {
        match self {
            Self::Totp(_) => Duration::from_mins(15),
            Self::SecurityKey(_) => Duration::from_mins(5),
            Self::Sms(_) | Self::Email(_) => MailedCode::LASTS,
        }
    }

    /// How long a page that is shown again shows the same: as long as it waits, if people copy it to
    /// another device. What a security key is asked is kept for a moment, so that a page which is
    /// loaded again and again does not write a record each time.
    pub const fn is_kept_for(&self) -> Duration {
        match self {
            Self::Totp(_) | Self::Sms(_) | Self::Email(_) => self.lasts(),
            Self::SecurityKey(_) => Duration::from_mins(1),
        }
    }

    /// The same after one more wrong code, if that counts against the one that was sent.
    #[must_use]
    pub fn with_one_more_wrong(self) -> Self {
        match self {
            Self::Sms(texted) => Self::Sms(texted.with_one_more_wrong()),
            Self::Email(emailed) => Self::Email(emailed.with_one_more_wrong()),
            begun @ (Self::Totp(_) | Self::SecurityKey(_)) => begun,
        }
    }

    /// Makes this a factor with the given `id`. The first right answer proves it and is used up.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if the answer is wrong, or one of another kind.
    pub fn finish(
        self,
        id: FactorId,
        answer: &Answer,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Factor, Rejection> {
        let is = match (self, answer) {
            (Self::Totp(key), Answer::Totp(code)) => {
                Is::Totp(totp::Totp::set_up(key, code, settings.skew, now)?)
            }
            (Self::SecurityKey(_), Answer::NewSecurityKey(new)) => {
                Is::SecurityKey(security_key::SecurityKey::set_up(new, now))
            }
            (Self::Sms(_), Answer::Sms(Some(number))) => Is::Sms(code::Phone::new(number.clone())),
            (Self::Email(_), Answer::Email(Some(address))) => {
                Is::Email(code::Mailbox::new(address.clone()))
            }
            (Self::Totp(_) | Self::SecurityKey(_) | Self::Sms(_) | Self::Email(_), _) => {
                return Err(Rejection::Wrong);
            }
        };
        Ok(Factor { id, name: None, added: now, last_used: now, is })
    }
}

impl Factor {
    /// The id; never reused.
    pub const fn id(&self) -> FactorId {
        self.id
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self.is {
            Is::Totp(_) => Kind::Totp,
            Is::SecurityKey(_) => Kind::SecurityKey,
            Is::Sms(_) => Kind::Sms,
            Is::Email(_) => Kind::Email,
        }
    }

    /// The security key, if it is one.
    pub const fn security_key(&self) -> Option<&security_key::SecurityKey> {
        match &self.is {
            Is::SecurityKey(key) => Some(key),
            Is::Totp(_) | Is::Sms(_) | Is::Email(_) => None,
        }
    }

    /// The number, if it is a phone.
    pub const fn phone(&self) -> Option<&Number> {
        match &self.is {
            Is::Sms(phone) => Some(phone.number()),
            Is::Totp(_) | Is::SecurityKey(_) | Is::Email(_) => None,
        }
    }

    /// The mailbox, if it gets codes.
    pub const fn mailbox(&self) -> Option<&code::Mailbox> {
        match &self.is {
            Is::Email(mailbox) => Some(mailbox),
            Is::Totp(_) | Is::SecurityKey(_) | Is::Sms(_) => None,
        }
    }

    /// The same, to count a code.
    pub(super) const fn mailbox_mut(&mut self) -> Option<&mut code::Mailbox> {
        match &mut self.is {
            Is::Email(mailbox) => Some(mailbox),
            Is::Totp(_) | Is::SecurityKey(_) | Is::Sms(_) => None,
        }
    }

    /// The user's own name for it.
    pub const fn name(&self) -> Option<&FactorName> {
        self.name.as_ref()
    }

    /// Renames it.
    pub fn rename(&mut self, name: FactorName) {
        self.name = Some(name);
    }

    /// Whether it may have been copied, so that nothing counts that it has shown.
    pub fn is_doubted(&self) -> bool {
        self.security_key().is_some_and(|key| key.doubted().is_some())
    }

    /// Whether it is bound to a former address of this site, so that nobody can show it here.
    pub fn is_for_other_rp_id(&self) -> bool {
        self.security_key().is_some_and(security_key::SecurityKey::is_for_other_rp_id)
    }

    /// Whether its user can show it, and what it has shown counts.
    pub fn is_sound(&self) -> bool {
        !self.is_doubted() && !self.is_for_other_rp_id()
    }

    /// Notes the RP ID that is in use now. Returns whether this changed anything.
    pub(super) fn note_rp_id(&mut self, in_use: Option<&str>) -> bool {
        match &mut self.is {
            Is::SecurityKey(key) => key.note_rp_id(in_use),
            Is::Totp(_) | Is::Sms(_) | Is::Email(_) => false,
        }
    }

    /// What it is worth beyond its kind.
    pub fn worth(&self, now: Timestamp) -> Worth {
        match self.security_key() {
            None => Worth::default(),
            Some(key) => Worth {
                can_be_copied: key.can_be_copied(),
                resists_phishing: self.is_sound() && key.counts_from() <= now,
            },
        }
    }

    /// Accepts it again although it may have been copied. It counts as one that cannot be phished
    /// after three days. Returns whether this changed anything.
    pub(super) fn keep(&mut self, now: Timestamp) -> bool {
        match &mut self.is {
            Is::SecurityKey(key) => key.keep(now),
            Is::Totp(_) | Is::Sms(_) | Is::Email(_) => false,
        }
    }

    /// Lets it count as one that cannot be phished from now on, if its kind can. Returns whether
    /// this changed anything.
    pub(super) fn count_from(&mut self, now: Timestamp) -> bool {
        match &mut self.is {
            Is::SecurityKey(key) if key.counts_from() > now => {
                key.count_from(now);
                true
            }
            Is::SecurityKey(_) | Is::Totp(_) | Is::Sms(_) | Is::Email(_) => false,
        }
    }

    /// Whether this and `other` are one authenticator under two ids: the same credential.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let credential = |factor: &Self| factor.security_key().map(|key| key.credential().clone());
        credential(self).is_some_and(|its| credential(other) == Some(its))
    }

    /// When it was set up.
    pub const fn added(&self) -> Timestamp {
        self.added
    }

    /// When one of its answers was last accepted.
    pub const fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// Checks `answer` and, if it is right, uses it up.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if it is wrong, or of another factor, [`Rejection::Used`] if it was right
    /// and has been used before, [`Rejection::Doubted`] if it shows that there may be a copy of the
    /// factor.
    pub fn check(
        &mut self,
        answer: &Answer,
        settings: Settings,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        match (&mut self.is, answer) {
            (Is::Totp(totp), Answer::Totp(code)) => totp.check(code, settings.skew, now)?,
            (Is::SecurityKey(key), Answer::SecurityKey(shown)) if shown.factor == self.id => {
                key.check(shown, now)?;
            }
            (Is::Sms(phone), Answer::Sms(Some(number))) if phone.number() == number => {}
            (Is::Email(mailbox), Answer::Email(Some(address))) if mailbox.address() == address => {}
            (Is::Totp(_) | Is::SecurityKey(_) | Is::Sms(_) | Is::Email(_), _) => {
                return Err(Rejection::Wrong);
            }
        }
        self.last_used = now;
        Ok(())
    }

    /// Accepts a verified answer of a passkey to a sign-in.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] if it is another factor, or did not verify its user; and those of
    /// [`Factor::check`].
    pub fn sign_in(
        &mut self,
        shown: &security_key::Shown,
        asked: SignInChallenge,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        match &mut self.is {
            Is::SecurityKey(key) if shown.factor == self.id => key.sign_in(shown, asked, now)?,
            Is::SecurityKey(_) | Is::Totp(_) | Is::Sms(_) | Is::Email(_) => {
                return Err(Rejection::Wrong);
            }
        }
        self.last_used = now;
        Ok(())
    }

    /// Voids every answer that may have been used by `now`.
    pub fn void(&mut self, settings: Settings, now: Timestamp) {
        match &mut self.is {
            Is::Totp(totp) => totp.void(settings.skew, now),
            // What it was asked, or sent, ended with the sessions.
            Is::SecurityKey(_) | Is::Sms(_) | Is::Email(_) => {}
        }
    }
}

impl Answer {
    /// The kind of factor that gives such an answer.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Totp(_) => Kind::Totp,
            Self::RecoveryCode(_) => Kind::RecoveryCode,
            Self::NewSecurityKey(_) | Self::SecurityKey(_) => Kind::SecurityKey,
            Self::Sms(_) => Kind::Sms,
            Self::Email(_) => Kind::Email,
        }
    }
}

/// Why an answer was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong.
    Wrong,
    /// It was right but has been used before. This is not a failure.
    Used,
    /// After too many failures, attempts are refused until this time.
    Waiting {
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// After too many failures, only what cannot be guessed (a recovery code, a security key) or an
    /// administrator helps.
    Locked,
    /// This factor may have been copied. It is refused until its owner says otherwise.
    Doubted {
        /// When that was noticed.
        since: Timestamp,
    },
    /// It is a new security key of a model that is not accepted here.
    OtherModel,
    /// What was asked has expired, or was answered before: it must be asked again.
    Expired,
    /// The user has no such factor.
    NotSetUp,
    /// The user said that this factor is not theirs. It is refused until an administrator helps.
    Frozen,
}
