//! What the keys mean: from the file as written to a [`Config`], going on after every problem.
//!
//! What the tree has refused is not there to be read, so nothing is said twice.

mod apps;
mod second_factor;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::demand::Demands;
use crate::domain::stay;
use crate::domain::user::Trust;

use super::problem::{Problem, Problems};
use super::span::{HOUR, Span};
use super::tree::Node;
use super::written::{File, List, Listener};
use super::{App, Config, EventsTo, Limits, UpstreamTimeouts, origin};

/// The configuration that `file` describes, whose tree is `root` and which is called `name`, and
/// what is unwise about it. What is wrong with it goes to `problems`, which holds what the tree
/// has found already.
pub(super) fn validate(
    file: &File,
    root: &Node,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<(Config, Vec<Problem>)> {
    let mut judge = Judge { root, name, problems, warnings: Vec::new() };
    let config = judge.config(file);
    let mut warnings = judge.warnings;
    warnings.sort_by_key(|warning| warning.place);
    Some((config?, warnings))
}

/// Collects what is wrong and what is unwise. `at` is a key path everywhere.
struct Judge<'a> {
    root: &'a Node,
    name: &'a str,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Judge<'_> {
    fn config(&mut self, file: &File) -> Option<Config> {
        let listen = file.listen.as_ref().map(|listen| self.listeners(listen));
        let app = file.apps.as_ref().and_then(|apps| self.apps(apps));
        let state = file.state.as_deref().and_then(|state| self.state(state));
        let operators = self.listener("operators", &file.operators);
        let portal = app.as_ref().and_then(|app| app.hosts.first().cloned());
        let issuer = self.issuer(file, portal.as_ref());
        let sessions = self.sessions(file);
        let listen = listen?;
        self.check_addresses(&listen, &operators, app.as_ref());
        Some(Config {
            listen,
            state: state?,
            portal: portal?,
            apps: vec![Arc::new(app?)],
            trusted_proxies: Vec::new(),
            demands: Demands::default(),
            limits: Limits { sign_in_posts: 30 },
            upstream_timeouts: UpstreamTimeouts {
                connect: Duration::from_secs(5),
                read: Duration::from_secs(60),
                write: Duration::from_secs(60),
            },
            events: EventsTo::default(),
            tests: Vec::new(),
            issuer: issuer?,
            second_factor: second_factor::turn_on(&file.second_factor),
            trusted_devices: Trust {
                lasting: file.trusted_devices.lasting.into(),
                at_most: file.trusted_devices.at_most,
            },
            sessions,
            confirm_for: file.confirm.lasting.into(),
            log: file.log,
            operators,
            shutdown_within: file.shutdown.within.into(),
            support: file.support.clone(),
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
        app: Option<&App>,
    ) {
        let taken = |address: &SocketAddr| address.port() > 0 && listen.contains(address);
        if operators.iter().any(taken) {
            let what = "visitors are listened for on this address";
            self.refuse("operators.address", what, "give operators a port of their own");
        }
        if app.and_then(|app| app.upstream.address()).is_some_and(|address| taken(&address)) {
            let what = "this is where Doorward itself listens";
            self.refuse("apps[0].upstream", what, "name the address of the application");
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
