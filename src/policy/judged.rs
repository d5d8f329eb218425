//! What a request must meet, joined from one reading of its path after the other.

use std::fmt;

use smallvec::SmallVec;

use super::below::Below;
use super::guess::{self, About, Guess, Why};
use super::index::{Found, Index};
use super::pattern::Case;
use super::query::Query;
use super::reach::Reach;
use super::rules::{Fit, Look, Policy};
use super::tree::{End, Ends};
use super::work::Work;
use crate::domain::assurance::Requirement;

/// What governs a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Governor {
    /// The rule with this index, from 0, in file order.
    Rule(usize),
    /// No rule: what the application asks otherwise.
    Otherwise,
}

/// What a request must meet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What all readings ask together.
    pub requirement: Requirement,
    /// What governs the path as it was written.
    pub plain: Governor,
    /// What governs the reading that raised the requirement last; `plain` if none did.
    pub raised_by: Governor,
    /// Whether the request would cost more to judge than any request may: it is to be refused, and
    /// `requirement` says so.
    pub is_too_costly: bool,
    /// How much work it took to read and judge, in the units of the policy's limit.
    pub work: u32,
}

/// Readings of everything but the path, each with how far below the path it reaches.
pub(super) type Looks<'a> = SmallVec<[(Look<'a>, Reach); 2]>;

/// A ruling in the making.
pub(super) struct Judged<'a> {
    policy: &'a Policy,
    index: &'a Index,
    looks: Looks<'a>,
    /// The rules whose parameters were sent.
    sent: Vec<usize>,
    /// What was judged already: paths that the same patterns take are judged alike.
    seen: SmallVec<[Seen; 4]>,
    ruling: Option<Ruling>,
    work: Work,
}

/// Paths that are taken by the patterns with these ends.
#[derive(PartialEq, Eq)]
struct Seen {
    ends: Ends,
    case: Case,
    weight: Weight,
}

/// What counts of the rule that governs a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Whatever it asks, if it names a literal segment.
    Named,
    /// Whatever it asks, and what is asked otherwise where there is none.
    Full,
}

impl<'a> Judged<'a> {
    pub(super) fn new(policy: &'a Policy, index: &'a Index, work: Work) -> Self {
        let (looks, sent, seen) = (Looks::new(), Vec::new(), SmallVec::new());
        Self { policy, index, looks, sent, seen, ruling: None, work }
    }

    /// What is judged from now on is a target of its own, with this query.
    pub(super) fn turn_to(&mut self, looks: Looks<'a>, query: Option<&Query>) {
        let query = query.filter(|_| self.index.has_query());
        self.work.spend(query.map_or(0, |query| QUERY * query.sent().len()));
        // Rules that only add cannot be found out of more than any request may cost.
        let query = query.filter(|_| !self.work.is_spent());
        self.sent = query.map(|query| self.index.sent(query)).unwrap_or_default();
        self.looks = looks;
        self.seen.clear();
    }

    /// Joins what one reading of the path is asked.
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
        // Paths that the same patterns take may lead to different places below.
        for at in 0..self.looks.len() {
            if self.work.is_spent() {
                return;
            }
            self.below(path, case, at, Weight::Full);
        }
    }

    /// Joins what is asked below a path, as far as the request reaches: every rule that may govern there.
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

    /// Joins what one reading of the path might be taken for besides.
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
        let guesses = guess::of(path, self.policy.case_of_guesses(), tree, scripts, &mut self.work);
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

    /// Joins what a path is asked that may stand in the query, read in this way.
    pub(super) fn in_query(&mut self, path: &[u8]) {
        let case = self.index.case(self.policy.case_of_guesses());
        let path = self.policy.cased_for_guesses(path);
        self.guess(&Guess { path, why: Why::Query, about: About::Names }, case, (b"/", &[]));
    }

    /// `reading`: the path from which this was guessed, and where the patterns end that take it.
    fn guess(&mut self, guess: &Guess<'_>, case: Case, reading: (&[u8], &[End])) {
        self.guess_itself(guess, case, reading);
        // Whoever acts on a folder by another name acts on what lies below it, too.
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
                // The rule was written for this script, and for what stands behind it.
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

    /// What was found; `nobody` where nothing was, or not in time.
    pub(super) fn ruling(self) -> Ruling {
        let is_too_costly = self.work.is_spent();
        let ruling = self.ruling.unwrap_or(Ruling {
            requirement: Requirement::nobody(),
            plain: Governor::Otherwise,
            raised_by: Governor::Otherwise,
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

    /// Whether the rule that governs a reading takes it by a pattern that names this segment.
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
                    is_too_costly: false,
                    work: 0,
                });
            }
            Some(ruling) if ruling.raised_by != governor => {
                let together = ruling.requirement.and(asks);
                if together != ruling.requirement {
                    ruling.requirement = together;
                    ruling.raised_by = governor;
                }
            }
            Some(_) => {}
        }
    }
}

/// What it costs to look at one byte of a query for the parameters of rules.
const QUERY: usize = 2;

impl fmt::Display for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(index) => write!(f, "rule {}", index + 1),
            Self::Otherwise => f.write_str("otherwise"),
        }
    }
}
