//! The parameters that rules look for, indexed so that a query is compared with all of them at
//! once.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use super::beginnings::Beginnings;
use super::names::{Part, each_key, key};
use super::text::meant;
use super::{Query, each_meant, each_pair};
use crate::policy::rule::Rule;

/// The position of a rule in the file.
type Position = usize;

/// If more names than this begin like one that is looked for, they are not examined.
const MOST_LOOKS: usize = 32;

/// A value longer than this, in bytes, counts as every value.
const LONGEST_VALUE: usize = 2_048;

/// What rules look for, by name and by value; see the module.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Wanted {
    exact: bool,
    names: HashMap<Vec<u8>, usize>,
    beginnings: Beginnings,
    /// The values that are looked for, for each name.
    values: Vec<HashMap<Vec<u8>, usize>>,
    rules: Vec<Wants>,
    /// For each name, the rules whose first parameter has it.
    by_first: Vec<SmallVec<[usize; 2]>>,
}

/// What one rule looks for: all of these names. If a name has values, one of them must be sent.
#[derive(Clone, Debug)]
struct Wants {
    position: Position,
    all: Box<[(usize, Box<[usize]>)]>,
}

/// What was sent under a name that is looked for.
#[derive(Default)]
struct Heard {
    any: bool,
    values: Vec<usize>,
}

impl Wanted {
    /// Indexes what `rules` look for; letter case of values counts if `exact`.
    pub(in crate::policy) fn of<'r>(
        rules: impl Iterator<Item = (Position, &'r Rule)>,
        exact: bool,
    ) -> Self {
        let mut wanted = Self { exact, ..Self::default() };
        for (position, rule) in rules.filter(|(_, rule)| rule.only_adds()) {
            let looked_for = rule.query.iter().map(|parameter| {
                let name = wanted.name(key(&parameter.name));
                let values = parameter.values.iter().map(|value| wanted.value(name, value));
                (name, values.collect())
            });
            let all: Box<[(usize, Box<[usize]>)]> = looked_for.collect();
            if let Some((first, _)) = all.first() {
                wanted.by_first[*first].push(wanted.rules.len());
            }
            wanted.rules.push(Wants { position, all });
        }
        wanted
    }

    /// Whether no rule has a condition on the query.
    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules whose parameters were all sent, in file order. All rules, if the query has more
    /// parameters than any application reads, or than can be examined.
    pub(in crate::policy) fn sent(&self, query: &Query) -> Vec<Position> {
        if self.is_empty() {
            return Vec::new();
        }
        let Some(heard) = self.heard(query) else {
            return self.rules.iter().map(|rule| rule.position).collect();
        };
        let meets = |(name, values): &(usize, Box<[usize]>)| {
            heard.get(name).is_some_and(|heard| {
                heard.any
                    || values.is_empty()
                    || values.iter().any(|value| heard.values.contains(value))
            })
        };
        let candidates = heard.keys().filter_map(|name| self.by_first.get(*name)).flatten();
        let rules = candidates.filter_map(|rule| self.rules.get(*rule));
        let mut sent: Vec<Position> =
            rules.filter(|rule| rule.all.iter().all(meets)).map(|rule| rule.position).collect();
        sent.sort_unstable();
        sent
    }

    /// What was sent under the names that are looked for; `None` if there was too much to examine.
    ///
    /// Few names are examined closely: those that begin like one that is looked for, unless every
    /// value of that name counts already.
    fn heard(&self, query: &Query) -> Option<BTreeMap<usize, Heard>> {
        if query.is_overlong() {
            return None;
        }
        let query = query.sent();
        let mut all: BTreeMap<usize, Heard> = BTreeMap::new();
        let mut looks = 0;
        each_pair(query, |name, value| {
            let (name, value) = (&query[name], &query[value]);
            let is_open = |name: &usize| all.get(name).is_none_or(|heard| !heard.any);
            if looks <= MOST_LOOKS && self.beginnings.may_be(name, is_open) {
                looks += 1;
                each_key(name, |key, part| self.hear(&mut all, key, part, value));
            }
        });
        if looks > MOST_LOOKS {
            return None;
        }
        for (name, heard) in &mut all {
            self.hear_joined(query, *name, heard);
        }
        Some(all)
    }

    fn hear(&self, all: &mut BTreeMap<usize, Heard>, key: &[u8], part: Part, value: &[u8]) {
        let Some(name) = self.names.get(key) else { return };
        let (heard, known) = (all.entry(*name).or_default(), &self.values[*name]);
        heard.any |= part == Part::Inside || known.is_empty() || value.len() > LONGEST_VALUE;
        if !heard.any {
            heard.any |= each_meant(value, self.exact, |value| {
                let value = known.get(value).filter(|value| !heard.values.contains(value));
                heard.values.extend(value);
            });
        }
    }

    /// ASP.NET joins several parameters of the same name with commas.
    fn hear_joined(&self, query: &[u8], name: usize, heard: &mut Heard) {
        let known = &self.values[name];
        if heard.any || !known.keys().any(|value| value.contains(&b',')) {
            return;
        }
        let mut joined: Vec<&[u8]> = Vec::new();
        each_pair(query, |at, value| {
            let mut is_it = false;
            if self.beginnings.may_be(&query[at.clone()], |other| *other == name) {
                each_key(&query[at], |key, _| is_it |= self.names.get(key) == Some(&name));
            }
            joined.extend(is_it.then_some(&query[value]));
        });
        let joined = joined.join(&b',');
        heard.any |= joined.len() > LONGEST_VALUE;
        each_meant(&joined, self.exact, |value| heard.values.extend(known.get(value)));
    }

    fn name(&mut self, key: Vec<u8>) -> usize {
        let new = self.names.len();
        if !self.names.contains_key(&key) {
            self.beginnings.add(&key, new);
        }
        let name = *self.names.entry(key).or_insert(new);
        if name == new {
            self.values.push(HashMap::new());
            self.by_first.push(SmallVec::new());
        }
        name
    }

    fn value(&mut self, name: usize, value: &str) -> usize {
        let values = &mut self.values[name];
        let new = values.len();
        *values.entry(meant(value, self.exact)).or_insert(new)
    }
}
