//! What a page requires, what a visitor has proved, and whether that is enough.
//!
//! All access goes through this one mechanism: paths of applications, our own pages, confirming the
//! password before a change, a fresh code before a payment. Each is a [`Requirement`] that is
//! judged against [`Evidence`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Decoder, Encode, Encoder};

use super::device::DeviceId;
use super::factor::{FactorId, KINDS, Kind};
use super::identity::Identity;
use super::time::Timestamp;

/// How much is required, from nothing to more than anybody can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Anybody may enter.
    Nothing,
    /// A first factor was shown in this session, at any time. Nothing raises this level. It is for
    /// the pages on which people complete a sign-in.
    Step,
    /// A signed-in user. Raised to [`Level::SecondFactor`] for users who have one set up.
    SignIn,
    /// A signed-in user who has shown a second factor.
    SecondFactor,
    /// Nobody may enter.
    Nobody,
}

/// What is required of a visitor.
///
/// `within` and `trusted_device` concern the second factor. They apply only where `level`, after it
/// was raised for this user, asks for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The level.
    pub level: Level,
    /// The first factor must have been shown no longer ago than this.
    pub confirm_within: Option<Duration>,
    /// The second factor must have been shown no longer ago than this. If set, a trusted device is
    /// not accepted.
    pub within: Option<Duration>,
    /// Which kinds of second factor count.
    pub kinds: Kinds,
    /// Whether a trusted device is accepted instead of the second factor.
    pub trusted_device: bool,
    /// Whether users who have a factor that cannot be phished must show such a one, or a recovery
    /// code, which stands in for a lost one.
    pub strongest: bool,
    /// Who may enter: a user must be admitted by every item. An empty list admits everybody.
    pub only: Option<Arc<[Only]>>,
}

/// A set of people, by user name and by group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Only {
    /// These users; names are normalised.
    pub users: BTreeSet<String>,
    /// Members of any of these groups.
    pub groups: BTreeSet<String>,
}

impl Only {
    /// Whether this user is in the set.
    pub fn admits(&self, identity: &Identity) -> bool {
        self.users.contains(&identity.name) || !self.groups.is_disjoint(&identity.groups)
    }
}

/// Formats as `users ada or bob or groups staff`.
impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &BTreeSet<String>| {
            names.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
        };
        match (self.users.is_empty(), self.groups.is_empty()) {
            (false, false) => {
                write!(f, "users {} or groups {}", list(&self.users), list(&self.groups))
            }
            (false, true) => write!(f, "users {}", list(&self.users)),
            (true, _) => write!(f, "groups {}", list(&self.groups)),
        }
    }
}

/// A set of kinds of second factor, each of which counts whatever the factor is worth, or only if it
/// resists phishing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u16);

/// A bit for each kind, and above them one for each kind if the factor resists phishing.
const HALF: usize = 8;
const _: () = assert!(KINDS.len() < HALF, "there are more kinds than bits");
/// Between them: what a trusted provider says of its own second factor.
const OF_PROVIDERS: u16 = 1 << (HALF - 1);

impl Kinds {
    /// No kind at all, so nobody can meet it.
    pub const NONE: Self = Self(0);
    /// Every kind, and the second factor of a provider.
    pub const ALL: Self = Self((((1 << KINDS.len()) - 1) * (1 + (1 << HALF))) | OF_PROVIDERS);
    /// The second factor of a provider that is trusted to say so. Nobody can show it here.
    pub const PROVIDER: Self = Self(OF_PROVIDERS);
    /// The word for [`Kinds::PROVIDER`] in the configuration and in explanations.
    pub const PROVIDER_WORD: &str = "provider";
    /// Every kind, if the factor resists phishing.
    pub const PHISHING_RESISTANT: Self = {
        let (mut bits, mut index) = (0, 0);
        while index < KINDS.len() {
            if KINDS[index].resists_phishing {
                bits |= 1 << (index + HALF);
            }
            index += 1;
        }
        Self(bits)
    };
    /// Every kind but those that only back up another one.
    pub const NO_BACKUPS: Self = {
        let (mut bits, mut index) = (Self::ALL.0, 0);
        while index < KINDS.len() {
            if KINDS[index].backs_up.is_some() {
                bits &= !Self::only(KINDS[index].kind).0;
            }
            index += 1;
        }
        Self(bits)
    };
    /// The word for [`Kinds::PHISHING_RESISTANT`] in the configuration and in explanations.
    pub const PHISHING_RESISTANT_WORD: &str = "phishing-resistant";

    /// Only this kind, whatever the factor is worth.
    pub const fn only(kind: Kind) -> Self {
        Self((1 << kind as u16) * (1 + (1 << HALF)))
    }

    /// What a factor of this kind is counted as that may be worth less than its kind.
    pub const fn weaker(kind: Kind) -> Self {
        Self(1 << kind as u16)
    }

    /// The union of both sets.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The intersection of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set as bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The inverse of [`Kinds::bits`]; unknown bits are ignored.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether the second factor of a provider counts.
    pub const fn has_provider(self) -> bool {
        self.0 & OF_PROVIDERS != 0
    }

    /// The kinds that can be shown here.
    #[must_use]
    pub const fn shown_here(self) -> Self {
        Self(self.0 & !OF_PROVIDERS)
    }

    /// Whether some factor of this `kind` counts.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & Self::only(kind).0 != 0
    }

    /// Whether every factor of this `kind` counts, whatever it is worth.
    pub const fn has_any(self, kind: Kind) -> bool {
        self.0 & Self::weaker(kind).0 != 0
    }

    /// Whether what was shown counts.
    pub const fn counts(self, shown: &FactorShown) -> bool {
        self.has_any(shown.kind) || (shown.worth.resists_phishing && self.has(shown.kind))
    }

    /// The kinds in this set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::all().filter(move |kind| self.has(*kind))
    }

    /// The words of this set, as in the configuration.
    pub fn words(self) -> Vec<&'static str> {
        let mut words: Vec<_> =
            Kind::all().filter(|kind| self.has_any(*kind)).map(Kind::word).collect();
        if self.iter().any(|kind| !self.has_any(kind)) {
            words.push(Self::PHISHING_RESISTANT_WORD);
        }
        words.extend(self.has_provider().then_some(Self::PROVIDER_WORD));
        words
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().map(Self::only).fold(Self::NONE, Self::or)
    }
}

impl Requirement {
    /// Requires nothing.
    pub const fn nothing() -> Self {
        Self::of(Level::Nothing)
    }

    /// Requires what the pages of an unfinished sign-in require; see [`Level::Step`].
    pub const fn step() -> Self {
        Self::of(Level::Step)
    }

    /// Requires a signed-in user.
    pub const fn sign_in() -> Self {
        Self::of(Level::SignIn)
    }

    /// Requires a second factor, or a trusted device instead.
    pub const fn second_factor() -> Self {
        Self::of(Level::SecondFactor)
    }

    /// Refuses everybody.
    pub const fn nobody() -> Self {
        Self::of(Level::Nobody)
    }

    /// Requires what a change to one's own protection needs: the first factor shown within
    /// `confirm_for`, and, for users with a second factor, that factor within the same span. A
    /// trusted device is not accepted (NIST SP 800-63B-4 §4.1: binding an authenticator needs the
    /// highest assurance available): a factor that cannot be phished, if the user has one. A backup of
    /// another factor is not accepted either: whoever has the password and reads the mailbox could put
    /// a factor of their own in the place of all others.
    pub fn change(confirm_for: Duration) -> Self {
        Self {
            level: Level::SignIn,
            confirm_within: Some(confirm_for),
            within: Some(confirm_for),
            trusted_device: false,
            strongest: true,
            ..Self::sign_in()
        }
    }

    /// The kinds that count for this visitor.
    pub fn kinds_for(&self, visitor: &Visitor) -> Kinds {
        let resists = visitor.has.and(Kinds::PHISHING_RESISTANT) != Kinds::NONE;
        match (self.strongest, resists) {
            (false, _) => self.kinds,
            (true, false) => self.kinds.and(Kinds::NO_BACKUPS),
            (true, true) => {
                let strongest = Kinds::PHISHING_RESISTANT.or(Kinds::only(Kind::RecoveryCode));
                self.kinds.and(strongest)
            }
        }
    }

    /// Requires what a password change needs: the old password entered within `confirm_for`, and,
    /// for users with a second factor, that factor or a trusted device.
    pub fn password(confirm_for: Duration) -> Self {
        Self { confirm_within: Some(confirm_for), ..Self::sign_in() }
    }

    const fn of(level: Level) -> Self {
        Self {
            level,
            confirm_within: None,
            within: None,
            kinds: Kinds::ALL,
            trusted_device: true,
            strongest: false,
            only: None,
        }
    }

    /// Both requirements together: the stricter value of each field.
    ///
    /// If one request can be read in several ways, governed by several rules, it must meet this.
    /// Commutative, associative and idempotent; never weaker than either side. If the two have no
    /// kind of second factor in common that people can show here, nobody may enter.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let kinds = self.kinds.and(other.kinds);
        let level = self.level.max(other.level);
        Self {
            level: if kinds.shown_here() == Kinds::NONE { Level::Nobody } else { level },
            confirm_within: shorter(self.confirm_within, other.confirm_within),
            within: shorter(self.within, other.within),
            kinds,
            trusted_device: self.trusted_device && other.trusted_device,
            strongest: self.strongest || other.strongest,
            only: both(self.only.as_ref(), other.only.as_ref()),
        }
    }
}

fn both(a: Option<&Arc<[Only]>>, b: Option<&Arc<[Only]>>) -> Option<Arc<[Only]>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            let all: BTreeSet<&Only> = a.iter().chain(b.iter()).collect();
            Some(all.into_iter().cloned().collect())
        }
        (None, either) | (either, None | Some(_)) => either.cloned(),
    }
}

fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (either, None) | (None, either) => either,
    }
}

/// Which kinds of proof were shown, each with the time.
///
/// A proof of a second factor names that factor and becomes worthless when the factor is removed,
/// in every session on every host: [`User::visitor`](super::user::User::visitor) leaves it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Proofs {
    /// The first factor: which one, and when it was last shown. Without it nothing else counts.
    #[n(0)]
    pub first: Option<First>,
    /// A trusted device: which one, and when it was presented.
    #[n(1)]
    pub trusted_device: Option<TrustShown>,
    /// When a one-time link from an administrator was used. Other first factors that are shown
    /// later leave it.
    #[n(2)]
    pub link: Option<Timestamp>,
    /// When a code was entered that was mailed to the verified address. It proves access to the
    /// mailbox, for changes to one's own protection. It is not a second factor.
    #[n(3)]
    pub mailed_code: Option<Timestamp>,
    /// The second factors, at most one of each kind.
    #[n(4)]
    shown: FactorsShown,
    /// When a provider that is trusted to say so said that a second factor was shown there. It counts
    /// for as long as the user session, and is never recent: nobody knows when it was shown.
    #[n(5)]
    pub provider: Option<Timestamp>,
}

/// The first factor of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct First {
    /// When it was last shown.
    #[n(0)]
    pub at: Timestamp,
    /// Which one it was.
    #[n(1)]
    pub by: FirstFactor,
}

/// What a sign-in can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FirstFactor {
    /// The password that is stored here.
    #[n(0)]
    Password,
    /// A one-time link from an administrator, with which a password was set.
    #[n(1)]
    Link,
    /// A passkey that verified its user. It is a second factor, too, which tells its method.
    #[n(2)]
    Passkey,
    /// The identity provider that answers for the user.
    #[n(3)]
    Provider,
    /// An account at a provider that only may speak for the user, too.
    #[n(4)]
    ConnectedAccount,
}

impl FirstFactor {
    /// Its word in what applications are told of the proofs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Password | Self::Link => "password",
            Self::Passkey => "passkey",
            Self::Provider | Self::ConnectedAccount => "provider",
        }
    }

    /// The authentication method that `Remote-Amr` names (RFC 8176 §2); `None` if that of the second
    /// factor says it.
    pub const fn amr(self) -> Option<&'static str> {
        match self {
            // Whoever used the link has just chosen a password.
            Self::Password | Self::Link => Some("pwd"),
            Self::Passkey => None,
            // RFC 8176 has no word for it.
            Self::Provider | Self::ConnectedAccount => Some("fed"),
        }
    }
}

/// A second factor that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FactorShown {
    /// Its kind.
    #[n(0)]
    pub kind: Kind,
    /// The factor, or the set of recovery codes.
    #[n(1)]
    pub factor: FactorId,
    /// When it was shown.
    #[n(2)]
    pub at: Timestamp,
    /// What the factor is worth now. Never stored: [`User::honoured`] reads it from the user's record.
    ///
    /// [`User::honoured`]: super::user::User::honoured
    #[cbor(skip)]
    pub worth: Worth,
}

/// What one factor is worth beyond its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// Whether it can be copied to other devices.
    pub can_be_copied: bool,
    /// Whether it counts as one that cannot be phished.
    pub resists_phishing: bool,
}

/// The last proof of each kind of second factor. It needs no memory of its own, because it is
/// copied for each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FactorsShown([Option<FactorShown>; KINDS.len()]);

impl<C> Encode<C> for FactorsShown {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let shown: Vec<&FactorShown> = self.0.iter().flatten().collect();
        shown.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for FactorsShown {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let mut all = Self::default();
        for shown in Vec::<FactorShown>::decode(d, ctx)? {
            all.0[shown.kind as usize] = Some(shown);
        }
        Ok(all)
    }
}

/// A trusted device that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TrustShown {
    /// The device. The proof becomes worthless when the device is removed.
    #[n(0)]
    pub device: DeviceId,
    /// When it was presented.
    #[n(1)]
    pub at: Timestamp,
    /// The kind of factor because of which it is trusted. Never stored; see [`FactorShown::worth`].
    #[cbor(skip)]
    pub by: Option<Kind>,
}

/// One proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A first factor.
    First(FirstFactor),
    /// A second factor, or a recovery code of the set with this id.
    Factor(Kind, FactorId),
    /// A trusted device.
    TrustedDevice(DeviceId),
    /// A code that was mailed to the verified address.
    MailedCode,
    /// A trusted provider says that a second factor was shown there.
    ProvidersFactor,
}

impl Proof {
    /// The factor, or the set of recovery codes, that was shown; `None` for proofs that are not
    /// second factors.
    pub const fn factor(self) -> Option<FactorId> {
        match self {
            Self::Factor(_, factor) => Some(factor),
            Self::First(_) | Self::TrustedDevice(_) | Self::MailedCode | Self::ProvidersFactor => {
                None
            }
        }
    }
}

impl Proofs {
    /// Adds `proof`, shown now.
    #[must_use]
    pub fn with(mut self, proof: Proof, now: Timestamp) -> Self {
        match proof {
            Proof::First(by) => {
                self.first = Some(First { at: now, by });
                if by == FirstFactor::Link {
                    self.link = Some(now);
                }
            }
            Proof::Factor(kind, factor) => {
                let worth = Worth::default();
                self.shown.0[kind as usize] = Some(FactorShown { kind, factor, at: now, worth });
            }
            Proof::TrustedDevice(device) => {
                self.trusted_device = Some(TrustShown { device, at: now, by: None });
            }
            Proof::MailedCode => self.mailed_code = Some(now),
            Proof::ProvidersFactor => self.provider = Some(now),
        }
        self
    }

    /// Drops all proofs of a second factor, because the user no longer has one.
    #[must_use]
    pub fn without_second_factor(self) -> Self {
        Self { shown: FactorsShown::default(), trusted_device: None, provider: None, ..self }
    }

    /// Drops the proofs of second factors that do not satisfy `keep`.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&FactorShown) -> bool) -> Self {
        for shown in &mut self.shown.0 {
            *shown = shown.filter(&keep);
        }
        self
    }

    /// Says of each proof of a second factor what its factor is worth; `None`: the proof is dropped.
    #[must_use]
    pub fn valued(mut self, worth: impl Fn(&FactorShown) -> Option<Worth>) -> Self {
        for shown in &mut self.shown.0 {
            *shown = shown.and_then(|shown| Some(FactorShown { worth: worth(&shown)?, ..shown }));
        }
        self
    }

    /// What counted as shown by the factor `old` counts as shown by `new`.
    #[must_use]
    pub fn passed_on(mut self, old: FactorId, new: FactorId) -> Self {
        for shown in self.shown.0.iter_mut().flatten().filter(|shown| shown.factor == old) {
            shown.factor = new;
        }
        self
    }

    /// The last proof of this kind.
    pub fn of(&self, kind: Kind) -> Option<FactorShown> {
        self.shown.0[kind as usize]
    }

    /// All proofs of a second factor, in the order of the table.
    pub fn factors(&self) -> impl Iterator<Item = FactorShown> {
        self.shown.0.iter().flatten().copied()
    }

    /// When a second factor of one of these kinds was last shown.
    pub fn second_factor(&self, kinds: Kinds) -> Option<Timestamp> {
        self.factors().filter(|shown| kinds.counts(shown)).map(|shown| shown.at).max()
    }
}

/// The visitor and all their proofs; `None` if they are not signed in.
pub type Evidence = Option<Visitor>;

/// A visitor whose user we know.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The user.
    pub identity: Arc<Identity>,
    /// What was proved in this session. Trusted devices that are no longer trusted are left out.
    pub proofs: Proofs,
    /// Whether this user has set up a second factor.
    pub has_second_factor: bool,
    /// The kinds that this user can show.
    pub has: Kinds,
    /// Whether this user must have one. If so, every page that requires a sign-in requires it.
    pub demanded: bool,
    /// Whether there are new recovery codes that the user has not yet confirmed as saved.
    pub codes_unsaved: bool,
}

impl Visitor {
    /// The identity, if the visitor would pass `sign-in` now. Before that they count as unknown,
    /// both for rules that ask for a group and for pages that require nothing.
    pub fn known(&self) -> Option<&Identity> {
        owed_at_sign_in(self).is_none().then_some(&*self.identity)
    }

    /// This visitor without what factors of this kind have shown, or can show.
    #[must_use]
    pub fn without(mut self, kind: Kind) -> Self {
        self.has = Kinds(self.has.0 & !Kinds::only(kind).0);
        self.proofs = self.proofs.retain(|shown| shown.kind != kind);
        self.proofs.trusted_device =
            self.proofs.trusted_device.filter(|shown| shown.by != Some(kind));
        self
    }
}

/// The decision about a request.
#[derive(Debug)]
pub enum Verdict {
    /// The request may go on.
    Pass(Permit),
    /// The visitor must sign in.
    SignIn,
    /// The visitor must show the first factor again.
    Confirm,
    /// The visitor must show a second factor.
    Challenge,
    /// The visitor must set up a second factor first.
    SetUp,
    /// The request may go on, but a person who navigates is redirected to their unsaved recovery
    /// codes.
    SaveCodes(Permit),
    /// The visitor may not enter.
    Refused,
}

impl Verdict {
    /// Its name in logs, metrics and explanations; stable.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::SignIn => "sign-in",
            Self::Confirm => "confirm",
            Self::Challenge => "challenge",
            Self::SetUp => "set-up",
            Self::SaveCodes(_) => "save-codes",
            Self::Refused => "refused",
        }
    }
}

/// Permission to send one request upstream, with or without an identity.
///
/// Only [`judge`] creates one, so no request can go upstream without a decision.
#[derive(Debug)]
pub struct Permit {
    identity: Option<Arc<Identity>>,
    amr: Amr,
}

impl Permit {
    /// The user that the request is sent for; `None` for an anonymous request.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The methods with which the user authenticated.
    pub fn amr(&self) -> Amr {
        self.amr
    }
}

/// The authentication methods, with the names of RFC 8176 and some of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amr {
    first: Option<&'static str>,
    /// Whether the first factor was a passkey, which is two factors in one.
    is_passkey: bool,
    kinds: Kinds,
    /// The kinds whose factor can be copied.
    copies: Kinds,
    trusted_device: bool,
    /// Whether a trusted provider says that a second factor was shown there.
    by_provider: bool,
}

impl Amr {
    fn of(proofs: &Proofs) -> Self {
        Self {
            first: proofs.first.and_then(|first| first.by.amr()),
            is_passkey: proofs.first.is_some_and(|first| first.by == FirstFactor::Passkey),
            kinds: proofs.factors().map(|shown| shown.kind).collect(),
            copies: proofs
                .factors()
                .filter(|shown| shown.worth.can_be_copied)
                .map(|shown| shown.kind)
                .collect(),
            trusted_device: proofs.trusted_device.is_some(),
            by_provider: proofs.provider.is_some(),
        }
    }

    /// The methods, in a fixed order: the first factor, the second factors, `trusted-device`, and
    /// `mfa` if both a first factor and something that the user has were shown, be it to a provider
    /// that is trusted to say so. A trusted device is
    /// not an authenticator (NIST SP 800-63B-4 §3.2.9, "remember my browser") and never leads to
    /// `mfa`.
    pub fn methods(self) -> impl Iterator<Item = &'static str> {
        let second = self.kinds != Kinds::NONE || self.by_provider;
        let several = (self.first.is_some() || self.is_passkey) && second;
        let seconds = self.kinds.iter().map(move |kind| {
            let row = kind.row();
            if self.copies.has(kind) { row.amr_of_copies } else { row.amr }
        });
        let ours = [(self.trusted_device, "trusted-device"), (several, "mfa")];
        let ours = ours.into_iter().filter_map(|(shown, method)| shown.then_some(method));
        self.first.into_iter().chain(seconds).chain(ours)
    }
}

/// Decides whether `evidence` meets `requirement`.
///
/// Asks for the first factor first, then for the second factor, then for anything else. A page that
/// requires nothing gives an anonymous permit to visitors who would not pass `sign-in`.
pub fn judge(requirement: &Requirement, evidence: &Evidence, now: Timestamp) -> Verdict {
    match (requirement.level, evidence) {
        (Level::Nobody, _) => Verdict::Refused,
        (Level::Nothing, visitor) => Verdict::Pass(permit_for_anybody(visitor.as_ref())),
        (_, None) => Verdict::SignIn,
        (Level::Step, Some(visitor)) => match visitor.proofs.first {
            Some(_) => Verdict::Pass(permit_for(visitor)),
            None => Verdict::SignIn,
        },
        (Level::SignIn | Level::SecondFactor, Some(visitor)) => {
            judge_visitor(requirement, visitor, now)
        }
    }
}

fn judge_visitor(requirement: &Requirement, visitor: &Visitor, now: Timestamp) -> Verdict {
    let Some(first) = visitor.proofs.first else {
        return Verdict::SignIn;
    };
    if let Some(only) = &requirement.only {
        // Complete the sign-in before looking at names and groups.
        if let Some(owed) = owed_at_sign_in(visitor) {
            return owed;
        }
        if !only.iter().all(|only| only.admits(&visitor.identity)) {
            return Verdict::Refused;
        }
    }
    if requirement.confirm_within.is_some_and(|span| !now.within(span, first.at)) {
        return Verdict::Confirm;
    }
    let kinds = requirement.kinds_for(visitor);
    let by_provider = shows_providers_factor(requirement, kinds, &visitor.proofs);
    let asks = requirement.level == Level::SecondFactor || visitor.demanded;
    if asks && !visitor.has_second_factor && !by_provider {
        return Verdict::SetUp;
    }
    let shows = || by_provider || shows_second_factor(requirement, kinds, &visitor.proofs, now);
    if visitor.has_second_factor && !shows() {
        // Nobody is asked for what they do not have.
        let owed = owed_at_sign_in(visitor);
        let lacks =
            owed.is_none() && !requirement.strongest && kinds.and(visitor.has) == Kinds::NONE;
        return if lacks { Verdict::SetUp } else { Verdict::Challenge };
    }
    if visitor.codes_unsaved {
        return Verdict::SaveCodes(permit_for(visitor));
    }
    Verdict::Pass(permit_for(visitor))
}

/// What this visitor still has to do to complete a sign-in; `None` if nothing.
fn owed_at_sign_in(visitor: &Visitor) -> Option<Verdict> {
    let Visitor { proofs, has_second_factor, demanded, .. } = visitor;
    let shown = proofs.second_factor(Kinds::ALL).is_some()
        || proofs.trusted_device.is_some()
        || proofs.provider.is_some();
    match (proofs.first, has_second_factor) {
        (None, _) => Some(Verdict::SignIn),
        (Some(_), true) if !shown => Some(Verdict::Challenge),
        (Some(_), false) if *demanded && !shown => Some(Verdict::SetUp),
        (Some(_), _) => None,
    }
}

fn shows_second_factor(
    requirement: &Requirement,
    kinds: Kinds,
    proofs: &Proofs,
    now: Timestamp,
) -> bool {
    let fresh = |at| requirement.within.is_none_or(|span| now.within(span, at));
    let trusts = requirement.trusted_device && requirement.within.is_none();
    // A trusted device stands in for the kind of factor that made it, and never for one that must
    // resist phishing.
    let stands_in =
        |shown: TrustShown| kinds == Kinds::ALL || shown.by.is_some_and(|kind| kinds.has_any(kind));
    proofs.second_factor(kinds).is_some_and(fresh)
        || (trusts && proofs.trusted_device.is_some_and(stands_in))
}

/// Whether what a trusted provider says is enough. It never is where a fresh factor is required, or
/// the strongest that somebody has: nobody knows what was shown there, and when.
fn shows_providers_factor(requirement: &Requirement, kinds: Kinds, proofs: &Proofs) -> bool {
    let may_count = requirement.within.is_none() && !requirement.strongest;
    may_count && kinds.has_provider() && proofs.provider.is_some()
}

fn permit_for(visitor: &Visitor) -> Permit {
    Permit { identity: Some(Arc::clone(&visitor.identity)), amr: Amr::of(&visitor.proofs) }
}

fn permit_for_anybody(visitor: Option<&Visitor>) -> Permit {
    match visitor {
        Some(visitor) if visitor.known().is_some() => permit_for(visitor),
        Some(_) | None => Permit { identity: None, amr: Amr::default() },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::identity::UserId;

    const NOW: Timestamp = Timestamp::from_secs(100_000);
    const QUARTER: Duration = Duration::from_mins(15);

    fn ago(seconds: u64) -> Timestamp {
        Timestamp::from_secs(100_000 - seconds)
    }

    #[expect(clippy::unnecessary_wraps, reason = "evidence is an `Option`")]
    fn visitor(proofs: Proofs, has_second_factor: bool) -> Evidence {
        let identity = Identity {
            user: UserId::from([1; 16]),
            name: "ada".to_owned(),
            written: "ada".to_owned(),
            full_name: None,
            email: None,
            groups: ["staff".to_owned()].into(),
        };
        Some(Visitor {
            identity: Arc::new(identity),
            proofs,
            has_second_factor,
            has: if has_second_factor { Kinds::weaker(Kind::Totp) } else { Kinds::NONE },
            demanded: false,
            codes_unsaved: false,
        })
    }

    fn password(seconds_ago: u64) -> Proofs {
        Proofs::default().with(Proof::First(FirstFactor::Password), ago(seconds_ago))
    }

    fn totp() -> Proof {
        Proof::Factor(Kind::Totp, FactorId::from([5; 16]))
    }

    fn recovery_code() -> Proof {
        Proof::Factor(Kind::RecoveryCode, FactorId::from([6; 16]))
    }

    fn trusted(proofs: Proofs) -> Proofs {
        proofs.with(Proof::TrustedDevice(DeviceId::from([1; 16])), ago(1))
    }

    fn verdict(requirement: &Requirement, evidence: &Evidence) -> &'static str {
        match judge(requirement, evidence, NOW) {
            Verdict::Pass(permit) if permit.identity().is_some() => "pass as somebody",
            Verdict::Pass(_) => "pass as nobody",
            Verdict::SignIn => "sign in",
            Verdict::Confirm => "confirm",
            Verdict::Challenge => "challenge",
            Verdict::SetUp => "set up",
            Verdict::SaveCodes(_) => "save codes",
            Verdict::Refused => "refused",
        }
    }

    fn fresh_code() -> Requirement {
        Requirement { within: Some(Duration::from_mins(5)), ..Requirement::second_factor() }
    }

    fn no_trusted_device() -> Requirement {
        Requirement { trusted_device: false, ..Requirement::second_factor() }
    }

    #[test]
    fn what_is_asked_meets_what_was_shown() {
        let stranger = None;
        let simple = visitor(password(60), false);
        let half = visitor(password(60), true);
        let full = visitor(password(60).with(totp(), ago(50)), true);
        let stale = visitor(password(2_000).with(totp(), ago(2_000)), true);
        let by_device = visitor(trusted(password(60)), true);
        let recovered = visitor(password(60).with(recovery_code(), ago(50)), true);
        let (nothing, step) = (Requirement::nothing(), Requirement::step());
        let (sign_in, second) = (Requirement::sign_in(), Requirement::second_factor());
        let (nobody, change) = (Requirement::nobody(), Requirement::change(QUARTER));

        for (requirement, evidence, expected) in [
            (&nothing, &stranger, "pass as nobody"),
            (&nothing, &simple, "pass as somebody"),
            (&nothing, &half, "pass as nobody"),
            (&nothing, &full, "pass as somebody"),
            (&nobody, &full, "refused"),
            (&nobody, &stranger, "refused"),
            (&step, &stranger, "sign in"),
            (&step, &half, "pass as somebody"),
            (&sign_in, &stranger, "sign in"),
            (&sign_in, &simple, "pass as somebody"),
            (&sign_in, &half, "challenge"),
            (&sign_in, &full, "pass as somebody"),
            (&sign_in, &by_device, "pass as somebody"),
            (&second, &stranger, "sign in"),
            (&second, &simple, "set up"),
            (&second, &half, "challenge"),
            (&second, &by_device, "pass as somebody"),
            (&second, &recovered, "pass as somebody"),
            (&second, &stale, "pass as somebody"),
            (&no_trusted_device(), &by_device, "challenge"),
            (&no_trusted_device(), &full, "pass as somebody"),
            (&fresh_code(), &full, "pass as somebody"),
            (&fresh_code(), &stale, "challenge"),
            (&fresh_code(), &by_device, "challenge"),
            (&fresh_code(), &simple, "set up"),
            (&change, &simple, "pass as somebody"),
            (&change, &visitor(password(1_000), false), "confirm"),
            (&change, &stale, "confirm"),
            (&change, &half, "challenge"),
            (&change, &by_device, "challenge"),
            (&change, &full, "pass as somebody"),
            (&change, &recovered, "pass as somebody"),
        ] {
            assert_eq!(verdict(requirement, evidence), expected, "{requirement:?} {evidence:?}");
        }
    }

    #[test]
    fn without_the_password_nothing_else_counts() {
        let odd = visitor(Proofs::default().with(totp(), ago(1)), true);
        for requirement in [Requirement::step(), Requirement::sign_in(), fresh_code()] {
            assert_eq!(verdict(&requirement, &odd), "sign in");
        }
    }

    #[test]
    fn unsaved_codes_come_back_wherever_one_is_signed_in() {
        let proofs = password(60).with(totp(), ago(50));
        let unsaved =
            visitor(proofs, true).map(|visitor| Visitor { codes_unsaved: true, ..visitor });
        assert_eq!(verdict(&Requirement::sign_in(), &unsaved), "save codes");
        assert_eq!(verdict(&Requirement::step(), &unsaved), "pass as somebody");
        assert_eq!(verdict(&Requirement::nothing(), &unsaved), "pass as somebody");
    }

    #[test]
    fn a_trusted_device_is_told_as_one_and_makes_no_mfa() {
        let amr = |proofs: &Proofs| Amr::of(proofs).methods().collect::<Vec<_>>().join(",");
        assert_eq!(amr(&password(1)), "pwd");
        assert_eq!(amr(&trusted(password(1))), "pwd,trusted-device");
        assert_eq!(amr(&password(1).with(totp(), ago(1))), "pwd,otp,mfa");
        assert_eq!(amr(&password(1).with(recovery_code(), ago(1))), "pwd,recovery-code,mfa");
    }

    #[test]
    fn what_a_trusted_provider_says_counts_but_never_as_fresh_or_strong() {
        let proofs = || {
            let first = Proof::First(FirstFactor::Provider);
            Proofs::default().with(first, ago(60)).with(Proof::ProvidersFactor, ago(60))
        };
        let only = |kinds| Requirement { kinds, ..Requirement::second_factor() };
        let totp = Kinds::only(Kind::Totp);
        for (requirement, with_factor, without) in [
            (Requirement::step(), "pass as somebody", "pass as somebody"),
            (Requirement::sign_in(), "pass as somebody", "pass as somebody"),
            (Requirement::second_factor(), "pass as somebody", "pass as somebody"),
            (only(totp.or(Kinds::PROVIDER)), "pass as somebody", "pass as somebody"),
            (only(totp), "challenge", "set up"),
            (only(Kinds::PHISHING_RESISTANT), "set up", "set up"),
            (fresh_code(), "challenge", "set up"),
            (Requirement::change(QUARTER), "challenge", "pass as somebody"),
            (Requirement::password(QUARTER), "pass as somebody", "pass as somebody"),
        ] {
            for (has, expected) in [(true, with_factor), (false, without)] {
                let evidence = visitor(proofs(), has);
                assert_eq!(verdict(&requirement, &evidence), expected, "{requirement:?} {has}");
            }
        }
        let demanded = visitor(proofs(), false).map(|one| Visitor { demanded: true, ..one });
        for (requirement, expected) in [
            (Requirement::sign_in(), "pass as somebody"),
            (Requirement::second_factor(), "pass as somebody"),
            (Requirement::password(QUARTER), "pass as somebody"),
            // Whoever must have one must not get round it by the word of the provider.
            (Requirement::change(QUARTER), "set up"),
        ] {
            assert_eq!(verdict(&requirement, &demanded), expected, "{requirement:?}");
        }
        let amr = |proofs: &Proofs| Amr::of(proofs).methods().collect::<Vec<_>>().join(",");
        assert_eq!(amr(&proofs()), "fed,mfa");
        assert_eq!(amr(&proofs().without_second_factor()), "fed");
    }

    #[test]
    fn rules_that_have_only_the_provider_in_common_let_nobody_in() {
        let or = |kind| Requirement {
            kinds: Kinds::only(kind).or(Kinds::PROVIDER),
            ..Requirement::second_factor()
        };
        let both = or(Kind::Totp).and(&or(Kind::SecurityKey));
        assert_eq!(both.level, Level::Nobody);
    }

    fn members(group: &str) -> Only {
        Only { users: BTreeSet::new(), groups: [group.to_owned()].into() }
    }

    fn only(of: &[Only]) -> Requirement {
        Requirement { only: Some(of.into()), ..Requirement::second_factor() }
    }

    #[test]
    fn only_whom_all_lists_admit_may_enter_and_nobody_is_told_before_they_have_signed_in() {
        let user = Only { users: ["ada".to_owned()].into(), groups: BTreeSet::new() };
        let (staff, clients) = (only(&[members("staff")]), only(&[members("clients")]));
        let half = visitor(password(60), true);
        let full = visitor(password(60).with(totp(), ago(50)), true);
        let simple = visitor(password(60), false);
        for (requirement, evidence, expected) in [
            (&clients, &None, "sign in"),
            (&clients, &half, "challenge"),
            (&clients, &full, "refused"),
            // Do not ask anybody to set up a factor for a page that they may not enter.
            (&clients, &simple, "refused"),
            (&staff, &simple, "set up"),
            (&staff, &full, "pass as somebody"),
            (&staff.and(&clients), &full, "refused"),
            (&staff.and(&only(&[user])), &full, "pass as somebody"),
        ] {
            assert_eq!(verdict(requirement, evidence), expected, "{requirement:?} {evidence:?}");
        }
    }

    #[test]
    fn a_kind_that_does_not_count_is_asked_for_again() {
        let totp = Requirement { kinds: Kinds::only(Kind::Totp), ..Requirement::second_factor() };
        let codes =
            Requirement { kinds: Kinds::only(Kind::RecoveryCode), ..Requirement::second_factor() };
        let recovered = visitor(password(60).with(recovery_code(), ago(50)), true);
        assert_eq!(verdict(&totp, &recovered), "challenge");
        assert_eq!(verdict(&codes, &recovered), "pass as somebody");
        assert_eq!(verdict(&Requirement::sign_in(), &recovered), "pass as somebody");
        assert_eq!(verdict(&totp.and(&codes), &recovered), "refused");
    }

    #[test]
    fn whoever_must_have_a_second_factor_is_sent_to_set_it_up_wherever_they_sign_in() {
        let must =
            |proofs, has| visitor(proofs, has).map(|visitor| Visitor { demanded: true, ..visitor });
        let without = must(password(60), false);
        let with = must(password(60).with(totp(), ago(50)), true);
        for (requirement, evidence, expected) in [
            (Requirement::sign_in(), &without, "set up"),
            (Requirement::second_factor(), &without, "set up"),
            (Requirement::step(), &without, "pass as somebody"),
            (Requirement::nothing(), &without, "pass as nobody"),
            (Requirement::nobody(), &without, "refused"),
            (Requirement::sign_in(), &with, "pass as somebody"),
            (Requirement::sign_in(), &must(password(60), true), "challenge"),
        ] {
            assert_eq!(verdict(&requirement, evidence), expected, "{requirement:?}");
        }
    }

    fn requirements() -> impl Strategy<Value = Requirement> {
        let levels = prop_oneof![
            Just(Level::Nothing),
            Just(Level::Step),
            Just(Level::SignIn),
            Just(Level::SecondFactor),
            Just(Level::Nobody),
        ];
        let spans = || proptest::option::of((0_u64..100).prop_map(Duration::from_secs));
        let kinds = prop_oneof![
            Just(Kinds::ALL),
            Just(Kinds::only(Kind::Totp)),
            Just(Kinds::only(Kind::RecoveryCode)),
            Just(Kinds::PHISHING_RESISTANT),
            Just(Kinds::only(Kind::Totp).or(Kinds::PROVIDER))
        ];
        let onlys = prop_oneof![Just(None), Just(Some("staff")), Just(Some("clients"))];
        let switches = (any::<bool>(), any::<bool>());
        (levels, spans(), spans(), switches, kinds, onlys).prop_map(
            |(level, confirm_within, within, (trusted_device, strongest), kinds, group)| {
                Requirement {
                    level,
                    confirm_within,
                    within,
                    kinds,
                    trusted_device,
                    strongest,
                    only: group.map(|group| [members(group)].into()),
                }
            },
        )
    }

    fn evidences() -> impl Strategy<Value = Evidence> {
        let times = || proptest::option::of((0_u64..120).prop_map(ago));
        let shown = (times(), times(), times(), any::<bool>(), any::<bool>());
        (shown, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |((password, totp, recovery_code, device, provider), two_factor, demanded, known)| {
                let proofs = [
                    (Proof::First(FirstFactor::Password), password),
                    (self::totp(), totp),
                    (self::recovery_code(), recovery_code),
                ];
                let proofs = proofs.into_iter().fold(Proofs::default(), |proofs, (proof, at)| {
                    at.map_or(proofs.clone(), |at| proofs.with(proof, at))
                });
                let proofs = if device { trusted(proofs) } else { proofs };
                let proofs =
                    if provider { proofs.with(Proof::ProvidersFactor, ago(50)) } else { proofs };
                let visitor = visitor(proofs, two_factor);
                visitor.filter(|_| known).map(|visitor| Visitor { demanded, ..visitor })
            },
        )
    }

    fn passes(requirement: &Requirement, evidence: &Evidence) -> bool {
        matches!(judge(requirement, evidence, NOW), Verdict::Pass(_))
    }

    proptest! {
        #[test]
        fn whoever_meets_both_meets_each(
            (a, b, evidence) in (requirements(), requirements(), evidences())
        ) {
            if passes(&a.and(&b), &evidence) {
                prop_assert!(passes(&a, &evidence));
                prop_assert!(passes(&b, &evidence));
            }
        }

        #[test]
        fn joining_is_commutative_associative_and_idempotent(
            (a, b, c) in (requirements(), requirements(), requirements())
        ) {
            prop_assert_eq!(a.and(&b), b.and(&a));
            prop_assert_eq!(a.and(&b).and(&c), a.and(&b.and(&c)));
            prop_assert_eq!(a.and(&a), a);
        }
    }
}
