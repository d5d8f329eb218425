//! The configuration: one YAML file, validated into types, or every problem at once with its
//! line, column, key and cure.
//!
//! `tree` knows where everything stands and holds it against the table in `schema`; serde reads
//! the file into `written`, and `read` sees that both say the same; `validate` makes of it what is
//! meant, naming key paths, which the tree turns into places. A new key is a line in the table, a
//! field in `written`, a use in `validate`, and a line in `config/example.yaml`, which a test asks
//! for.

mod origin;
mod problem;
mod read;
mod schema;
mod span;
mod tree;
mod validate;
mod written;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::session;
use crate::domain::user::{Trust, TurnOn};
use crate::policy::Policy;

pub use origin::{Malformed, Origin, Upstream};
pub use problem::{Place, Problem, Problems};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where visitors are listened for; at least one address, in file order.
    pub listen: Vec<SocketAddr>,
    /// The directory of the store, its keys and its socket.
    pub state: PathBuf,
    /// The protected application, on whose host people sign in, too.
    pub app: App,
    /// Under which name authenticators show their codes; no colon.
    pub issuer: String,
    /// How two-factor is turned on and checked: drift of 0 to 2 steps, 8 to 24 recovery codes.
    pub second_factor: TurnOn,
    /// How long, and how many, browsers may be trusted; 1 to 100 of one person.
    pub trusted_devices: Trust,
    /// How long a visit lasts; in all no less than without a request.
    pub sessions: session::Limits,
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
    warnings: Problems,
}

/// One protected application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name on pages and in logs: lower-case letters, digits and hyphens.
    pub name: String,
    /// As which host browsers see it.
    pub origin: Origin,
    /// Where it listens itself.
    pub upstream: Upstream,
    /// Which of its paths ask what.
    pub policy: Policy,
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

impl Config {
    /// Reads `text`, which is called `file` in problems. A relative `state` begins where that
    /// lies.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn read(file: &str, text: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Vec::new();
        let config = tree::read(text, &mut problems).and_then(|root| {
            let written = read::read(text, &root, &mut problems)?;
            validate::validate(&written, &root, file, &mut problems)
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

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// As [`Config::read`]; a file that cannot be read is one problem without a place.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let (problem, text) = match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => return Self::read(&file, &text),
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
