//! One stay of one browser, over all hosts: from a sign-in at the portal until it is over everywhere.
//!
//! Every host has a session of its own, and each of them belongs to a stay: where that is over, so
//! are they, at once. Using any of them is using the stay.

use std::net::IpAddr;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::agent::Agent;
use super::device::Seen;
use super::id::random_id;
use super::identity::UserId;
use super::time::Timestamp;

/// Names one stay. It opens nothing: whoever knows it can point to the stay, no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct StayId(#[n(0)] ByteArray<16>);

random_id!(StayId);

/// One stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stay {
    /// Whose.
    #[n(0)]
    pub user: UserId,
    /// The user's epoch when it began: it is over once that has moved on.
    #[n(1)]
    pub epoch: u64,
    /// When it began.
    #[n(2)]
    pub began: Timestamp,
    /// When it was last used, on whatever host; at most a minute late.
    #[n(3)]
    pub seen: Timestamp,
    /// The browser in which it began, as it calls itself.
    #[n(4)]
    pub agent: Option<Agent>,
    /// From where it began.
    #[n(5)]
    pub address: Option<IpAddr>,
    /// The hosts, besides that on which it began, on which it has had a session: the last ones, at most
    /// [`Stay::HOSTS`].
    #[n(6)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// How long stays last, and the sessions with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without use.
    pub idle: Duration,
    /// In all.
    pub at_most: Duration,
}

impl Stay {
    /// How late `seen` may be written.
    pub const SEEN_EVERY: Duration = Duration::from_mins(1);
    /// How many hosts are remembered: their names stand in one address when it is over.
    pub const HOSTS: usize = 64;

    /// A stay that begins now.
    pub fn begin(user: UserId, epoch: u64, seen: Seen, now: Timestamp) -> Self {
        let Seen { address, agent } = seen;
        Self { user, epoch, began: now, seen: now, agent, address, hosts: Vec::new() }
    }

    /// Notes that it has a session on `host`, too.
    pub fn reach(&mut self, host: &str) {
        if self.hosts.iter().any(|known| known == host) {
            return;
        }
        if self.hosts.len() >= Self::HOSTS {
            self.hosts.remove(0);
        }
        self.hosts.push(host.to_owned());
    }

    /// Whether it still goes on, for a user of this `epoch`.
    pub fn is_alive(&self, epoch: u64, limits: Limits, now: Timestamp) -> bool {
        let in_time = now < self.expires(limits);
        self.epoch == epoch && in_time
    }

    /// When it is over if it is not used again.
    pub fn expires(&self, limits: Limits) -> Timestamp {
        self.seen.plus(limits.idle).min(self.began.plus(limits.at_most))
    }

    /// Whether `seen` is so old that this use is worth writing down.
    pub fn is_worth_touching(&self, now: Timestamp) -> bool {
        self.seen.plus(Self::SEEN_EVERY) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { idle: Duration::from_hours(1), at_most: Duration::from_hours(24) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_stay_ends_when_idle_or_old_or_when_its_user_moved_on() {
        let stay = || Stay::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        assert!(stay().is_alive(3, LIMITS, at(3_599)));
        assert!(!stay().is_alive(3, LIMITS, at(3_600)));
        assert!(!stay().is_alive(4, LIMITS, at(0)));
        let busy = Stay { seen: at(86_000), ..stay() };
        assert!(busy.is_alive(3, LIMITS, at(86_399)));
        assert!(!busy.is_alive(3, LIMITS, at(86_400)));
    }

    #[test]
    fn a_stay_remembers_its_last_hosts_once_each() {
        let mut stay = Stay::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        for number in [0, 1, 1, 0] {
            stay.reach(&format!("{number}.example.com"));
        }
        assert_eq!(stay.hosts, ["0.example.com", "1.example.com"]);
        for number in 2..=Stay::HOSTS {
            stay.reach(&format!("{number}.example.com"));
        }
        assert_eq!(stay.hosts.len(), Stay::HOSTS);
        assert_eq!(stay.hosts[0], "1.example.com");
    }
}
