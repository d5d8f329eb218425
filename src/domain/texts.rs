//! Text messages to users, as values, and how many may be sent.
//!
//! Texts cost money, and whoever owns a number can earn by the texts that it gets (toll fraud, also
//! called SMS pumping or traffic pumping). So every text is entered in a ledger of the last day, and
//! the limits are judged from it.

use std::net::IpAddr;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::address_block::AddressBlock;
use super::identity::UserId;
use super::mailed::MailedCode;
use super::phone::{Country, Number};
use super::secret::Secret;
use super::time::Timestamp;

/// One text message to one user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Text {
    /// The recipient.
    #[n(0)]
    pub user: UserId,
    /// The number that it is sent to.
    #[n(1)]
    pub to: Number,
    /// What it is about.
    #[n(2)]
    pub about: About,
    /// When it was written to the outbox.
    #[n(3)]
    pub written: Timestamp,
}

/// What a text is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum About {
    /// A code.
    #[n(0)]
    Code(#[n(0)] Secret),
    /// This number no longer gets codes.
    #[n(1)]
    Removed,
}

impl Text {
    /// When it is no longer useful and is dropped: a code half-way through its life, because somebody
    /// must still type it, a notice after a day.
    pub fn stale(&self) -> Timestamp {
        self.written.plus(match self.about {
            About::Code(_) => MailedCode::LASTS / 2,
            About::Removed => Duration::from_hours(24),
        })
    }

    /// When it is swept, if no worker has dropped it.
    pub fn expires(&self) -> Timestamp {
        self.stale().plus(Duration::from_hours(1))
    }

    /// Whether it has a code.
    pub const fn is_code(&self) -> bool {
        matches!(self.about, About::Code(_))
    }

    /// Its kind in logs, in kebab-case; stable.
    pub const fn kind(&self) -> &'static str {
        match self.about {
            About::Code(_) => "code",
            About::Removed => "phone-removed",
        }
    }
}

/// The key of a text in the outbox: codes before notices, and each ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextId([u8; 25]);

impl TextId {
    /// A new id of a text that is written `now`.
    pub fn random(rng: &mut dyn CryptoRng, about: &About, now: Timestamp) -> Self {
        let mut id = [0; 25];
        id[0] = match about {
            About::Code(_) => 0,
            About::Removed => 1,
        };
        id[1..9].copy_from_slice(&now.millis().to_be_bytes());
        rng.fill_bytes(&mut id[9..]);
        Self(id)
    }

    /// When the text with this key was written; `None` if that is no key of a text.
    pub fn written(key: &[u8]) -> Option<Timestamp> {
        let millis = <[u8; 8]>::try_from(key.get(1..9)?).ok()?;
        Some(Timestamp::from_millis(u64::from_be_bytes(millis)))
    }
}

impl AsRef<[u8]> for TextId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The limits. Notices have the same, counted apart: whoever uses up the codes of a user must not
/// be able to change the number unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Texts in an hour to one number, and for one user. One of them is for known browsers.
    pub number_hour: u32,
    /// Texts in a day to one number, and for one user. Three of ten are for known browsers.
    pub number_day: u32,
    /// Texts in an hour that one client address causes.
    pub address_hour: u32,
    /// Texts in a day in all; at most half of them are notices.
    pub day: u32,
    /// From how many texts in a day to one country on the brake looks at it; 0: never.
    pub brake_after: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { number_hour: 5, number_day: 10, address_hour: 10, day: 1_000, brake_after: 30 }
    }
}

/// The texts of the last day. There is one for the whole installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Ledger {
    /// The oldest first.
    #[n(0)]
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    at: Timestamp,
    #[n(1)]
    user: UserId,
    #[n(2)]
    number: Number,
    /// Two letters, or none.
    #[n(3)]
    country: String,
    /// The block of the client address, if a visitor caused it.
    #[n(4)]
    address: Option<ByteArray<8>>,
    #[n(5)]
    is_code: bool,
    /// Whether the number was a factor of the user.
    #[n(6)]
    is_own: bool,
    #[n(7)]
    fate: Fate,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fate {
    /// Nothing is known.
    #[n(0)]
    Unknown,
    /// It was entered.
    #[n(1)]
    Entered,
    /// The provider refused it, so nobody could enter it.
    #[n(2)]
    Refused,
}

/// The key of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct LedgerKey;

impl AsRef<[u8]> for LedgerKey {
    fn as_ref(&self) -> &[u8] {
        b"ledger"
    }
}

/// A text that somebody wants to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The recipient.
    pub user: UserId,
    /// The number.
    pub number: &'a Number,
    /// The client address, if a visitor causes it.
    pub address: Option<IpAddr>,
    /// What for.
    pub what_for: WantedFor,
}

/// What a text is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedFor {
    /// A code to a number that is no factor of the user yet.
    SetUp,
    /// A code to the user's phone.
    Challenge {
        /// Whether the user has signed in before in the browser that asks.
        is_known: bool,
        /// Whether a code from this number was entered lately: the brake of its country spares it.
        is_proven: bool,
    },
    /// A notice.
    Notice,
}

/// Why a text is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// One was sent to this number for the same user a moment ago.
    Lately,
    /// Too many were sent to this number, or for this user.
    Number,
    /// One client address caused too many.
    Address,
    /// Too many were sent to this country, and too few of their codes were entered.
    Country,
    /// Too many were sent in all.
    Day,
}

impl Withheld {
    /// All limits.
    pub const ALL: [Self; 5] =
        [Self::Lately, Self::Number, Self::Address, Self::Country, Self::Day];

    /// Its word in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lately => "lately",
            Self::Number => "number",
            Self::Address => "address",
            Self::Country => "country",
            Self::Day => "day",
        }
    }
}

/// What was sent to one country in the last day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfCountry {
    /// Its two letters; empty if it is not known.
    pub country: String,
    /// How many texts with codes.
    pub codes: usize,
    /// How many of these codes were entered.
    pub entered: usize,
    /// How many of them the provider refused.
    pub refused: usize,
    /// How many notices.
    pub notices: usize,
    /// Whether the brake holds.
    pub is_braked: bool,
}

impl Ledger {
    /// How long to wait before another code is sent to the same number.
    pub const AGAIN_AFTER: Duration = MailedCode::AGAIN_AFTER;
    /// How long a number that entered a code is spared by the brake.
    pub const PROVEN_FOR: Duration = Duration::from_hours(90 * 24);

    const DAY: Duration = Duration::from_hours(24);
    const HOUR: Duration = Duration::from_hours(1);
    /// How far clocks may differ.
    const AHEAD: Duration = Duration::from_mins(5);
    /// One code in so many must be entered.
    const ONE_IN: usize = 3;

    /// Enters a text that is going to be sent.
    ///
    /// # Errors
    /// [`Withheld`] if a limit is reached; nothing is entered then.
    pub fn enter(
        &mut self,
        wanted: Wanted<'_>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), Withheld> {
        self.entries.retain(|entry| is_of_last_day(entry, now));
        let country = letters(wanted.number.country());
        let is_code = wanted.what_for != WantedFor::Notice;
        if is_code {
            self.judge_code(wanted, &country, limits, now)?;
        } else {
            self.judge_notice(wanted, limits, now)?;
        }
        self.entries.push(Entry {
            at: now,
            user: wanted.user,
            number: wanted.number.clone(),
            country,
            address: wanted.address.map(|address| block(address).into()),
            is_code,
            is_own: matches!(wanted.what_for, WantedFor::Challenge { .. }),
            fate: Fate::Unknown,
        });
        Ok(())
    }

    fn judge_code(
        &self,
        wanted: Wanted<'_>,
        country: &str,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), Withheld> {
        let codes = || self.entries.iter().filter(|entry| entry.is_code);
        let mut room = Room { hour: limits.number_hour, day: limits.number_day };
        let (is_own, is_proven) = match wanted.what_for {
            WantedFor::Challenge { is_known, is_proven } => {
                room = if is_known { room } else { room.of_unknown_browsers() };
                (true, is_proven)
            }
            WantedFor::SetUp | WantedFor::Notice => (false, false),
        };
        // Nobody keeps texts from a phone by typing its number elsewhere: its owner has a count of
        // their own.
        let to_number = || {
            codes().filter(|entry| {
                let is_counted = if is_own { entry.user == wanted.user } else { !entry.is_own };
                entry.number == *wanted.number && (is_counted || entry.user == wanted.user)
            })
        };
        let is_lately = |entry: &&Entry| entry.at.plus(Self::AGAIN_AFTER) > now;
        if let Some(last) = to_number().rev().find(is_lately) {
            let is_theirs = last.user == wanted.user;
            return Err(if is_theirs { Withheld::Lately } else { Withheld::Number });
        }
        let of_user = codes().filter(|entry| entry.user == wanted.user);
        if room.is_used_up(to_number(), now) || room.is_used_up(of_user, now) {
            return Err(Withheld::Number);
        }
        if let Some(address) = wanted.address.map(block) {
            let same =
                |entry: &&Entry| entry.address.as_ref().is_some_and(|other| **other == address);
            let in_hour = self.entries.iter().filter(|entry| is_in_hour(entry, now));
            if reaches(in_hour.filter(same).count(), limits.address_hour) {
                return Err(Withheld::Address);
            }
        }
        if !is_proven && self.of_country(country, limits).is_braked {
            return Err(Withheld::Country);
        }
        if reaches(self.entries.len(), limits.day) {
            return Err(Withheld::Day);
        }
        Ok(())
    }

    fn judge_notice(
        &self,
        wanted: Wanted<'_>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), Withheld> {
        let notices = || self.entries.iter().filter(|entry| !entry.is_code);
        let room = Room { hour: limits.number_hour, day: limits.number_day };
        let to_number = notices().filter(|entry| entry.number == *wanted.number);
        let of_user = notices().filter(|entry| entry.user == wanted.user);
        if room.is_used_up(to_number, now) || room.is_used_up(of_user, now) {
            return Err(Withheld::Number);
        }
        if reaches(self.entries.len(), limits.day)
            || reaches(notices().count(), limits.day.div_ceil(2))
        {
            return Err(Withheld::Day);
        }
        Ok(())
    }

    /// Notes what became of the last code that was sent to this user at this number.
    pub fn note(&mut self, user: UserId, number: &Number, fate: Fate) {
        let fits =
            |entry: &&mut Entry| entry.is_code && entry.user == user && entry.number == *number;
        if let Some(entry) = self.entries.iter_mut().rev().find(fits) {
            entry.fate = fate;
        }
    }

    /// What became of the last code that was sent to this user at this number.
    pub fn fate(&self, user: UserId, number: &Number) -> Option<Fate> {
        let fits = |entry: &&Entry| entry.is_code && entry.user == user && entry.number == *number;
        self.entries.iter().rev().find(fits).map(|entry| entry.fate)
    }

    /// When the last entry no longer counts.
    pub fn ends(&self) -> Option<Timestamp> {
        self.entries.last().map(|entry| entry.at.plus(Self::DAY))
    }

    /// What was sent to each country in the day before `now`, by its letters.
    pub fn by_country(&self, limits: Limits, now: Timestamp) -> Vec<OfCountry> {
        let mut current = self.clone();
        current.entries.retain(|entry| is_of_last_day(entry, now));
        let mut countries: Vec<&str> =
            current.entries.iter().map(|entry| entry.country.as_str()).collect();
        countries.sort_unstable();
        countries.dedup();
        countries.into_iter().map(|country| current.of_country(country, limits)).collect()
    }

    fn of_country(&self, country: &str, limits: Limits) -> OfCountry {
        let (mut codes, mut entered, mut refused, mut notices) = (0, 0, 0, 0);
        for entry in self.entries.iter().filter(|entry| entry.country == country) {
            if entry.is_code {
                codes += 1;
                entered += usize::from(entry.fate == Fate::Entered);
                refused += usize::from(entry.fate == Fate::Refused);
            } else {
                notices += 1;
            }
        }
        let arrived = codes - refused;
        let looks = limits.brake_after > 0 && reaches(arrived, limits.brake_after);
        let is_braked = looks && entered * Self::ONE_IN < arrived;
        OfCountry { country: country.to_owned(), codes, entered, refused, notices, is_braked }
    }
}

/// How many texts may go to one number, or to one user.
#[derive(Clone, Copy)]
struct Room {
    hour: u32,
    day: u32,
}

impl Room {
    /// What is left to browsers in which the user has never signed in: somebody who knows the password
    /// must not be able to use up everything.
    fn of_unknown_browsers(self) -> Self {
        let hour = self.hour - self.hour.div_ceil(5);
        let day = self.day - (self.day * 3).div_ceil(10);
        Self { hour: hour.max(1), day: day.max(1) }
    }

    fn is_used_up<'a>(self, entries: impl Iterator<Item = &'a Entry>, now: Timestamp) -> bool {
        let (mut hour, mut day) = (0, 0);
        for entry in entries {
            day += 1;
            hour += usize::from(is_in_hour(entry, now));
        }
        reaches(hour, self.hour) || reaches(day, self.day)
    }
}

fn reaches(count: usize, limit: u32) -> bool {
    count >= limit as usize
}

fn is_in_hour(entry: &Entry, now: Timestamp) -> bool {
    entry.at.plus(Ledger::HOUR) > now
}

/// Whether an entry counts. One that lies in the future is of a clock that was put back since.
fn is_of_last_day(entry: &Entry, now: Timestamp) -> bool {
    entry.at.plus(Ledger::DAY) > now && entry.at <= now.plus(Ledger::AHEAD)
}

fn letters(country: Option<Country>) -> String {
    country.map(|country| country.to_string()).unwrap_or_default()
}

/// The block of an address in eight bytes. IPv4 begins with 01 00: no IPv6 address that is in use does
/// (RFC 6666 discards `0100::/64`).
fn block(address: IpAddr) -> [u8; 8] {
    match AddressBlock::of(address) {
        AddressBlock::V4(address) => {
            let [a, b, c, d] = address.octets();
            [1, 0, 0, 0, a, b, c, d]
        }
        AddressBlock::V6(segments) => {
            let mut bytes = [0; 8];
            for (to, from) in bytes.chunks_exact_mut(2).zip(segments) {
                to.copy_from_slice(&from.to_be_bytes());
            }
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + 60 * minutes)
    }

    fn number(of: u64) -> Number {
        Number::parse(&format!("+4179123{of:04}"), None).unwrap()
    }

    /// The address of somebody with this number.
    fn address(of: u64) -> IpAddr {
        let [.., a, b] = of.to_be_bytes();
        IpAddr::from([10, 0, a, b])
    }

    /// Wants a code for user and number `who` from an address of their own.
    fn wants(ledger: &mut Ledger, who: u64, minute: u64) -> Result<(), Withheld> {
        wants_from(ledger, who, who, address(who), minute)
    }

    fn wants_from(
        ledger: &mut Ledger,
        user: u64,
        to: u64,
        address: IpAddr,
        minute: u64,
    ) -> Result<(), Withheld> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&user.to_be_bytes());
        let (user, number) = (UserId::from(id), number(to));
        let (address, what_for) = (Some(address), WantedFor::SetUp);
        let wanted = Wanted { user, number: &number, address, what_for };
        ledger.enter(wanted, Limits::default(), at(minute))
    }

    #[test]
    fn another_code_waits_for_sixty_seconds() {
        let mut ledger = Ledger::default();
        assert_eq!(wants(&mut ledger, 1, 0), Ok(()));
        assert_eq!(wants(&mut ledger, 1, 0), Err(Withheld::Lately));
        assert_eq!(wants(&mut ledger, 1, 1), Ok(()));
    }

    #[test]
    fn a_number_and_a_user_get_five_an_hour_and_ten_a_day() {
        for other_number in [false, true] {
            let mut ledger = Ledger::default();
            let mut sent = Vec::new();
            for minute in 0..1440 {
                let to = if other_number { minute } else { 0 };
                let user = if other_number { 0 } else { minute };
                if wants_from(&mut ledger, user, to, address(minute), minute).is_ok() {
                    sent.push(minute);
                }
            }
            assert_eq!(sent, [0, 1, 2, 3, 4, 60, 61, 62, 63, 64], "{other_number}");
            assert_eq!(wants_from(&mut ledger, 0, 0, [192, 0, 2, 9].into(), 1440), Ok(()));
        }
    }

    #[test]
    fn an_address_causes_ten_an_hour() {
        let mut ledger = Ledger::default();
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
        for (who, last) in (0..10).zip(0..) {
            assert_eq!(wants_from(&mut ledger, who, who, v6(last), 0), Ok(()));
        }
        assert_eq!(wants_from(&mut ledger, 10, 10, v6(99), 59), Err(Withheld::Address));
        assert_eq!(wants_from(&mut ledger, 10, 10, [192, 0, 2, 1].into(), 59), Ok(()));
        assert_eq!(wants_from(&mut ledger, 11, 11, v6(99), 60), Ok(()));
    }

    #[test]
    fn a_country_where_fewer_than_one_code_in_three_is_entered_is_braked() {
        let mut ledger = Ledger::default();
        for who in 0..30 {
            assert_eq!(wants(&mut ledger, who, 0), Ok(()), "{who}");
        }
        assert_eq!(wants(&mut ledger, 30, 0), Err(Withheld::Country));
        let proven = Wanted {
            user: UserId::from([9; 16]),
            number: &number(9_999),
            address: None,
            what_for: WantedFor::Challenge { is_known: false, is_proven: true },
        };
        assert_eq!(ledger.clone().enter(proven, Limits::default(), at(0)), Ok(()), "spared");
        let us = Number::parse("+1 201 555 0123", None).unwrap();
        let elsewhere = Wanted { number: &us, what_for: WantedFor::SetUp, ..proven };
        assert_eq!(ledger.clone().enter(elsewhere, Limits::default(), at(0)), Ok(()));
        for who in 0_u64..10 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&who.to_be_bytes());
            ledger.note(UserId::from(id), &number(who), Fate::Entered);
        }
        assert_eq!(wants(&mut ledger, 30, 0), Ok(()), "one in three");
        let told = ledger.by_country(Limits::default(), at(0));
        assert_eq!((told[0].codes, told[0].entered, told[0].is_braked), (31, 10, true));
        assert!(ledger.by_country(Limits::default(), at(1440)).is_empty());
    }

    #[test]
    fn a_thousand_a_day_in_all() {
        let limits = Limits { day: 3, ..Limits::default() };
        let mut ledger = Ledger::default();
        let enter = |ledger: &mut Ledger, who: u8, minute| {
            let number = number(u64::from(who));
            let user = UserId::from([who; 16]);
            let (address, what_for) = (None, WantedFor::SetUp);
            let wanted = Wanted { user, number: &number, address, what_for };
            ledger.enter(wanted, limits, at(minute))
        };
        for who in 1..=3 {
            assert_eq!(enter(&mut ledger, who, 0), Ok(()));
        }
        assert_eq!(enter(&mut ledger, 4, 1439), Err(Withheld::Day));
        assert_eq!(enter(&mut ledger, 4, 1440), Ok(()));
    }

    fn enters(
        ledger: &mut Ledger,
        user: u8,
        what_for: WantedFor,
        minute: u64,
    ) -> Result<(), Withheld> {
        let (user, number, address) = (UserId::from([user; 16]), &number(7), None);
        ledger.enter(Wanted { user, number, address, what_for }, Limits::default(), at(minute))
    }

    const KNOWN: WantedFor = WantedFor::Challenge { is_known: true, is_proven: false };
    const UNKNOWN: WantedFor = WantedFor::Challenge { is_known: false, is_proven: false };

    #[test]
    fn nobody_uses_up_the_texts_of_a_phone_by_typing_its_number() {
        let mut ledger = Ledger::default();
        for minute in 0..5 {
            assert_eq!(enters(&mut ledger, 1, WantedFor::SetUp, minute), Ok(()));
        }
        assert_eq!(enters(&mut ledger, 2, WantedFor::SetUp, 4), Err(Withheld::Number), "not when");
        assert_eq!(enters(&mut ledger, 2, WantedFor::SetUp, 5), Err(Withheld::Number));
        assert_eq!(enters(&mut ledger, 3, UNKNOWN, 4), Ok(()), "its owner");
        assert_eq!(enters(&mut ledger, 3, UNKNOWN, 4), Err(Withheld::Lately));
        assert_eq!(
            enters(&mut ledger, 2, WantedFor::SetUp, 64),
            Ok(()),
            "those of the owner do not count"
        );
    }

    #[test]
    fn some_texts_are_kept_for_known_browsers() {
        let mut ledger = Ledger::default();
        let mut times = |what_for, minutes: std::ops::Range<u64>| {
            minutes.filter(|minute| enters(&mut ledger, 1, what_for, *minute).is_ok()).count()
        };
        assert_eq!(times(UNKNOWN, 0..50), 4);
        assert_eq!(times(KNOWN, 50..60), 1);
        assert_eq!(times(UNKNOWN, 60..1_400), 2, "seven a day are for any browser");
        assert_eq!(times(KNOWN, 1_400..1_430), 3);
    }

    #[test]
    fn notices_are_counted_apart_from_codes() {
        let mut ledger = Ledger::default();
        for minute in 0..5 {
            assert_eq!(enters(&mut ledger, 1, KNOWN, minute), Ok(()));
        }
        for _ in 0..5 {
            assert_eq!(enters(&mut ledger, 1, WantedFor::Notice, 6), Ok(()));
        }
        assert_eq!(enters(&mut ledger, 1, WantedFor::Notice, 6), Err(Withheld::Number));
        assert_eq!(enters(&mut ledger, 1, KNOWN, 66), Ok(()));
    }

    #[test]
    fn a_code_that_the_provider_refused_does_not_brake_its_country() {
        let mut ledger = Ledger::default();
        for who in 0..30_u64 {
            assert_eq!(wants(&mut ledger, who, 0), Ok(()), "{who}");
            let mut id = [0; 16];
            id[..8].copy_from_slice(&who.to_be_bytes());
            ledger.note(UserId::from(id), &number(who), Fate::Refused);
        }
        assert_eq!(wants(&mut ledger, 30, 0), Ok(()));
        let told = &ledger.by_country(Limits::default(), at(0))[0];
        assert_eq!((told.codes, told.refused, told.is_braked), (31, 30, false));
    }

    #[test]
    fn entries_in_the_future_do_not_count() {
        let mut ledger = Ledger::default();
        assert_eq!(wants(&mut ledger, 1, 60), Ok(()));
        assert_eq!(wants(&mut ledger, 1, 0), Ok(()), "the clock was put back");
    }

    #[test]
    fn codes_come_before_notices() {
        use rand::SeedableRng;
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let code = About::Code(Secret::from("012345".to_owned()));
        let later = TextId::random(&mut rng, &code, at(9));
        let notice = TextId::random(&mut rng, &About::Removed, at(0));
        assert!(later.as_ref() < notice.as_ref());
        assert_eq!(TextId::written(later.as_ref()), Some(at(9)));
        assert_eq!(TextId::written(b"short"), None);
    }
}
