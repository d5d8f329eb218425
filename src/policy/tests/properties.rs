//! Properties that hold for every policy and every request, with random samples that are the same
//! in every run.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::hostile::covers;
use crate::domain::assurance::{Kinds, Only, Requirement};
use crate::domain::factor::Kind;
use crate::domain::identity::{Identity, UserId};
use crate::policy::{
    Asker, Asks, Depth, Options, OtherTarget, Parameter, Policy, Request, Role, Rule, Sent, TextSet,
};

const PATTERNS: [&str; 20] = [
    "/a.php",
    "/b/index.php",
    "/**/b.html",
    "/index.php/",
    "/c/d.json",
    "/longer-name/",
    "/",
    "/a",
    "/a/",
    "/a/b/",
    "/A/",
    "/a/*/c",
    "/*/b",
    "/**/c/",
    "/a/**/d",
    "/**/*",
    "/b",
    "/é/",
    "/a/b/c/d",
    "/**/b/**/d/",
];
const TARGETS: [&str; 40] = [
    "/a.php?/a/b",
    "/b?/x/..%2Fa&q=1",
    "/a/@@b",
    "/a/b!x.html",
    "/a.php/b/x",
    "/index.php/a/b",
    "/index/c",
    "/b/",
    "/a.json",
    "/x/b.html/a",
    "/LONGER~1/x",
    "/(S(x))/a/b",
    "/a:x/b",
    "/c/d",
    "/cgi-bin/x/a/b",
    "/%EF%BD%81/b",
    "/",
    "/a",
    "/a/",
    "/A",
    "/a/b",
    "/a/b/c",
    "/a/x/c",
    "/b",
    "/x/b",
    "/x/y/c/z",
    "/a/x/y/d",
    "/a/b/c/d",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a%2Fb",
    "/%61",
    "/a;x/b",
    "/%C3%A9/",
    "/a?q=1",
    "/b?q=2&r=x",
    "/a/b?Q=%31",
    "/x?r",
    "/a/b/c/d/?q=1;r=3",
];

pub(super) struct Draw(StdRng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.0).unwrap()
    }

    fn often(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn requirement(&mut self) -> Requirement {
        let mut requirement = match self.0.random_range(0..5) {
            0 => Requirement::nothing(),
            1 | 2 => Requirement::sign_in(),
            3 => Requirement::second_factor(),
            _ => Requirement::nobody(),
        };
        if requirement == Requirement::second_factor() {
            if self.often(30) {
                let minutes = self.0.random_range(1..10);
                requirement.within = Some(std::time::Duration::from_mins(minutes));
                requirement.trusted_device = false;
            }
            if self.often(30) {
                requirement.kinds =
                    self.one(&[Kinds::only(Kind::Totp), Kinds::only(Kind::RecoveryCode)]);
            }
        }
        if requirement != Requirement::nobody() && self.often(20) {
            let groups = [self.one(&["staff", "clients"]).to_owned()].into();
            requirement.only = Some([Only { users: BTreeSet::new(), groups }].into());
        }
        requirement
    }

    fn rule(&mut self) -> Rule {
        let paths = (0..self.0.random_range(1..3)).map(|_| self.one(&PATTERNS).parse().unwrap());
        let mut rule = Rule::new(paths.collect(), self.requirement());
        if self.often(30) {
            rule.methods = [self.one(&["GET", "POST", "DELETE"]).to_owned()].into();
        }
        if self.often(30) {
            rule.networks =
                vec![self.one(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]).parse().unwrap()];
        }
        if self.often(30) {
            rule.groups = [self.one(&["staff", "clients"]).to_owned()].into();
        }
        if self.often(15) {
            rule.query = vec![self.parameter()];
        }
        rule.enforce = !self.often(15);
        rule
    }

    fn parameter(&mut self) -> Parameter {
        let values = if self.often(50) { ["1".to_owned()].into() } else { TextSet::default() };
        Parameter { name: self.one(&["q", "r"]).to_owned(), values }
    }

    fn rules(&mut self) -> Vec<Rule> {
        (0..self.0.random_range(0..8)).map(|_| self.rule()).collect()
    }

    fn below(&mut self) -> &'static str {
        self.one(&["/b", "/c", "/b/c", "/b/c/d", "/x/y/d", "/x/b/y/d/z"])
    }

    /// Many rules with few patterns, most of them with several conditions.
    fn crowd(&mut self) -> Vec<Rule> {
        let mut patterns = PATTERNS.to_vec();
        patterns.shuffle(&mut self.0);
        patterns.truncate(4);
        let some = |draw: &mut Self, of: &[&str]| -> Vec<String> {
            of.iter().filter(|_| draw.often(40)).map(|&one| one.to_owned()).collect()
        };
        let rule = |draw: &mut Self| {
            let mut rule = draw.rule();
            rule.paths = (0..draw.0.random_range(1..4))
                .map(|_| draw.one(&patterns).parse().unwrap())
                .collect();
            rule.methods = some(draw, &["GET", "POST", "DELETE"]).into_iter().collect();
            // The second and the third are the same network, written differently.
            let networks =
                ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/16", "2001:db8::/32", "0.0.0.0/0"];
            let networks = some(draw, &networks);
            if draw.often(60) {
                rule.networks = networks.iter().map(|network| network.parse().unwrap()).collect();
            }
            rule.groups = some(draw, &["staff", "clients", "admins"]).into_iter().collect();
            if rule.only_adds() {
                rule.query.extend((0..draw.0.random_range(0..3)).map(|_| draw.parameter()));
            }
            rule
        };
        (0..self.0.random_range(8..40)).map(|_| rule(self)).collect()
    }

    pub(super) fn policy(&mut self) -> Policy {
        let rules = if self.often(50) { self.rules() } else { self.crowd() };
        Policy::with(rules, self.requirement(), self.options())
    }

    fn options(&mut self) -> Options {
        let scripts = vec!["/cgi-bin/".parse().unwrap()];
        Options { case_sensitive: self.often(20), scripts, ..Options::default() }
    }

    fn request(&mut self, more: bool) -> [Request; 2] {
        let target = self.one(&TARGETS).as_bytes();
        let method = self.one(&["GET", "HEAD", "POST", "post", "DELETE", "LINK"]);
        let other = [self.one(&["DELETE", "get", "PUT, POST"])];
        let overrides: &[&str] = if more || self.often(10) { &other } else { &[] };
        [&[][..], overrides]
            .map(|overrides| Request::read_sent(&Sent { target, method, overrides }).unwrap())
    }

    fn address(&mut self) -> Option<IpAddr> {
        let known = self.one(&["10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::7"]);
        (!self.often(15)).then(|| known.parse().unwrap())
    }

    fn identity(&mut self) -> Option<Identity> {
        let groups = match self.0.random_range(0..4) {
            0 => return None,
            1 => BTreeSet::new(),
            2 => ["staff".to_owned()].into(),
            _ => ["staff".to_owned(), "clients".to_owned()].into(),
        };
        let (user, name) = (UserId::from([1; 16]), "ada".to_owned());
        Some(Identity { user, written: name.clone(), name, full_name: None, email: None, groups })
    }
}

#[test]
fn what_explain_says_is_what_is_decided() {
    let mut draw = Draw::new(1);
    for _ in 0..500 {
        let policy = Policy::with(draw.rules(), draw.requirement(), draw.options());
        for _ in 0..20 {
            let [_, request] = draw.request(false);
            let identity = draw.identity();
            let asker = Asker { address: draw.address(), known: identity.as_ref() };
            let decided = policy.requirement(&request, &asker);
            let explained = policy.explain(&request, &asker);
            assert_eq!(Asks::of(&decided.requirement), explained.asks, "{policy:#?}\n{explained}");
        }
    }
}

/// Compares the index with reading the file from the top, for many rules with the same path but
/// different methods, networks and groups.
#[test]
fn many_rules_for_one_place_are_decided_as_if_read_from_the_top() {
    let mut draw = Draw::new(6);
    for _ in 0..300 {
        let rules = draw.crowd();
        let options = draw.options();
        let otherwise = draw.requirement();
        let policy = Policy::with(rules.clone(), otherwise.clone(), options.clone());
        let obeyed = rules.into_iter().map(|rule| Rule { enforce: true, ..rule }).collect();
        let all_obeyed = Policy::with(obeyed, otherwise, options);
        for _ in 0..20 {
            let [_, request] = draw.request(false);
            let identity = draw.identity();
            let asker = Asker { address: draw.address(), known: identity.as_ref() };
            let decided = policy.requirement(&request, &asker);
            let explained = policy.explain(&request, &asker);
            assert_eq!(Asks::of(&decided.requirement), explained.asks, "{policy:#?}\n{explained}");
            assert_eq!(policy.name_of(decided.plain), explained.governed[0].by, "{policy:#?}");
            // `watched` gives the result as if all rules were enforced.
            let watched = policy.watched(&request, &asker).unwrap_or(decided);
            let explained = all_obeyed.explain(&request, &asker);
            assert_eq!(Asks::of(&watched.requirement), explained.asks, "{policy:#?}\n{explained}");
        }
    }
}

#[test]
fn another_reading_of_the_method_never_lowers_what_is_asked() {
    let mut draw = Draw::new(2);
    for _ in 0..2_000 {
        let policy = Policy::with(draw.rules(), draw.requirement(), draw.options());
        let [plain, more] = draw.request(true);
        let identity = draw.identity();
        let asker = Asker { address: draw.address(), known: identity.as_ref() };
        let asks = |request| policy.requirement(request, &asker).requirement;
        assert!(covers(&asks(&more), &asks(&plain)), "{policy:#?}");
    }
}

#[test]
fn a_method_that_nobody_knows_is_asked_at_least_what_every_other_is_asked() {
    let mut draw = Draw::new(7);
    for _ in 0..2_000 {
        let rules = draw.crowd();
        let policy = Policy::with(rules, draw.requirement(), draw.options());
        let target = draw.one(&TARGETS).as_bytes();
        let identity = draw.identity();
        let asker = Asker { address: draw.address(), known: identity.as_ref() };
        let asks = |method, overrides: &[&str]| {
            let request = Request::read_sent(&Sent { target, method, overrides }).unwrap();
            policy.requirement(&request, &asker).requirement
        };
        // DELETE must meet the rules for parts of a thing, too, so leave it out.
        let method = draw.one(&["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS"]);
        for unknown in [asks("FOO", &[]), asks("pOST", &[]), asks("GET", &["LINK"])] {
            assert!(covers(&unknown, &asks(method, &[])), "{method}: {policy:#?}");
        }
        let safe = policy.clone().with_safe_methods(["FOO".to_owned()].into());
        let request = Request::read_sent(&Sent { target, method: "FOO", overrides: &[] }).unwrap();
        assert_eq!(safe.requirement(&request, &asker).requirement, asks("OPTIONS", &[]));
    }
}

#[test]
fn what_acts_on_all_below_a_path_is_asked_at_least_what_is_asked_there() {
    let mut draw = Draw::new(8);
    for _ in 0..3_000 {
        let options = Options { webdav: true, ..draw.options() };
        // A guess for a part is not made for the whole, so use no rules that name files.
        let mut rules = draw.rules();
        for rule in &mut rules {
            rule.paths.retain(|path| !path.to_string().contains('.'));
        }
        rules.retain(|rule| !rule.paths.is_empty());
        let policy = Policy::with(rules, draw.requirement(), options);
        let identity = draw.identity();
        let asker = Asker { address: draw.address(), known: identity.as_ref() };
        let asks = |method, target: &str, depth, others: &[OtherTarget]| {
            let sent = Sent { target: target.as_bytes(), method, overrides: &[] };
            let request = Request::read_sent(&sent).unwrap().reaching(depth, others).unwrap();
            let decided = policy.requirement(&request, &asker);
            let explained = policy.explain(&request, &asker);
            assert_eq!(Asks::of(&decided.requirement), explained.asks, "{policy:#?}\n{explained}");
            decided.requirement
        };
        let above = draw.one(&["/", "/a", "/a/", "/x", "/b", "/A", "/a//", "/a/b"]);
        let below = format!("{}{}", above.trim_end_matches('/'), draw.below());
        let method = draw.one(&["MOVE", "DELETE", "PROPFIND", "FOO"]);
        let whole = asks(method, above, Depth::Infinity, &[]);
        let part = asks(method, &below, Depth::Zero, &[]);
        assert!(covers(&whole, &part), "{method} {above}, {below}: {policy:#?}");
        let one = format!("{}/{}", above.trim_end_matches('/'), draw.one(&["a", "b", "c", "x"]));
        let (children, child) =
            (asks("PROPFIND", above, Depth::One, &[]), asks("PROPFIND", &one, Depth::Zero, &[]));
        assert!(covers(&children, &child), "{above}, {one}: {policy:#?}");
        // A second target is judged as if it were the only one.
        let (header, role, target) = ("Destination", Role::Written, below.clone().into_bytes());
        let destination = [OtherTarget { header, role, target }];
        let copied = asks("COPY", "/y", Depth::Zero, &destination);
        for method in ["PUT", "DELETE"] {
            let written = asks(method, &below, Depth::Infinity, &[]);
            assert!(covers(&copied, &written), "{method} {below}: {policy:#?}");
        }
    }
}

/// As checked with Apache's `mod_rewrite`: `/wiki/(.*)` rewritten to `index.php?title=$1`.
#[test]
fn a_path_that_becomes_part_of_the_query_is_looked_at_as_one() {
    let query = vec![Parameter { name: "action".to_owned(), values: ["delete".to_owned()].into() }];
    let rule = Rule::new(vec!["/".parse().unwrap()], Requirement::second_factor());
    let policy = Policy::new(vec![Rule { query, ..rule }], Requirement::nothing());
    for (target, asked) in [
        ("/wiki/A&action=delete", true),
        ("/wiki/A%26action=delete", true),
        ("/wiki/A%26action%3Ddelete?b=c", true),
        ("/wiki/A%2526action=delete", true),
        ("/wiki/A%3f%26action=delete", true),
        ("/wiki/A%3faction=delete", true),
        ("/wiki/AT%26T", false),
        ("/wiki/action=delete", false),
        ("/wiki/A%20B?x=%26action=delete", false),
    ] {
        let request = Request::read(target.as_bytes()).unwrap();
        let requirement = policy.requirement(&request, &Asker::default()).requirement;
        assert_eq!(requirement == Requirement::second_factor(), asked, "{target}");
    }
}

/// Deleting a thing must meet the rules that name its parts, but not those that match parts of
/// anything.
#[test]
fn deleting_one_thing_meets_the_rules_of_its_parts_alone() {
    let rule = |path: &str| Rule::new(vec![path.parse().unwrap()], Requirement::second_factor());
    let rules = vec![rule("/**/internal/"), rule("/orders/7/invoice"), rule("/files/*/keys/")];
    let policy = Policy::new(rules.clone(), Requirement::nothing());
    let options = Options { webdav: true, ..Options::default() };
    let webdav = Policy::with(rules, Requirement::nothing(), options);
    for (target, asks, asks_webdav) in [
        ("/orders/7", true, true),
        ("/orders/7/", true, true),
        ("/orders", true, true),
        ("/orders/8", false, true),
        ("/files/8", true, true),
        ("/x/internal/y", true, true),
    ] {
        for (policy, asks) in [(&policy, asks), (&webdav, asks_webdav)] {
            let sent = Sent { target: target.as_bytes(), method: "DELETE", overrides: &[] };
            let request = Request::read_sent(&sent).unwrap();
            let asked = policy.requirement(&request, &Asker::default()).requirement;
            assert_eq!(asked == Requirement::second_factor(), asks, "{target}");
        }
    }
}

#[test]
fn not_to_know_the_address_never_lowers_what_is_asked() {
    let mut draw = Draw::new(3);
    for _ in 0..2_000 {
        // With several networks, one address may be in one and not in another; then neither reading
        // is exactly that address. With one network at most, the two readings cover all cases.
        let mut rules = draw.rules();
        for rule in &mut rules {
            rule.networks.retain(|network| network.to_string() == "10.0.0.0/8");
        }
        let policy = Policy::with(rules, draw.requirement(), draw.options());
        let [_, request] = draw.request(false);
        let identity = draw.identity();
        let asked = |address| {
            policy.requirement(&request, &Asker { address, known: identity.as_ref() }).requirement
        };
        let address = draw.address();
        assert!(covers(&asked(None), &asked(address)), "{policy:#?}");
    }
}

#[test]
fn a_rule_that_looks_at_the_query_never_lowers_what_is_asked() {
    let mut draw = Draw::new(4);
    for _ in 0..2_000 {
        let (rules, otherwise, options) = (draw.rules(), draw.requirement(), draw.options());
        let mut more = rules.clone();
        let query = vec![draw.parameter()];
        let place = draw.0.random_range(0..=more.len());
        let rule = draw.rule();
        more.insert(place, Rule { query, enforce: true, ..rule });
        let (without, with) = (
            Policy::with(rules, otherwise.clone(), options.clone()),
            Policy::with(more, otherwise, options),
        );
        let [_, request] = draw.request(false);
        let identity = draw.identity();
        let asker = Asker { address: draw.address(), known: identity.as_ref() };
        let asks = |policy: &Policy| policy.requirement(&request, &asker).requirement;
        assert!(covers(&asks(&with), &asks(&without)), "{with:#?}");
    }
}

#[test]
fn a_rule_that_is_only_watched_decides_as_if_it_were_absent() {
    let mut draw = Draw::new(5);
    for _ in 0..2_000 {
        let (rules, otherwise, options) = (draw.rules(), draw.requirement(), draw.options());
        let obeyed = rules.iter().filter(|rule| rule.enforce).cloned().collect();
        let (all, without) = (
            Policy::with(rules, otherwise.clone(), options.clone()),
            Policy::with(obeyed, otherwise, options),
        );
        let [_, request] = draw.request(false);
        let identity = draw.identity();
        let asker = Asker { address: draw.address(), known: identity.as_ref() };
        let asks = |policy: &Policy| policy.requirement(&request, &asker).requirement;
        assert_eq!(asks(&all), asks(&without), "{all:#?}");
        assert_eq!(all.demands().count(), without.demands().count());
    }
}
