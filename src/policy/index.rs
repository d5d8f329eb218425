//! The rules of an application, laid out so that a decision does not look at all of them.
//!
//! Patterns share a tree of segments, through which a path leads to the few places where patterns
//! end that take it. Each such place keeps its rules by their further conditions: by network, by
//! group, by method. Of all that apply, the one that stands first in the file governs.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::below::Below;
use super::named::Named;
use super::pattern::{Case, Pattern, Segment, split};
use super::query::{Query, Wanted};
use super::reach::Reach;
use super::rules::{Fit, Look, Rule};

/// The position of a rule in the file.
type Position = usize;

/// Rules by what they take; see the module.
#[derive(Clone, Debug)]
pub(super) struct Index {
    exact: Tree,
    folded: Tree,
    /// What rules that only add look for.
    wanted: Wanted,
    /// The methods that rules tell apart.
    pub(super) named: Named,
    /// Whether any rule looks at networks.
    pub(super) looks_at_networks: bool,
    /// Which rules are laid out, in file order.
    which: Box<[Position]>,
}

/// Patterns by their segments; the root is the first node.
#[derive(Clone, Debug)]
struct Tree(Vec<Node>);

#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, usize>,
    one: Option<usize>,
    any: Option<usize>,
    /// Whether this node stands for any number of segments.
    is_any: bool,
    here: Here,
}

/// The rules that have a pattern which ends in one place, each list in file order.
#[derive(Clone, Debug, Default)]
struct Here {
    /// The first rule without further conditions: none behind it ever governs here.
    free: Option<Position>,
    conditional: Option<Box<Conditional>>,
    /// Rules that only add.
    adds: Vec<Position>,
}

/// Rules with further conditions, each found by the one that tells the most apart.
#[derive(Clone, Debug, Default)]
struct Conditional {
    /// By length of the network's prefix, and by network.
    by_network: BTreeMap<u8, HashMap<IpNet, Vec<Position>>>,
    networked: Vec<Position>,
    by_group: HashMap<String, Vec<Position>>,
    grouped: Vec<Position>,
    by_method: HashMap<String, Vec<Position>>,
}

/// A rule that governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) position: Position,
    pub(super) fit: Fit,
}

impl Index {
    /// Lays out those of `rules` whose positions are given; letter case of values counts where `exact`.
    pub(super) fn of(rules: &[Rule], which: &[Position], exact: bool) -> Self {
        let tree = |case| Tree::of(rules, which, case);
        let laid_out = || which.iter().filter_map(|at| Some((*at, rules.get(*at)?)));
        Self {
            exact: tree(Case::Exact),
            folded: tree(Case::Folded),
            wanted: Wanted::of(laid_out(), exact),
            named: Named::of(laid_out().map(|(_, rule)| rule)),
            looks_at_networks: laid_out().any(|(_, rule)| !rule.networks.is_empty()),
            which: which.into(),
        }
    }

    /// Whether any rule looks at the query.
    pub(super) fn has_query(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// The rules whose parameters were all sent, in file order: found once for a request, however
    /// many readings of its path there are.
    pub(super) fn sent(&self, query: &Query) -> Vec<Position> {
        self.wanted.sent(query)
    }

    /// The rule that governs one reading of a path, if any does.
    pub(super) fn governor(
        &self,
        rules: &[Rule],
        path: &[u8],
        case: Case,
        look: &Look<'_>,
    ) -> Option<Found> {
        let mut first: Option<Found> = None;
        self.tree(case).walk(path, &mut |here| {
            let before = first.map_or(Position::MAX, |found| found.position);
            if let Some(found) = here.first(rules, look, before) {
                first = Some(found);
            }
        });
        first
    }

    /// Every rule of `sent` that adds something to one reading of a path; some may come twice.
    pub(super) fn added(
        &self,
        rules: &[Rule],
        sent: &[Position],
        path: &[u8],
        case: Case,
        look: &Look<'_>,
        mut each: impl FnMut(Found),
    ) {
        self.tree(case).walk(path, &mut |here| {
            for position in sent.iter().filter(|at| here.adds.binary_search(at).is_ok()) {
                let Some(rule) = rules.get(*position) else { continue };
                if let Some(fit) = rule.fits(look) {
                    each(Found { position: *position, fit });
                }
            }
        });
    }

    /// Every rule that may govern what lies below `path`, as far as `reach` says; see [`Below`].
    pub(super) fn below(
        &self,
        rules: &[Rule],
        path: &[u8],
        case: Case,
        look: &Look<'_>,
        reach: Reach,
        sent: &[Position],
    ) -> Below {
        let laid_out = self.which.iter().filter_map(|at| Some((*at, rules.get(*at)?)));
        Below::of(laid_out, path, case, look, reach, |position| sent.contains(&position))
    }

    fn tree(&self, case: Case) -> &Tree {
        match case {
            Case::Exact => &self.exact,
            Case::Folded => &self.folded,
        }
    }
}

impl Tree {
    fn of(rules: &[Rule], which: &[Position], case: Case) -> Self {
        let mut tree = Self(vec![Node::default()]);
        for position in which.iter().copied() {
            let Some(rule) = rules.get(position) else { continue };
            for pattern in &rule.paths {
                let end = tree.end_of(pattern, case);
                if let Some(node) = tree.0.get_mut(end) {
                    node.here.add(position, rule);
                }
            }
        }
        tree
    }

    /// The node at which `pattern` ends, made where it is not there.
    fn end_of(&mut self, pattern: &Pattern, case: Case) -> usize {
        let mut at = 0;
        for segment in pattern.segments() {
            let new = self.0.len();
            let Some(node) = self.0.get_mut(at) else { return at };
            let is_any = matches!(segment, Segment::Any);
            at = match segment {
                Segment::Literal { exact, folded } => {
                    let literal = if case == Case::Exact { exact } else { folded };
                    *node.literals.entry(literal.clone()).or_insert(new)
                }
                Segment::One => *node.one.get_or_insert(new),
                // Any number of segments, and then any number of them, is any number.
                Segment::Any if node.is_any => at,
                Segment::Any => *node.any.get_or_insert(new),
            };
            if at == new {
                self.0.push(Node { is_any, ..Node::default() });
            }
        }
        at
    }

    /// Calls `each` with every place at which a pattern ends that takes `path`; some may come twice.
    fn walk(&self, path: &[u8], each: &mut impl FnMut(&Here)) {
        let mut states: SmallVec<[usize; 16]> = SmallVec::new();
        self.reach(0, &mut states, each);
        let mut rest = Some(path.strip_prefix(b"/").unwrap_or(path));
        while let Some(path) = rest {
            let (segment, after) = split(path);
            let mut next = SmallVec::new();
            for node in states.iter().filter_map(|at| Some((*at, self.0.get(*at)?))) {
                let (at, node) = node;
                if node.is_any && !next.contains(&at) {
                    next.push(at);
                }
                if let Some(literal) = node.literals.get(segment) {
                    self.reach(*literal, &mut next, each);
                }
                if let Some(one) = node.one.filter(|_| !segment.is_empty()) {
                    self.reach(one, &mut next, each);
                }
            }
            states = next;
            rest = after;
            if states.is_empty() {
                return;
            }
        }
        for node in states.iter().filter_map(|at| self.0.get(*at)).filter(|node| !node.is_any) {
            each(&node.here);
        }
    }

    /// Comes to a node, and to what takes any number of segments behind it: none is one, too.
    /// Where a pattern ends so, it takes whatever follows.
    fn reach(&self, at: usize, states: &mut SmallVec<[usize; 16]>, each: &mut impl FnMut(&Here)) {
        if states.contains(&at) {
            return;
        }
        states.push(at);
        let Some(any) = self.0.get(at).and_then(|node| node.any) else { return };
        if !states.contains(&any) {
            states.push(any);
            if let Some(node) = self.0.get(any) {
                each(&node.here);
            }
        }
    }
}

impl Here {
    fn add(&mut self, position: Position, rule: &Rule) {
        let push = |list: &mut Vec<Position>| {
            // A rule may have a pattern twice.
            if list.last() != Some(&position) {
                list.push(position);
            }
        };
        if rule.only_adds() {
            push(&mut self.adds);
        } else if rule.is_free() {
            self.free.get_or_insert(position);
        } else if self.free.is_none() {
            let conditional = self.conditional.get_or_insert_default();
            if !rule.networks.is_empty() {
                push(&mut conditional.networked);
                for network in &rule.networks {
                    let network = network.trunc();
                    let same_length = conditional.by_network.entry(length(&network)).or_default();
                    push(same_length.entry(network).or_default());
                }
            } else if !rule.groups.is_empty() {
                push(&mut conditional.grouped);
                for group in &rule.groups {
                    push(conditional.by_group.entry(group.clone()).or_default());
                }
            } else {
                for method in &rule.methods {
                    push(conditional.by_method.entry(method.clone()).or_default());
                }
            }
        }
    }

    /// The first rule here that fits and stands before `before`.
    fn first(&self, rules: &[Rule], look: &Look<'_>, before: Position) -> Option<Found> {
        let free = self.free.filter(|free| *free < before);
        let mut first = free.map(|position| Found { position, fit: Fit::Wholly });
        let mut before = free.unwrap_or(before);
        let Some(conditional) = &self.conditional else { return first };
        conditional.lists(look, |list| {
            let mut near = list.iter().take_while(|position| **position < before);
            let found = near.find_map(|position| {
                let fit = rules.get(*position)?.fits(look)?;
                Some(Found { position: *position, fit })
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
    /// Every list in which a rule may stand that fits.
    fn lists(&self, look: &Look<'_>, mut each: impl FnMut(&[Position])) {
        match look.network {
            super::rules::Network::At(address) => {
                for (length, networks) in &self.by_network {
                    let around = around(address, *length);
                    if let Some(list) = around.and_then(|network| networks.get(&network)) {
                        each(list);
                    }
                }
            }
            super::rules::Network::All => each(&self.networked),
            super::rules::Network::None => {}
        }
        match look.known {
            Some(identity) => {
                let lists = identity.groups.iter().filter_map(|group| self.by_group.get(group));
                for list in lists {
                    each(list);
                }
            }
            None => each(&self.grouped),
        }
        if let Some(list) = self.by_method.get(look.method) {
            each(list);
        }
    }
}

/// Networks of IPv4 and IPv6 with prefixes of one length are kept together.
fn length(network: &IpNet) -> u8 {
    network.prefix_len()
}

/// The network of this length around `address`.
fn around(address: IpAddr, length: u8) -> Option<IpNet> {
    IpNet::new(address, length).ok().map(|network| network.trunc())
}
