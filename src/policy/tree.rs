//! Patterns as a tree of segments, so that one pass along a path finds all patterns that match it.
//!
//! The literal segments after a node are sorted. A path finds its own segment by binary search, and
//! guesses find those with the same beginning.

use std::collections::HashMap;
use std::num::NonZero;

use smallvec::SmallVec;

use super::file_name::{self, INDEX};
use super::pattern::{Case, Pattern, Segment, segment_in};
use super::short_name;
use super::work::Work;

/// A node of a [`Tree`] at which patterns end; these are numbered from 0.
pub(super) type End = u32;

/// The ends of the patterns that match one path, in ascending order, without duplicates.
pub(super) type Ends = SmallVec<[End; 6]>;

type States = SmallVec<[u32; 16]>;

/// Patterns by their segments; the root is the first node.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Box<[Node]>,
    /// The literal segments after all nodes. Those after the same node are together, and sorted.
    literals: Box<[Literal]>,
    /// The bytes of all literal segments, so that none is an allocation of its own.
    text: Box<[u8]>,
    names_files: bool,
}

/// A literal segment after a node.
#[derive(Clone, Copy, Debug)]
struct Literal {
    /// Its range in the text.
    start: u32,
    end: u32,
    /// The node that it leads to.
    node: u32,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The range of its literals in those of the tree.
    literals: (u32, u32),
    /// Whether one of these certainly is a script.
    has_scripts: bool,
    // Nothing leads to the root.
    one: Option<NonZero<u32>>,
    any: Option<NonZero<u32>>,
    /// Whether this node stands for any number of segments.
    is_any: bool,
    /// The number of this end, if a pattern ends here.
    end: Option<End>,
}

/// A tree while it is built.
#[derive(Debug)]
pub(super) struct Planting<'p> {
    case: Case,
    nodes: Vec<Node>,
    /// From a node, by a literal segment, to the next node.
    literals: HashMap<(u32, &'p [u8]), u32>,
    /// How many bytes the literals have.
    bytes: u32,
    ends: End,
}

impl<'p> Planting<'p> {
    pub(super) fn new(case: Case) -> Self {
        let (nodes, literals) = (vec![Node::default()], HashMap::new());
        Self { case, nodes, literals, bytes: 0, ends: 0 }
    }

    /// The node at which `pattern` ends; adds the nodes that are missing.
    pub(super) fn end_of(&mut self, pattern: &'p Pattern) -> Option<End> {
        let mut at = 0;
        for segment in pattern.segments() {
            let new = NonZero::new(u32::try_from(self.nodes.len()).ok()?)?;
            let node = self.nodes.get_mut(at as usize)?;
            let is_any = matches!(segment, Segment::Any);
            at = match segment {
                Segment::Literal { exact, folded } => {
                    let literal = segment_in(self.case, exact, folded.as_deref());
                    let next = *self.literals.entry((at, literal)).or_insert(new.get());
                    if next == new.get() {
                        let length = u32::try_from(literal.len()).ok()?;
                        self.bytes = self.bytes.checked_add(length)?;
                    }
                    next
                }
                Segment::One => node.one.get_or_insert(new).get(),
                // `**` after `**` adds nothing.
                Segment::Any if node.is_any => at,
                Segment::Any => node.any.get_or_insert(new).get(),
            };
            if at == new.get() {
                self.nodes.push(Node { is_any, ..Node::default() });
            }
        }
        let node = self.nodes.get_mut(at as usize)?;
        if node.end.is_none() {
            node.end = Some(self.ends);
            self.ends += 1;
        }
        node.end
    }

    pub(super) fn grown(self) -> Tree {
        let mut nodes = self.nodes;
        let names_files = self.literals.keys().any(|(_, literal)| is_file(literal));
        let mut sorted: Vec<((u32, &[u8]), u32)> = self.literals.into_iter().collect();
        sorted.sort_unstable();
        let mut literals = Vec::with_capacity(sorted.len());
        let mut text = Vec::with_capacity(self.bytes as usize);
        for behind in sorted.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
            let node = behind.first().and_then(|((node, _), _)| nodes.get_mut(*node as usize));
            if let Some(node) = node {
                lay_out(node, behind, &mut literals, &mut text);
            }
        }
        Tree { nodes: nodes.into(), literals: literals.into(), text: text.into(), names_files }
    }
}

/// Adds the literal segments `behind` this node, which are sorted.
fn lay_out(
    node: &mut Node,
    behind: &[((u32, &[u8]), u32)],
    literals: &mut Vec<Literal>,
    text: &mut Vec<u8>,
) {
    // `Planting` counts the bytes in 32 bits, and there are fewer literals than nodes.
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    node.has_scripts = behind.iter().any(|((_, literal), _)| is_script(literal));
    let first = count(literals.len());
    for ((_, literal), to) in behind {
        let start = count(text.len());
        text.extend_from_slice(literal);
        literals.push(Literal { start, end: count(text.len()), node: *to });
    }
    node.literals = (first, count(literals.len()));
}

impl Tree {
    /// The ends of the patterns that match `path`.
    pub(super) fn ends(&self, path: &[u8], work: &mut Work) -> Ends {
        let mut found = Ends::new();
        let mut states = States::new();
        self.reach(0, &mut states, &mut found);
        for segment in segments(path.strip_prefix(b"/").unwrap_or(path)) {
            states = self.step(&states, segment, &mut found, work);
            if states.is_empty() || work.is_spent() {
                break;
            }
        }
        // The ends of patterns with a final `**` were added on the way.
        let here = self.nodes_of(&states).filter(|(_, node)| !node.is_any);
        found.extend(here.filter_map(|(_, node)| node.end));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The ends of patterns that match paths below `path`, whose last slashes are ignored. Some may
    /// match none of them. `literally`: only patterns that continue with a literal segment.
    pub(super) fn below(&self, path: &[u8], literally: bool, work: &mut Work) -> Ends {
        let slashes = path.iter().rev().take_while(|byte| **byte == b'/').count();
        let path = path[..path.len() - slashes].strip_prefix(b"/");
        let (mut states, mut passed) = (States::new(), Ends::new());
        self.reach(0, &mut states, &mut passed);
        for segment in path.into_iter().flat_map(segments) {
            states = self.step(&states, segment, &mut passed, work);
        }
        let mut found = Ends::new();
        let mut open: Vec<u32> = Vec::new();
        for (_, node) in self.nodes_of(&states) {
            if !literally {
                open.extend(node.one.into_iter().chain(node.any).map(NonZero::get));
                found.extend(node.end.filter(|_| node.is_any));
            }
            if !literally || !node.is_any {
                open.extend(self.after(node).nodes());
            }
        }
        while let Some(node) = open.pop().and_then(|at| self.node(at)) {
            work.spend(STATE);
            if work.is_spent() {
                break;
            }
            found.extend(node.end);
            open.extend(self.after(node).nodes());
            open.extend(node.one.into_iter().chain(node.any).map(NonZero::get));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether any pattern names something that looks like a file.
    pub(super) fn names_files(&self) -> bool {
        self.names_files
    }

    /// The literal segments of patterns for which segments of `path` may stand. `path` has no last
    /// slash any more; `is_folder`: it had one.
    pub(super) fn alike(&self, path: &[u8], is_folder: bool, work: &mut Work) -> Vec<Alike<'_>> {
        let mut alike = Vec::new();
        let last = path.iter().rposition(|byte| *byte == b'/').map_or(path, |at| &path[at + 1..]);
        // Servers that find no file look for an index file in the folders above, unless the path
        // names a file.
        let falls_back = !last.contains(&b'.');
        let mut states = States::new();
        let mut passed = Ends::new();
        self.reach(0, &mut states, &mut passed);
        // Follows only literal segments: an index file that rules name after `*` or `**` is not
        // looked for in the folders above.
        let mut named = self.node(0);
        let mut start = 1;
        for segment in segments(path.get(start..).unwrap_or_default()) {
            if start >= path.len() || states.is_empty() || work.is_spent() {
                break;
            }
            let end = start + segment.len();
            let mut add = |likeness, start, literal| {
                let is_inserted = matches!(likeness, Likeness::IndexFile | Likeness::OmittedScript);
                let end = if is_inserted { start } else { end };
                alike.push(Alike { start, end, literal, likeness });
            };
            if let Some(node) = named.filter(|_| falls_back && start > 1) {
                let after = self.after(node);
                after.index_files(work, |literal| add(Likeness::IndexFile, start, literal));
            }
            named = named.and_then(|node| self.node(self.after(node).literal(segment)?));
            for (_, node) in self.nodes_of(&states) {
                let after = self.after(node);
                let is_next = |node| self.after(node).literal(segment).is_some();
                for (script, behind) in after.scripts() {
                    work.spend(STATE);
                    if self.node(behind).is_some_and(is_next) {
                        add(Likeness::OmittedScript, start, script);
                    }
                }
                if !segment.is_empty() && self.names_files {
                    after.starting(segment, work, |literal| {
                        if literal.get(segment.len()) == Some(&b'.') {
                            add(Likeness::Extension, start, literal);
                        }
                    });
                }
                if let Some(short) = short_name::read(segment) {
                    after.starting(short.beginning(), work, |literal| {
                        if short.is_of(literal) {
                            add(Likeness::ShortName, start, literal);
                        }
                    });
                }
            }
            states = self.step(&states, segment, &mut passed, work);
            passed.clear();
            start = end + 1;
        }
        if start > path.len() || path == b"/" {
            // The whole path may be a folder. A name with an extension is hardly one, unless a rule
            // names it.
            let is_folder = is_folder || file_name::stem(last).is_none();
            let states = self.nodes_of(&states).map(|(_, node)| node).filter(|_| is_folder);
            for node in states.chain(named.filter(|_| !is_folder)) {
                self.after(node).index_files(work, |literal| {
                    let end = path.len();
                    alike.push(Alike { start: end, end, literal, likeness: Likeness::IndexFile });
                });
            }
        }
        alike
    }

    /// The states that `states` lead to with one more segment.
    fn step(&self, states: &[u32], segment: &[u8], found: &mut Ends, work: &mut Work) -> States {
        work.spend(STEP + segment.len() / 8);
        let mut next = States::new();
        for (at, node) in self.nodes_of(states) {
            let after = self.after(node);
            work.spend(
                STATE + SEARCH * (usize::BITS - after.literals.len().leading_zeros()) as usize,
            );
            if node.is_any && !next.contains(&at) {
                next.push(at);
            }
            if let Some(literal) = after.literal(segment) {
                self.reach(literal, &mut next, found);
            }
            if let Some(one) = node.one.filter(|_| !segment.is_empty()) {
                self.reach(one.get(), &mut next, found);
            }
        }
        next
    }

    /// Adds a node to `states`, and the `**` after it, which may match nothing. A pattern that ends
    /// with that `**` matches whatever follows.
    fn reach(&self, at: u32, states: &mut States, found: &mut Ends) {
        if states.contains(&at) {
            return;
        }
        states.push(at);
        let Some(any) = self.node(at).and_then(|node| node.any) else { return };
        let any = any.get();
        if !states.contains(&any) {
            states.push(any);
            found.extend(self.node(any).and_then(|node| node.end));
        }
    }

    fn nodes_of<'t, 's>(
        &'t self,
        states: &'s [u32],
    ) -> impl Iterator<Item = (u32, &'t Node)> + use<'t, 's> {
        states.iter().filter_map(|at| Some((*at, self.node(*at)?)))
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    /// The literal segments after `node`.
    fn after(&self, node: &Node) -> After<'_> {
        let (first, end) = node.literals;
        let literals = self.literals.get(first as usize..end as usize).unwrap_or_default();
        After { literals, text: &self.text, has_scripts: node.has_scripts }
    }
}

/// The literal segments after one node, sorted.
#[derive(Clone, Copy)]
struct After<'t> {
    literals: &'t [Literal],
    text: &'t [u8],
    /// Whether any of them certainly is a script.
    has_scripts: bool,
}

fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

impl<'t> After<'t> {
    fn text(self, literal: &Literal) -> &'t [u8] {
        self.text.get(literal.start as usize..literal.end as usize).unwrap_or_default()
    }

    fn nodes(self) -> impl Iterator<Item = u32> + use<'t> {
        self.literals.iter().map(|literal| literal.node)
    }

    fn literal(self, segment: &[u8]) -> Option<u32> {
        let found = self.literals.binary_search_by(|literal| self.text(literal).cmp(segment));
        self.literals.get(found.ok()?).map(|literal| literal.node)
    }

    /// Those that begin with `with`.
    fn starting(self, with: &[u8], work: &mut Work, mut each: impl FnMut(&'t [u8])) {
        let first = self.literals.partition_point(|literal| self.text(literal) < with);
        work.spend(STATE);
        for literal in self.literals.iter().skip(first) {
            work.spend(SEARCH);
            let literal = self.text(literal);
            if !literal.starts_with(with) || work.is_spent() {
                return;
            }
            each(literal);
        }
    }

    /// Those that certainly are scripts, with the nodes to which they lead.
    fn scripts(self) -> impl Iterator<Item = (&'t [u8], u32)> {
        let literals = if self.has_scripts { self.literals } else { &[] };
        literals
            .iter()
            .map(move |literal| (self.text(literal), literal.node))
            .filter(|(literal, _)| is_script(literal))
    }

    fn index_files(self, work: &mut Work, mut each: impl FnMut(&'t [u8])) {
        if self.literals.is_empty() {
            return;
        }
        for name in INDEX {
            self.starting(name, work, |literal| {
                if matches!(literal.get(name.len()), None | Some(b'.')) {
                    each(literal);
                }
            });
        }
    }
}

fn is_script(literal: &[u8]) -> bool {
    file_name::stem(literal)
        .is_some_and(|stem| file_name::is_server_side(&literal[stem.len() + 1..]))
}

/// Whether servers may find it under a shorter name.
fn is_file(literal: &[u8]) -> bool {
    literal.iter().skip(1).any(|byte| *byte == b'.') || INDEX.contains(&literal)
}

/// The cost of one more segment, of one more state for it, and of each step of the binary search.
const STEP: usize = 20;
const STATE: usize = 16;
const SEARCH: usize = 6;

/// A literal segment of a pattern for which a segment of a path may stand.
pub(super) struct Alike<'t> {
    /// The range of that segment in the path, without the slash before it. Empty if the literal is
    /// to be inserted.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) literal: &'t [u8],
    pub(super) likeness: Likeness,
}

/// How a literal is related to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is an index file in the folder that the path names.
    IndexFile,
    /// It is the segment with an extension.
    Extension,
    /// The segment is its 8.3 name.
    ShortName,
    /// It is a script that comes before the segment in a pattern, and that URLs may omit.
    OmittedScript,
}
