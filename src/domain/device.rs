//! Browsers that we recognise: trusted devices and known browsers.
//!
//! A trusted device may skip the second factor until a fixed date, which use does not extend. Its
//! cookie carries a number that is replaced at every use. A copied cookie is detected as soon as
//! both the copy and the original have been used.

use std::net::IpAddr;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::agent::Agent;
use super::factor::FactorId;
use super::id::random_id;
use super::lockout::Tries;
use super::time::Timestamp;

/// Identifies one trusted device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct DeviceId(#[n(0)] ByteArray<16>);

/// Identifies one known browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct BrowserId(#[n(0)] ByteArray<16>);

random_id!(DeviceId);
random_id!(BrowserId);

/// A browser that may skip the second factor until a fixed date.
///
/// The number in its cookie increases with every use. Up to three numbers are valid at once,
/// because responses get lost and requests run in parallel: the newest, the one whose use issued
/// it, and, for [`TrustedDevice::OVERLAP`], the one before that.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TrustedDevice {
    #[n(0)]
    id: DeviceId,
    #[n(1)]
    made: Timestamp,
    #[n(2)]
    expires: Timestamp,
    #[n(3)]
    newest: u64,
    /// When the newest number was first issued, which is when `from` was first presented.
    #[n(4)]
    issued: Timestamp,
    #[n(5)]
    from: Option<u64>,
    #[n(6)]
    before: Option<u64>,
    #[n(7)]
    last_used: Timestamp,
    #[n(8)]
    agent: Option<Agent>,
    #[n(9)]
    address: Option<IpAddr>,
    /// The factor, or the set of recovery codes, that was shown when the device became trusted.
    #[n(10)]
    by: Option<FactorId>,
}

/// The address and the browser that a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The client address.
    pub address: Option<IpAddr>,
    /// The browser, from its `User-Agent`.
    pub agent: Option<Agent>,
}

/// The result of presenting a cookie's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The device is trusted; its cookie must now carry this number.
    Trusted {
        /// The number for the cookie.
        number: u64,
        /// When the trust ends. Never changes.
        expires: Timestamp,
    },
    /// The trust has expired.
    Expired,
    /// The number was replaced long ago, so two browsers use one cookie. The caller must revoke the
    /// device.
    Copied,
}

impl TrustedDevice {
    /// How long a replaced number is still accepted, because requests run in parallel.
    pub const OVERLAP: Duration = Duration::from_mins(1);

    /// Trusts a browser for `lasting`, because this factor was shown. Its cookie starts with number
    /// 1.
    pub fn new(
        id: DeviceId,
        by: Option<FactorId>,
        lasting: Duration,
        seen: &Seen,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            made: now,
            expires: now.plus(lasting),
            newest: 1,
            issued: now,
            from: None,
            before: None,
            last_used: now,
            agent: seen.agent.clone(),
            address: seen.address,
            by,
        }
    }

    /// Checks the `number` of a cookie of this device and, if it is valid, moves on to the next
    /// number.
    pub fn present(&mut self, number: u64, seen: &Seen, now: Timestamp) -> Presented {
        if !self.is_trusted(now) {
            return Presented::Expired;
        }
        let overlaps = now.within(Self::OVERLAP, self.issued);
        if number == self.newest {
            self.before = self.from;
            self.issue(number, now);
        } else if Some(number) == self.from && !overlaps {
            // The response with the newest number never arrived, so that number becomes invalid.
            self.before = None;
            self.issue(number, now);
        } else if Some(number) != self.from && !(Some(number) == self.before && overlaps) {
            return Presented::Copied;
        }
        self.last_used = now;
        self.address = seen.address.or(self.address);
        if seen.agent.is_some() {
            self.agent.clone_from(&seen.agent);
        }
        Presented::Trusted { number: self.newest, expires: self.expires }
    }

    fn issue(&mut self, from: u64, now: Timestamp) {
        self.from = Some(from);
        self.newest = self.newest.saturating_add(1);
        self.issued = now;
    }

    /// The id of the device.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// Whether it is trusted because this factor was shown.
    pub fn rests_on(&self, factor: FactorId) -> bool {
        self.by == Some(factor)
    }

    /// Records that it is trusted because of this factor from now on; its owner has just shown the
    /// factor.
    pub fn rest_on(&mut self, factor: FactorId) {
        self.by = Some(factor);
    }

    /// Whether the trust has not expired yet.
    pub fn is_trusted(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// When the trust expires.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// When it became a trusted device.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// When it was last used.
    pub fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// The address from which it was last used.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The browser, from its `User-Agent`.
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }
}

/// A browser in which this user has completed a sign-in before.
///
/// It proves nothing, but its failures are counted separately, so that somebody who guesses from
/// another browser cannot lock the owner out (OWASP, "Slow Down Online Guessing Attacks with Device
/// Cookies").
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KnownBrowser {
    #[n(0)]
    pub(super) id: BrowserId,
    #[n(1)]
    pub(super) last_seen: Timestamp,
    #[n(2)]
    pub(super) tries: Tries,
}

impl KnownBrowser {
    /// When a sign-in was last completed in it.
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// Its failed attempts.
    pub fn tries(&self) -> &Tries {
        &self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn device() -> TrustedDevice {
        TrustedDevice::new(DeviceId::from([1; 16]), None, 30 * DAY, &Seen::default(), at(0))
    }

    fn trusted(number: u64) -> Presented {
        Presented::Trusted { number, expires: at(0).plus(30 * DAY) }
    }

    #[test]
    fn every_use_counts_on_and_the_expiry_never_moves() {
        let mut device = device();
        let expires = device.expires();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2));
        assert_eq!(device.present(2, &Seen::default(), at(2_000)), trusted(3));
        assert_eq!(device.expires(), expires);
        assert_eq!(device.present(3, &Seen::default(), expires), Presented::Expired);
    }

    #[test]
    fn parallel_requests_get_the_same_next_number() {
        let mut device = device();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2));
        assert_eq!(device.present(1, &Seen::default(), at(1_060)), trusted(2));
    }

    #[test]
    fn a_request_overtaken_by_its_successor_raises_no_alarm_for_a_minute() {
        let mut device = device();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2));
        assert_eq!(device.present(2, &Seen::default(), at(1_010)), trusted(3));
        assert_eq!(device.present(1, &Seen::default(), at(1_070)), trusted(3));
        assert_eq!(device.present(1, &Seen::default(), at(1_071)), Presented::Copied);
    }

    #[test]
    fn a_lost_answer_gets_a_new_number_and_voids_the_lost_one() {
        let mut device = device();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2));
        assert_eq!(device.present(1, &Seen::default(), at(5_000)), trusted(3));
        assert_eq!(device.present(2, &Seen::default(), at(5_001)), Presented::Copied);
        assert_eq!(device.present(3, &Seen::default(), at(9_000)), trusted(4));
    }

    #[test]
    fn a_copied_cookie_shows_itself_at_the_second_use() {
        let mut device = device();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2), "the thief");
        assert_eq!(device.present(2, &Seen::default(), at(2_000)), trusted(3), "the thief again");
        assert_eq!(device.present(1, &Seen::default(), at(3_000)), Presented::Copied, "the owner");
    }

    #[test]
    fn the_owner_who_comes_second_voids_the_number_of_the_thief() {
        let mut device = device();
        assert_eq!(device.present(1, &Seen::default(), at(1_000)), trusted(2), "the thief");
        assert_eq!(device.present(1, &Seen::default(), at(2_000)), trusted(3), "the owner");
        assert_eq!(device.present(2, &Seen::default(), at(3_000)), Presented::Copied, "the thief");
    }

    #[test]
    fn a_number_that_was_never_issued_is_a_copy() {
        assert_eq!(device().present(7, &Seen::default(), at(1_000)), Presented::Copied);
    }
}
