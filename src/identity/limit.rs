//! How many failed sign-ins one client address, or one known browser, may cause.
//!
//! A known browser of the user is not counted with its address. So somebody who guesses behind the
//! address of an office does not shut out the people there. The count of their browser is as
//! strict, and there are few known browsers: at most ten of each user, and each has shown the
//! password.
//!
//! An attempt is counted before its result is known and given back if it was right. So a whole
//! office behind one address can sign in without limit, and a hundred parallel guesses get no
//! further than a hundred sequential ones. The count is a leaky bucket (GCRA, as in ITU-T I.371): a
//! burst of attempts is allowed, and they become available again evenly over a minute.
//!
//! Answers of security keys are counted apart from passwords, by the same rules: forged ones do not
//! keep the passwords behind an address out, nor the reverse. After a password, they are counted by
//! the user and the address, so that strangers at an address keep nobody out who has shown one.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Limits;
use crate::domain::address_block::AddressBlock;
use crate::domain::device::BrowserId;
use crate::domain::identity::UserId;
use crate::domain::time::Timestamp;

/// Counts the attempts of each client address and each known browser.
///
/// A count is forgotten when it no longer matters. If too many are kept at the same time, further
/// addresses share one; a known browser never does.
pub struct SignInLimit {
    /// How long until one attempt becomes available again, in microseconds.
    one: u64,
    posts: u64,
    known_at_most: usize,
    patience: Duration,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Passwords.
    passwords: Table,
    /// Answers of security keys: a flood of the one takes no room from the other.
    keys: Table,
    /// The number of waiting attempts from all addresses.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Table {
    by: HashMap<Counted, Count>,
    sweep_at: usize,
}

/// The attempts of one address or known browser.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// When all attempts are available again, in microseconds.
    empty_at: u64,
    /// The number of attempts whose result is not known yet; they may still be given back.
    under_way: u32,
    /// The number of attempts that wait for one of these results or for a place in the pool.
    waiting: u32,
}

/// The result of asking to begin an attempt.
#[derive(Debug)]
pub enum Begin {
    /// It begins and is counted.
    Now(Try),
    /// The limit is reached, but attempts under way may still be given back.
    Later,
    /// The limit is reached. The next attempt is allowed at this time.
    Refused(Timestamp),
}

/// A counted attempt. It stays counted unless it is given back.
#[derive(Debug)]
pub struct Try {
    limit: Arc<SignInLimit>,
    counted: Counted,
}

/// A slot for waiting, freed when dropped.
#[derive(Debug)]
pub struct Waiting {
    limit: Arc<SignInLimit>,
    counted: Counted,
}

impl SignInLimit {
    /// The default for how many attempts of one address may fail in a minute.
    pub const A_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

    /// How long an attempt may wait before it is refused. Three hundred simultaneous sign-ins take
    /// less than ten seconds with one hashing thread.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// How many attempts may wait in total. Each costs a few kilobytes.
    pub const WAITING_AT_MOST: usize = 1_024;
    /// How many attempts of one address may wait; see [`SignInLimit::WAITING_AT_MOST`].
    pub const WAITING_OF_ONE: u32 = 512;

    /// How many addresses are tracked at the same time; each costs about a hundred bytes.
    const KNOWN_AT_MOST: usize = 100_000;

    /// Creates it from the configuration.
    pub fn of(limits: Limits) -> Self {
        Self::a_minute(NonZeroU32::new(limits.sign_in_posts).unwrap_or(NonZeroU32::MIN))
    }

    /// Allows `posts` failures a minute.
    pub fn a_minute(posts: NonZeroU32) -> Self {
        Self::knowing(posts, Self::KNOWN_AT_MOST)
    }

    fn knowing(posts: NonZeroU32, known_at_most: usize) -> Self {
        let posts = u64::from(posts.get());
        let table = || Table { sweep_at: FIRST_SWEEP.min(known_at_most), ..Table::default() };
        let counts = Counts { passwords: table(), keys: table(), waiting: 0 };
        let (one, patience) = (MINUTE / posts, Self::PATIENCE);
        Self { one, posts, known_at_most, patience, counts: Mutex::new(counts) }
    }

    /// Sets how long an attempt may wait.
    #[must_use]
    pub fn waiting_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long an attempt may wait.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Begins an attempt from `client` if the limit allows it. An attempt that does not begin is
    /// not counted.
    pub fn begin(self: &Arc<Self>, client: Client, now: Timestamp) -> Begin {
        let now = micros(now);
        let mut counts = self.counts();
        self.sweep(counts.table(client.is_of_keys()), now);
        let counted = self.counted_as(&mut counts, client);
        let count = counts.of(counted);
        let full_at = count.empty_at.saturating_sub(self.one * (self.posts - 1));
        if full_at > now {
            return match count.under_way {
                0 => Begin::Refused(Timestamp::from_millis(full_at.div_ceil(1_000))),
                _ => Begin::Later,
            };
        }
        count.empty_at = count.empty_at.max(now) + self.one;
        count.under_way += 1;
        Begin::Now(Try { limit: Arc::clone(self), counted })
    }

    /// Takes a slot for one more attempt from `client` to wait in; `None` if too many are waiting
    /// already.
    pub fn wait(self: &Arc<Self>, client: Client) -> Option<Waiting> {
        let mut counts = self.counts();
        if counts.waiting >= Self::WAITING_AT_MOST {
            return None;
        }
        let counted = self.counted_as(&mut counts, client);
        let count = counts.of(counted);
        if count.waiting >= Self::WAITING_OF_ONE {
            return None;
        }
        count.waiting += 1;
        counts.waiting += 1;
        Some(Waiting { limit: Arc::clone(self), counted })
    }

    /// Forgets, from time to time, the counts that no longer matter.
    fn sweep(&self, table: &mut Table, now: u64) {
        if table.by.len() >= table.sweep_at {
            table.by.retain(|_, count| {
                count.empty_at > now || count.under_way > 0 || count.waiting > 0
            });
            let next = table.by.len() * 2;
            table.sweep_at = next.clamp(FIRST_SWEEP, self.known_at_most.max(FIRST_SWEEP));
        }
    }

    fn counted_as(&self, counts: &mut Counts, client: Client) -> Counted {
        let own = Counted::Of(client);
        let by = &counts.table(client.is_of_keys()).by;
        let has_room = by.len() < self.known_at_most || by.contains_key(&own);
        match client {
            Client::Address(_) if !has_room => Counted::Crowd,
            Client::KeysFrom(_) if !has_room => Counted::CrowdOfKeys,
            Client::TellingOfLogouts(_) if !has_room => Counted::CrowdTellingOfLogouts,
            _ => own,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // No code that can panic runs under this lock, so a poisoned lock is safe to use.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn table(&mut self, is_of_keys: bool) -> &mut Table {
        if is_of_keys { &mut self.keys } else { &mut self.passwords }
    }

    fn of(&mut self, counted: Counted) -> &mut Count {
        self.table(counted.is_of_keys()).by.entry(counted).or_default()
    }

    fn known(&mut self, counted: Counted) -> Option<&mut Count> {
        self.table(counted.is_of_keys()).by.get_mut(&counted)
    }
}

impl Default for SignInLimit {
    fn default() -> Self {
        Self::a_minute(Self::A_MINUTE)
    }
}

impl Try {
    /// Gives the attempt back because it was right or was never checked. Other attempts stay
    /// counted.
    pub fn give_back(self) {
        if let Some(count) = self.limit.counts().known(self.counted) {
            count.empty_at = count.empty_at.saturating_sub(self.limit.one);
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(count) = self.limit.counts().known(self.counted) {
            count.under_way = count.under_way.saturating_sub(1);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.limit.counts();
        counts.waiting = counts.waiting.saturating_sub(1);
        if let Some(count) = counts.known(self.counted) {
            count.waiting = count.waiting.saturating_sub(1);
        }
    }
}

impl fmt::Debug for SignInLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInLimit").field("posts", &self.posts).finish_non_exhaustive()
    }
}

/// Whose attempts are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// An IPv4 address or an IPv6 /64.
    Address(AddressBlock),
    /// A known browser of the user whose password it is, from any address. As for
    /// [`Hashing::place`](super::Hashing::place), a cookie alone is not enough.
    Known(BrowserId),
    /// The answers of security keys from an address, of people who have shown nothing else.
    KeysFrom(AddressBlock),
    /// The answers of security keys from an address, of this user, whose first factor was shown.
    KeysAfter(UserId, AddressBlock),
    /// The answers of security keys from a known browser of their user.
    KeysOf(BrowserId),
    /// Whoever tells from this address that people have signed out at a provider.
    TellingOfLogouts(AddressBlock),
}

/// What a client is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    /// As itself.
    Of(Client),
    /// With all addresses for which there is no room.
    Crowd,
    /// The same for answers of security keys.
    CrowdOfKeys,
    /// The same for those who tell that people have signed out at a provider.
    CrowdTellingOfLogouts,
}

impl Client {
    /// What `address` is counted as.
    pub fn of(address: IpAddr) -> Self {
        Self::Address(AddressBlock::of(address))
    }

    /// What answers of security keys from `address` are counted as, or from this known browser of
    /// their user.
    pub fn of_keys(address: IpAddr, known: Option<BrowserId>) -> Self {
        known.map_or_else(|| Self::KeysFrom(AddressBlock::of(address)), Self::KeysOf)
    }

    /// The same after the first factor of `user`.
    pub fn of_keys_after(user: UserId, address: IpAddr, known: Option<BrowserId>) -> Self {
        known.map_or_else(|| Self::KeysAfter(user, AddressBlock::of(address)), Self::KeysOf)
    }

    /// What `address` is counted as if it tells that people have signed out at a provider.
    pub fn telling_of_logouts(address: IpAddr) -> Self {
        Self::TellingOfLogouts(AddressBlock::of(address))
    }

    const fn is_of_keys(self) -> bool {
        match self {
            Self::Address(_) | Self::Known(_) | Self::TellingOfLogouts(_) => false,
            Self::KeysFrom(_) | Self::KeysAfter(..) | Self::KeysOf(_) => true,
        }
    }
}

impl Counted {
    const fn is_of_keys(self) -> bool {
        match self {
            Self::Of(client) => client.is_of_keys(),
            Self::Crowd | Self::CrowdTellingOfLogouts => false,
            Self::CrowdOfKeys => true,
        }
    }
}

fn micros(at: Timestamp) -> u64 {
    at.millis().saturating_mul(1_000)
}

const MINUTE: u64 = 60_000_000;

/// The map is not swept while it has fewer addresses than this.
const FIRST_SWEEP: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn limit() -> Arc<SignInLimit> {
        Arc::new(SignInLimit::a_minute(SignInLimit::A_MINUTE))
    }

    /// Begins an attempt that fails; returns whether it was allowed to begin.
    fn fails(limit: &Arc<SignInLimit>, client: Client, now: Timestamp) -> bool {
        matches!(limit.begin(client, now), Begin::Now(_))
    }

    /// How many of a hundred attempts fail before one is refused.
    fn posts(limit: &Arc<SignInLimit>, address: &str, now: Timestamp) -> usize {
        let client = Client::of(address.parse().unwrap());
        (0..100).filter(|_| fails(limit, client, now)).count()
    }

    fn office() -> Client {
        Client::of("192.0.2.1".parse().unwrap())
    }

    #[test]
    fn an_address_may_fail_thirty_times_a_minute() {
        let limit = limit();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        assert_eq!(posts(&limit, "192.0.2.1", at(1)), 0);
        assert_eq!(posts(&limit, "192.0.2.1", at(2)), 1);
        assert_eq!(posts(&limit, "192.0.2.1", at(62)), 30);
        let refused = limit.begin(office(), at(62));
        assert!(matches!(refused, Begin::Refused(until) if until == at(64)), "{refused:?}");
    }

    #[test]
    fn a_flood_of_answers_of_keys_takes_no_room_from_passwords_nor_the_reverse() {
        let limit = Arc::new(SignInLimit::knowing(SignInLimit::A_MINUTE, 10));
        let address = |n: u8| IpAddr::from([198, 51, 100, n]);
        for n in 0..20 {
            fails(&limit, Client::of_keys(address(n), None), at(0));
        }
        let counted = |client: Client| limit.counted_as(&mut limit.counts(), client);
        let keys = |n| counted(Client::of_keys(address(n), None));
        assert_eq!(keys(99), Counted::CrowdOfKeys);
        let user = UserId::from([1; 16]);
        let after = Client::of_keys_after(user, address(99), None);
        assert_eq!(counted(after), Counted::Of(after), "whoever has shown a password");
        assert_eq!(counted(Client::of(address(99))), Counted::Of(Client::of(address(99))));
        for n in 0..20 {
            fails(&limit, Client::of(address(n)), at(120));
        }
        assert_eq!(counted(Client::of(address(99))), Counted::Crowd);
    }

    #[test]
    fn what_was_right_is_given_back_and_nothing_else_is() {
        let limit = limit();
        for _ in 0..1_000 {
            let Begin::Now(right) = limit.begin(office(), at(0)) else { panic!("refused") };
            right.give_back();
        }
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        let limit = self::limit();
        assert!((0..29).all(|_| fails(&limit, office(), at(0))));
        let Begin::Now(right) = limit.begin(office(), at(0)) else { panic!("refused") };
        right.give_back();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 1, "a success forgives no failure");
    }

    #[test]
    fn who_comes_while_others_are_under_way_waits_for_what_becomes_of_them() {
        let limit = limit();
        let begin = || limit.begin(office(), at(0));
        let mut under_way: Vec<Begin> = (0..30).map(|_| begin()).collect();
        assert!(matches!(begin(), Begin::Later), "they may all be right");
        let Some(Begin::Now(right)) = under_way.pop() else { panic!("none is under way") };
        right.give_back();
        let next = begin();
        assert!(matches!(next, Begin::Now(_)));
        assert!(matches!(begin(), Begin::Later));
        drop((next, under_way));
        assert!(matches!(begin(), Begin::Refused(_)), "they were all wrong");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for_and_one_address_takes_half_of_it() {
        let limit = limit();
        let others = Client::of("192.0.2.2".parse().unwrap());
        let third = Client::of("192.0.2.3".parse().unwrap());
        for client in [office(), others, third] {
            assert!(fails(&limit, client, at(0)));
        }
        let room = |client| (0..2_000).map_while(|_| limit.wait(client)).collect::<Vec<_>>();
        let first = room(office());
        assert_eq!(first.len(), 512);
        let second = room(others);
        assert_eq!(second.len(), 512);
        assert!(limit.wait(third).is_none());
        drop(first);
        assert!(limit.wait(third).is_some());
    }

    #[test]
    fn other_addresses_have_counts_of_their_own() {
        let limit = limit();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        assert_eq!(posts(&limit, "192.0.2.2", at(0)), 30);
        assert_eq!(posts(&limit, "::ffff:192.0.2.2", at(0)), 0);
    }

    fn browser(number: u8) -> Client {
        Client::Known(BrowserId::from([number; 16]))
    }

    #[test]
    fn a_known_browser_has_a_count_of_its_own_and_may_fail_as_often_as_an_address() {
        let limit = limit();
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        let failed = (0..100).filter(|_| fails(&limit, browser(1), at(0))).count();
        assert_eq!(failed, 30);
        assert!(fails(&limit, browser(2), at(0)));
        assert!(!fails(&limit, browser(1), at(1)));
        assert!(fails(&limit, browser(1), at(2)));
    }

    #[test]
    fn answers_of_keys_are_counted_apart_from_passwords_and_by_the_same_rules() {
        let limit = limit();
        let address = "192.0.2.1".parse().unwrap();
        let keys = |known: Option<u8>| {
            let known = known.map(|number| BrowserId::from([number; 16]));
            let client = Client::of_keys(address, known);
            (0..100).filter(|_| fails(&limit, client, at(0))).count()
        };
        assert_eq!((keys(None), keys(None)), (30, 0));
        assert_eq!(keys(Some(1)), 30, "a known browser has a count of its own");
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 30);
        let passwords = (0..100).filter(|_| fails(&limit, browser(1), at(0))).count();
        assert_eq!(passwords, 30);
    }

    #[test]
    fn an_ipv6_household_counts_as_one() {
        let limit = limit();
        assert_eq!(posts(&limit, "2001:db8:0:1::1", at(0)), 30);
        assert_eq!(posts(&limit, "2001:db8:0:1:ffff::2", at(0)), 0);
        assert_eq!(posts(&limit, "2001:db8:0:2::1", at(0)), 30);
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tries_back() {
        let limit = limit();
        assert_eq!(posts(&limit, "192.0.2.1", at(100)), 30);
        assert_eq!(posts(&limit, "192.0.2.1", at(0)), 0);
        assert_eq!(posts(&limit, "192.0.2.1", at(100)), 0);
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_shares_one_count() {
        let limit = Arc::new(SignInLimit::knowing(SignInLimit::A_MINUTE, 2_000));
        let flood = (0..5_000_u32).map(|n| Client::of(IpAddr::from(n.to_be_bytes())));
        assert_eq!(flood.filter(|client| fails(&limit, *client, at(0))).count(), 2_000 + 30);
        assert!(limit.counts().passwords.by.len() <= 2_001);
        assert!(fails(&limit, browser(1), at(0)), "a known browser has a count of its own");
        assert_eq!(posts(&limit, "192.0.2.1", at(90)), 30);
        assert!(limit.counts().passwords.by.len() < 10, "those who are quiet are forgotten");
    }
}
