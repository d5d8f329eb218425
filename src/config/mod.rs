//! The configuration: one YAML file, validated into types, or every problem at once with its
//! line, column, key and cure.
//!
//! `tree` knows where everything stands and holds it against the table in `schema`; serde reads
//! the file into `written`, and `read` sees that both say the same; `validate` makes of it what is
//! meant, naming key paths, which the tree turns into places. A new key is a line in the table, a
//! field in `written`, a use in `validate`, and a line in `config/example.yaml`, which a test asks
//! for.

mod listening;
mod mail;
mod origin;
mod problem;
mod read;
mod schema;
mod site;
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
use serde::Deserialize;

use crate::domain::demand::Demands;
use crate::domain::secret::Secret;
use crate::domain::set_up::SetUpProof;
use crate::domain::stay;
use crate::domain::user::{Trust, TurnOn};
use crate::policy::Policy;
use crate::policy::pattern::Pattern;

pub use listening::{CertificateFile, Deadlines, KeyPair, Limits, Listener, Tls, Way};
pub use mail::{Mail, MailTls, Mailbox};
pub use origin::{Malformed, Origin};
pub use problem::{Place, Problem, Problems};
pub use site::Site;
pub use upstream::{Health, Reach, Upstream};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where visitors are listened for; at least one address, in file order.
    pub listen: Vec<Listener>,
    /// The directory of the store, its keys and its socket.
    pub state: PathBuf,
    /// Where people sign in and look after themselves.
    pub portal: Origin,
    /// The protected applications; at least one, in file order. No two share a host.
    pub apps: Vec<Arc<App>>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who must have a second factor.
    pub demands: Demands,
    /// How much there may be of something.
    pub limits: Limits,
    /// How long visitors may take.
    pub deadlines: Deadlines,
    /// For how long browsers are told to come by https alone (RFC 6797); not at all if zero.
    pub hsts: Duration,
    /// How long applications may take.
    pub upstream_timeouts: UpstreamTimeouts,
    /// Where events are written, besides the store and the log.
    pub events: EventsTo,
    /// What the policy must decide, by the operator's own word.
    pub tests: Vec<PolicyTest>,
    /// Under which name authenticators show their codes; no colon.
    pub issuer: String,
    /// How two-factor is turned on and checked: drift of 0 to 2 steps, 8 to 24 recovery codes.
    pub second_factor: TurnOn,
    /// How long, and how many, browsers may be trusted; 1 to 100 of one person.
    pub trusted_devices: Trust,
    /// How long a visit lasts; in all no less than without a request.
    pub sessions: stay::Limits,
    /// How long a password that was shown is good for changes to one's own protection.
    pub confirm_for: Duration,
    /// What the log looks like.
    pub log: Log,
    /// Where operators are listened for (`/healthz`, `/readyz`); nowhere if empty.
    pub operators: Vec<SocketAddr>,
    /// How long open requests may take to end once we are told to.
    pub shutdown_within: Duration,
    /// Whom people should turn to: a sentence or an address, shown on pages.
    pub support: Option<String>,
    /// How letters are sent; not at all if `None`.
    pub mail: Option<Mail>,
    /// What somebody's first second factor needs besides the password.
    pub set_up_proof: SetUpProof,
    warnings: Problems,
}

/// One protected application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name on pages and in logs: lower-case letters, digits and hyphens.
    pub name: String,
    /// As which hosts browsers see it; at least one.
    pub hosts: Vec<Origin>,
    /// Where it listens itself; at least one place.
    pub upstreams: Vec<Upstream>,
    /// How it is reached there.
    pub reach: Reach,
    /// The certificate that visitors of its hosts are shown, where it has one of its own.
    pub certificate: Option<KeyPair>,
    /// Which of its paths ask what.
    pub policy: Policy,
    /// Whether what its rules and demands refuse is refused, or only watched.
    pub enforce: bool,
    /// In which headers it is told who is there.
    pub identity_headers: IdentityHeaders,
    /// Which headers of its visitors it gets.
    pub request_headers: RequestHeaders,
    /// What it can tell by that a request came through us.
    pub upstream_secret: Option<Secret>,
    /// Its own links that sign out here, too.
    pub sign_out_paths: Vec<SignOutLink>,
}

/// A link of an application's own that signs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutLink {
    /// Its path.
    pub path: Pattern,
    /// What its query has to have: all of these.
    pub query: Vec<crate::policy::Parameter>,
}

/// In which headers an application is told who is there; a fact without a name is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The user name.
    pub user: Option<String>,
    /// The groups, comma-separated.
    pub groups: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// How the person proved to be who they are (RFC 8176), comma-separated.
    pub amr: Option<String>,
}

impl IdentityHeaders {
    /// Every name that something is told in.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let Self { user, groups, name, email, amr } = self;
        [user, groups, name, email, amr].into_iter().flatten().map(String::as_str)
    }
}

/// Which headers of its visitors an application does not get, besides those that are always removed.
/// A `*` at the end of a name stands for whatever begins so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// Removed from every request, in whatever spelling.
    pub remove: Vec<String>,
    /// Removed unless a trusted proxy has sent the request, with the name spelt so.
    pub from_trusted_proxies: Vec<String>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        let named = |name: &str| Some(name.to_owned());
        Self {
            user: named("Remote-User"),
            groups: named("Remote-Groups"),
            name: named("Remote-Name"),
            email: named("Remote-Email"),
            amr: named("Remote-Amr"),
        }
    }
}

/// How long applications may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To take a connection.
    pub connect: Duration,
    /// To send the next bytes of an answer.
    pub read: Duration,
    /// To take the next bytes of a request.
    pub write: Duration,
}

/// Where events are written as JSON lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EventsTo {
    /// Nowhere.
    #[default]
    Nowhere,
    /// To standard output.
    Stdout,
    /// To this file, appended.
    File(PathBuf),
}

/// What the policy must decide of one request, by the operator's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTest {
    /// Its key path in the file, and where it stands there.
    pub at: (String, Place),
    /// Who asks; `None`: a stranger.
    pub visitor: Option<TestVisitor>,
    /// From where.
    pub from: IpAddr,
    /// The method, in upper case.
    pub method: String,
    /// Where to: which application, on which of its hosts, and the request target.
    pub app: usize,
    /// Path and query.
    pub target: String,
    /// What must come of it once everything is enforced that is only observed now.
    pub expect: Expected,
    /// What must come of it as it is now, where that is said.
    pub while_observed: Option<Expected>,
}

/// Somebody who asks, in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestVisitor {
    /// The user name, normalised.
    pub user: String,
    /// Their groups.
    pub groups: BTreeSet<String>,
    /// Whether they have a second factor.
    pub has_second_factor: bool,
    /// What they have shown just now.
    pub shown: Vec<Shown>,
}

/// Something that somebody in a test has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The password.
    Password,
    /// A code of an authenticator.
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A trusted device.
    TrustedDevice,
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

/// What must come of a request, in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It passes.
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

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// The least important line that is written.
    pub level: LogLevel,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// We are broken.
    Error,
    /// Somebody should look.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name, as in the file and in a `tracing` filter.
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

/// The smallest file that says enough: one application behind a sign-in.
pub const MINIMAL: &str = include_str!("../../config/minimal.yaml");

/// Knows the variables of the environment, by name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The JSON Schema of the file, for editors (draft 2020-12).
pub fn json_schema() -> serde_json::Value {
    schema::schema()
}

impl Config {
    /// Reads `text`, which is called `file` in problems. A relative `state` begins where that
    /// lies.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn read(file: &str, text: &str) -> Result<Self, Problems> {
        Self::read_in(&|_| None, file, text)
    }

    /// The same where `environment` knows variables by name.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_in(environment: Environment<'_>, file: &str, text: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Vec::new();
        let config = tree::read(text, &mut problems).and_then(|root| {
            let written = read::read(text, &root, &mut problems)?;
            validate::validate(&written, &root, file, environment, &mut problems)
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

    /// Reads the file at `path`; `environment` knows the variables that it names.
    ///
    /// # Errors
    /// As [`Config::read`]; a file that cannot be read is one problem without a place.
    pub fn load(environment: Environment<'_>, path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let (problem, text) = match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => return Self::read_in(environment, &file, &text),
            Ok(Err(error)) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (not_utf8(&error), text)
            }
            Err(error) => {
                let (key, what) = (String::new(), format!("cannot be read: {error}"));
                (Problem { place: None, key, what, cure: None }, String::new())
            }
        };
        Err(Problems { file, problems: vec![problem], text })
    }

    /// The state directory that the file at `path` names, whatever else is wrong with it.
    pub fn state_in(path: &Path) -> Option<PathBuf> {
        let text = std::fs::read_to_string(path).ok()?;
        let root = tree::read(&text, &mut Vec::new())?;
        let state = root.entries().iter().find(|entry| entry.name == "state")?;
        let beside = path.parent().unwrap_or(Path::new(""));
        Some(beside.join(state.node.scalar()?))
    }

    /// The application that visitors find under `origin`.
    pub fn app_at(&self, origin: &Origin) -> Option<&Arc<App>> {
        self.apps.iter().find(|app| app.hosts.contains(origin))
    }

    /// The same, with more that is unwise.
    #[must_use]
    pub fn with_warnings(mut self, more: Vec<Problem>) -> Self {
        self.warnings.problems.extend(more);
        self.warnings.problems.sort_by_key(|problem| problem.place);
        self
    }

    /// What is allowed but unwise, in the order of the file, for `check` and the start of `serve`;
    /// often nothing.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }
}

/// Where the first byte stands that is not UTF-8.
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
