//! What a request must meet: the requirements of all its readings, combined.

use std::net::{IpAddr, Ipv4Addr};

use smallvec::SmallVec;

use super::below::Below;
use super::guess::{self, About, Guess, Why};
use super::index::Index;
use super::pattern::Case;
use super::reach::Reach;
use super::request::Request;
use super::rule::{Fit, Found, Governor, Look, Network};
use super::rules::{Asker, Policy};
use super::tree::{End, Ends};
use super::work::Work;
use crate::domain::assurance::{Level, Requirement};

/// What a request must meet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What all readings require together.
    pub requirement: Requirement,
    /// What governs the path as it was sent.
    pub plain: Governor,
    /// What governs the reading that last raised the requirement; `plain` if none did.
    pub raised_by: Governor,
    /// The header that names the target of that reading; `None` for the request's own target.
    pub raised_in: Option<&'static str>,
    /// Whether judging the request exceeds the work limit. It must then be refused, and
    /// `requirement` says so.
    pub is_too_costly: bool,
    /// The work of reading and judging it, in the units of the policy's limit.
    pub work: u32,
}

impl Policy {
    /// What `request` must meet: the requirements of the rules that govern its readings, together,
    /// and of the rules that add to them.
    ///
    /// Letter case is tried both as written and folded on both sides. Another reading never lowers
    /// the requirement.
    pub fn requirement(&self, request: &Request, asker: &Asker<'_>) -> Ruling {
        self.rule(&self.enforced, request, asker)
    }

    /// The same as if every rule were enforced; `None` if they all are.
    pub fn watched(&self, request: &Request, asker: &Asker<'_>) -> Option<Ruling> {
        self.watched.as_ref().map(|index| self.rule(index, request, asker))
    }

    fn rule(&self, index: &Index, request: &Request, asker: &Asker<'_>) -> Ruling {
        let address = asker.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // If no rule has a condition on networks, one reading of the address is enough.
        let networks = if index.looks_at_networks { usize::MAX } else { 1 };
        let mut judged = Judged::new(self, index, request.work());
        for (role, target) in request.targets() {
            let mut looks = Looks::new();
            for (method, reach) in index.named.readings(role, target, self.handling()) {
                for network in Network::readings(asker.address).iter().take(networks) {
                    let network = network(address);
                    looks.push((Look { method, network, known: asker.known }, reach));
                }
            }
            judged.turn_to(looks, target);
            for path in target.readings() {
                self.cases(path, |path, case| judged.reading(path, case));
            }
            for path in target.readings() {
                judged.guesses(path);
            }
            for path in target.paths_in_query() {
                judged.in_query(path);
            }
        }
        judged.ruling()
    }
}

/// Readings of everything but the path, each with how far below the path it reaches.
pub(super) type Looks<'a> = SmallVec<[(Look<'a>, Reach); 2]>;

/// A ruling while it is being made.
pub(super) struct Judged<'a> {
    policy: &'a Policy,
    index: &'a Index,
    looks: Looks<'a>,
    /// The header that names the target; `None` for the request's own.
    header: Option<&'static str>,
    /// The rules whose parameters were sent.
    sent: Vec<usize>,
    /// What has been judged: paths that the same patterns match have the same result.
    seen: SmallVec<[Seen; 4]>,
    ruling: Option<Ruling>,
    work: Work,
}

/// Paths that the patterns with these ends match.
#[derive(PartialEq, Eq)]
struct Seen {
    ends: Ends,
    case: Case,
    weight: Weight,
}

/// How much counts of the rule that governs a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// What it requires, if it names a literal segment.
    Named,
    /// What it requires, or `otherwise` if no rule governs.
    Full,
}

impl<'a> Judged<'a> {
    pub(super) fn new(policy: &'a Policy, index: &'a Index, work: Work) -> Self {
        let (looks, sent, seen) = (Looks::new(), Vec::new(), SmallVec::new());
        Self { policy, index, looks, header: None, sent, seen, ruling: None, work }
    }

    /// Begins with another target.
    pub(super) fn turn_to(&mut self, looks: Looks<'a>, target: &Request) {
        self.header = target.named_by();
        let query = target.query().filter(|_| self.index.has_query());
        self.work.spend(query.map_or(0, |query| QUERY * query.sent().len()));
        // A query that exceeds the work limit is not searched for the parameters of rules.
        let query = query.filter(|_| !self.work.is_spent());
        self.sent = query.map(|query| self.index.sent(query)).unwrap_or_default();
        self.looks = looks;
        self.seen.clear();
    }

    /// Adds what one reading of the path requires.
    pub(super) fn reading(&mut self, path: &[u8], case: Case) {
        if self.work.is_spent() {
            return;
        }
        let case = self.index.case(case);
        let ends = self.index.ends(path, case, &mut self.work);
        if self.is_new(&ends, case, Weight::Full) {
            for at in 0..self.looks.len() {
                if self.work.is_spent() {
                    return;
                }
                self.join(&ends, case, at, Weight::Full);
            }
            self.seen.push(Seen { ends, case, weight: Weight::Full });
        }
        // Paths that the same patterns match may contain different things below.
        for at in 0..self.looks.len() {
            if self.work.is_spent() {
                return;
            }
            self.below(path, case, at, Weight::Full);
        }
    }

    /// Adds the requirements of all rules that may govern below a path, as far as the request
    /// reaches.
    fn below(&mut self, path: &[u8], case: Case, look: usize, weight: Weight) {
        let Some((look, reach)) = self.looks.get(look).filter(|(_, reach)| *reach != Reach::Path)
        else {
            return;
        };
        let rules = self.policy.rules();
        let found =
            self.index.below(rules, (path, case), (look, *reach), &self.sent, &mut self.work);
        let Below { rules, otherwise } = match weight {
            Weight::Full => found,
            Weight::Named => found.of_guess(),
        };
        for found in rules {
            self.join_rule(found);
        }
        if otherwise {
            self.join_with(Governor::Otherwise, self.policy.otherwise());
        }
    }

    /// Adds what the guesses for one reading of the path require.
    pub(super) fn guesses(&mut self, path: &[u8]) {
        if self.work.is_spent() {
            return;
        }
        let case = self.index.case(self.policy.case_of_guesses());
        let (tree, scripts) = (self.index.tree(case), &self.policy.options().scripts);
        self.work.spend(path.len() / 2);
        if !tree.names_files() && guess::is_plain(path, scripts) {
            return;
        }
        let path = &*self.policy.cased_for_guesses(path);
        let guesses = self.policy.guesses(self.index, path, &mut self.work);
        if guesses.is_empty() {
            return;
        }
        let reading = self.index.ends(path, case, &mut self.work);
        for guess in &guesses {
            if self.work.is_spent() {
                return;
            }
            self.guess(guess, case, (path, &reading));
        }
    }

    /// Adds what a path requires that may be in the query.
    pub(super) fn in_query(&mut self, path: &[u8]) {
        let case = self.index.case(self.policy.case_of_guesses());
        let path = self.policy.cased_for_guesses(path);
        self.guess(&Guess { path, why: Why::Query, about: About::Names }, case, (b"/", &[]));
    }

    /// `reading`: the path from which this was guessed, and the ends of the patterns that match it.
    fn guess(&mut self, guess: &Guess<'_>, case: Case, reading: (&[u8], &[End])) {
        self.guess_itself(guess, case, reading);
        // An operation on a folder under another name also affects what is below it.
        for at in 0..self.looks.len() {
            if self.work.is_spent() {
                return;
            }
            let reaches = self.looks.get(at).is_some_and(|(_, reach)| *reach != Reach::Path);
            let is_meant = |judged: &mut Self| match guess.about {
                About::File(file) => !judged.is_written_for(file, case, reading, at),
                About::Names | About::Script(_) => true,
            };
            if reaches && is_meant(self) {
                self.below(&guess.path, case, at, Weight::Named);
            }
        }
    }

    fn guess_itself(&mut self, guess: &Guess<'_>, case: Case, reading: (&[u8], &[End])) {
        let ends = self.index.ends(&guess.path, case, &mut self.work);
        let is_script = matches!(guess.about, About::Script(_));
        let weight = if is_script { Weight::Full } else { Weight::Named };
        if !self.is_new(&ends, case, weight) {
            return;
        }
        let mut judged = Some(weight);
        for at in 0..self.looks.len() {
            let weight = match guess.about {
                // The rule is for this script and the paths behind it.
                About::Script(script) if self.is_written_for(script, case, reading, at) => {
                    judged = judged.map(|_| Weight::Named);
                    Weight::Named
                }
                About::Script(_) => Weight::Full,
                About::File(file) if self.is_written_for(file, case, reading, at) => {
                    judged = None;
                    continue;
                }
                About::Names | About::File(_) => Weight::Named,
            };
            self.join(&ends, case, at, weight);
        }
        if let Some(weight) = judged {
            self.seen.push(Seen { ends, case, weight });
        }
    }

    /// The result; `nobody` if there was none, or the work limit was exceeded.
    pub(super) fn ruling(self) -> Ruling {
        let is_too_costly = self.work.is_spent();
        let ruling = self.ruling.unwrap_or(Ruling {
            requirement: Requirement::nobody(),
            plain: Governor::Otherwise,
            raised_by: Governor::Otherwise,
            raised_in: None,
            is_too_costly,
            work: 0,
        });
        let requirement = if is_too_costly { Requirement::nobody() } else { ruling.requirement };
        Ruling { requirement, is_too_costly, work: self.work.spent(), ..ruling }
    }

    fn is_new(&mut self, ends: &[End], case: Case, weight: Weight) -> bool {
        self.work.spend(self.seen.len());
        let same = |seen: &Seen| {
            seen.weight >= weight && seen.case == case && seen.ends.as_slice() == ends
        };
        !self.seen.iter().any(same)
    }

    /// Whether the rule that governs a reading matches it by a pattern that names this segment.
    fn is_written_for(
        &mut self,
        segment: &[u8],
        case: Case,
        (path, ends): (&[u8], &[End]),
        look: usize,
    ) -> bool {
        let Some(found) = self.governor(ends, case, look) else { return false };
        let patterns = self.policy.rules().get(found.position).into_iter();
        let mut patterns = patterns.flat_map(|rule| &rule.paths);
        self.work.spend(path.len());
        patterns.any(|pattern| pattern.names(segment) && pattern.matches(path, case))
    }

    fn governor(&mut self, ends: &[End], case: Case, look: usize) -> Option<Found> {
        let (look, _) = self.looks.get(look)?;
        self.index.governor(self.policy.rules(), (ends, case), look, &mut self.work)
    }

    fn join(&mut self, ends: &[End], case: Case, look: usize, weight: Weight) {
        let is_full = weight == Weight::Full;
        match self.governor(ends, case, look) {
            Some(found) if is_full || found.is_named => self.join_rule(found),
            None if is_full => self.join_with(Governor::Otherwise, self.policy.otherwise()),
            Some(_) | None => {}
        }
        let Some((look, _)) = self.looks.get(look).filter(|_| !self.sent.is_empty()) else {
            return;
        };
        let rules = self.policy.rules();
        for found in self.index.added(rules, &self.sent, (ends, case), look, &mut self.work) {
            self.join_rule(found);
        }
    }

    fn join_rule(&mut self, found: Found) {
        let governor = Governor::Rule(found.position);
        match (self.policy.rules().get(found.position), found.fit) {
            (Some(rule), Fit::Wholly) => self.join_with(governor, &rule.require),
            (Some(_), Fit::ButForGroups) => self.join_with(governor, &Requirement::sign_in()),
            (None, _) => self.join_with(governor, &Requirement::nobody()),
        }
    }

    fn join_with(&mut self, governor: Governor, asks: &Requirement) {
        match &mut self.ruling {
            None => {
                self.ruling = Some(Ruling {
                    requirement: asks.clone(),
                    plain: governor,
                    raised_by: governor,
                    raised_in: self.header,
                    is_too_costly: false,
                    work: 0,
                });
            }
            Some(ruling) if ruling.raised_by != governor => {
                let together = ruling.requirement.and(asks);
                if together != ruling.requirement {
                    // No rule refuses more than one that refuses everybody.
                    if ruling.requirement.level != Level::Nobody {
                        ruling.raised_by = governor;
                        ruling.raised_in = self.header;
                    }
                    ruling.requirement = together;
                }
            }
            Some(_) => {}
        }
    }
}

/// The cost of searching one byte of a query for the parameters of rules.
const QUERY: usize = 2;
