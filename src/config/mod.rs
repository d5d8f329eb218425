//! The configuration: one YAML file, parsed and validated into types. If it is invalid, all
//! problems are reported together, each with its line, column, key and remedy.
//!
//! `tree` parses the file, keeps the place of every key and value, and checks them against the
//! table in `schema`. serde reads the file into `written`; `read` makes sure that both parsers
//! agree. `validate` turns `written` into the [`Config`] and names key paths, which the tree maps
//! to places. A new key needs a line in the table, a field in `written`, a use in `validate`, and a
//! line in `config/example.yaml` (a test checks that).

mod host;
mod listening;
mod mail;
mod origin;
mod problem;
mod provider;
mod read;
mod relying_party;
mod schema;
mod sms;
mod span;
mod tree;
mod upstream;
mod validate;
mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::domain::assurance::Kinds;
use crate::domain::demand::Demands;
use crate::domain::fact::{FACTS, Fact};
use crate::domain::factor;
use crate::domain::secret::Secret;
use crate::domain::set_up::SetUpProof;
use crate::domain::user::Trust;
use crate::domain::user_session;
use crate::policy::Policy;
use crate::policy::pattern::Pattern;

pub use host::Host;
pub use listening::{CertificateFile, Deadlines, KeyPair, Limits, Listener, Tls, Way};
pub use mail::{Mail, MailTls, Mailbox};
pub use origin::{Malformed, Origin};
pub use problem::{Place, Problem, Problems};
pub use provider::{Credential, Provider, ProviderKind};
pub use relying_party::{AcceptedKeys, RelyingParty};
pub use sms::{
    Placeholder, Sms, SmsBody, SmsProvider, SmsRequest, SmsSuccess, SmsValues, Template,
};
pub use upstream::{Health, Reach, Upstream};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listeners for visitors; at least one, in file order.
    pub listen: Vec<Listener>,
    /// The folder of the store, its keys and its socket.
    pub state: PathBuf,
    /// The host where people sign in and manage their account.
    pub portal: Origin,
    /// The protected applications; at least one, in file order. No two share a host.
    pub apps: Vec<Arc<App>>,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Who must have a second factor.
    pub demands: Demands,
    /// Upper limits.
    pub limits: Limits,
    /// How long visitors may take for each step.
    pub deadlines: Deadlines,
    /// How long browsers should use only https (HSTS, RFC 6797); zero disables it.
    pub hsts: Duration,
    /// How long apps may take for each step.
    pub upstream_timeouts: UpstreamTimeouts,
    /// Where events are written, in addition to the store and the log.
    pub events: Destination,
    /// Where the access log is written, and in which format.
    pub access_log: AccessLog,
    /// The operator's own tests of the policy.
    pub tests: Vec<PolicyTest>,
    /// The name that authenticator apps show; no colon.
    pub issuer: String,
    /// The settings of two-factor: a clock skew of 0 to 2 steps, 8 to 24 recovery codes.
    pub second_factor: factor::Settings,
    /// The kinds of second factors that people may set up, at least one, the one offered first in
    /// front. Other kinds that somebody has set up before still count.
    pub kinds: Vec<factor::Kind>,
    /// Whether a passkey signs in without a password.
    pub passkeys: bool,
    /// Whom security keys are bound to; `None` if the portal cannot use them.
    pub relying_party: Option<RelyingParty>,
    /// The new security keys that are accepted; `None`: all.
    pub accepted_keys: Option<AcceptedKeys>,
    /// How long and how many browsers may be trusted; 1 to 100 for each user.
    pub trusted_devices: Trust,
    /// How long a user session lasts; the total is at least the idle time.
    pub sessions: user_session::Limits,
    /// How long an entered password counts for changes to one's own protection.
    pub confirm_for: Duration,
    /// The format and level of the log.
    pub log: Log,
    /// The addresses of the operator endpoints (`/healthz`, `/readyz`, `/metrics`); may be empty.
    pub operators: Vec<SocketAddr>,
    /// How long open requests may take to finish during a shutdown.
    pub shutdown_within: Duration,
    /// Where people can get help: a sentence or an address, shown on pages.
    pub support: Option<String>,
    /// How e-mail is sent; `None` if it is not.
    pub mail: Option<Mail>,
    /// How text messages are sent; `None` if they are not.
    pub sms: Option<Sms>,
    /// What setting up the first second factor requires besides the password.
    pub set_up_proof: SetUpProof,
    /// Whether the mailboxes of people whom a provider brings open with something else than their
    /// account there, so that mail proves something for them.
    pub separate_mailboxes: bool,
    /// The identity providers, in file order. No two share a name or an issuer.
    pub providers: Vec<Provider>,
    /// The name of the provider that the sign-in page leads to at once.
    pub only_sign_in: Option<String>,
    /// The users that rules and demands name, normalised.
    pub mentioned_users: BTreeSet<String>,
    warnings: Problems,
}

/// One protected app.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name on pages and in logs: lower-case letters, digits and hyphens.
    pub name: String,
    /// The origins under which browsers reach it; at least one.
    pub hosts: Vec<Origin>,
    /// The addresses of its own servers; at least one.
    pub upstreams: Vec<Upstream>,
    /// How its servers are reached.
    pub reach: Reach,
    /// The certificate for its hosts, if it has its own.
    pub certificate: Option<KeyPair>,
    /// Its rules: which paths require what.
    pub policy: Policy,
    /// Whether its rules and demands are enforced; if not, they are only logged (observe mode).
    pub enforce: bool,
    /// The headers that tell it who the user is.
    pub identity_headers: IdentityHeaders,
    /// Which request headers of visitors are passed on to it.
    pub request_headers: RequestHeaders,
    /// A secret with which it can recognise requests that came through us.
    pub upstream_secret: Option<Secret>,
    /// Its own sign-out links, which also sign out here.
    pub sign_out_paths: Vec<SignOutLink>,
}

/// A link of the app that signs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutLink {
    /// Its path.
    pub path: Pattern,
    /// The parameters that its query must have; all of them.
    pub query: Vec<crate::policy::Parameter>,
}

/// The headers that tell an app who the user is: each fact that is told, and the name of its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders(Vec<(&'static Fact, String)>);

impl IdentityHeaders {
    /// The facts that are told, in the order of the table, each with the name of its header.
    pub fn facts(&self) -> impl Iterator<Item = (&'static Fact, &str)> {
        self.0.iter().map(|(fact, name)| (*fact, name.as_str()))
    }

    /// All header names that are in use.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.facts().map(|(_, name)| name)
    }
}

/// Which request headers of visitors are not passed on to an app, in addition to those that are
/// always removed. A `*` at the end of a name matches any rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// Removed from every request, in any spelling.
    pub remove: Vec<String>,
    /// Removed unless the request comes from a trusted proxy and the name is spelled exactly like
    /// this.
    pub from_trusted_proxies: Vec<String>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self(FACTS.iter().map(|fact| (fact, fact.header.to_owned())).collect())
    }
}

/// How long apps may take for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To send the next bytes of a response.
    pub read: Duration,
    /// To accept the next bytes of a request.
    pub write: Duration,
}

/// The access log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLog {
    /// Where it is written.
    pub to: Destination,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Where lines are written: those of events, or of the access log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    #[default]
    Nowhere,
    /// To standard output.
    Stdout,
    /// To this file, appended.
    File(PathBuf),
}

/// An operator's own test: what the policy must decide about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTest {
    /// Its key path and place in the file.
    pub at: (String, Place),
    /// Who sends the request; `None` for a visitor who is not signed in.
    pub visitor: Option<TestVisitor>,
    /// The client address.
    pub from: IpAddr,
    /// The method, in upper case.
    pub method: String,
    /// The index of the app.
    pub app: usize,
    /// Path and query.
    pub target: String,
    /// The expected result if everything were enforced, including what is only observed now.
    pub expect: Expected,
    /// The expected result as things are now, if given.
    pub while_observed: Option<Expected>,
}

/// The user in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestVisitor {
    /// The user name, normalised.
    pub user: String,
    /// Their groups.
    pub groups: BTreeSet<String>,
    /// Whether they have set up a second factor.
    pub has_second_factor: bool,
    /// The kinds that they can show: those that they have set up, and recovery codes.
    pub has: Kinds,
    /// What they have just shown.
    pub shown: Vec<Shown>,
}

/// A proof that the user in a test has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The password.
    Password,
    /// A second factor, or what stands in for one.
    Factor(factor::Kind),
    /// A trusted device.
    TrustedDevice,
    /// A sign-in at an identity provider that is trusted to say so, with its own second factor.
    Provider,
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "password" => Ok(Self::Password),
            "trusted-device" => Ok(Self::TrustedDevice),
            Kinds::PROVIDER_WORD => Ok(Self::Provider),
            word => factor::Kind::of_word(word)
                .map(Self::Factor)
                .ok_or_else(|| D::Error::custom("not a proof")),
        }
    }
}

impl Expected {
    /// The word for it in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::SignIn => "sign-in",
            Self::SecondFactor => "second-factor",
            Self::SetUp => "set-up",
            Self::Refused => "refused",
        }
    }
}

/// The expected result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// The request passes.
    Pass,
    /// The visitor must sign in.
    SignIn,
    /// The visitor must show a second factor.
    SecondFactor,
    /// The visitor must set up a second factor.
    SetUp,
    /// The visitor is refused.
    Refused,
}

/// The format and level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: LogLevel,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, for people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A failure on our side.
    Error,
    /// Something that needs attention.
    Warn,
    /// Normal events.
    #[default]
    Info,
    /// Details for finding a cause.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name, in the file and in a `tracing` filter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The smallest useful file: one app behind a sign-in.
pub const MINIMAL: &str = include_str!("../../config/minimal.yaml");

/// Looks up an environment variable by name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The JSON Schema of the file (draft 2020-12), for editors.
pub fn json_schema() -> serde_json::Value {
    schema::schema()
}

impl Config {
    /// Reads `text`; `file` is its name in problems. A relative `state` is relative to the folder
    /// of `file`.
    ///
    /// # Errors
    /// All problems, in file order.
    pub fn read(file: &str, text: &str) -> Result<Self, Problems> {
        Self::read_in(&|_| None, file, text)
    }

    /// Like [`Config::read`], with a lookup for environment variables.
    ///
    /// # Errors
    /// Like [`Config::read`].
    pub fn read_in(environment: Environment<'_>, file: &str, text: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Vec::new();
        let config = tree::read(text, &mut problems).and_then(|root| {
            let config = read::read(text, &root, &mut problems).and_then(|written| {
                validate::validate(&written, &root, file, environment, &mut problems)
            });
            schema::refuse_variables(&schema::FILE, &root, "", &mut problems);
            config
        });
        let told = |problems| Problems { file: file.to_owned(), problems, text: text.to_owned() };
        match config {
            Some((config, warnings)) if problems.is_empty() => {
                Ok(Self { warnings: told(warnings), ..config })
            }
            _ => {
                problems.sort_by_key(|problem| problem.place);
                Err(told(problems))
            }
        }
    }

    /// Reads the file at `path`; `environment` looks up the variables that it names.
    ///
    /// # Errors
    /// Like [`Config::read`]. A file that cannot be read is one problem without a place.
    pub fn load(environment: Environment<'_>, path: &Path) -> Result<Self, Problems> {
        let text = text_of(path)?;
        Self::read_in(environment, &path.display().to_string(), &text)
    }

    /// The state folder that the file at `path` names, even if the rest of the file is invalid: not
    /// YAML, or not UTF-8.
    ///
    /// # Errors
    /// If the file cannot be read, or its `state` cannot be found.
    pub fn state_in(path: &Path) -> Result<PathBuf, Problems> {
        let (text, unread) = match text_of(path) {
            Ok(text) => (text, None),
            Err(why) => (why.text.clone(), Some(why)),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let state = tree::outermost("state", &text);
        if let Some(state) = state.filter(|state| !state.contains(char::REPLACEMENT_CHARACTER)) {
            return Ok(path.parent().unwrap_or(Path::new("")).join(state));
        }
        if let Some(unread) = unread {
            return Err(unread);
        }
        let mut problems = Vec::new();
        tree::read(&text, &mut problems);
        if problems.is_empty() {
            problems.push(Problem {
                place: None,
                key: "state".to_owned(),
                what: "missing".to_owned(),
                cure: None,
            });
        }
        Err(Problems { file: path.display().to_string(), problems, text })
    }

    /// The app at `origin`.
    pub fn app_at(&self, origin: &Origin) -> Option<&Arc<App>> {
        self.apps.iter().find(|app| app.hosts.contains(origin))
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_warnings(mut self, more: Vec<Problem>) -> Self {
        self.warnings.problems.extend(more);
        self.warnings.problems.sort_by_key(|problem| problem.place);
        self
    }

    /// A copy that shares no memory with this configuration.
    #[must_use]
    pub fn deep_copy(&self) -> Self {
        let apps = self.apps.iter().map(|app| Arc::new(App::clone(app))).collect();
        Self { apps, ..self.clone() }
    }

    /// Warnings about settings that are allowed but unwise, in file order, often none. `check` and
    /// the start of `serve` show them.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }
}

/// The content of the file at `path`.
fn text_of(path: &Path) -> Result<String, Problems> {
    let (problem, text) = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return Ok(text),
        Ok(Err(error)) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (not_utf8(&error), text)
        }
        Err(error) => {
            let (key, what) = (String::new(), format!("cannot be read: {error}"));
            (Problem { place: None, key, what, cure: None }, String::new())
        }
    };
    Err(Problems { file: path.display().to_string(), problems: vec![problem], text })
}

/// The place of the first byte that is not UTF-8.
fn not_utf8(error: &FromUtf8Error) -> Problem {
    let (good, bad) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let good = String::from_utf8_lossy(good);
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    let byte = bad.first().copied().unwrap_or_default();
    Problem {
        place: Some(Place { line, column }),
        key: String::new(),
        what: format!("the byte {byte:02X} is not UTF-8"),
        cure: Some("save the file as UTF-8".to_owned()),
    }
}
