//! What the keys mean: from the tree to a [`Config`], going on after every problem.
//!
//! What `schema` has refused already reads as if it were not there, so nothing is said twice.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::assurance::Requirement;
use crate::domain::factor::totp::Skew;
use crate::domain::session;
use crate::domain::user::{Trust, TurnOn};
use crate::policy::pattern::Pattern;
use crate::policy::rules::{Policy, Rule};

use super::problem::Problem;
use super::schema::{DAY, HOUR, MINUTE};
use super::tree::{self, Node, Value};
use super::{App, Config, Log, LogFormat, LogLevel, Origin, Upstream, origin, schema};

/// The configuration that `text` describes, or everything that is wrong with it.
pub(super) fn read(text: &str) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let config = tree::read(text, &mut problems).and_then(|root| {
        schema::check(&schema::FILE, &root, "", &mut problems);
        let mut reader = Reader { problems: &mut problems, warnings: Vec::new() };
        let config = reader.config(&At { node: &root, path: String::new() });
        let mut warnings = reader.warnings;
        warnings.sort_by_key(|warning| warning.place);
        Some(Config { warnings, ..config? })
    });
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => {
            problems.sort_by_key(|problem| problem.place);
            Err(problems)
        }
    }
}

/// A node and the key path that leads to it.
struct At<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> At<'a> {
    fn key(&self, name: &str) -> Option<At<'a>> {
        let entry = self.node.entries().iter().find(|entry| entry.name == name)?;
        Some(At { node: &entry.node, path: schema::below(&self.path, name) })
    }

    fn items(&self) -> impl Iterator<Item = At<'a>> {
        let items = self.node.items().iter().enumerate();
        items.map(|(index, node)| At { node, path: format!("{}[{index}]", self.path) })
    }

    fn text(&self) -> Option<&'a str> {
        self.node.scalar()
    }

    fn text_of(&self, name: &str) -> Option<&'a str> {
        self.key(name)?.node.scalar()
    }

    fn whole_of<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        N::try_from(schema::whole(self.key(name)?.node)?).ok()
    }

    fn span_of(&self, name: &str) -> Option<Duration> {
        schema::span(self.key(name)?.node)
    }

    fn switch_of(&self, name: &str) -> Option<bool> {
        schema::switch(self.key(name)?.node)
    }
}

struct Reader<'p> {
    problems: &'p mut Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader<'_> {
    fn config(&mut self, file: &At<'_>) -> Option<Config> {
        let listen = file.key("listen").map(|listen| self.listeners(&listen));
        let app = file.key("apps").and_then(|apps| self.apps(&apps));
        let operators = file.key("operators").and_then(|operators| operators.key("address"));
        let operators = operators.map(|at| self.addresses(&at)).unwrap_or_default();
        let issuer = self.issuer(file, app.as_ref().map(|app| &app.origin));
        let trusted = file.key("trusted_devices");
        let trusted = trusted.as_ref();
        let sessions = self.sessions(file);
        let confirm = file.key("confirm").and_then(|confirm| confirm.span_of("for"));
        let shutdown = file.key("shutdown").and_then(|shutdown| shutdown.span_of("within"));
        let (listen, app) = (listen?, app?);
        self.check_addresses(file, &listen, &operators, &app);
        Some(Config {
            listen,
            state: PathBuf::from(file.text_of("state")?),
            app,
            issuer: issuer?,
            second_factor: second_factor(file),
            trusted_devices: Trust {
                lasting: trusted.and_then(|at| at.span_of("for")).unwrap_or(seconds(30 * DAY)),
                at_most: trusted.and_then(|at| at.whole_of("at_most")).unwrap_or(10),
            },
            sessions,
            confirm_for: confirm.unwrap_or(seconds(15 * MINUTE)),
            log: log(file),
            operators,
            shutdown_within: shutdown.unwrap_or(seconds(30)),
            support: file.text_of("support").map(str::to_owned),
            warnings: Vec::new(),
        })
    }

    fn listeners(&mut self, listen: &At<'_>) -> Vec<SocketAddr> {
        if listen.node.items().is_empty() {
            self.refuse_empty(listen, "add `{ address: 127.0.0.1:8080 }`");
        }
        let mut all: Vec<SocketAddr> = Vec::new();
        for address in listen.items().filter_map(|listener| listener.key("address")) {
            for new in self.addresses(&address) {
                if new.port() > 0 && all.contains(&new) {
                    self.refuse(
                        &address,
                        format!("{new} is listened on twice"),
                        "keep one of them",
                    );
                }
                all.push(new);
            }
        }
        all
    }

    fn addresses(&mut self, at: &At<'_>) -> Vec<SocketAddr> {
        let Some(written) = at.text() else { return Vec::new() };
        origin::listening(written).unwrap_or_else(|error| {
            self.refuse_as(at, &error);
            Vec::new()
        })
    }

    fn apps(&mut self, apps: &At<'_>) -> Option<App> {
        match apps.node.items().len() {
            0 => self.refuse_empty(apps, "add one; config/minimal.yaml shows one"),
            1 => {}
            _ => {
                let what = "this version protects one application";
                self.refuse(apps, what, "run one gateway for each, or keep one");
            }
        }
        // Every one is read, so that all problems are found.
        let all: Option<Vec<App>> = apps.items().map(|app| self.app(&app)).collect();
        all?.into_iter().next()
    }

    fn app(&mut self, app: &At<'_>) -> Option<App> {
        let name = app.key("name").and_then(|name| self.name(&name));
        let insecure = app.switch_of("insecure").unwrap_or(false);
        let origin = app.key("hosts").and_then(|hosts| self.hosts(&hosts, insecure));
        let upstream = app.key("upstream").and_then(|at| self.upstream(&at));
        let rules = app.key("rules").map(|rules| self.rules(&rules)).unwrap_or_default();
        let otherwise = app.key("otherwise").and_then(|at| self.requirement(&at));
        let otherwise = otherwise.unwrap_or(Requirement::second_factor());
        if let Some(at) = app.key("otherwise")
            && rules.iter().flat_map(|rule| &rule.paths).any(Pattern::takes_all)
        {
            self.warn(&at, "can never apply: a rule before it takes every path");
        }
        let policy = Policy::new(rules, otherwise);
        Some(App { name: name?, origin: origin?, upstream: upstream?, policy })
    }

    fn name(&mut self, at: &At<'_>) -> Option<String> {
        let name = at.text()?;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.len() > 32 || !name.bytes().all(fits) {
            let what = format!("`{name}` is no name for an application");
            self.refuse(at, what, "write up to 32 lower-case letters, digits and hyphens");
            return None;
        }
        Some(name.to_owned())
    }

    fn hosts(&mut self, hosts: &At<'_>, insecure: bool) -> Option<Origin> {
        match hosts.node.items().len() {
            0 => self.refuse_empty(hosts, "add one, such as `crm.example.com`"),
            1 => {}
            _ => self.refuse(hosts, "this version serves one host", "keep one of them"),
        }
        let all: Option<Vec<Origin>> =
            hosts.items().map(|host| self.host(&host, insecure)).collect();
        all?.into_iter().next()
    }

    fn host(&mut self, at: &At<'_>, insecure: bool) -> Option<Origin> {
        let origin: Origin = self.parsed(at)?;
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
        let what = format!(
            "Doorward's own pages and the application share {origin}: a script that gets into the \
             application can use them as the person who is signed in"
        );
        self.warn(at, what);
        Some(origin)
    }

    fn upstream(&mut self, at: &At<'_>) -> Option<Upstream> {
        let upstream: Upstream = self.parsed(at)?;
        if !upstream.is_loopback() {
            let what = format!(
                "others on the network may reach {} directly: let it accept only this machine",
                upstream.authority()
            );
            self.warn(at, what);
        }
        Some(upstream)
    }

    fn rules(&mut self, rules: &At<'_>) -> Vec<Rule> {
        let mut read: Vec<Rule> = Vec::new();
        for at in rules.items() {
            let paths = at.key("paths").map(|paths| self.paths(&paths, &read)).unwrap_or_default();
            let require = at.key("require").and_then(|at| self.requirement(&at));
            // What could not be read asks the most, while we look for further problems.
            read.push(Rule { paths, require: require.unwrap_or(Requirement::nobody()) });
        }
        read
    }

    fn paths(&mut self, paths: &At<'_>, earlier: &[Rule]) -> Vec<Pattern> {
        if matches!(&paths.node.value, Value::List(items) if items.is_empty()) {
            self.refuse_empty(paths, "add a path, such as `/` for all");
        }
        let mut read: Vec<Pattern> = Vec::new();
        for at in paths.items() {
            let Some(pattern) = self.parsed::<Pattern>(&at) else { continue };
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

    fn requirement(&mut self, at: &At<'_>) -> Option<Requirement> {
        match at.text() {
            Some("nothing") => Some(Requirement::nothing()),
            Some("sign-in") => Some(Requirement::sign_in()),
            Some("second-factor") => Some(Requirement::second_factor()),
            Some("nobody") => Some(Requirement::nobody()),
            Some(_) => None,
            None => self.conditions(at),
        }
    }

    /// A second factor, and how it must have been shown.
    fn conditions(&mut self, at: &At<'_>) -> Option<Requirement> {
        let Some(conditions) = at.key("second_factor") else {
            if matches!(at.node.value, Value::Map(_)) {
                let cure = "write `{ second_factor: { within: 5m } }`, or a word";
                self.refuse(at, "an empty map asks nothing in particular", cure);
            }
            return None;
        };
        let within = conditions.span_of("within");
        let trusted_device = conditions.switch_of("trusted_device");
        if let (Some(_), Some(true), Some(at)) =
            (within, trusted_device, conditions.key("trusted_device"))
        {
            let what = "a trusted device shows no second factor, so it is never within any time";
            self.refuse(&at, what, "remove it, or remove `within`");
        }
        Some(Requirement {
            within,
            trusted_device: trusted_device.unwrap_or(within.is_none()),
            ..Requirement::second_factor()
        })
    }

    fn issuer(&mut self, file: &At<'_>, origin: Option<&Origin>) -> Option<String> {
        let totp = file.key("second_factor").and_then(|at| at.key("totp"));
        let issuer = totp.and_then(|totp| totp.key("issuer"));
        if let Some(at) = &issuer
            && at.text().is_some_and(|issuer| issuer.contains(':') || issuer.trim().is_empty())
        {
            let what = "an issuer has no colon, which separates it from the user's name";
            self.refuse(at, what, "write a short name, such as `Example Inc.`");
        }
        let issuer = issuer.and_then(|issuer| issuer.text()).or(origin.map(Origin::host))?;
        // An IPv6 address has colons, too.
        Some(issuer.replace(':', "."))
    }

    fn sessions(&mut self, file: &At<'_>) -> session::Limits {
        let at = file.key("sessions");
        let span = |name: &str| at.as_ref().and_then(|at| at.span_of(name));
        let at_most = span("at_most").unwrap_or(seconds(24 * HOUR));
        let idle = span("idle").unwrap_or(seconds(HOUR).min(at_most));
        if let Some(at) = at.as_ref().and_then(|at| at.key("idle"))
            && idle > at_most
        {
            let what = format!(
                "{} is longer than a session may last, which is {}",
                schema::written(idle),
                schema::written(at_most)
            );
            self.refuse(&at, what, "make `idle` shorter or `at_most` longer");
        }
        session::Limits { idle, at_most }
    }

    /// Two listeners on one address, and an application that is this gateway itself.
    fn check_addresses(
        &mut self,
        file: &At<'_>,
        listen: &[SocketAddr],
        operators: &[SocketAddr],
        app: &App,
    ) {
        let taken = |address: &SocketAddr| address.port() > 0 && listen.contains(address);
        if operators.iter().any(taken)
            && let Some(at) = file.key("operators").and_then(|at| at.key("address"))
        {
            let what = "visitors are listened for on this address";
            self.refuse(&at, what, "give operators a port of their own");
        }
        let at = file.key("apps").and_then(|apps| apps.items().next()?.key("upstream"));
        if app.upstream.address().is_some_and(|address| taken(&address))
            && let Some(at) = at
        {
            let what = "this is where Doorward itself listens";
            self.refuse(&at, what, "name the address of the application");
        }
    }

    fn parsed<T: FromStr<Err: std::error::Error>>(&mut self, at: &At<'_>) -> Option<T> {
        match at.text()?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse_as(at, &error);
                None
            }
        }
    }

    fn refuse(&mut self, at: &At<'_>, what: impl Into<String>, cure: &str) {
        let mut problem = problem(at, what.into());
        problem.cure = Some(cure.to_owned());
        self.problems.push(problem);
    }

    /// Refuses with an error that says the cure itself.
    fn refuse_as(&mut self, at: &At<'_>, error: &dyn std::error::Error) {
        self.problems.push(problem(at, error.to_string()));
    }

    fn refuse_empty(&mut self, at: &At<'_>, cure: &str) {
        if matches!(at.node.value, Value::List(_)) {
            self.refuse(at, "the list is empty", cure);
        }
    }

    fn warn(&mut self, at: &At<'_>, what: impl Into<String>) {
        self.warnings.push(problem(at, what.into()));
    }
}

fn problem(at: &At<'_>, what: String) -> Problem {
    Problem { place: Some(at.node.place), key: at.path.clone(), what, cure: None }
}

fn second_factor(file: &At<'_>) -> TurnOn {
    let at = file.key("second_factor");
    let skew = at.as_ref().and_then(|at| at.key("totp")?.whole_of("skew"));
    TurnOn {
        skew: skew.and_then(Skew::new).unwrap_or_default(),
        recovery_codes: at.and_then(|at| at.whole_of("recovery_codes")).unwrap_or(12),
    }
}

fn log(file: &At<'_>) -> Log {
    let at = file.key("log");
    let word = |name: &str| at.as_ref().and_then(|at| at.text_of(name));
    Log {
        format: match word("format") {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Text,
        },
        level: match word("level") {
            Some("error") => LogLevel::Error,
            Some("warn") => LogLevel::Warn,
            Some("debug") => LogLevel::Debug,
            Some("trace") => LogLevel::Trace,
            _ => LogLevel::Info,
        },
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
