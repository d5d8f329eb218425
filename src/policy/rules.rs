//! The rules of an app in file order, and what they require of a request.
//!
//! The first rule that applies governs; if none does, `otherwise`. Rules with a condition on the
//! query add to that. This is done for every reading of a request, and the request must meet all
//! the requirements together.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::guess::{self, Guess};
use super::index::Index;
use super::named_methods::Handling;
use super::pattern::{Case, Pattern, fold};
use super::query::Query;
use super::request::Request;
use super::rule::{Governor, Rule};
use super::work::Work;
use crate::domain::assurance::{Level, Only, Requirement};
use crate::domain::identity::Identity;

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
    pub(super) enforced: Index,
    /// The index of all rules, if some are in observe mode.
    pub(super) watched: Option<Index>,
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

    /// How the app treats methods.
    pub(super) fn handling(&self) -> Handling<'_> {
        Handling { safe: &self.safe_methods, webdav: self.options.webdav }
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

    /// The guesses for `path`, which must be in the letter case of guesses, by the rules of
    /// `index`.
    pub(super) fn guesses<'p>(
        &self,
        index: &Index,
        path: &'p [u8],
        work: &mut Work,
    ) -> Vec<Guess<'p>> {
        let case = self.case_of_guesses();
        let tree = index.tree(index.case(case));
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
