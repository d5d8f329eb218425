//! The rules of an app in file order, and what they require of a request.
//!
//! The first rule that applies governs; if none does, `otherwise`. Rules with a condition on the
//! query add to that. This is done for every reading of a request, and the request must meet all
//! the requirements together.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::guess::{self, Guess};
use super::index::Index;
pub use super::judged::{Governor, Ruling};
use super::judged::{Judged, Looks};
use super::pattern::{Case, Pattern, fold};
pub use super::query::Parameter;
use super::query::Query;
use super::request::Request;
use super::work::Work;
use crate::domain::assurance::{Level, Only, Requirement};
use crate::domain::identity::Identity;

/// One rule: a requirement, and the conditions under which it applies. An empty condition is always
/// met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The path matches any of these.
    pub paths: Vec<Pattern>,
    /// The method is any of these, in upper case.
    pub methods: BTreeSet<String>,
    /// The visitor's address is in any of these.
    pub networks: Vec<IpNet>,
    /// The user is in any of these groups.
    pub groups: BTreeSet<String>,
    /// The query contains all of these parameters. Such a rule adds its requirement to that of the
    /// rule which governs without it.
    pub query: Vec<Parameter>,
    /// What it requires.
    pub require: Requirement,
    /// Whether everybody who may enter here must have a second factor, wherever they go.
    pub demand: bool,
    /// Whether it is enforced, or in observe mode.
    pub enforce: bool,
    /// Its line in the configuration file, if it comes from one.
    pub line: Option<usize>,
}

/// The visitor, as far as rules have conditions on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// The address; `None`: unknown, so every `networks` is tried as met and as not met.
    pub address: Option<IpAddr>,
    /// The user, if they would pass `sign-in` now.
    pub known: Option<&'a Identity>,
}

/// How a policy treats differences between applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Folders in which every file is a script, whatever its name: `/cgi-bin/`.
    pub scripts: Vec<Pattern>,
    /// The application distinguishes letter case everywhere, so rules do, too.
    pub case_sensitive: bool,
    /// Only requests with a plain spelling are passed on to it.
    pub strict_spelling: bool,
    /// It supports `WebDAV`: deleting a path deletes everything below it.
    pub webdav: bool,
}

/// All rules of one app.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    otherwise: Requirement,
    options: Options,
    /// Methods that no rule names and that do no more than GET.
    safe_methods: BTreeSet<String>,
    /// Whether letter case makes a difference to any rule.
    cased: bool,
    enforced: Index,
    /// The index of all rules, if some are in observe mode.
    watched: Option<Index>,
}

/// One reading of everything but the path, with which rules are tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) method: &'a str,
    pub(super) network: Network,
    pub(super) known: Option<&'a Identity>,
}

/// One reading of the visitor's address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network {
    /// The known address.
    At(IpAddr),
    /// As if in every network that a rule names.
    All,
    /// As if in none.
    None,
}

impl Network {
    /// The readings of an address that may be unknown.
    pub(super) fn readings(address: Option<IpAddr>) -> &'static [fn(IpAddr) -> Self] {
        match address {
            Some(_) => &[Self::At],
            None => &[|_| Self::All, |_| Self::None],
        }
    }
}

/// How far the conditions of a rule are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All its conditions are met.
    Wholly,
    /// All but its groups, because the user is not known: a sign-in will decide.
    ButForGroups,
}

impl Rule {
    /// A rule without conditions other than its paths.
    pub fn new(paths: Vec<Pattern>, require: Requirement) -> Self {
        Self {
            paths,
            methods: BTreeSet::new(),
            networks: Vec::new(),
            groups: BTreeSet::new(),
            query: Vec::new(),
            require,
            demand: false,
            enforce: true,
            line: None,
        }
    }

    /// How people find it: `rule 3 (line 42: /admin/, /setup/)`; `index` from 0.
    pub fn name(&self, index: usize) -> String {
        const PATHS: usize = 3;
        let paths = self.paths.iter().take(PATHS).map(ToString::to_string);
        let more = (self.paths.len() > PATHS).then(|| "…".to_owned());
        let paths = paths.chain(more).collect::<Vec<_>>().join(", ");
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{} ({line}{paths})", Governor::Rule(index))
    }

    /// Whether its conditions, other than the paths, are met wherever those of `other` are. A
    /// simple check: `false` may also mean that it cannot tell.
    pub fn is_no_narrower_than(&self, other: &Self) -> bool {
        let covers = |net: &IpNet| self.networks.iter().any(|wider| wider.contains(net));
        let methods = self.methods.is_empty()
            || !other.methods.is_empty() && other.methods.is_subset(&self.methods);
        let networks = self.networks.is_empty()
            || !other.networks.is_empty() && other.networks.iter().all(covers);
        let groups = self.groups.is_empty()
            || !other.groups.is_empty() && other.groups.is_subset(&self.groups);
        methods && networks && groups && self.query.is_empty()
    }

    /// Whether it only adds to what another rule requires.
    pub fn only_adds(&self) -> bool {
        !self.query.is_empty()
    }

    /// Whether it has no condition but its paths.
    pub fn is_free(&self) -> bool {
        self.methods.is_empty()
            && self.networks.is_empty()
            && self.groups.is_empty()
            && self.query.is_empty()
    }

    /// How far its conditions, other than paths and query, are met; `None`: not at all.
    pub(super) fn fits(&self, look: &Look<'_>) -> Option<Fit> {
        let fits = self.fits_method(look.method) && self.fits_network(look.network);
        match look.known {
            _ if !fits => None,
            _ if self.groups.is_empty() => Some(Fit::Wholly),
            None => Some(Fit::ButForGroups),
            Some(identity) => (!self.groups.is_disjoint(&identity.groups)).then_some(Fit::Wholly),
        }
    }

    pub(super) fn fits_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    pub(super) fn fits_network(&self, network: Network) -> bool {
        self.networks.is_empty()
            || match network {
                Network::At(address) => self.networks.iter().any(|net| net.contains(&address)),
                Network::All => true,
                Network::None => false,
            }
    }

    /// Who may enter here. Every part must admit the user; empty: everybody.
    fn admits(&self) -> Vec<Only> {
        let mut parts: Vec<Only> =
            self.require.only.iter().flat_map(|only| only.iter()).cloned().collect();
        if !self.groups.is_empty() {
            parts.push(Only { users: BTreeSet::new(), groups: self.groups.clone() });
        }
        parts
    }
}

impl Policy {
    /// Rules in file order; `otherwise` applies if none of them does.
    pub fn new(rules: Vec<Rule>, otherwise: Requirement) -> Self {
        Self::with(rules, otherwise, Options::default())
    }

    /// The same with `options`.
    ///
    /// A rule with groups, or with a list of who may enter, requires at least a sign-in: without
    /// one, the user is not known.
    pub fn with(mut rules: Vec<Rule>, mut otherwise: Requirement, options: Options) -> Self {
        for rule in &mut rules {
            if !rule.groups.is_empty() {
                rule.require.level = rule.require.level.max(Level::SignIn);
            }
        }
        let all = rules.iter_mut().map(|rule| &mut rule.require);
        for require in all.chain([&mut otherwise]).filter(|require| require.only.is_some()) {
            require.level = require.level.max(Level::SignIn);
        }
        let cased = rules.iter().flat_map(|rule| &rule.paths).any(Pattern::is_cased);
        let exact = options.case_sensitive;
        let every: Vec<usize> = (0..rules.len()).collect();
        let obeyed =
            every.iter().copied().filter(|at| rules.get(*at).is_some_and(|rule| rule.enforce));
        let obeyed: Vec<usize> = obeyed.collect();
        let watched = (obeyed.len() < every.len()).then(|| Index::of(&rules, &every, exact));
        let enforced = Index::of(&rules, &obeyed, exact);
        let safe_methods = BTreeSet::new();
        Self { rules, otherwise, options, safe_methods, cased, enforced, watched }
    }

    /// The same, where these methods, in upper case, do no more than GET: a rule with `methods`
    /// applies to them only if it names them.
    #[must_use]
    pub fn with_safe_methods(self, safe_methods: BTreeSet<String>) -> Self {
        Self { safe_methods, ..self }
    }

    /// Whether the operator has declared that this method does no more than GET.
    pub(super) fn is_safe(&self, method: &str) -> bool {
        self.safe_methods.contains(method)
    }

    /// The rules, in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The requirement if no rule applies.
    pub fn otherwise(&self) -> &Requirement {
        &self.otherwise
    }

    /// How it treats differences between applications.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the spelling of `request` is allowed for this application, and its query is not too
    /// long to be checked.
    pub fn admits_spelling(&self, request: &Request) -> bool {
        let overlong = || {
            let mut queries = request.targets().filter_map(|(_, target)| target.query());
            queries.any(Query::is_overlong)
        };
        let looks_at_query = self.enforced.has_query() || self.watched.is_some();
        let plain = !self.options.strict_spelling || request.is_plainly_spelt();
        plain && !(looks_at_query && overlong())
    }

    /// Who must have a second factor because they may enter a path whose rule demands it. In each
    /// list, every part must admit the user; an empty list admits everybody.
    pub fn demands(&self) -> impl Iterator<Item = Vec<Only>> {
        self.rules.iter().filter(|rule| rule.enforce && rule.demand).map(Rule::admits)
    }

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
            for (method, reach) in index.named.readings(role, target, self) {
                for network in Network::readings(asker.address).iter().take(networks) {
                    let network = network(address);
                    looks.push((Look { method, network, known: asker.known }, reach));
                }
            }
            judged.turn_to(looks, target.query());
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

    /// Calls `each` with `path` as written and, unless the application distinguishes letter case,
    /// folded.
    pub(super) fn cases(&self, path: &[u8], mut each: impl FnMut(&[u8], Case)) {
        each(path, Case::Exact);
        if self.options.case_sensitive {
            return;
        }
        match fold(path) {
            Some(folded) => each(&folded, Case::Folded),
            None if self.cased => each(path, Case::Folded),
            None => {}
        }
    }

    /// The guesses for `path`, which must be in the letter case of guesses.
    pub(super) fn guesses<'p>(&self, path: &'p [u8], work: &mut Work) -> Vec<Guess<'p>> {
        let case = self.case_of_guesses();
        let tree = self.enforced.tree(self.enforced.case(case));
        guess::of(path, case, tree, &self.options.scripts, work)
    }

    /// `path` in the letter case of guesses.
    pub(super) fn cased_for_guesses<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let folded = if self.case_of_guesses() == Case::Folded { fold(path) } else { None };
        folded.map_or(Cow::Borrowed(path), Cow::Owned)
    }

    /// The letter case of guesses: the one that matches more.
    pub(super) fn case_of_guesses(&self) -> Case {
        if self.options.case_sensitive { Case::Exact } else { Case::Folded }
    }

    /// How people find `governor` in the file.
    pub fn name_of(&self, governor: Governor) -> String {
        match governor {
            Governor::Rule(index) => match self.rules.get(index) {
                Some(rule) => rule.name(index),
                None => governor.to_string(),
            },
            Governor::Otherwise => governor.to_string(),
        }
    }

    /// What `governor` requires; `otherwise` if no rule has the index.
    pub fn asked_by(&self, governor: Governor) -> &Requirement {
        match governor {
            Governor::Rule(index) => {
                self.rules.get(index).map_or(&self.otherwise, |rule| &rule.require)
            }
            Governor::Otherwise => &self.otherwise,
        }
    }
}
