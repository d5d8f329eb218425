//! The rules of an app, indexed so that a decision does not try all of them.
//!
//! The patterns form a tree of segments. A path leads to the few nodes at which patterns that match
//! it end. Each such node indexes its rules by their other conditions: network, group, method. Of
//! all rules that apply, the first in the file governs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::below::Below;
use super::named_methods::Named;
use super::pattern::{Case, Pattern};
use super::query::{Query, Wanted};
use super::reach::Reach;
use super::rule::{Fit, Found, Look, Network, Rule};
use super::tree::{End, Ends, Planting, Tree};
use super::work::Work;
use ipnet::IpNet;

/// The position of a rule in the file.
type Position = usize;

/// Rules, indexed by their conditions; see the module.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// With letter case as written; `None` if it makes no difference to any pattern.
    exact: Option<Layout>,
    folded: Layout,
    /// The parameters that rules which only add look for.
    wanted: Wanted,
    /// The methods that rules distinguish.
    pub(super) named: Named,
    /// Whether any rule has a condition on networks.
    pub(super) looks_at_networks: bool,
}

/// The patterns in one letter case, with the rules at each of their ends.
#[derive(Clone, Debug)]
struct Layout {
    tree: Tree,
    /// Indexed by [`End`].
    here: Box<[Here]>,
}

/// The rules with a pattern that ends at one node. Most nodes have one rule.
#[derive(Clone, Debug)]
struct Here {
    /// Whether the pattern names a literal segment.
    is_named: bool,
    /// The first rule without other conditions: no rule after it ever governs here.
    free: Option<Position>,
    others: Option<Box<Others>>,
}

/// Rules with other conditions.
#[derive(Clone, Debug)]
struct Others {
    conditional: Conditional,
    /// Those that only add, in file order.
    adds: Box<[Position]>,
}

/// The rules at this node that have other conditions and may govern.
#[derive(Clone, Debug)]
enum Conditional {
    /// Few enough to try each, in file order.
    Few(Box<[Position]>),
    Many(Box<ByCondition>),
}

/// Many rules, each indexed by its most selective condition; each list is in file order.
#[derive(Clone, Debug, Default)]
struct ByCondition {
    /// By length of the network prefix, then by network.
    by_network: BTreeMap<u8, HashMap<IpNet, Vec<Position>>>,
    networked: Vec<Position>,
    by_group: HashMap<String, Vec<Position>>,
    grouped: Vec<Position>,
    by_method: HashMap<String, Vec<Position>>,
}

/// The rules of one node while the index is built.
#[derive(Debug, Default)]
struct Gathered {
    is_named: bool,
    free: Option<Position>,
    conditional: Vec<Position>,
    adds: Vec<Position>,
}

/// If a node has more rules than this, they are indexed by their conditions.
const FEW: usize = 4;

impl Index {
    /// Indexes the `rules` at the given positions. If `exact`, letter case of values counts.
    pub(super) fn of(rules: &[Rule], which: &[Position], exact: bool) -> Self {
        let laid_out = || which.iter().filter_map(|at| Some((*at, rules.get(*at)?)));
        let is_cased = laid_out().flat_map(|(_, rule)| &rule.paths).any(Pattern::is_cased);
        Self {
            exact: is_cased.then(|| Layout::of(rules, laid_out(), Case::Exact)),
            folded: Layout::of(rules, laid_out(), Case::Folded),
            wanted: Wanted::of(laid_out(), exact),
            named: Named::of(laid_out().map(|(_, rule)| rule)),
            looks_at_networks: laid_out().any(|(_, rule)| !rule.networks.is_empty()),
        }
    }

    /// Whether any rule has a condition on the query.
    pub(super) fn has_query(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// The rules whose parameters were all sent, in file order. Computed once for a request, even
    /// if its path has many readings.
    pub(super) fn sent(&self, query: &Query) -> Vec<Position> {
        self.wanted.sent(query)
    }

    /// The ends of the patterns that match one reading of a path.
    pub(super) fn ends(&self, path: &[u8], case: Case, work: &mut Work) -> Ends {
        self.layout(case).tree.ends(path, work)
    }

    /// The rule that governs at these ends, if any.
    pub(super) fn governor(
        &self,
        rules: &[Rule],
        (ends, case): (&[End], Case),
        look: &Look<'_>,
        work: &mut Work,
    ) -> Option<Found> {
        let mut first: Option<Found> = None;
        for here in self.layout(case).here_of(ends) {
            // Several patterns of one rule may match a path.
            let before = first.map_or(Position::MAX, |found| found.position + 1);
            if let Some(found) = here.first(rules, look, before, work) {
                let again = first.filter(|first| first.position == found.position);
                let is_named = again.is_some_and(|first| first.is_named) || here.is_named;
                first = Some(Found { is_named, ..found });
            }
        }
        first
    }

    /// Every rule of `sent` that adds something at these ends, in file order.
    pub(super) fn added(
        &self,
        rules: &[Rule],
        sent: &[Position],
        (ends, case): (&[End], Case),
        look: &Look<'_>,
        work: &mut Work,
    ) -> Vec<Found> {
        let mut added = Vec::new();
        for here in self.layout(case).here_of(ends) {
            work.spend(sent.len());
            for position in sent.iter().filter(|at| here.adds(**at)) {
                let fit = rules.get(*position).and_then(|rule| rule.fits(look));
                added.extend(fit.map(|fit| Found {
                    position: *position,
                    fit,
                    is_named: here.is_named,
                }));
            }
        }
        added.sort_unstable_by_key(|found| found.position);
        added.dedup_by_key(|found| found.position);
        added
    }

    /// Every rule that may govern something below `path`, as far as `reach` says; see [`Below`].
    pub(super) fn below(
        &self,
        rules: &[Rule],
        (path, case): (&[u8], Case),
        (look, reach): (&Look<'_>, Reach),
        sent: &[Position],
        work: &mut Work,
    ) -> Below {
        let layout = self.layout(case);
        let ends = layout.tree.below(path, reach == Reach::Literally, work);
        let positions: BTreeSet<Position> =
            layout.here_of(&ends).flat_map(Here::positions).collect();
        let there = || positions.iter().filter_map(|at| Some((*at, rules.get(*at)?)));
        let patterns: usize = there().map(|(_, rule)| rule.paths.len()).sum();
        work.spend(patterns * (RULE + path.len()));
        let there = there();
        Below::of(there, path, case, look, reach, |position| sent.contains(&position))
    }

    /// The letter case under which patterns are stored: if it makes no difference to any of them,
    /// there is only the folded layout.
    pub(super) fn case(&self, case: Case) -> Case {
        if self.exact.is_some() { case } else { Case::Folded }
    }

    /// The patterns in this letter case.
    pub(super) fn tree(&self, case: Case) -> &Tree {
        &self.layout(case).tree
    }

    fn layout(&self, case: Case) -> &Layout {
        match (case, &self.exact) {
            (Case::Exact, Some(exact)) => exact,
            (Case::Folded, _) | (Case::Exact, None) => &self.folded,
        }
    }
}

impl Layout {
    /// Indexes `which` of `rules`.
    fn of<'r>(
        rules: &'r [Rule],
        which: impl Iterator<Item = (Position, &'r Rule)>,
        case: Case,
    ) -> Self {
        let mut planting = Planting::new(case);
        let mut here: Vec<Gathered> = Vec::new();
        for (position, rule) in which {
            for pattern in &rule.paths {
                let Some(end) = planting.end_of(pattern) else { continue };
                let end = end as usize;
                if end == here.len() {
                    here.push(Gathered { is_named: pattern.is_named(), ..Gathered::default() });
                }
                if let Some(here) = here.get_mut(end) {
                    here.add(position, rule);
                }
            }
        }
        let tree = planting.grown();
        Self { tree, here: here.into_iter().map(|here| here.laid_out(rules)).collect() }
    }

    fn here_of(&self, ends: &[End]) -> impl Iterator<Item = &Here> {
        ends.iter().filter_map(|end| self.here.get(*end as usize))
    }
}

impl Gathered {
    fn add(&mut self, position: Position, rule: &Rule) {
        if rule.only_adds() {
            push(&mut self.adds, position);
        } else if rule.is_free() {
            self.free.get_or_insert(position);
        } else if self.free.is_none() {
            push(&mut self.conditional, position);
        }
    }

    fn laid_out(self, rules: &[Rule]) -> Here {
        let Self { is_named, free, conditional, adds } = self;
        let others = (!conditional.is_empty() || !adds.is_empty()).then(|| {
            let conditional = if conditional.len() <= FEW {
                Conditional::Few(conditional.into())
            } else {
                Conditional::Many(Box::new(ByCondition::of(rules, &conditional)))
            };
            Box::new(Others { conditional, adds: adds.into() })
        });
        Here { is_named, free, others }
    }
}

/// Adds a position unless it was added last: a rule may have a pattern, or a condition, twice.
fn push(list: &mut Vec<Position>, position: Position) {
    if list.last() != Some(&position) {
        list.push(position);
    }
}

impl Here {
    /// Every rule at this node.
    fn positions(&self) -> impl Iterator<Item = Position> {
        let others = self.others.iter().flat_map(|others| {
            let (few, many) = match &others.conditional {
                Conditional::Few(few) => (Some(few), None),
                Conditional::Many(many) => (None, Some(many.positions())),
            };
            few.into_iter().flatten().chain(many.into_iter().flatten()).chain(&others.adds)
        });
        self.free.iter().chain(others).copied()
    }

    /// Whether this rule adds something at this node.
    fn adds(&self, position: Position) -> bool {
        self.others.as_ref().is_some_and(|others| others.adds.binary_search(&position).is_ok())
    }

    /// The first rule at this node that applies and comes before `before` in the file.
    fn first(
        &self,
        rules: &[Rule],
        look: &Look<'_>,
        before: Position,
        work: &mut Work,
    ) -> Option<Found> {
        let is_named = self.is_named;
        let free = self.free.filter(|free| *free < before);
        let mut first = free.map(|position| Found { position, fit: Fit::Wholly, is_named });
        let mut before = free.unwrap_or(before);
        let Some(others) = &self.others else { return first };
        others.conditional.lists(look, work, |list, work| {
            let mut near = list.iter().take_while(|position| **position < before);
            let found = near.find_map(|position| {
                work.spend(RULE);
                let fit = rules.get(*position)?.fits(look)?;
                Some(Found { position: *position, fit, is_named })
            });
            if let Some(found) = found {
                before = found.position;
                first = Some(found);
            }
        });
        first
    }
}

impl Conditional {
    /// Calls `each` with every list that may contain a rule that applies.
    fn lists(
        &self,
        look: &Look<'_>,
        work: &mut Work,
        mut each: impl FnMut(&[Position], &mut Work),
    ) {
        match self {
            Self::Few(few) => each(few, work),
            Self::Many(many) => many.lists(look, work, each),
        }
    }
}

impl ByCondition {
    fn of(rules: &[Rule], which: &[Position]) -> Self {
        let mut all = Self::default();
        for position in which.iter().copied() {
            let Some(rule) = rules.get(position) else { continue };
            if !rule.networks.is_empty() {
                all.networked.push(position);
                for network in &rule.networks {
                    let network = network.trunc();
                    let same_length = all.by_network.entry(length(&network)).or_default();
                    push(same_length.entry(network).or_default(), position);
                }
            } else if !rule.groups.is_empty() {
                all.grouped.push(position);
                for group in &rule.groups {
                    all.by_group.entry(group.to_owned()).or_default().push(position);
                }
            } else {
                for method in &rule.methods {
                    all.by_method.entry(method.to_owned()).or_default().push(position);
                }
            }
        }
        all
    }

    fn positions(&self) -> impl Iterator<Item = &Position> {
        let by_method = self.by_method.values().flatten();
        self.networked.iter().chain(&self.grouped).chain(by_method)
    }

    /// Calls `each` with every list that may contain a rule that applies.
    fn lists(
        &self,
        look: &Look<'_>,
        work: &mut Work,
        mut each: impl FnMut(&[Position], &mut Work),
    ) {
        match look.network {
            Network::At(address) => {
                for (length, networks) in &self.by_network {
                    work.spend(RULE);
                    let around = around(address, *length);
                    if let Some(list) = around.and_then(|network| networks.get(&network)) {
                        each(list, work);
                    }
                }
            }
            Network::All => each(&self.networked, work),
            Network::None => {}
        }
        match look.known {
            Some(identity) => {
                for group in &identity.groups {
                    work.spend(RULE);
                    if let Some(list) = self.by_group.get(group) {
                        each(list, work);
                    }
                }
            }
            None => each(&self.grouped, work),
        }
        if let Some(list) = self.by_method.get(look.method) {
            each(list, work);
        }
    }
}

/// The cost of trying one more rule.
const RULE: usize = 8;

/// IPv4 and IPv6 networks with the same prefix length share a map.
fn length(network: &IpNet) -> u8 {
    network.prefix_len()
}

/// The network with this prefix length that contains `address`.
fn around(address: IpAddr, length: u8) -> Option<IpNet> {
    IpNet::new(address, length).ok().map(|network| network.trunc())
}
