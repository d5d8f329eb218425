//! A user session: from a sign-in at the portal until sign-out or expiry, over all hosts.
//!
//! Each host has its own host session, which belongs to a user session and ends with it. A request
//! to any host counts as use of the user session.

use std::net::IpAddr;
use std::time::Duration;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::agent::Agent;
use super::device::Seen;
use super::id::random_id;
use super::identity::UserId;
use super::provider::Account;
use super::secret::{Secret, TokenHash};
use super::time::Timestamp;

/// Identifies one user session. It is not a secret: it names the session and grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct UserSessionId(#[n(0)] ByteArray<16>);

random_id!(UserSessionId);

/// A user session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UserSession {
    /// The user.
    #[n(0)]
    pub user: UserId,
    /// The user's epoch when the session began. The session ends when the user's epoch increases.
    #[n(1)]
    pub epoch: u64,
    /// When it began.
    #[n(2)]
    pub began: Timestamp,
    /// When it was last used, on any host; up to a minute behind.
    #[n(3)]
    pub seen: Timestamp,
    /// The browser in which it began, from its `User-Agent`.
    #[n(4)]
    pub agent: Option<Agent>,
    /// The client address from which it began.
    #[n(5)]
    pub address: Option<IpAddr>,
    /// The other hosts on which it had a host session: the most recent ones, at most
    /// [`UserSession::HOSTS`].
    #[n(6)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The session at a provider with which it began, if it did.
    #[n(7)]
    pub at_provider: Option<AtProvider>,
}

/// A session at an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AtProvider {
    /// The account there.
    #[n(0)]
    pub account: Account,
    /// The name of the session, if the provider gives it one (`sid`: OpenID Connect Back-Channel
    /// Logout 1.0 §2.1).
    #[n(1)]
    pub session: Option<String>,
    /// The names that it had before: who confirms there may begin a new session.
    #[n(2)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

/// Whose session at a provider a name stands for: logout tokens may name nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NamedAtProvider {
    /// The user here.
    #[n(0)]
    pub user: UserId,
    /// When it is swept.
    #[n(1)]
    pub expires: Timestamp,
}

/// What a provider gave so that it can be asked whether a user session may go on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Renewal {
    /// The user.
    #[n(0)]
    pub user: UserId,
    /// The user session.
    #[n(1)]
    pub user_session: UserSessionId,
    /// The account there.
    #[n(2)]
    pub account: Account,
    /// The refresh token.
    #[n(3)]
    pub token: Secret,
    /// When the provider was last asked.
    #[n(4)]
    pub tried: Timestamp,
    /// When it last said yes.
    #[n(5)]
    pub answered: Timestamp,
    /// When the user session ends in any case.
    #[n(6)]
    pub expires: Timestamp,
}

impl Renewal {
    /// The key of its record.
    pub fn key(&self) -> TokenHash {
        Self::key_of(self.user_session)
    }

    /// The key of the record for this user session, if it has one.
    pub fn key_of(user_session: UserSessionId) -> TokenHash {
        TokenHash::of_parts(&[b"renewal", user_session.as_bytes()])
    }
}

impl AtProvider {
    /// How many former names are remembered.
    pub const BEFORE: usize = 8;

    /// The session of `account` with this name, if it has one.
    pub fn new(account: Account, session: Option<String>) -> Self {
        Self { account, session, before: Vec::new() }
    }

    /// The key of the record that says that the session with this name has ended: a
    /// [`SpentState`](super::provider::SpentState).
    pub fn ended_session(issuer: &str, session: &str) -> TokenHash {
        TokenHash::of_parts(&[b"ended session", issuer.as_bytes(), session.as_bytes()])
    }

    /// The same for all sessions of this subject.
    pub fn ended_subject(issuer: &str, subject: &str) -> TokenHash {
        TokenHash::of_parts(&[b"ended subject", issuer.as_bytes(), subject.as_bytes()])
    }

    /// The account was used again, in the session with this name, if it has one.
    fn go_on_as(&mut self, session: Option<String>) {
        if session.is_none() || session == self.session {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.session, session) {
            self.before.truncate(Self::BEFORE - 1);
            self.before.insert(0, before);
        }
    }

    /// The key of the record that says whose the session with this name is.
    pub fn key(issuer: &str, session: &str) -> TokenHash {
        TokenHash::of_parts(&[b"session", issuer.as_bytes(), session.as_bytes()])
    }

    /// Whether this is the session that ended at `issuer`: that of `subject` and with the name
    /// `session`, as far as they are given. One whose name was never told ends with its subject.
    pub fn has_ended(&self, issuer: &str, subject: Option<&str>, session: Option<&str>) -> bool {
        let is_it = |name: &str| match &self.session {
            Some(own) => own == name || self.before.iter().any(|before| before == name),
            None => subject.is_some(),
        };
        self.account.issuer() == issuer
            && subject.is_none_or(|subject| self.account.subject() == subject)
            && session.is_none_or(is_it)
    }
}

/// How long user sessions last, and the host sessions under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without use.
    pub idle: Duration,
    /// In total.
    pub at_most: Duration,
}

impl UserSession {
    /// How far `seen` may be behind, and a quarter of [`Limits::idle`] if that is less.
    pub const SEEN_EVERY: Duration = Duration::from_mins(1);
    /// How many hosts are remembered. The limit exists because sign-out puts all of their names
    /// into one URL.
    pub const HOSTS: usize = 64;

    /// A user session that begins now.
    pub fn begin(user: UserId, epoch: u64, seen: Seen, now: Timestamp) -> Self {
        let Seen { address, agent } = seen;
        let (hosts, at_provider) = (Vec::new(), None);
        Self { user, epoch, began: now, seen: now, agent, address, hosts, at_provider }
    }

    /// Records that its user has confirmed with `account`, in the session with this name there, if it has
    /// one.
    pub fn confirmed_at(&mut self, account: &Account, session: Option<String>) {
        match &mut self.at_provider {
            Some(at) if at.account == *account => at.go_on_as(session),
            at => *at = Some(AtProvider::new(account.clone(), session)),
        }
    }

    /// Records that it also has a host session on `host`.
    pub fn reach(&mut self, host: &str) {
        if self.hosts.iter().any(|known| known == host) {
            return;
        }
        if self.hosts.len() >= Self::HOSTS {
            self.hosts.remove(0);
        }
        self.hosts.push(host.to_owned());
    }

    /// Whether it has not ended, for a user with this `epoch`.
    pub fn is_alive(&self, epoch: u64, limits: Limits, now: Timestamp) -> bool {
        let in_time = now < self.expires(limits);
        self.epoch == epoch && in_time
    }

    /// When it ends if it is not used again.
    pub fn expires(&self, limits: Limits) -> Timestamp {
        self.seen.plus(limits.idle).min(self.began.plus(limits.at_most))
    }

    /// Whether `seen` is old enough to be updated. A short `idle` needs it more often: a session must
    /// not end while it is used.
    pub fn is_worth_touching(&self, limits: Limits, now: Timestamp) -> bool {
        self.seen.plus(Self::SEEN_EVERY.min(limits.idle / 4)) <= now
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
    fn a_user_session_ends_when_idle_or_old_or_when_its_user_moved_on() {
        let user_session = || UserSession::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        assert!(user_session().is_alive(3, LIMITS, at(3_599)));
        assert!(!user_session().is_alive(3, LIMITS, at(3_600)));
        assert!(!user_session().is_alive(4, LIMITS, at(0)));
        let busy = UserSession { seen: at(86_000), ..user_session() };
        assert!(busy.is_alive(3, LIMITS, at(86_399)));
        assert!(!busy.is_alive(3, LIMITS, at(86_400)));
    }

    #[test]
    fn a_use_is_saved_each_minute_and_more_often_for_sessions_that_end_soon() {
        let session = UserSession::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        let short = Limits { idle: Duration::from_mins(1), ..LIMITS };
        let worth = |limits, seconds| session.is_worth_touching(limits, at(seconds));
        assert!(!worth(LIMITS, 59) && worth(LIMITS, 60));
        assert!(!worth(short, 14) && worth(short, 15));
    }

    #[test]
    fn a_session_that_has_ended_at_the_provider_is_told_from_others() {
        let account = Account::new("https://id.example.com", "7").unwrap();
        let at = AtProvider::new(account, Some("s".to_owned()));
        let issuer = "https://id.example.com";
        assert!(at.has_ended(issuer, Some("7"), Some("s")));
        assert!(at.has_ended(issuer, Some("7"), None));
        assert!(at.has_ended(issuer, None, Some("s")));
        assert!(!at.has_ended(issuer, Some("8"), Some("s")));
        assert!(!at.has_ended(issuer, Some("7"), Some("t")));
        assert!(!at.has_ended("https://evil.test", Some("7"), Some("s")));
        let nameless = AtProvider { session: None, ..at };
        assert!(nameless.has_ended(issuer, Some("7"), Some("s")));
        assert!(!nameless.has_ended(issuer, None, Some("s")));
    }

    #[test]
    fn whoever_confirms_at_a_provider_is_in_both_sessions_there() {
        let issuer = "https://id.example.com";
        let [own, other] = ["7", "8"].map(|subject| Account::new(issuer, subject).unwrap());
        let mut one = UserSession::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        let has_ended = |one: &UserSession, name: &str| {
            one.at_provider.as_ref().is_some_and(|at| at.has_ended(issuer, None, Some(name)))
        };
        // It began with a password.
        for number in 0..=AtProvider::BEFORE {
            one.confirmed_at(&own, Some(format!("s{number}")));
        }
        one.confirmed_at(&own, None);
        one.confirmed_at(&own, Some("s8".to_owned()));
        assert!(has_ended(&one, "s0") && has_ended(&one, "s8") && !has_ended(&one, "s9"));
        let written = minicbor::to_vec(&one).unwrap();
        assert_eq!(minicbor::decode::<UserSession>(&written).unwrap(), one);
        one.confirmed_at(&own, Some("s9".to_owned()));
        assert!(!has_ended(&one, "s0") && has_ended(&one, "s1") && has_ended(&one, "s9"));
        one.confirmed_at(&other, None);
        assert!(!has_ended(&one, "s9"));
    }

    #[test]
    fn a_user_session_remembers_its_last_hosts_once_each() {
        let mut user_session = UserSession::begin(UserId::from([1; 16]), 3, Seen::default(), at(0));
        for number in [0, 1, 1, 0] {
            user_session.reach(&format!("{number}.example.com"));
        }
        assert_eq!(user_session.hosts, ["0.example.com", "1.example.com"]);
        for number in 2..=UserSession::HOSTS {
            user_session.reach(&format!("{number}.example.com"));
        }
        assert_eq!(user_session.hosts.len(), UserSession::HOSTS);
        assert_eq!(user_session.hosts[0], "1.example.com");
    }
}
