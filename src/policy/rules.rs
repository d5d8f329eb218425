//! The rules of an application in file order, and what they ask of a request.
//!
//! The first rule that fits governs, `otherwise` where none does; rules that look at the query add
//! to that. Every reading of a request is governed so, and the request must meet what all of them
//! ask together.

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

/// One rule: what is asked where all its conditions are met. A condition that is empty is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it applies: any of these.
    pub paths: Vec<Pattern>,
    /// To which methods, in upper case: any of these.
    pub methods: BTreeSet<String>,
    /// To visitors from where: any of these.
    pub networks: Vec<IpNet>,
    /// To members of which groups: any of these.
    pub groups: BTreeSet<String>,
    /// To which parameters of the query: all of these. Such a rule adds to the one that governs
    /// without it.
    pub query: Vec<Parameter>,
    /// What it asks.
    pub require: Requirement,
    /// Whether whoever may enter here must have a second factor, wherever they go.
    pub demand: bool,
    /// Whether it is enforced, or only watched.
    pub enforce: bool,
    /// The line of the file on which it stands, where it stands in one.
    pub line: Option<usize>,
}

/// Who asks, as far as rules look at them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// From where; `None`: nobody knows, and every `networks` is read both ways.
    pub address: Option<IpAddr>,
    /// Who they are, if they would pass `sign-in` as they are.
    pub known: Option<&'a Identity>,
}

/// How a policy reads what is left to the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where every file is a script, whatever its name: `/cgi-bin/`.
    pub scripts: Vec<Pattern>,
    /// The application tells letter case apart, everywhere: only that which is written counts.
    pub case_sensitive: bool,
    /// Only what is plainly spelt is let through to it.
    pub strict_spelling: bool,
    /// It speaks `WebDAV`: what deletes a place deletes all below it.
    pub webdav: bool,
}

/// All rules of one application.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    otherwise: Requirement,
    options: Options,
    /// Methods that no rule names, and that do no more than GET.
    safe_methods: BTreeSet<String>,
    /// Whether letter case makes a difference to any rule.
    cased: bool,
    enforced: Index,
    /// All rules, where some are only watched.
    watched: Option<Index>,
}

/// One reading of everything but the path, to hold rules against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) method: &'a str,
    pub(super) network: Network,
    pub(super) known: Option<&'a Identity>,
}

/// One reading of where a visitor is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network {
    /// At this address.
    At(IpAddr),
    /// In every network that a rule names.
    All,
    /// In none.
    None,
}

impl Network {
    /// The readings of an address that may not be known.
    pub(super) fn readings(address: Option<IpAddr>) -> &'static [fn(IpAddr) -> Self] {
        match address {
            Some(_) => &[Self::At],
            None => &[|_| Self::All, |_| Self::None],
        }
    }
}

/// How a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All its conditions are met.
    Wholly,
    /// All but its groups, and nobody knows who the visitor is: a sign-in will tell.
    ButForGroups,
}

impl Rule {
    /// A rule without further conditions.
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

    /// Whether its conditions but the paths are met wherever those of `other` are, as far as that
    /// is simple to see.
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

    /// Whether it only adds to what another rule asks.
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

    /// How its conditions but paths and query fit; `None`: not.
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

    /// Whoever may enter here; each part admits some, and all of them must. Empty: everybody.
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
    /// Rules in file order; `otherwise` is asked where none applies.
    pub fn new(rules: Vec<Rule>, otherwise: Requirement) -> Self {
        Self::with(rules, otherwise, Options::default())
    }

    /// The same for an application that reads paths in a way of its own.
    ///
    /// A rule with groups, or with a list of those who may enter at all, asks for a sign-in at
    /// least: without one, nobody knows who somebody is.
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

    /// The same where these methods, in upper case, do no more than GET: no rule fits them that does
    /// not name them.
    #[must_use]
    pub fn with_safe_methods(self, safe_methods: BTreeSet<String>) -> Self {
        Self { safe_methods, ..self }
    }

    /// Whether the operator says of this method that it does no more than GET.
    pub(super) fn is_safe(&self, method: &str) -> bool {
        self.safe_methods.contains(method)
    }

    /// The rules, in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is asked where no rule applies.
    pub fn otherwise(&self) -> &Requirement {
        &self.otherwise
    }

    /// How it reads what is left to the application.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether `request` is spelt in a way that this application may be shown, and that its rules
    /// can be held against.
    pub fn admits_spelling(&self, request: &Request) -> bool {
        let overlong = || {
            let mut queries = request.targets().filter_map(|(_, target)| target.query());
            queries.any(Query::is_overlong)
        };
        let looks_at_query = self.enforced.has_query() || self.watched.is_some();
        let plain = !self.options.strict_spelling || request.is_plainly_spelt();
        plain && !(looks_at_query && overlong())
    }

    /// Whoever must have a second factor because they may enter a place whose rule demands it. Each
    /// list is of parts that all must admit somebody; an empty one admits everybody.
    pub fn demands(&self) -> impl Iterator<Item = Vec<Only>> {
        self.rules.iter().filter(|rule| rule.enforce && rule.demand).map(Rule::admits)
    }

    /// What `request` must meet: what the governing rules of all its readings ask together, and
    /// what rules that look at the query add.
    ///
    /// Letter case is judged both as written and folded on both sides. Another reading never
    /// lowers the answer.
    pub fn requirement(&self, request: &Request, asker: &Asker<'_>) -> Ruling {
        self.rule(&self.enforced, request, asker)
    }

    /// The same if every rule were enforced; `None` where they all are.
    pub fn watched(&self, request: &Request, asker: &Asker<'_>) -> Option<Ruling> {
        self.watched.as_ref().map(|index| self.rule(index, request, asker))
    }

    fn rule(&self, index: &Index, request: &Request, asker: &Asker<'_>) -> Ruling {
        let address = asker.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // What no rule looks at has one reading.
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

    /// Calls `each` with `path` as it is written and, unless the application tells letter case
    /// apart, folded.
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

    /// What `path`, in the letter case of guesses, may be taken for besides.
    pub(super) fn guesses<'p>(&self, path: &'p [u8], work: &mut Work) -> Vec<Guess<'p>> {
        let case = self.case_of_guesses();
        let tree = self.enforced.tree(self.enforced.case(case));
        guess::of(path, case, tree, &self.options.scripts, work)
    }

    /// `path` in the letter case in which guesses are made.
    pub(super) fn cased_for_guesses<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let folded = if self.case_of_guesses() == Case::Folded { fold(path) } else { None };
        folded.map_or(Cow::Borrowed(path), Cow::Owned)
    }

    /// In which letter case guesses are made: the one that takes more.
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

    /// What `governor` asks; an index that no rule has asks what is asked otherwise.
    pub fn asked_by(&self, governor: Governor) -> &Requirement {
        match governor {
            Governor::Rule(index) => {
                self.rules.get(index).map_or(&self.otherwise, |rule| &rule.require)
            }
            Governor::Otherwise => &self.otherwise,
        }
    }
}
