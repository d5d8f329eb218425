//! The parameters that rules look for, laid out so that a query is held against all of them at once.

use std::collections::{BTreeMap, HashMap};

use super::names::key;
use super::text::meant;
use super::{Parameters, Query, each_meant};
use crate::policy::rules::Rule;

/// The position of a rule in the file.
type Position = usize;

/// What rules look for, by name and by value; see the module.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Wanted {
    exact: bool,
    names: HashMap<Vec<u8>, usize>,
    /// The values that are looked for, for each name.
    values: Vec<HashMap<Vec<u8>, usize>>,
    rules: Vec<Wants>,
    /// The rules whose first parameter has this name.
    by_first: Vec<Vec<usize>>,
}

/// What one rule looks for: names, each with values, of which one must be sent if there are any.
#[derive(Clone, Debug)]
struct Wants {
    position: Position,
    all: Vec<(usize, Vec<usize>)>,
}

/// What was sent under a name that is looked for.
#[derive(Default)]
struct Heard {
    any: bool,
    values: Vec<usize>,
}

impl Wanted {
    /// Lays out what `rules` look for; letter case of values counts where `exact`.
    pub(in crate::policy) fn of<'r>(
        rules: impl Iterator<Item = (Position, &'r Rule)>,
        exact: bool,
    ) -> Self {
        let mut wanted = Self { exact, ..Self::default() };
        for (position, rule) in rules.filter(|(_, rule)| rule.only_adds()) {
            let mut all = Vec::new();
            for parameter in &rule.query {
                let name = wanted.name(key(&parameter.name));
                let values = parameter.values.iter().map(|value| wanted.value(name, value));
                all.push((name, values.collect()));
            }
            if let Some((first, _)) = all.first() {
                wanted.by_first[*first].push(wanted.rules.len());
            }
            wanted.rules.push(Wants { position, all });
        }
        wanted
    }

    /// Whether any rule looks at the query.
    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules whose parameters were all sent, in file order.
    pub(in crate::policy) fn sent(&self, query: &Query) -> Vec<Position> {
        if self.is_empty() {
            return Vec::new();
        }
        let parameters = query.parameters();
        if parameters.is_overlong() {
            return self.rules.iter().map(|rule| rule.position).collect();
        }
        let heard = self.heard(query.sent(), parameters);
        let meets = |(name, values): &(usize, Vec<usize>)| {
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

    fn heard(&self, query: &[u8], parameters: &Parameters) -> BTreeMap<usize, Heard> {
        let mut all: BTreeMap<usize, Heard> = BTreeMap::new();
        for (key, value, inside) in parameters.names(query) {
            let Some(name) = self.names.get(key) else { continue };
            let (heard, known) = (all.entry(*name).or_default(), &self.values[*name]);
            heard.any |= inside;
            if !heard.any && !known.is_empty() {
                let any = each_meant(value, self.exact, |value| {
                    let value = known.get(value).filter(|value| !heard.values.contains(value));
                    heard.values.extend(value);
                });
                heard.any |= any;
            }
        }
        // ASP.NET gives several parameters of one name as one, with commas between them.
        for (name, heard) in &mut all {
            let known = &self.values[*name];
            if known.keys().any(|value| value.contains(&b',')) {
                let sent =
                    parameters.names(query).filter(|(key, ..)| self.names.get(*key) == Some(name));
                let joined = sent.map(|(_, value, _)| value).collect::<Vec<_>>().join(&b',');
                each_meant(&joined, self.exact, |value| heard.values.extend(known.get(value)));
            }
        }
        all
    }

    fn name(&mut self, key: Vec<u8>) -> usize {
        let new = self.names.len();
        let name = *self.names.entry(key).or_insert(new);
        if name == new {
            self.values.push(HashMap::new());
            self.by_first.push(Vec::new());
        }
        name
    }

    fn value(&mut self, name: usize, value: &str) -> usize {
        let values = &mut self.values[name];
        let new = values.len();
        *values.entry(meant(value, self.exact)).or_insert(new)
    }
}
