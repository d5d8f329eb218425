//! Explains, rule by rule, what a request must meet and why.
//!
//! This tries the rules in file order, as an operator reads them. It shares only the conditions
//! with the index that decides requests; a test compares the results.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::below::Below;
use super::guess::{About, Guess, Why};
use super::method::is_standard;
use super::named_methods::reach_at;
use super::pattern::{Case, Pattern};
use super::query::Parameter;
use super::query::Query;
use super::reach::{Reach, Role, also_as};
use super::request::{Request, Shown};
use super::rule::{Fit, Governor, Look, Network, Rule};
use super::rules::{Asker, Policy};
use super::work::Work;
use crate::domain::assurance::{Kinds, Level, Requirement};

/// Why a request has its requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Every reading of the path, the plain one first.
    pub paths: Vec<String>,
    /// Every reading of the method, beginning with the one that was sent.
    pub methods: Vec<String>,
    /// Which rules govern which readings, in the order in which the readings were found.
    pub governed: Vec<Governed>,
    /// What all of them require together.
    pub asks: Asks,
}

/// Readings for which the rules have the same result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Governed {
    /// The readings.
    pub readings: Vec<String>,
    /// Every rule that was tried, up to the one that governs, and every rule that adds to it.
    pub tried: Vec<Trial>,
    /// The rule that governs.
    pub by: String,
    /// What that rule requires, with what was added.
    pub asks: Asks,
}

/// A rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The rule: its number, line and paths.
    pub rule: String,
    /// Its conditions and whether each is met; the paths first.
    pub conditions: Vec<Condition>,
    /// The result.
    pub outcome: Outcome,
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Its YAML key.
    pub key: &'static str,
    /// Whether it is met; `None`: the user is not known yet.
    pub met: Option<bool>,
}

/// The result of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The rule does not apply.
    DoesNotApply,
    /// The rule governs.
    Governs,
    /// The rule governs if the user is in its groups, so it requires a sign-in first.
    AsksWhoItIs,
    /// The rule adds its requirement.
    Adds,
    /// The rule governs, or adds to, something below the path, and the request reaches that too.
    MetBelow,
    /// The rule would apply, but is in observe mode.
    OnlyWatched,
}

/// A requirement, in the words of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asks {
    /// `nothing`, `sign-in`, `second-factor` or `nobody`.
    pub level: &'static str,
    /// How many seconds ago, at most, the second factor may have been shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<u64>,
    /// Which kinds of factors count; empty if all do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<&'static str>,
    /// Whether a trusted device counts as the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_device: Option<bool>,
    /// Who may enter; every entry must admit the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

impl Policy {
    /// Explains what `request` must meet.
    pub fn explain(&self, request: &Request, asker: &Asker<'_>) -> Explanation {
        let address = asker.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut governed: Vec<(Governed, Requirement)> = Vec::new();
        for (role, target) in request.targets() {
            for Way { method, read, reach } in self.ways(role, target) {
                for network in Network::readings(asker.address) {
                    let network = network(address);
                    let look = Look { method: read, network, known: asker.known };
                    for path in target.readings() {
                        self.cases(path, |path, case| {
                            let reading = shown(target, (method, read, role), path, case, network);
                            let query = target.query();
                            let tried = self.try_rules(path, case, &look, query);
                            tried.told(reading.clone(), self, Counts::Always, &mut governed);
                            if reach != Reach::Path {
                                let reading = format!("{reading}{}", shown_reach(reach));
                                let on = ((&look, reach), query);
                                let counts = Counts::Always;
                                self.try_below(path, case, on, counts, reading, &mut governed);
                            }
                        });
                    }
                    let on = ((&look, reach), target.query());
                    let says = |path: &[u8], case| {
                        shown(target, (method, read, role), path, case, network)
                    };
                    for path in target.readings() {
                        self.explain_guesses(path, on, &says, &mut governed);
                    }
                    for path in target.paths_in_query() {
                        let case = self.case_of_guesses();
                        let path = self.cased_for_guesses(path);
                        let guess = Guess { path, why: Why::Query, about: About::Names };
                        self.explain_guess(&guess, (b"/", None), case, on, &says, &mut governed);
                    }
                }
            }
        }
        let together = governed.iter().map(|(_, asks)| asks.clone()).reduce(|a, b| a.and(&b));
        Explanation {
            paths: request.readings().map(|path| Shown(path).to_string()).collect(),
            methods: request.methods().map(str::to_owned).collect(),
            governed: governed.into_iter().map(|(governed, _)| governed).collect(),
            asks: Asks::of(&together.unwrap_or(Requirement::nobody())),
        }
    }

    /// Every reading of the method: the method that it may mean, and the method that the rules are
    /// tried with. An unknown method may mean any that a rule names.
    fn ways<'r>(&'r self, role: Option<Role>, target: &'r Request) -> Vec<Way<'r>> {
        let obeyed = || self.rules().iter().filter(|rule| rule.enforce);
        let named: BTreeSet<&str> = obeyed().flat_map(|rule| &rule.methods).collect();
        let is_known = |method: &str| {
            !target.has_cased_method()
                && (is_standard(method) || named.contains(method) || self.is_safe(method))
        };
        let ways = |method: &'r str| {
            let reach = reach_at(role, method, target, self.options().webdav);
            let named = named.iter().copied().filter(move |_| !is_known(method));
            let aliases = also_as(method, role).iter().copied();
            let all = std::iter::once(method).chain(aliases).chain(named);
            all.map(move |read| Way { method, read, reach })
        };
        target.methods().flat_map(ways).collect()
    }

    /// Tries the rules that may govern something below a path.
    fn try_below(
        &self,
        path: &[u8],
        case: Case,
        ((look, reach), query): ((&Look<'_>, Reach), Option<&Query>),
        counts: Counts,
        reading: String,
        governed: &mut Vec<(Governed, Requirement)>,
    ) {
        let exact = self.options().case_sensitive;
        let is_sent = |rule: &Rule| {
            rule.query.iter().all(|wanted| query.is_some_and(|query| wanted.is_in(query, exact)))
        };
        let rules = self.rules().iter().enumerate().filter(|(_, rule)| rule.enforce);
        let below = Below::of(rules, path, case, look, reach, |at| {
            self.rules().get(at).is_some_and(is_sent)
        });
        let below = if counts == Counts::Always { below } else { below.of_guess() };
        let met =
            below.rules.iter().filter_map(|found| Some((found, self.rules().get(found.position)?)));
        let tried = met.clone().map(|(found, rule)| Trial {
            rule: rule.name(found.position),
            conditions: conditions(rule, look, true),
            outcome: Outcome::MetBelow,
        });
        let asks = met.map(|(found, rule)| match found.fit {
            Fit::Wholly => rule.require.clone(),
            Fit::ButForGroups => Requirement::sign_in(),
        });
        let asks = asks.chain(below.otherwise.then(|| self.otherwise().clone()));
        let Some(asks) = asks.reduce(|a, b| a.and(&b)) else { return };
        let tried: Vec<Trial> = tried.collect();
        note(governed, "the content of the folder".to_owned(), tried, asks, reading);
    }

    /// Tries the rules with the guesses for `path`.
    fn explain_guesses(
        &self,
        path: &[u8],
        on: ((&Look<'_>, Reach), Option<&Query>),
        says: &dyn Fn(&[u8], Case) -> String,
        governed: &mut Vec<(Governed, Requirement)>,
    ) {
        let case = self.case_of_guesses();
        let path = &*self.cased_for_guesses(path);
        let reading = self.try_rules(path, case, on.0.0, on.1).by;
        for guess in self.guesses(&self.enforced, path, &mut Work::default()) {
            self.explain_guess(&guess, (path, reading), case, on, says, governed);
        }
    }

    fn explain_guess(
        &self,
        guess: &Guess<'_>,
        (path, reading): (&[u8], Option<(usize, Fit)>),
        case: Case,
        on: ((&Look<'_>, Reach), Option<&Query>),
        says: &dyn Fn(&[u8], Case) -> String,
        governed: &mut Vec<(Governed, Requirement)>,
    ) {
        let ((look, reach), query) = on;
        let takes = |by: Option<(usize, Fit)>, which: &dyn Fn(&Pattern) -> bool| {
            let rule = by.and_then(|(at, _)| self.rules().get(at));
            rule.is_some_and(|rule| rule.paths.iter().any(which))
        };
        let is_written_for = |segment: &[u8]| {
            takes(reading, &|pattern| pattern.names(segment) && pattern.matches(path, case))
        };
        let tried = self.try_rules(&guess.path, case, look, query);
        let is_named =
            takes(tried.by, &|pattern| pattern.is_named() && pattern.matches(&guess.path, case));
        let counts = match guess.about {
            About::File(file) if is_written_for(file) => return,
            About::Script(script) if !is_written_for(script) => Counts::Always,
            _ if is_named => Counts::Always,
            _ => Counts::OnlyWhatAdds,
        };
        let reading = format!("{} ({})", says(&guess.path, case), guess.why);
        tried.told(reading.clone(), self, counts, governed);
        if reach != Reach::Path {
            let reading = format!("{reading}{}", shown_reach(reach));
            self.try_below(&guess.path, case, on, Counts::OnlyWhatIsNamed, reading, governed);
        }
    }

    fn try_rules(&self, path: &[u8], case: Case, look: &Look<'_>, query: Option<&Query>) -> Tried {
        let mut found = Tried::default();
        for (index, rule) in self.rules().iter().enumerate() {
            if found.by.is_some() && !rule.only_adds() {
                continue;
            }
            let takes = rule.paths.iter().any(|pattern| pattern.matches(path, case));
            let exact = self.options().case_sensitive;
            let is_sent =
                |wanted: &Parameter| query.is_some_and(|query| wanted.is_in(query, exact));
            let sent = rule.query.iter().all(is_sent);
            let fit = rule.fits(look).filter(|_| takes && sent);
            let outcome = match fit {
                None => Outcome::DoesNotApply,
                Some(_) if !rule.enforce => Outcome::OnlyWatched,
                Some(_) if rule.only_adds() => Outcome::Adds,
                Some(Fit::Wholly) => Outcome::Governs,
                Some(Fit::ButForGroups) => Outcome::AsksWhoItIs,
            };
            match (outcome, fit) {
                (Outcome::Adds, Some(fit)) => found.added.push((index, fit)),
                (Outcome::Governs | Outcome::AsksWhoItIs, Some(fit)) => {
                    found.by = Some((index, fit));
                }
                _ => {}
            }
            // Leave out the many rules with other paths.
            if takes {
                let conditions = conditions(rule, look, sent);
                found.trials.push(Trial { rule: rule.name(index), conditions, outcome });
            }
        }
        found
    }
}

/// The result of trying the rules with one path.
#[derive(Debug, Default)]
struct Tried {
    trials: Vec<Trial>,
    /// The rule that governs, if any, and the rules that add.
    by: Option<(usize, Fit)>,
    added: Vec<(usize, Fit)>,
}

/// How much of a [`Tried`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// All of it.
    Always,
    /// Only rules that add.
    OnlyWhatAdds,
    /// Only rules that name a path segment.
    OnlyWhatIsNamed,
}

impl Tried {
    /// Adds this `reading` with its result to `governed`.
    fn told(
        self,
        reading: String,
        policy: &Policy,
        counts: Counts,
        governed: &mut Vec<(Governed, Requirement)>,
    ) {
        let asks = |(index, fit): &(usize, Fit)| match (policy.rules().get(*index), fit) {
            (Some(rule), Fit::Wholly) => rule.require.clone(),
            (Some(_), Fit::ButForGroups) => Requirement::sign_in(),
            (None, _) => Requirement::nobody(),
        };
        let added = self.added.iter().map(asks);
        let (by, asks) = match (counts, &self.by) {
            (Counts::OnlyWhatAdds, _) => {
                let Some(asks) = added.reduce(|asks, more| asks.and(&more)) else { return };
                let names =
                    self.added.iter().map(|(index, _)| policy.name_of(Governor::Rule(*index)));
                (names.collect::<Vec<_>>().join(" and "), asks)
            }
            (Counts::Always | Counts::OnlyWhatIsNamed, by) => {
                let governor = by.map_or(Governor::Otherwise, |(index, _)| Governor::Rule(index));
                let first = by.as_ref().map_or_else(|| policy.otherwise().clone(), asks);
                (policy.name_of(governor), added.fold(first, |asks, more| asks.and(&more)))
            }
        };
        note(governed, by, self.trials, asks, reading);
    }
}

/// One reading of a method.
struct Way<'r> {
    method: &'r str,
    /// The method that the rules are tried with.
    read: &'r str,
    reach: Reach,
}

/// Adds a reading to the entry with the same result, or a new entry.
fn note(
    governed: &mut Vec<(Governed, Requirement)>,
    by: String,
    tried: Vec<Trial>,
    asks: Requirement,
    reading: String,
) {
    let alike = governed.iter_mut().find(|(other, _)| other.by == by && other.tried == tried);
    if let Some((alike, _)) = alike {
        if !alike.readings.contains(&reading) {
            alike.readings.push(reading);
        }
    } else {
        let readings = vec![reading];
        governed.push((Governed { readings, tried, by, asks: Asks::of(&asks) }, asks));
    }
}

fn conditions(rule: &Rule, look: &Look<'_>, sent: bool) -> Vec<Condition> {
    let mut conditions = vec![Condition { key: "paths", met: Some(true) }];
    let query = ("query", !rule.query.is_empty(), Some(sent));
    let others = rule.conditions(look).into_iter().chain([query]);
    conditions
        .extend(others.filter_map(|(key, is_set, met)| is_set.then_some(Condition { key, met })));
    conditions
}

fn shown(
    target: &Request,
    (method, read, role): (&str, &str, Option<Role>),
    path: &[u8],
    case: Case,
    network: Network,
) -> String {
    let read = if method == read { String::new() } else { format!(" (as {read})") };
    let role = match role {
        None => "",
        Some(Role::Written) => " writes",
        Some(Role::Read) => " reads",
    };
    let case = if case == Case::Folded { " (in lower case)" } else { "" };
    let network = match network {
        Network::At(_) => "",
        Network::All => " (client address unknown: as if every network matched)",
        Network::None => " (client address unknown: as if no network matched)",
    };
    let named_by = target.named_by().map(|header| format!(" (`{header}`)")).unwrap_or_default();
    format!("{method}{read}{role} {}{named_by}{case}{network}", Shown(path))
}

const fn shown_reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Path => "",
        Reach::Literally => " and its parts",
        Reach::Children => " and everything directly below",
        Reach::Below => " and everything below",
    }
}

impl Asks {
    /// What this requirement asks.
    pub fn of(requirement: &Requirement) -> Self {
        let Requirement { level, within, kinds, trusted_device, only, .. } = requirement;
        let has_factor = *level == Level::SecondFactor;
        Self {
            level: match level {
                Level::Nothing => "nothing",
                Level::Step | Level::SignIn => "sign-in",
                Level::SecondFactor => "second-factor",
                Level::Nobody => "nobody",
            },
            within: within.filter(|_| has_factor).map(|span| span.as_secs()),
            kinds: if has_factor && *kinds != Kinds::ALL { kinds.words() } else { Vec::new() },
            trusted_device: has_factor.then_some(*trusted_device && within.is_none()),
            only: only.iter().flat_map(|only| only.iter()).map(ToString::to_string).collect(),
        }
    }
}

/// A span of so many seconds, as the configuration file may write it: `5m`.
fn span(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (minutes @ 1.., 0) => format!("{minutes}m"),
        _ => format!("{seconds}s"),
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level == "nobody" {
            return f.write_str("`nobody`: refused to everybody");
        }
        f.write_str(self.level)?;
        if let Some(within) = self.within {
            write!(f, ", at most {} old", span(within))?;
        }
        if !self.kinds.is_empty() {
            write!(f, ", only {}", self.kinds.join(" or "))?;
        }
        if self.trusted_device == Some(false) {
            f.write_str(", trusted devices do not count")?;
        }
        for (index, only) in self.only.iter().enumerate() {
            write!(f, ", {}only {only}", if index > 0 { "and " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.rule)?;
        for (index, condition) in self.conditions.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let key = condition.key;
            let met = match condition.met {
                Some(true) => format!("matches {key}"),
                Some(false) => format!("does not match {key}"),
                None => format!("{key} not known yet"),
            };
            write!(f, "{comma} {met}")?;
        }
        f.write_str(match self.outcome {
            Outcome::DoesNotApply => " → does not apply",
            Outcome::Governs => " → decides",
            Outcome::AsksWhoItIs => " → requires a sign-in first, to know the user",
            Outcome::Adds => " → adds its requirement",
            Outcome::MetBelow => " → must be met for everything below",
            Outcome::OnlyWatched => " → would apply, but is in observe mode",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for governed in &self.governed {
            writeln!(f, "read as")?;
            for reading in governed.readings.iter().take(SHOWN) {
                writeln!(f, "    {reading}")?;
            }
            if governed.readings.len() > SHOWN {
                writeln!(f, "    and {} more readings", governed.readings.len() - SHOWN)?;
            }
            for trial in &governed.tried {
                writeln!(f, "  {trial}")?;
            }
            writeln!(f, "  {} requires {}", governed.by, governed.asks)?;
        }
        if self.governed.len() > 1 {
            writeln!(f, "together they require {}", self.asks)?;
        }
        Ok(())
    }
}
