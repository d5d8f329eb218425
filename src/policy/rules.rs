//! The rules of an application in file order, and what they ask of a request.
//!
//! The first rule that takes a path governs it, `otherwise` what none takes. Every reading of a
//! request is governed so, and the request must meet what all of them ask together.

use std::collections::BTreeSet;
use std::fmt;

use ipnet::IpNet;

use crate::domain::assurance::Requirement;

use super::pattern::{Case, Pattern, fold};
use super::request::Request;

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
}

/// A parameter of the query that a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value is any of these; any at all if there are none.
    pub values: BTreeSet<String>,
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
        }
    }

    fn takes(&self, path: &[u8], case: Case) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path, case))
    }
}

/// All rules of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    otherwise: Requirement,
    /// Whether letter case makes a difference to any rule.
    cased: bool,
}

/// What governs a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Governor {
    /// The rule with this index, from 0, in file order.
    Rule(usize),
    /// No rule: what the application asks otherwise.
    Otherwise,
}

/// What a request must meet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What all readings ask together.
    pub requirement: Requirement,
    /// What governs the path as it was written.
    pub plain: Governor,
    /// What governs the reading that raised the requirement last; `plain` if none did.
    pub raised_by: Governor,
}

impl Policy {
    /// Rules in file order; `otherwise` is asked where none applies.
    pub fn new(rules: Vec<Rule>, otherwise: Requirement) -> Self {
        let cased = rules.iter().flat_map(|rule| &rule.paths).any(Pattern::is_cased);
        Self { rules, otherwise, cased }
    }

    /// The rules, in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is asked where no rule applies.
    pub fn otherwise(&self) -> &Requirement {
        &self.otherwise
    }

    /// What `request` must meet: what the governing rules of all its readings ask together.
    ///
    /// Letter case is judged both as written and folded on both sides. Another reading never
    /// lowers the answer.
    pub fn requirement(&self, request: &Request) -> Ruling {
        self.ruling(request.path(), request.readings())
    }

    pub(super) fn ruling<'a>(
        &self,
        plain: &[u8],
        readings: impl Iterator<Item = &'a [u8]>,
    ) -> Ruling {
        let plain = self.governor(plain, Case::Exact);
        let requirement = self.asked_by(plain).clone();
        let mut ruling = Ruling { requirement, plain, raised_by: plain };
        for path in readings {
            self.raise(&mut ruling, path, Case::Exact);
            match fold(path) {
                Some(folded) => self.raise(&mut ruling, &folded, Case::Folded),
                None if self.cased => self.raise(&mut ruling, path, Case::Folded),
                None => {}
            }
        }
        ruling
    }

    fn raise(&self, ruling: &mut Ruling, path: &[u8], case: Case) {
        let governor = self.governor(path, case);
        let together = ruling.requirement.and(self.asked_by(governor));
        if together != ruling.requirement {
            ruling.requirement = together;
            ruling.raised_by = governor;
        }
    }

    /// What governs one reading of a path; folded ones are matched against folded patterns.
    pub fn governor(&self, path: &[u8], case: Case) -> Governor {
        let first = self.rules.iter().position(|rule| rule.takes(path, case));
        first.map_or(Governor::Otherwise, Governor::Rule)
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

impl fmt::Display for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(index) => write!(f, "rules[{index}]"),
            Self::Otherwise => f.write_str("otherwise"),
        }
    }
}
