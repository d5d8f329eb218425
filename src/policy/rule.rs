//! One rule: the paths that it covers, its conditions, and what it requires.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::pattern::Pattern;
use super::query::Parameter;
use super::text_set::TextSet;
use crate::domain::assurance::{Only, Requirement};
use crate::domain::identity::Identity;

/// One rule: a requirement, and the conditions under which it applies. An empty condition is always
/// met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The path matches any of these.
    pub paths: Vec<Pattern>,
    /// The method is any of these, in upper case.
    pub methods: TextSet,
    /// The visitor's address is in any of these.
    pub networks: Vec<IpNet>,
    /// The user is in any of these groups.
    pub groups: TextSet,
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

impl Rule {
    /// A rule without conditions other than its paths.
    pub fn new(paths: Vec<Pattern>, require: Requirement) -> Self {
        Self {
            paths,
            methods: TextSet::default(),
            networks: Vec::new(),
            groups: TextSet::default(),
            query: Vec::new(),
            require,
            demand: false,
            enforce: true,
            line: None,
        }
    }

    /// How people find it: `rule 3 (line 42: /admin/, /setup/)`; `index` from 0.
    pub fn name(&self, index: usize) -> String {
        format!("{} ({})", Governor::Rule(index), self.place())
    }

    /// Its line and paths, for messages.
    pub fn place(&self) -> String {
        const PATHS: usize = 3;
        let paths = self.paths.iter().take(PATHS).map(ToString::to_string);
        let more = (self.paths.len() > PATHS).then(|| "…".to_owned());
        let paths = paths.chain(more).collect::<Vec<_>>().join(", ");
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{line}{paths}")
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

    /// Its conditions other than paths and query: the key of each, whether the rule has it, and
    /// whether it is met; `None`: only a sign-in will tell.
    pub(super) fn conditions(&self, look: &Look<'_>) -> [(&'static str, bool, Option<bool>); 3] {
        let in_groups = look.known.map(|identity| !self.groups.is_disjoint(&identity.groups));
        [
            ("methods", !self.methods.is_empty(), Some(self.fits_method(look.method))),
            ("networks", !self.networks.is_empty(), Some(self.fits_network(look.network))),
            ("groups", !self.groups.is_empty(), in_groups),
        ]
    }

    /// How far these conditions are met; `None`: not at all.
    pub(super) fn fits(&self, look: &Look<'_>) -> Option<Fit> {
        let mut fit = Fit::Wholly;
        for (_, is_set, met) in self.conditions(look) {
            match met {
                Some(false) if is_set => return None,
                None if is_set => fit = Fit::ButForGroups,
                _ => {}
            }
        }
        Some(fit)
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
    pub(super) fn admits(&self) -> Vec<Only> {
        let mut parts: Vec<Only> =
            self.require.only.iter().flat_map(|only| only.iter()).cloned().collect();
        if !self.groups.is_empty() {
            let groups = self.groups.iter().map(str::to_owned).collect();
            parts.push(Only { users: BTreeSet::new(), groups });
        }
        parts
    }
}

/// What governs a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Governor {
    /// The rule with this index, from 0, in file order.
    Rule(usize),
    /// No rule: the app's `otherwise` applies.
    Otherwise,
}

impl fmt::Display for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(index) => write!(f, "rule {}", index + 1),
            Self::Otherwise => f.write_str("otherwise"),
        }
    }
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

/// A rule that governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) position: usize,
    pub(super) fit: Fit,
    /// Whether one of its patterns that match the path names a literal segment.
    pub(super) is_named: bool,
}
