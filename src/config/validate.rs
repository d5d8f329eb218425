//! What the keys mean: from the file as written to a [`Config`], going on after every problem.
//!
//! What the tree has refused is not there to be read, so nothing is said twice.

mod apps;
mod hosts;
mod rules;
mod second_factor;
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::domain::stay;
use crate::domain::user::Trust;

use super::problem::{Place, Problem, Problems};
use super::span::{HOUR, Span};
use super::tree::Node;
use super::written::{File, List, Listener};
use super::{App, Config, Environment, EventsTo, Limits, UpstreamTimeouts, origin};

/// The configuration that `file` describes, whose tree is `root` and which is called `name`, and
/// what is unwise about it. What is wrong with it goes to `problems`, which holds what the tree
/// has found already.
pub(super) fn validate(
    file: &File,
    root: &Node,
    name: &str,
    environment: Environment<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Config, Vec<Problem>)> {
    let mut judge = Judge { root, name, environment, problems, warnings: Vec::new() };
    let config = judge.config(file);
    let mut warnings = judge.warnings;
    warnings.sort_by_key(|warning| warning.place);
    Some((config?, warnings))
}

/// Collects what is wrong and what is unwise. `at` is a key path everywhere.
struct Judge<'a> {
    root: &'a Node,
    name: &'a str,
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Judge<'_> {
    fn config(&mut self, file: &File) -> Option<Config> {
        let listen = file.listen.as_ref().map(|listen| self.listeners(listen));
        let trusted_proxies = self.networks("trusted_proxies", &file.trusted_proxies, false);
        let apps = file.apps.as_ref().and_then(|apps| self.apps(apps));
        let portal = self.portal(file, apps.as_deref());
        let state = file.state.as_deref().and_then(|state| self.state(state));
        let operators = self.listener("operators", &file.operators);
        let issuer = self.issuer(file, portal.as_ref());
        let demands = self.demands(file, apps.as_deref().unwrap_or_default());
        let sessions = self.sessions(file);
        let events = self.events(file);
        let tests = apps.as_deref().map(|apps| self.tests(&file.tests, apps));
        let listen = listen?;
        self.check_addresses(&listen, &operators, apps.as_deref().unwrap_or_default());
        Some(Config {
            listen,
            trusted_proxies,
            state: state?,
            portal: portal?,
            apps: apps?,
            issuer: issuer?,
            second_factor: second_factor::turn_on(&file.second_factor),
            demands,
            trusted_devices: Trust {
                lasting: file.trusted_devices.lasting.into(),
                at_most: file.trusted_devices.at_most,
            },
            sessions,
            confirm_for: file.confirm.lasting.into(),
            log: file.log,
            events,
            operators,
            limits: Limits { sign_in_posts: file.limits.sign_in_posts.a_minute() },
            upstream_timeouts: UpstreamTimeouts {
                connect: file.upstream_timeouts.connect.into(),
                read: file.upstream_timeouts.read.into(),
                write: file.upstream_timeouts.write.into(),
            },
            shutdown_within: file.shutdown.within.into(),
            support: file.support.clone(),
            tests: tests?,
            warnings: Problems::default(),
        })
    }

    fn listeners(&mut self, listen: &List<Listener>) -> Vec<SocketAddr> {
        if listen.is_empty() {
            self.refuse_empty("listen", "add `{ address: 127.0.0.1:8080 }`");
        }
        let mut all: Vec<SocketAddr> = Vec::new();
        for (at, listener) in items("listen", listen) {
            for new in self.listener(&at, listener) {
                if new.port() > 0 && all.contains(&new) {
                    let what = format!("{new} is listened on twice");
                    self.refuse(&below(&at, "address"), what, "keep one of them");
                }
                all.push(new);
            }
        }
        all
    }

    fn listener(&mut self, at: &str, listener: &Listener) -> Vec<SocketAddr> {
        let Some(address) = &listener.address else { return Vec::new() };
        origin::listening(address).unwrap_or_else(|error| {
            self.refuse_as(&below(at, "address"), &error);
            Vec::new()
        })
    }

    /// Relative to the file, whatever directory we are started in. A shell would read more into
    /// `~` and `$` than we do.
    fn state(&mut self, written: &str) -> Option<PathBuf> {
        if written.starts_with('~') || written.contains('$') {
            let what =
                format!("`{written}` is not read as a shell would: `~` and `$` mean nothing");
            self.refuse("state", what, "write the path out, such as `/var/lib/doorward`");
            return None;
        }
        let beside = Path::new(self.name).parent().unwrap_or(Path::new(""));
        Some(beside.join(written))
    }

    fn sessions(&mut self, file: &File) -> stay::Limits {
        let at_most = file.sessions.at_most;
        let idle = file.sessions.idle.unwrap_or(Span::seconds(HOUR).min(at_most));
        if idle > at_most && !self.has_refused("sessions.at_most") {
            let what = format!("{idle} is longer than a session may last, which is {at_most}");
            self.refuse("sessions.idle", what, "make `idle` shorter or `at_most` longer");
        }
        stay::Limits { idle: idle.into(), at_most: at_most.into() }
    }

    /// Two listeners on one address, and an application that is this gateway itself.
    fn check_addresses(
        &mut self,
        listen: &[SocketAddr],
        operators: &[SocketAddr],
        apps: &[Arc<App>],
    ) {
        let taken = |address: &SocketAddr| address.port() > 0 && listen.contains(address);
        if operators.iter().any(taken) {
            let what = "visitors are listened for on this address";
            self.refuse("operators.address", what, "give operators a port of their own");
        }
        for (index, app) in apps.iter().enumerate() {
            if app.upstream.address().is_some_and(|address| taken(&address)) {
                let what = "this is where Doorward itself listens";
                let at = format!("apps[{index}].upstream");
                self.refuse(&at, what, "name the address of the application");
            }
        }
    }

    /// To standard output, or to a file beside the configuration.
    fn events(&mut self, file: &File) -> EventsTo {
        match file.events.to.as_deref() {
            None => EventsTo::Nowhere,
            Some("stdout") => EventsTo::Stdout,
            Some(path) if path.contains('/') => {
                let beside = Path::new(self.name).parent().unwrap_or(Path::new(""));
                EventsTo::File(beside.join(path))
            }
            Some(word) => {
                let what = format!("`{word}` is neither `stdout` nor a path with a slash");
                self.refuse("events.to", what, &format!("write `stdout` or `./{word}`"));
                EventsTo::Nowhere
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

    /// Whether one of `keys` is written in the map at `at`, whatever became of it.
    fn mentions(&self, at: &str, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has_refused(&below(at, key)))
    }

    fn has_refused(&self, at: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == at)
    }

    fn refuse(&mut self, at: &str, what: impl Into<String>, cure: &str) {
        let problem = self.problem(at, what.into());
        self.problems.push(Problem { cure: Some(cure.to_owned()), ..problem });
    }

    /// Refuses with an error that says the cure itself.
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
