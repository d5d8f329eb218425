//! Turns the file as written into a [`Config`], and continues after every problem.
//!
//! Values that the tree has refused are absent here, so no problem is reported twice.

mod apps;
mod header_names;
mod hosts;
mod listeners;
mod mail;
mod methods;
mod outline;
mod providers;
mod rules;
mod second_factor;
mod sms;
mod tests;
mod upstreams;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::assurance::Kinds;
use crate::domain::user::Trust;
use crate::domain::user_session;

use super::problem::{Place, Problem, Problems};
use super::span::{HOUR, Span};
use super::tree::Node;
use super::written::{File, List, SetUpMailbox};
use super::{
    AccessLog, Config, Destination, Environment, Listener, Origin, RelyingParty, Upstream,
    UpstreamTimeouts,
};
use outline::Outlines;

/// Validates `file`, whose tree is `root` and whose name is `name`; returns the configuration and
/// its warnings. Errors are added to `problems`, which already holds those of the tree.
pub(super) fn validate(
    file: &File,
    root: &Node,
    name: &str,
    environment: Environment<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Config, Vec<Problem>)> {
    let trusts_proxies = !file.trusted_proxies.is_empty();
    let mut judge = Judge {
        root,
        name,
        environment,
        trusts_proxies,
        problems,
        warnings: Vec::new(),
        mentioned_users: BTreeSet::new(),
        asked_kinds: Vec::new(),
    };
    let config = judge.config(file);
    let mut warnings = judge.warnings;
    warnings.sort_by_key(|warning| warning.place);
    Some((config?, warnings))
}

/// Collects errors and warnings. `at` is always a key path.
struct Judge<'a> {
    root: &'a Node,
    name: &'a str,
    environment: Environment<'a>,
    /// Whether there are trusted proxies.
    trusts_proxies: bool,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<Problem>,
    /// The users that rules and demands name.
    mentioned_users: BTreeSet<String>,
    /// The kinds of factors that requirements ask for, and where.
    asked_kinds: Vec<(String, Kinds)>,
}

impl Judge<'_> {
    fn config(&mut self, file: &File) -> Option<Config> {
        let listen = file.listen.as_ref().map(|listen| self.listeners(listen));
        let trusted_proxies = self.networks("trusted_proxies", &file.trusted_proxies, false);
        let (outlines, apps) = file.apps.as_ref().map(|apps| self.apps(apps)).unwrap_or_default();
        let portal = self.portal(file, &outlines);
        let state = file.state.as_deref().and_then(|state| self.state(state));
        let operators = self.addresses("operators", file.operators.address.as_deref());
        let issuer = self.issuer(file, portal.as_ref());
        let relying_party = portal
            .as_ref()
            .zip(issuer.as_deref())
            .and_then(|(portal, name)| RelyingParty::of(portal, name));
        let relying_party = relying_party.map(|party| self.rp_id(file, party, &outlines));
        let bound = portal.as_ref().map(|_| relying_party.is_some());
        if bound == Some(false) {
            self.refuse_rp_id(file);
        }
        let kinds = self.kinds(file, bound);
        self.check_asked_kinds(&kinds, bound, file.sms.is_some());
        let demands = self.demands(file, apps.as_deref().unwrap_or_default());
        let sessions = self.sessions(file);
        let events = self.destination("events.to", file.events.to.as_deref());
        let access_log = AccessLog {
            to: self.destination("access_log.to", file.access_log.to.as_deref()),
            format: file.access_log.format,
        };
        if matches!(access_log.to, Destination::File(_)) && access_log.to == events {
            let what = "`events` are written to this file";
            self.refuse("access_log.to", what, "write each log to a file of its own");
        }
        let tests = self.tests(&file.tests, &outlines);
        let limits = self.limits(file);
        let mail = self.mail(file.mail.as_ref());
        let sms = self.sms(file.sms.as_ref());
        let mails = file.mail.is_some();
        let local = outlines.hosts().chain(&portal).all(Origin::is_local);
        let known = outlines.is_complete && portal.is_some();
        let set_up_proof = self.set_up_proof(&file.set_up, mails, known.then_some(local));
        let providers = self.providers(&file.providers);
        let only_sign_in = self.only_sign_in(file.only_sign_in.as_deref(), &file.providers);
        let listen = listen?;
        self.check_addresses(&listen, &operators, &outlines);
        self.check_ways(&listen, portal.as_ref(), &outlines);
        Some(Config {
            listen,
            trusted_proxies,
            state: state?,
            portal: portal?,
            apps: apps?,
            issuer: issuer?,
            second_factor: second_factor::settings(&file.second_factor),
            passkeys: file.second_factor.security_keys.passkeys && relying_party.is_some(),
            kinds,
            relying_party,
            accepted_keys: self.accepted_keys(file)?,
            demands,
            trusted_devices: Trust {
                lasting: file.trusted_devices.lasting.into(),
                at_most: file.trusted_devices.at_most,
            },
            sessions,
            confirm_for: file.confirm.lasting.into(),
            log: file.log,
            events,
            access_log,
            operators,
            limits,
            deadlines: Self::deadlines(file),
            hsts: file.tls.hsts.into(),
            upstream_timeouts: UpstreamTimeouts {
                connect: file.upstream_timeouts.connect.into(),
                read: file.upstream_timeouts.read.into(),
                write: file.upstream_timeouts.write.into(),
            },
            shutdown_within: file.shutdown.within.into(),
            support: file.support.clone(),
            mail: mail?,
            sms: sms?,
            set_up_proof,
            separate_mailboxes: file.set_up.mailbox == Some(SetUpMailbox::Separate),
            providers: providers?,
            only_sign_in,
            mentioned_users: std::mem::take(&mut self.mentioned_users),
            tests,
            warnings: Problems::default(),
        })
    }

    /// The path relative to the file, independent of the working directory. `~` and `$` are
    /// refused, because we do not expand them like a shell.
    fn state(&mut self, written: &str) -> Option<PathBuf> {
        if written.starts_with('~') || written.contains('$') {
            let what = format!("`{written}`: `~` and `$` are not expanded");
            self.refuse("state", what, "write the full path, such as `/var/lib/doorward`");
            return None;
        }
        Some(self.beside(written))
    }

    fn sessions(&mut self, file: &File) -> user_session::Limits {
        let at_most = file.sessions.at_most;
        let idle = file.sessions.idle.unwrap_or(Span::seconds(HOUR).min(at_most));
        if idle > at_most && !self.has_refused("sessions.at_most") {
            let what = format!("{idle} is longer than `at_most`, which is {at_most}");
            self.refuse("sessions.idle", what, "make `idle` shorter or `at_most` longer");
        }
        user_session::Limits { idle: idle.into(), at_most: at_most.into() }
    }

    /// Refuses two listeners on one address, and an app whose upstream is this gateway itself.
    fn check_addresses(&mut self, listen: &[Listener], operators: &[SocketAddr], apps: &Outlines) {
        let taken = |address: &SocketAddr| {
            address.port() > 0 && listen.iter().any(|listener| listener.address == *address)
        };
        if operators.iter().any(taken) {
            let what = "`listen` uses this address, too";
            self.refuse("operators.address", what, "choose another port for operators");
        }
        for app in &apps.all {
            if app.upstreams.iter().filter_map(Upstream::address).any(|address| taken(&address)) {
                let what = "Doorward itself listens on this address";
                let at = format!("apps[{}].upstream", app.index);
                self.refuse(&at, what, "write the address of the application");
            }
        }
    }

    /// Standard output, or a file relative to the configuration.
    fn destination(&mut self, at: &str, written: Option<&str>) -> Destination {
        match written {
            None => Destination::Nowhere,
            Some("stdout") => Destination::Stdout,
            Some(path) if path.contains('/') => Destination::File(self.beside(path)),
            Some(word) => {
                let what = format!("`{word}` is neither `stdout` nor a path with a slash");
                self.refuse(at, what, &format!("write `stdout` or `./{word}`"));
                Destination::Nowhere
            }
        }
    }

    fn parsed<T: FromStr<Err: std::error::Error>>(&mut self, at: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse_as(at, &error);
                None
            }
        }
    }

    fn place(&self, at: &str) -> Place {
        self.root.place_of(at)
    }

    /// Whether one of `keys` is present in the map at `at`, even if it was refused.
    fn mentions(&self, at: &str, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has_refused(&below(at, key)))
    }

    fn has_refused(&self, at: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == at)
    }

    fn has_refused_below(&self, at: &str) -> bool {
        self.problems.iter().any(|problem| problem.key.starts_with(at))
    }

    fn refuse(&mut self, at: &str, what: impl Into<String>, cure: &str) {
        let problem = self.problem(at, what.into());
        self.problems.push(Problem { cure: Some(cure.to_owned()), ..problem });
    }

    /// Adds an error whose text already contains the fix.
    fn refuse_as(&mut self, at: &str, error: &dyn std::error::Error) {
        let problem = self.problem(at, error.to_string());
        self.problems.push(problem);
    }

    fn refuse_empty(&mut self, at: &str, cure: &str) {
        self.refuse(at, "the list is empty", cure);
    }

    fn warn(&mut self, at: &str, what: impl Into<String>) {
        let problem = self.problem(at, what.into());
        self.warnings.push(problem);
    }

    /// Warns that a key is missing, which no line of the file shows.
    fn warn_of_missing(&mut self, key: &str, what: impl Into<String>) {
        let (key, what) = (key.to_owned(), what.into());
        self.warnings.push(Problem { place: None, key, what, cure: None });
    }

    /// Warns and suggests a fix.
    fn advise(&mut self, at: &str, what: impl Into<String>, cure: &str) {
        let problem = self.problem(at, what.into());
        self.warnings.push(Problem { cure: Some(cure.to_owned()), ..problem });
    }

    fn problem(&self, at: &str, what: String) -> Problem {
        Problem { place: Some(self.root.place_of(at)), key: at.to_owned(), what, cure: None }
    }
}

/// The items of a list with their key paths.
fn items<'a, T>(at: &str, list: &'a List<T>) -> impl Iterator<Item = (String, &'a T)> {
    let numbered = list.iter().enumerate();
    numbered.filter_map(move |(index, item)| Some((format!("{at}[{index}]"), item.as_ref()?)))
}

fn below(at: &str, name: &str) -> String {
    format!("{at}.{name}")
}
