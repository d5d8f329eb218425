//! Validates the rules of an app: their conditions and what they require.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::written::{self, Asked, Conditions, List, Require, Values, Word};
use crate::domain::assurance::{Kinds, Level, Only, Requirement};
use crate::domain::name::{Group, Name};
use crate::policy::pattern::{Covering, Pattern};
use crate::policy::{LONGEST_NAME, Parameter, Rule, TextSet};

use super::{Judge, below, items};

impl Judge<'_> {
    pub(super) fn rules(&mut self, at: &str, rules: &List<written::Rule>) -> Vec<Rule> {
        let mut earlier = Earlier { rules: Vec::with_capacity(rules.len()), ..Earlier::default() };
        for (at, rule) in items(at, rules) {
            let rule = self.rule(&at, rule);
            self.warn_of_rule(&at, &rule, &earlier);
            earlier.add(rule);
        }
        earlier.rules
    }

    fn rule(&mut self, at: &str, rule: &written::Rule) -> Rule {
        let paths = rule.paths.as_ref();
        let paths = paths.map(|paths| self.paths(&below(at, "paths"), paths));
        let methods = rule.methods.as_ref();
        let methods = methods.map(|methods| self.methods(&below(at, "methods"), methods));
        let networks = rule.networks.as_ref();
        let networks = networks.map(|nets| self.networks(&below(at, "networks"), nets, true));
        let groups = rule.groups.as_ref();
        let groups = groups.map(|groups| self.groups(&below(at, "groups"), groups, true));
        let query: Option<Box<[_]>> = rule.query.as_ref().map(|query| {
            if query.is_empty() {
                self.refuse_empty(
                    &below(at, "query"),
                    "add a parameter, such as `action: [delete]`",
                );
            }
            self.warn_of_query(&below(at, "query"), query);
            query.iter().filter_map(|(name, values)| parameter(name, values.as_ref()?)).collect()
        });
        let require = rule.require.as_ref();
        let require = require.and_then(|asked| self.requirement(&below(at, "require"), asked));
        // An invalid requirement counts as the strictest one while we look for more problems.
        let mut require = require.unwrap_or(Requirement::nobody());
        if let Some(only) = &rule.only {
            require.only = self.only(&below(at, "only"), only).map(|only| [only].into());
        }
        let knows =
            require.only.is_some() || groups.as_ref().is_some_and(|groups| !groups.is_empty());
        if require.level == Level::Nothing && knows {
            let what = "`nothing` does not work with `only` or `groups`: users are known only \
                        after sign-in";
            self.refuse(&below(at, "require"), what, "write `sign-in`");
        }
        if require.level == Level::Nobody && require.only.is_some() && rule.require.is_some() {
            let what = "`only` has no effect: `nobody` refuses everybody";
            self.refuse(
                &below(at, "only"),
                what,
                "remove it, or require something other than `nobody`",
            );
        }
        if rule.demand && matches!(require.level, Level::Nothing | Level::Nobody) {
            let what = "`demand` has no effect: nobody signs in here";
            self.refuse(
                &below(at, "demand"),
                what,
                "remove it, or require `sign-in` or `second-factor`",
            );
        }
        Rule {
            methods: methods.unwrap_or_default().into(),
            networks: networks.unwrap_or_default(),
            groups: groups.unwrap_or_default().into(),
            query: query.unwrap_or_default().into(),
            demand: rule.demand,
            enforce: rule.enforce.unwrap_or(true),
            line: Some(self.place(at).line),
            ..Rule::new(paths.unwrap_or_default(), require)
        }
    }

    pub(super) fn paths(&mut self, at: &str, paths: &List<String>) -> Vec<Pattern> {
        if paths.is_empty() {
            self.refuse_empty(at, "add a path, such as `/` for all");
        }
        let mut read: Vec<Pattern> = Vec::with_capacity(paths.len());
        for (at, path) in items(at, paths) {
            let Some(pattern) = self.parsed::<Pattern>(&at, path) else { continue };
            if read.iter().any(|other| other.covers(&pattern)) {
                self.warn(&at, format!("`{pattern}` is not needed: an earlier path covers it"));
            }
            read.push(pattern);
        }
        read
    }

    /// Parses group names. `needed` means at least one.
    pub(super) fn groups(
        &mut self,
        at: &str,
        groups: &List<String>,
        needed: bool,
    ) -> BTreeSet<String> {
        if needed && groups.is_empty() {
            self.refuse_empty(at, "add a group, or remove the key");
        }
        let read = items(at, groups);
        read.filter_map(|(at, group)| Some(self.parsed::<Group>(&at, group)?.as_str().to_owned()))
            .collect()
    }

    /// Parses user names; returns them normalised.
    pub(super) fn users(&mut self, at: &str, users: &List<String>) -> BTreeSet<String> {
        let read = items(at, users);
        let users: BTreeSet<String> = read
            .filter_map(|(at, user)| Some(self.parsed::<Name>(&at, user)?.as_str().to_owned()))
            .collect();
        self.mentioned_users.extend(users.iter().cloned());
        users
    }

    fn only(&mut self, at: &str, only: &written::People) -> Option<Only> {
        if only.users.is_empty() && only.groups.is_empty() {
            self.refuse(
                at,
                "is empty, so nobody may enter",
                "name users or groups, or remove the key",
            );
            return None;
        }
        let users = self.users(&below(at, "users"), &only.users);
        Some(Only { users, groups: self.groups(&below(at, "groups"), &only.groups, false) })
    }

    pub(super) fn requirement(&mut self, at: &str, require: &Require) -> Option<Requirement> {
        match require {
            Require::Word(Word::Nothing) => Some(Requirement::nothing()),
            Require::Word(Word::SignIn) => Some(Requirement::sign_in()),
            Require::Word(Word::SecondFactor) => Some(Requirement::second_factor()),
            Require::Word(Word::Nobody) => Some(Requirement::nobody()),
            Require::Map(Asked { second_factor: Some(conditions) }) => {
                Some(self.conditions(&below(at, "second_factor"), conditions))
            }
            Require::Map(Asked { second_factor: None }) => {
                let cure = "write `{ second_factor: { within: 5m } }`, or a word";
                self.refuse(at, "an empty map is not a requirement", cure);
                None
            }
        }
    }

    /// Conditions on the second factor.
    fn conditions(&mut self, at: &str, conditions: &Conditions) -> Requirement {
        let Conditions { within, kinds, trusted_device } = conditions;
        if within.is_some() && *trusted_device == Some(true) {
            let what = "`trusted_device` does not work with `within`: on a trusted device no \
                        second factor is shown";
            self.refuse(&below(at, "trusted_device"), what, "remove it, or remove `within`");
        }
        let kinds = kinds.as_ref().map(|list| {
            if list.is_empty() {
                let cure = "name kinds, such as `totp`, or remove the key for all";
                self.refuse_empty(&below(at, "kinds"), cure);
            }
            let asked = list.iter().flatten().map(|kind| kind.0).fold(Kinds::NONE, Kinds::or);
            if asked.has_provider() && asked.shown_here() == Kinds::NONE {
                let what = "`provider` alone cannot be satisfied by people who sign in another way";
                let cure = "add a kind that people can set up here, such as `totp`";
                self.refuse(&below(at, "kinds"), what, cure);
            } else {
                self.asked_kinds.push((below(at, "kinds"), asked));
            }
            asked
        });
        Requirement {
            within: within.map(Into::into),
            kinds: kinds.unwrap_or(Kinds::ALL),
            trusted_device: trusted_device.unwrap_or(within.is_none()),
            ..Requirement::second_factor()
        }
    }

    /// Warns about a rule, considering those before it.
    fn warn_of_rule(&mut self, at: &str, rule: &Rule, earlier: &Earlier) {
        if !rule.enforce {
            self.warn(
                &below(at, "enforce"),
                "observe mode: what would be refused is logged and \
                                              let through",
            );
        }
        self.warn_of_placeholders(at, rule);
        if rule.only_adds() {
            if rule.require.level == Level::Nothing {
                let what = "has no effect: a rule with `query` can only add requirements";
                let cure = "remove the rule; to open a path, write a rule with `paths` and without \
                            `query`";
                self.advise(&below(at, "require"), what, cure);
            } else {
                let what = "only the query is checked, bodies are not: a posted form can send the \
                            same parameter in its body";
                let cure = "if a form does that, protect its path: `paths`, and `methods: [POST]`";
                self.advise(&below(at, "query"), what, cure);
            }
            return;
        }
        for (index, pattern) in rule.paths.iter().enumerate() {
            let at = format!("{}[{index}]", below(at, "paths"));
            let takers = earlier.all.covering(pattern);
            let takers = takers.filter(|taker| earlier.rules[*taker].is_no_narrower_than(rule));
            if let Some(taker) = takers.min() {
                let what = format!(
                    "`{pattern}` never applies: an earlier rule ({}) matches all its paths first",
                    earlier.rules[taker].place()
                );
                self.warn(&at, what);
            }
        }
        self.warn_of_weakness(at, rule, earlier);
    }

    /// Warns about segments that are a placeholder in other software, but not here.
    fn warn_of_placeholders(&mut self, at: &str, rule: &Rule) {
        for (index, pattern) in rule.paths.iter().enumerate() {
            let written = pattern.to_string();
            if let Some(segment) = written.split('/').find(|segment| is_placeholder(segment)) {
                let at = format!("{}[{index}]", below(at, "paths"));
                let what = format!("`{segment}` is compared literally: it is not a wildcard");
                let cure = "write `*` for one segment of any name and `**` for any number of them, or \
                            one path for each name";
                self.advise(&at, what, cure);
            }
        }
    }

    /// Warns about parameters that will not match what the operator probably expects.
    fn warn_of_query(&mut self, at: &str, query: &BTreeMap<String, Option<Values>>) {
        for (name, values) in query {
            let at = below(at, name);
            if name.len() > LONGEST_NAME {
                let what = format!(
                    "the name is longer than {LONGEST_NAME} bytes, the most that are \
                             compared"
                );
                self.refuse(
                    &at,
                    what,
                    "write the name of the parameter as the application reads it",
                );
            }
            if name.contains('*') {
                let what = format!("`{name}` is compared literally: `*` is not a wildcard");
                self.advise(&at, what, "write one rule for each name");
            }
            let Some(Values::These(values)) = values else { continue };
            for (at, value) in items(&at, values).filter(|(_, value)| value.contains('*')) {
                let what = format!("`{value}` is compared literally: `*` is not a wildcard");
                self.advise(&at, what, "write every value, or `any` for all of them");
            }
        }
    }

    /// Warns if a wider rule admits, with a weaker requirement, visitors to whom a narrower rule
    /// before it does not apply.
    fn warn_of_weakness(&mut self, at: &str, rule: &Rule, earlier: &Earlier) {
        let asks_more = |index: &usize| {
            let other = &earlier.rules[*index].require;
            other.level > rule.require.level
                && other.level != Level::Nobody
                && other.and(&rule.require) == *other
        };
        let same_places = rule.paths.iter().flat_map(|wider| earlier.selective.covered(wider));
        if let Some(index) = same_places.filter(asks_more).min() {
            let what = format!(
                "requests that match the paths of an earlier rule ({}), but not its other \
                 conditions, fall through to this rule, which requires less",
                earlier.rules[index].place()
            );
            let cure = "if they should be refused, put a rule with the paths of the earlier rule and \
                        `require: nobody` between the two";
            self.advise(at, what, cure);
        }
    }
}

/// The rules before the current one. Rules that always govern the requests that they match are
/// indexed by their paths.
#[derive(Default)]
struct Earlier {
    rules: Vec<Rule>,
    all: Covering,
    /// The rules that do not apply to every visitor or method.
    selective: Covering,
}

impl Earlier {
    fn add(&mut self, rule: Rule) {
        if rule.enforce && !rule.only_adds() {
            for path in &rule.paths {
                self.all.add(path, self.rules.len());
                if !rule.is_free() {
                    self.selective.add(path, self.rules.len());
                }
            }
        }
        self.rules.push(rule);
    }
}

fn parameter(name: &str, values: &Values) -> Option<Parameter> {
    let values = match values {
        Values::Any(_) => TextSet::default(),
        Values::These(these) => {
            let these: TextSet = these.iter().flatten().cloned().collect();
            // An empty list matches no value; it does not mean any value.
            (!these.is_empty()).then_some(these)?
        }
    };
    Some(Parameter { name: name.to_owned(), values })
}

/// Whether other software would take this segment for any of several names: `{id}`, `{a,b}`, `<id>`,
/// `:id`, `(a|b)`.
fn is_placeholder(segment: &str) -> bool {
    let holds = |from, to| {
        let inside = segment.find(from).map(|start| &segment[start..]);
        inside.is_some_and(|inside| inside.contains(to))
    };
    let is_named = segment.strip_prefix(':').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    });
    holds('{', '}') || holds('<', '>') || holds('(', ')') && segment.contains('|') || is_named
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("{id}", true)]
    #[case("user-{id}", true)]
    #[case("<int:id>", true)]
    #[case(":id", true)]
    #[case("(a|b)", true)]
    #[case("a{b", false)]
    #[case("}a{", false)]
    #[case("a:b", false)]
    #[case(":", false)]
    #[case(":w:", false)]
    #[case("Report (2)", false)]
    fn what_other_software_takes_for_any_name_is_known(#[case] segment: &str, #[case] is_so: bool) {
        assert_eq!(is_placeholder(segment), is_so);
    }
}
