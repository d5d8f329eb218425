//! The applications and their rules.

use crate::config::written::{self, Asked, Conditions, List, Require, Word};
use crate::config::{App, IdentityHeaders, Origin, Upstream};
use crate::domain::assurance::Requirement;
use crate::policy::pattern::Pattern;
use crate::policy::rules::{Policy, Rule};

use super::{Judge, below, items};

impl Judge<'_> {
    pub(super) fn apps(&mut self, apps: &List<written::App>) -> Option<App> {
        match apps.len() {
            0 => self.refuse_empty("apps", "add one; config/minimal.yaml shows one"),
            1 => {}
            _ => {
                let what = "this version protects one application";
                self.refuse("apps", what, "run one gateway for each, or keep one");
            }
        }
        // Every one is read, so that all problems are found.
        let all: Option<Vec<App>> =
            items("apps", apps).map(|(at, app)| self.app(&at, app)).collect();
        all?.into_iter().next()
    }

    fn app(&mut self, at: &str, app: &written::App) -> Option<App> {
        let name = app.name.as_deref().and_then(|name| self.name(&below(at, "name"), name));
        let hosts = app.hosts.as_ref();
        let insecure = app.insecure || self.has_refused(&below(at, "insecure"));
        let origin = hosts.and_then(|hosts| self.hosts(&below(at, "hosts"), hosts, insecure));
        let upstream = app.upstream.as_deref();
        let upstream = upstream.and_then(|written| self.upstream(&below(at, "upstream"), written));
        let rules = self.rules(&below(at, "rules"), &app.rules);
        let mut otherwise = None;
        if let Some(written) = &app.otherwise {
            let at = below(at, "otherwise");
            otherwise = self.requirement(&at, written);
            if rules.iter().flat_map(|rule| &rule.paths).any(Pattern::takes_all) {
                self.warn(&at, "can never apply: a rule before it takes every path");
            }
        }
        let policy = Policy::new(rules, otherwise.unwrap_or(Requirement::second_factor()));
        Some(App {
            name: name?,
            hosts: vec![origin?],
            upstream: upstream?,
            policy,
            enforce: true,
            identity_headers: IdentityHeaders::default(),
            upstream_secret: None,
            sign_out_paths: Vec::new(),
        })
    }

    fn name(&mut self, at: &str, name: &str) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.len() > 32 || !name.bytes().all(fits) {
            let what = format!("`{name}` is no name for an application");
            self.refuse(at, what, "write up to 32 lower-case letters, digits and hyphens");
            return None;
        }
        Some(name.to_owned())
    }

    fn hosts(&mut self, at: &str, hosts: &List<String>, insecure: bool) -> Option<Origin> {
        match hosts.len() {
            0 => self.refuse_empty(at, "add one, such as `crm.example.com`"),
            1 => {}
            _ => self.refuse(at, "this version serves one host", "keep one of them"),
        }
        let all: Option<Vec<Origin>> =
            items(at, hosts).map(|(at, host)| self.host(&at, host, insecure)).collect();
        all?.into_iter().next()
    }

    fn host(&mut self, at: &str, written: &str, insecure: bool) -> Option<Origin> {
        let origin: Origin = self.parsed(at, written)?;
        let local = origin.is_local();
        if !origin.is_secure() && !local && !insecure {
            let what =
                format!("{origin} is not encrypted: passwords and cookies can be read on the way");
            let cure = "use https, or add `insecure: true` to the application if you must";
            self.refuse(at, what, cure);
        } else if !origin.is_secure() && !local {
            self.warn(at, "not encrypted: passwords and cookies can be read on the way");
        } else if origin.is_secure() && local {
            let what =
                format!("means {origin}; for plain HTTP write `http://{}`", origin.authority());
            self.warn(at, what);
        }
        Some(origin)
    }

    fn upstream(&mut self, at: &str, written: &str) -> Option<Upstream> {
        let upstream: Upstream = self.parsed(at, written)?;
        if !upstream.is_loopback() {
            let what = format!(
                "others on the network may reach {} directly: let it accept only this machine",
                upstream.authority()
            );
            self.warn(at, what);
        }
        Some(upstream)
    }

    fn rules(&mut self, at: &str, rules: &List<written::Rule>) -> Vec<Rule> {
        let mut read: Vec<Rule> = Vec::new();
        for (at, rule) in items(at, rules) {
            let paths = rule.paths.as_ref();
            let paths = paths.map(|paths| self.paths(&below(&at, "paths"), paths, &read));
            let require = rule.require.as_ref();
            let require = require.and_then(|asked| self.requirement(&below(&at, "require"), asked));
            // What could not be read asks the most, while we look for further problems.
            let require = require.unwrap_or(Requirement::nobody());
            read.push(Rule::new(paths.unwrap_or_default(), require));
        }
        read
    }

    fn paths(&mut self, at: &str, paths: &List<String>, earlier: &[Rule]) -> Vec<Pattern> {
        if paths.is_empty() {
            self.refuse_empty(at, "add a path, such as `/` for all");
        }
        let mut read: Vec<Pattern> = Vec::new();
        for (at, path) in items(at, paths) {
            let Some(pattern) = self.parsed::<Pattern>(&at, path) else { continue };
            let taker = |rule: &Rule| rule.paths.iter().any(|other| other.covers(&pattern));
            if let Some(index) = earlier.iter().position(taker) {
                let what = format!(
                    "`{pattern}` can never apply: rules[{index}] before it takes all its paths"
                );
                self.warn(&at, what);
            } else if read.iter().any(|other| other.covers(&pattern)) {
                self.warn(&at, format!("`{pattern}` is not needed: a path before it covers it"));
            }
            read.push(pattern);
        }
        read
    }

    fn requirement(&mut self, at: &str, require: &Require) -> Option<Requirement> {
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
                self.refuse(at, "an empty map asks nothing in particular", cure);
                None
            }
        }
    }

    /// A second factor, and how it must have been shown.
    fn conditions(&mut self, at: &str, conditions: &Conditions) -> Requirement {
        let Conditions { within, trusted_device } = *conditions;
        if within.is_some() && trusted_device == Some(true) {
            let what = "a trusted device shows no second factor, so it is never within any time";
            self.refuse(&below(at, "trusted_device"), what, "remove it, or remove `within`");
        }
        Requirement {
            within: within.map(Into::into),
            trusted_device: trusted_device.unwrap_or(within.is_none()),
            ..Requirement::second_factor()
        }
    }
}
