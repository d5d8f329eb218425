//! The decision log, in memory only: it tells why a request was refused or failed, what observe mode
//! would have stopped, and what another configuration would change.
//!
//! Each list is bounded and drops its oldest entries. Queries and cookies are never shown.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::domain::address_block::AddressBlock;
use crate::domain::assurance::Evidence;
use crate::domain::time::Timestamp;
use crate::policy::Request;

/// Remembers decisions.
#[derive(Debug, Default)]
pub struct DecisionLog {
    /// Refusals of known users, and of all others: a flood of other visitors does not displace
    /// those of users.
    refusals: Mutex<VecDeque<Refusal>>,
    strangers: Mutex<Strangers>,
    /// Answers 401: a script that asks again and again displaces no refusal.
    unauthenticated: Mutex<Strangers>,
    /// Requests that nobody refused, and that got an error all the same.
    failed: Mutex<Strangers>,
    watched: Mutex<HashMap<Watched, Seen>>,
    recent: Mutex<VecDeque<Recent>>,
    /// The second of the last entry, and how many it has.
    second: AtomicU64,
    in_it: AtomicU64,
    events: Mutex<Events>,
    listener: OnceLock<Listener>,
}

/// Which refusals become events: a few of each visitor.
#[derive(Debug, Default)]
struct Events {
    minute: u64,
    /// Of strangers, in this minute.
    of_strangers: usize,
    of_visitor: HashMap<Visitor, Told>,
    /// How many became no event since that was last asked.
    left_out: u64,
}

/// Whose refusals are counted together: a user's, or those from one address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Visitor {
    User(String),
    From(AddressBlock),
}

/// How many of a visitor's refusals became events in this minute, and how many did not since the
/// last one that did.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    told: usize,
    left_out: u64,
}

/// Hears of refusals that become events, each with the number of those left out before it.
struct Listener(Hear);

/// Called with a refusal and the number of those left out.
type Hear = Box<dyn Fn(&Refusal, u64) + Send + Sync>;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener(…)")
    }
}

/// Refusals of the same kind: by the same rule, or for the same reason, of the same user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many are remembered.
    pub count: u64,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Refusal,
}

/// Refusals of visitors who are not known.
#[derive(Debug, Default)]
struct Strangers {
    kept: VecDeque<Refusal>,
    /// The second of the last one, and how many of it are kept, in all and for each address.
    second: u64,
    in_it: usize,
    of_address: HashMap<IpAddr, usize>,
}

/// A refusal, or a request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The id of the request, which is on the page.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
    /// The client address.
    pub from: IpAddr,
    /// The user who signed in, even if they have yet to show the second factor.
    pub user: Option<String>,
    /// Whether that is certain: they have shown all that `sign-in` requires of them.
    pub is_known: bool,
    /// The application; `None`: one of our own pages, or unknown.
    pub app: Option<String>,
    /// The host, with its port; as the visitor wrote it if it is unknown.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// In how many ways the path can be read.
    pub readings: usize,
    /// The rule that decided, with its line and paths; `None` if none did.
    pub rule: Option<String>,
    /// The reason, for the operator.
    pub reason: String,
}

/// What a rule or an application in observe mode would have done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watched {
    /// The application.
    pub app: String,
    /// The rule.
    pub rule: String,
    /// The verdict that would have applied.
    pub verdict: &'static str,
    /// The user; `None`: an unknown visitor.
    pub user: Option<String>,
}

/// How often, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// The method and the beginning of the path of the last request.
    pub example: String,
}

/// A request with its decision.
#[derive(Clone, Debug)]
pub struct Recent {
    /// When.
    pub at: Timestamp,
    /// The name of the application.
    pub app: Arc<str>,
    /// The request, kept to decide it again; never shown as a whole.
    pub request: Arc<Request>,
    /// The client address, if known.
    pub address: Option<IpAddr>,
    /// What the visitor had shown.
    pub evidence: Evidence,
}

impl Refusal {
    /// How many characters of a path are kept.
    pub const PATH: usize = 256;
    /// How many characters of a method are kept.
    pub const METHOD: usize = 32;
    /// How many characters of an unknown host are kept.
    pub const HOST: usize = 128;
    /// How many characters of a list of users or groups are kept.
    pub const NAMES: usize = 256;
}

impl DecisionLog {
    /// How many refusals of known users are kept, and as many of other visitors.
    pub const REFUSALS: usize = 10_000;
    /// How many refusals of other visitors are kept for one second, and for one address.
    pub const STRANGERS_OF_A_SECOND: usize = 50;
    /// See [`DecisionLog::STRANGERS_OF_A_SECOND`].
    pub const OF_AN_ADDRESS: usize = 5;
    /// How many kinds of entries for observe mode are counted.
    pub const WATCHED: usize = 10_000;
    /// How many requests are kept, and how many of one second: a thousand of one busy second would
    /// tell less than those of ten.
    pub const RECENT: usize = 1_000;
    /// See [`DecisionLog::RECENT`].
    pub const OF_A_SECOND: u64 = 100;

    /// How many refusals of a visitor become events in a minute, and of all unknown visitors.
    pub const EVENTS_OF_A_VISITOR: usize = 5;
    /// See [`DecisionLog::EVENTS_OF_A_VISITOR`].
    pub const EVENTS_OF_STRANGERS: usize = 100;

    /// Calls `hear` for refusals that become events, with the number of those of the same visitor
    /// that did not. The first listener stays.
    pub fn tell(&self, hear: impl Fn(&Refusal, u64) + Send + Sync + 'static) {
        self.listener.set(Listener(Box::new(hear))).ok();
    }

    /// How many refusals became no event since this was last asked.
    pub fn left_out_events(&self) -> u64 {
        std::mem::take(&mut locked(&self.events).left_out)
    }

    /// Remembers a refusal. Somebody who has only a password must not displace what happened to
    /// users, although the refusal names the user.
    pub fn refused(&self, refusal: Refusal) {
        if let Some(Listener(hear)) = self.listener.get() {
            let due = locked(&self.events).due(&refusal);
            if let Some(left_out) = due {
                hear(&refusal, left_out);
            }
        }
        if refusal.is_known {
            push(&mut locked(&self.refusals), refusal, Self::REFUSALS);
            return;
        }
        locked(&self.strangers).keep(refusal.from, refusal.at, || refusal);
    }

    /// Remembers that a client which shows no pages was answered 401. It becomes no event: scripts
    /// ask again when a session ends.
    pub fn unauthenticated(&self, from: IpAddr, at: Timestamp, refusal: impl FnOnce() -> Refusal) {
        locked(&self.unauthenticated).keep(from, at, refusal);
    }

    /// Remembers that a request got an error because the application, or something of ours, failed.
    pub fn failed(&self, from: IpAddr, at: Timestamp, failure: impl FnOnce() -> Refusal) {
        locked(&self.failed).keep(from, at, failure);
    }

    /// The refusal of the request with this id, if it is remembered. Letter case is ignored: people
    /// read the id out.
    pub fn why(&self, request_id: &str) -> Option<Refusal> {
        let known = find(&locked(&self.refusals), request_id);
        known
            .or_else(|| find(&locked(&self.strangers).kept, request_id))
            .or_else(|| find(&locked(&self.unauthenticated).kept, request_id))
    }

    /// As [`DecisionLog::why`], of a request that failed.
    pub fn why_failed(&self, request_id: &str) -> Option<Refusal> {
        find(&locked(&self.failed).kept, request_id)
    }

    /// All refusals that are remembered, by kind, the most frequent first. Those of unknown visitors
    /// are only a part of what there was.
    pub fn refusals(&self) -> Vec<Refused> {
        let mut kinds: HashMap<_, Refused> = HashMap::new();
        let mut add = |refusal: &Refusal| {
            let Refusal { app, rule, user, reason, .. } = refusal.clone();
            let one = || Refused { count: 0, first: refusal.at, last: refusal.clone() };
            let kind = kinds.entry((app, rule, user, reason)).or_insert_with(one);
            kind.count += 1;
            kind.first = kind.first.min(refusal.at);
            if kind.last.at <= refusal.at {
                kind.last = refusal.clone();
            }
        };
        locked(&self.refusals).iter().for_each(&mut add);
        locked(&self.strangers).kept.iter().for_each(&mut add);
        locked(&self.unauthenticated).kept.iter().for_each(&mut add);
        let mut all: Vec<_> = kinds.into_values().collect();
        let order = |kind: &Refused| {
            let Refusal { app, rule, user, .. } = &kind.last;
            (Reverse(kind.count), app.clone(), rule.clone(), user.clone())
        };
        all.sort_by_key(order);
        all
    }

    /// Counts what observe mode would have stopped.
    pub fn watched(&self, what: Watched, example: impl FnOnce() -> String, now: Timestamp) {
        let mut watched = locked(&self.watched);
        if let Some(seen) = watched.get_mut(&what) {
            seen.count += 1;
            seen.last = now;
            return;
        }
        // Users come and go: drop the one seen longest ago.
        if watched.len() >= Self::WATCHED
            && let Some(oldest) = watched.iter().min_by_key(|(_, seen)| seen.last)
        {
            let oldest = oldest.0.clone();
            watched.remove(&oldest);
        }
        watched.insert(what, Seen { count: 1, first: now, last: now, example: example() });
    }

    /// All entries for observe mode, the most frequent first.
    pub fn report(&self) -> Vec<(Watched, Seen)> {
        let watched = locked(&self.watched);
        let mut all: Vec<_> =
            watched.iter().map(|(what, seen)| (what.clone(), seen.clone())).collect();
        all.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// Remembers a request, unless enough of this second are remembered.
    pub fn judged(&self, at: Timestamp, recent: impl FnOnce() -> Recent) {
        let second = at.seconds();
        if self.second.load(Ordering::Relaxed) != second {
            self.second.store(second, Ordering::Relaxed);
            self.in_it.store(0, Ordering::Relaxed);
        }
        if self.in_it.load(Ordering::Relaxed) < Self::OF_A_SECOND {
            self.in_it.fetch_add(1, Ordering::Relaxed);
            push(&mut locked(&self.recent), recent(), Self::RECENT);
        }
    }

    /// The last requests, the oldest first.
    pub fn recent(&self) -> Vec<Recent> {
        locked(&self.recent).iter().cloned().collect()
    }
}

impl Strangers {
    /// Remembers a refusal, unless enough of this second, or of its address, are remembered.
    fn keep(&mut self, from: IpAddr, at: Timestamp, refusal: impl FnOnce() -> Refusal) {
        let second = at.seconds();
        if self.second != second {
            self.second = second;
            self.in_it = 0;
            self.of_address.clear();
        }
        if self.in_it >= DecisionLog::STRANGERS_OF_A_SECOND {
            return;
        }
        let of_address = self.of_address.entry(from).or_default();
        if *of_address >= DecisionLog::OF_AN_ADDRESS {
            return;
        }
        *of_address += 1;
        self.in_it += 1;
        push(&mut self.kept, refusal(), DecisionLog::REFUSALS);
    }
}

impl Events {
    /// Whether this refusal becomes an event; if so, how many of the visitor's before it did not.
    fn due(&mut self, refusal: &Refusal) -> Option<u64> {
        let minute = refusal.at.seconds() / 60;
        if self.minute != minute {
            (self.minute, self.of_strangers) = (minute, 0);
            self.of_visitor.retain(|_, visitor| {
                visitor.told = 0;
                visitor.left_out > 0
            });
            if self.of_visitor.len() > VISITORS {
                self.of_visitor.clear();
            }
        }
        let user = refusal.user.clone().filter(|_| refusal.is_known);
        let is_stranger = user.is_none();
        if is_stranger && self.of_strangers >= DecisionLog::EVENTS_OF_STRANGERS {
            self.left_out += 1;
            return None;
        }
        let visitor =
            user.map_or_else(|| Visitor::From(AddressBlock::of(refusal.from)), Visitor::User);
        let visitor = self.of_visitor.entry(visitor).or_default();
        if visitor.told >= DecisionLog::EVENTS_OF_A_VISITOR {
            visitor.left_out += 1;
            self.left_out += 1;
            return None;
        }
        visitor.told += 1;
        self.of_strangers += usize::from(is_stranger);
        Some(std::mem::take(&mut visitor.left_out))
    }
}

/// How many visitors are remembered whose refusals were left out.
const VISITORS: usize = 10_000;

/// The last of these requests with this id.
fn find(requests: &VecDeque<Refusal>, request_id: &str) -> Option<Refusal> {
    let mut newest = requests.iter().rev();
    newest.find(|request| request.request_id.eq_ignore_ascii_case(request_id)).cloned()
}

/// Data kept before a panic is still valid.
fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn push<T>(list: &mut VecDeque<T>, new: T, at_most: usize) {
    if list.len() >= at_most {
        list.pop_front();
    }
    list.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(n: usize) -> Refusal {
        Refusal {
            request_id: format!("r{n}"),
            at: Timestamp::from_secs(1),
            from: IpAddr::from([192, 0, 2, 1]),
            user: Some("ada".to_owned()),
            is_known: true,
            app: Some("crm".to_owned()),
            host: "crm.example.com".to_owned(),
            method: "GET".to_owned(),
            path: "/closed/".to_owned(),
            readings: 1,
            rule: Some("rules[0]".to_owned()),
            reason: "nobody may enter".to_owned(),
        }
    }

    #[test]
    fn a_refusal_is_found_by_its_request_id_until_ten_thousand_more_have_come() {
        let decision_log = DecisionLog::default();
        (0..=DecisionLog::REFUSALS).for_each(|n| decision_log.refused(refusal(n)));
        assert_eq!(decision_log.why("r0"), None);
        assert_eq!(decision_log.why("r1"), Some(refusal(1)));
        assert_eq!(decision_log.why("elsewhere"), None);
    }

    #[test]
    fn a_flood_of_strangers_turns_over_no_refusal_of_somebody_who_was_known_and_few_of_others() {
        let decision_log = DecisionLog::default();
        decision_log.refused(refusal(0));
        let stranger = |n: usize, address: u32, second| Refusal {
            request_id: format!("s{n}"),
            at: Timestamp::from_secs(second),
            from: IpAddr::from(address.to_be_bytes()),
            user: None,
            is_known: false,
            ..refusal(n)
        };
        decision_log.refused(stranger(0, 1, 1));
        for n in 1..=20_000 {
            // First from one address, then from many.
            decision_log.refused(stranger(
                n,
                if n < 10_000 { 1 } else { u32::try_from(n).unwrap() },
                2,
            ));
        }
        assert_eq!(decision_log.why("r0"), Some(refusal(0)));
        assert!(decision_log.why("s0").is_some());
        let kept = (1..=20_000).filter(|n| decision_log.why(&format!("s{n}")).is_some()).count();
        assert_eq!(kept, DecisionLog::STRANGERS_OF_A_SECOND);
        assert!(decision_log.why("s5").is_some() && decision_log.why("s6").is_none());
    }

    #[test]
    fn a_flood_of_somebody_with_only_a_password_turns_over_no_refusal_of_a_user() {
        let decision_log = DecisionLog::default();
        decision_log.refused(refusal(0));
        let with_a_password = |n| Refusal { is_known: false, ..refusal(n) };
        (1..=DecisionLog::REFUSALS).for_each(|n| decision_log.refused(with_a_password(n)));
        assert_eq!(decision_log.why("r0"), Some(refusal(0)));
        assert_eq!(decision_log.why("r1"), Some(with_a_password(1)), "with its name");
        assert_eq!(decision_log.why(&format!("r{}", DecisionLog::REFUSALS)), None);
    }

    #[test]
    fn a_visitor_who_is_refused_again_and_again_is_a_few_events_that_say_how_many_were_left_out() {
        let decision_log = DecisionLog::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        decision_log.tell(move |refusal, left_out| {
            told.lock().unwrap().push((refusal.user.clone(), refusal.from, left_out));
        });
        let at = Timestamp::from_secs;
        let ada = |second| Refusal { at: at(second), ..refusal(0) };
        (0..12).for_each(|_| decision_log.refused(ada(60)));
        let other = Refusal { user: Some("bob".to_owned()), ..ada(60) };
        decision_log.refused(other.clone());
        decision_log.refused(ada(120));
        decision_log.refused(ada(121));
        let told = std::mem::take(&mut *heard.lock().unwrap());
        let left_out: Vec<_> = told.iter().map(|(_, _, left_out)| *left_out).collect();
        assert_eq!(left_out, [0, 0, 0, 0, 0, 0, 7, 0]);
        assert_eq!(told[5].0.as_deref(), Some("bob"), "others are not affected");

        let stranger = |address: u32| Refusal {
            user: None,
            is_known: false,
            from: IpAddr::from(address.to_be_bytes()),
            ..ada(180)
        };
        (0..1_000).for_each(|address| decision_log.refused(stranger(address)));
        decision_log.refused(Refusal { at: at(180), ..other });
        let told = heard.lock().unwrap();
        assert_eq!(told.len(), DecisionLog::EVENTS_OF_STRANGERS + 1, "users are told all the same");
        assert_eq!(decision_log.left_out_events(), 7 + 900, "whoever comes no more");
        assert_eq!(decision_log.left_out_events(), 0);
    }

    #[test]
    fn refusals_are_summed_up_by_rule_and_user() {
        let decision_log = DecisionLog::default();
        for second in [5, 3, 4] {
            let at = Timestamp::from_secs(second);
            decision_log.refused(Refusal { at, ..refusal(usize::try_from(second).unwrap()) });
        }
        decision_log.refused(Refusal { user: Some("bob".to_owned()), ..refusal(9) });
        let all = decision_log.refusals();
        assert_eq!(all.iter().map(|kind| kind.count).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(all[0].first, Timestamp::from_secs(3));
        assert_eq!(all[0].last.request_id, "r5");
    }

    #[test]
    fn what_would_have_been_is_counted_by_rule_verdict_and_person() {
        let decision_log = DecisionLog::default();
        let what = |user: &str| Watched {
            app: "crm".to_owned(),
            rule: "rules[0]".to_owned(),
            verdict: "challenge",
            user: Some(user.to_owned()),
        };
        for (user, at) in [("ada", 1), ("bob", 2), ("bob", 3)] {
            decision_log.watched(what(user), || "GET /".to_owned(), Timestamp::from_secs(at));
        }
        let report = decision_log.report();
        assert_eq!((&report[0].0, report[0].1.count), (&what("bob"), 2));
        assert_eq!(report[0].1.last, Timestamp::from_secs(3));
        assert_eq!((&report[1].0, report[1].1.count), (&what("ada"), 1));
    }

    #[test]
    fn the_kinds_that_are_counted_are_bounded() {
        let decision_log = DecisionLog::default();
        for n in 0..DecisionLog::WATCHED + 5 {
            let user = Some(n.to_string());
            let what =
                Watched { app: String::new(), rule: String::new(), verdict: "challenge", user };
            let now = Timestamp::from_secs(n as u64);
            decision_log.watched(what, String::new, now);
        }
        let report = decision_log.report();
        assert_eq!(report.len(), DecisionLog::WATCHED);
        assert!(!report.iter().any(|(what, _)| what.user.as_deref() == Some("0")));
    }
}
