//! The methods that rules distinguish, and which of them a request may mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smallvec::SmallVec;

use super::method::is_standard;
use super::reach::{Reach, Role, also_as};
use super::request::Request;
use super::rule::Rule;

/// The methods that rules name, in classes: no rule distinguishes the methods of one class.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    classes: HashMap<String, usize>,
    /// One method of each class.
    examples: Vec<String>,
}

/// How an app treats methods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handling<'p> {
    /// The methods that are known to change nothing.
    pub(super) safe: &'p BTreeSet<String>,
    /// Whether the app speaks `WebDAV`.
    pub(super) webdav: bool,
}

/// The methods with which rules are tried for a request, each with how far below the path it
/// reaches.
pub(super) type Readings<'r> = SmallVec<[(&'r str, Reach); 8]>;

impl Named {
    pub(super) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut named_by: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, rule) in rules.enumerate() {
            for method in &rule.methods {
                named_by.entry(method).or_default().push(number);
            }
        }
        let mut named = Self::default();
        let mut classes: HashMap<&[usize], usize> = HashMap::new();
        for (method, rules) in &named_by {
            let class = *classes.entry(rules).or_insert_with(|| {
                named.examples.push((*method).to_owned());
                named.examples.len() - 1
            });
            named.classes.insert((*method).to_owned(), class);
        }
        named
    }

    /// The methods with which a target must be judged, beginning with the one that was sent: each
    /// of its readings; and if one of them is neither standard, nor named, nor safe, every method
    /// that a rule names. So an unknown method meets every condition on methods, and also none, and
    /// never lowers the requirement.
    pub(super) fn readings<'r>(
        &'r self,
        role: Option<Role>,
        target: &'r Request,
        handling: Handling<'_>,
    ) -> Readings<'r> {
        let mut readings = Readings::new();
        if self.examples.is_empty() {
            // No rule distinguishes methods: one is tried, as deep as any reaches.
            let reach =
                target.methods().map(|method| reach_at(role, method, target, handling.webdav));
            readings.extend(target.methods().next().zip(reach.max()));
            return readings;
        }
        let mut classes: SmallVec<[Option<usize>; 8]> = SmallVec::new();
        let mut add = |method: &'r str, class: Option<usize>, reach: Reach| {
            if let Some(at) = classes.iter().position(|known| *known == class) {
                readings[at].1 = readings[at].1.max(reach);
            } else {
                classes.push(class);
                readings.push((method, reach));
            }
        };
        for method in target.methods() {
            let reach = reach_at(role, method, target, handling.webdav);
            let class = self.classes.get(method).copied();
            add(method, class, reach);
            for alias in also_as(method, role) {
                add(alias, self.classes.get(*alias).copied(), reach);
            }
            let is_known = is_standard(method) || class.is_some() || handling.safe.contains(method);
            if !is_known || target.has_cased_method() {
                for (class, method) in self.examples.iter().enumerate() {
                    add(method, Some(class), reach);
                }
            }
        }
        readings
    }
}

/// How far below its path `method` reaches at the target in this role.
pub(super) fn reach_at(role: Option<Role>, method: &str, target: &Request, webdav: bool) -> Reach {
    match role {
        None => Reach::of(method, target.depth(), webdav),
        Some(Role::Written) => Reach::Below,
        Some(Role::Read) => Reach::Path,
    }
}
