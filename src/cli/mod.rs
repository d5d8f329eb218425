//! The commands: the command line, the output and the exit code.

pub mod admin;
mod api;
mod cert;
mod check;
mod client;
mod demo;
mod disk;
mod event_log;
mod explain;
mod failure;
mod file_limits;
mod first_writes;
mod generated_docs;
mod keeper;
mod keys;
mod load_config;
mod log;
mod mail;
mod not_started;
mod older_store;
mod operators_listener;
mod outbox_workers;
mod own_thread;
mod policy;
mod progress;
pub mod reload;
pub mod serve;
mod sms;
mod socket;
mod test_report;
mod upkeep;
mod user;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
pub use failure::Failure;

use crate::config::{Config, Problems};
use crate::os;
use load_config::Loaded;
use serve::World;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Line {
    /// The configuration file; if not given, ./doorward.yaml or /etc/doorward/doorward.yaml
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = CONFIG_VARIABLE,
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// The state folder of the gateway, instead of the one in the configuration
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway, until SIGTERM or Ctrl-C
    #[command(after_help = SERVE_EXAMPLES, arg = unused_state())]
    Serve {
        /// The configuration file, as with `--config`
        file: Option<PathBuf>,
        /// Start although the clock is behind the last run: use it once, after correcting the clock
        #[arg(long)]
        accept_clock: bool,
        /// Start even if the store is older than the one used last: use it once, after a backup was
        /// restored. All links, codes, trusted devices, recovery codes and sessions become void.
        /// Passwords and disabled users are as in the backup
        #[arg(long)]
        accept_older_store: bool,
        /// Start even if the RP ID (the domain that security keys are bound to) has changed: use it
        /// once. Existing security keys stop working; their users sign in with another factor and set
        /// up their keys again
        #[arg(long)]
        accept_new_rp_id: bool,
    },
    /// Check a configuration, and list every problem
    #[command(after_help = CHECK_EXAMPLES, arg = unused_state())]
    Check {
        /// The file to check; if not given, the one that `serve` would use
        file: Option<PathBuf>,
        /// Also connect to every upstream and identity provider, and report what is wrong with them
        #[arg(long)]
        connect: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show which rule applies to a request, what it requires, and the decision
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(explain::Question),
    /// Show why a request was refused or failed, by its id
    #[command(after_help = WHY_EXAMPLES)]
    Why {
        /// The request id: the reference on the page, the header X-Request-Id, or in a log
        #[arg(value_name = "ID")]
        request_id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what observe mode would have refused, or, with --refused, what was refused
    #[command(after_help = REPORT_EXAMPLES)]
    Report {
        /// sms: summarize the text messages of the last 24 hours instead
        #[arg(value_enum)]
        about: Option<ReportAbout>,
        /// Summarize what was refused
        #[arg(long, conflicts_with = "about")]
        refused: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Reload the configuration of the running gateway, and list which decisions change
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a JSON Schema of the configuration, for editors
    #[command(after_help = SCHEMA_EXAMPLES, arg = unused_state())]
    Schema,
    /// Create a self-signed certificate for testing
    #[command(subcommand, after_help = cert::NOTE, arg = unused_state())]
    Cert(cert::Command),
    /// Test sending e-mail
    #[command(subcommand, after_help = mail::NOTE, arg = unused_state())]
    Mail(mail::Command),
    /// Test sending text messages, and reset their limits
    #[command(subcommand, after_help = sms::NOTE)]
    Sms(sms::Command),
    /// Manage users
    #[command(subcommand, after_help = USER_NOTE)]
    User(user::Command),
    /// Show and rotate the secret keys of this installation
    #[command(subcommand, after_help = keys::NOTE)]
    Keys(keys::Command),
    /// Run a demo: two old applications behind a gateway, and three users
    #[command(after_help = DEMO_NOTE, arg = unused_state())]
    Demo {
        /// The port to listen on, on this machine
        #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The demo has its own configuration; this hides the global option.
        #[arg(long, hide = true)]
        config: Option<PathBuf>,
    },
    /// Print shell completions
    #[command(after_help = generated_docs::COMPLETIONS_EXAMPLES, arg = unused_state())]
    Completions {
        /// The shell
        shell: generated_docs::Shell,
    },
    /// Print the manual page doorward(1), or write those of all commands
    #[command(after_help = generated_docs::MAN_EXAMPLES, arg = unused_state())]
    Man {
        /// The folder to write to, one page for each command; created if it does not exist
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// The option `--state` of commands that do not use it: accepted, but not shown.
fn unused_state() -> Arg {
    let folder = clap::value_parser!(PathBuf);
    Arg::new("state").long("state").value_name("DIR").value_parser(folder).global(true).hide(true)
}

/// The file in `--config`, or the one at the usual place.
fn configuration(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named);
    }
    let usual = USUAL.map(Path::new);
    usual.iter().find(|path| path.is_file()).map(|path| path.to_path_buf()).ok_or_else(|| {
        Failure::new(format!("no configuration file: neither {} nor {} exists", USUAL[0], USUAL[1]))
            .cure(
                "name it with `--config FILE` or in DOORWARD_CONFIG; commands for a running gateway \
                 also take its state folder, `--state DIR`",
            )
    })
}

/// Runs `line`; the result goes to `out`, everything else to `notes`.
///
/// The exit code is 0 for success, 1 if it was refused or failed, 2 if the command line is not
/// valid.
pub fn run(
    line: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> ExitCode {
    let line = match parsed(line) {
        Ok(line) => line,
        Err(said) => {
            // If the terminal is gone, nobody can be told.
            said.print().ok();
            return ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2));
        }
    };
    match obey(line, out, notes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_unread() => ExitCode::SUCCESS,
        Err(failure) => {
            writeln!(notes, "{failure}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The environment variable that names the configuration file.
const CONFIG_VARIABLE: &str = "DOORWARD_CONFIG";

fn parsed(line: impl IntoIterator<Item = OsString>) -> Result<Line, clap::Error> {
    let mut command = Line::command();
    // Compose files and systemd units leave a variable without a value empty, and not unset.
    if os::environment(CONFIG_VARIABLE).is_some_and(|named| named.is_empty()) {
        command = command.mut_arg("config", |config| config.env(Resettable::Reset));
    }
    let mut matches = command.try_get_matches_from(line)?;
    Line::from_arg_matches_mut(&mut matches).map_err(|said| said.format(&mut Line::command()))
}

fn obey(line: Line, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), Failure> {
    match line.command {
        Command::Serve { file, accept_clock, accept_older_store, accept_new_rp_id } => {
            // Before memory is used: a huge page is not taken back.
            let huge_pages = os::hold_back_huge_pages();
            let Loaded { config, keeper } = loaded(file.or(line.config))?;
            let world =
                World { accept_clock, accept_older_store, accept_new_rp_id, ..World::real() };
            serve::run(config, keeper, world, huge_pages).map_err(|error| {
                let failure = Failure::new("cannot start").because_of(&error);
                match error.cure() {
                    Some(cure) => failure.cure(cure),
                    None => failure,
                }
            })
        }
        Command::Demo { port, .. } => demo::run(port, out),
        Command::Check { file, connect, json } => {
            check::run(&configuration(file.or(line.config))?, connect, json, out)
        }
        Command::Explain(question) => {
            let file = configuration(line.config)?;
            let config = load_config::read(&file).map_err(|problems| not_valid(&problems))?;
            let access = match line.state {
                Some(state) => Access::of(Some(state), Some(file))?,
                None => Access { state: config.state.clone(), config: Some(file) },
            };
            let stored = waits(async { Ok(explain::stored(&question, access).await) })?;
            explain::run(&config, &question, &stored, os::system_time(), out)
        }
        Command::Why { request_id, json } => {
            waits(policy::why(&Access::of(line.state, line.config)?.state, request_id, json, out))
        }
        Command::Report { about, refused, json } => {
            let state = Access::of(line.state, line.config)?.state;
            if about == Some(ReportAbout::Sms) {
                waits(sms::report(&state, json, out))
            } else if refused {
                waits(policy::refused(&state, json, out))
            } else {
                waits(policy::report(&state, json, out))
            }
        }
        Command::Reload { json } => {
            waits(policy::reload(&Access::of(line.state, line.config)?.state, json, out))
        }
        Command::Schema => {
            writeln!(out, "{:#}", crate::config::json_schema()).map_err(failure::unwritten)
        }
        Command::Cert(command) => cert::run(command, || configuration(line.config), out),
        Command::User(command) => {
            waits(user::run(command, Access::of(line.state, line.config)?, out, notes))
        }
        Command::Keys(command) => {
            waits(keys::run(command, Access::of(line.state, line.config)?, out, notes))
        }
        Command::Mail(command) => waits(mail::run(command, &loaded(line.config)?.config, out)),
        Command::Sms(command) => {
            let access = || Access::of(line.state, line.config.clone());
            waits(sms::run(command, access, || Ok(loaded(line.config.clone())?.config), out))
        }
        Command::Completions { shell } => generated_docs::completions(Line::command(), shell, out),
        Command::Man { folder } => generated_docs::manual(Line::command(), folder.as_deref(), out),
    }
}

/// Runs an asynchronous command.
fn waits<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start").because(error))?;
    runtime.block_on(command)
}

/// What commands about users need: the state folder. A running gateway knows the rest, so the
/// configuration may be wrong in everything else, and is not read at all if the folder is named.
#[derive(Debug)]
struct Access {
    state: PathBuf,
    config: Option<PathBuf>,
}

impl Access {
    fn of(state: Option<PathBuf>, config: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(state) = state {
            // If the system cannot tell, using the folder says why.
            if !state.try_exists().unwrap_or(true) {
                let what = format!("the state folder {} does not exist", state.display());
                return Err(Failure::new(what)
                    .cure("correct `--state`, or omit it to use the folder in the configuration"));
            }
            return Ok(Self { state, config });
        }
        let file = configuration(config)?;
        let state = Config::state_in(&file).map_err(|problems| {
            let what = "the gateway was not asked: the configuration, which says where its state folder \
                        is, cannot be read";
            Failure::new(format!("{what}\n{problems}")).cure(
                "correct the configuration, or name the state folder with `--state DIR`; a gateway that \
                 runs is not affected",
            )
        })?;
        Ok(Self { state, config: Some(file) })
    }

    /// The whole configuration, for a command that uses the store directly.
    fn config(&self) -> Result<Config, Failure> {
        let Loaded { mut config, .. } = loaded(self.config.clone())?;
        config.state.clone_from(&self.state);
        Ok(config)
    }
}

/// The configuration in `--config` or at the usual place, if it is valid.
fn loaded(named: Option<PathBuf>) -> Result<Loaded, Failure> {
    let file = configuration(named)?;
    load_config::load(&file).map_err(|problems| not_valid(&problems))
}

fn not_valid(problems: &Problems) -> Failure {
    Failure::new(format!("the configuration is not valid\n{problems}"))
}

const USUAL: [&str; 2] = ["./doorward.yaml", "/etc/doorward/doorward.yaml"];

const ABOUT: &str = "Two-factor authentication in front of web applications that have none";

const LONG_ABOUT: &str = "\
Doorward is a reverse proxy that adds two-factor authentication to web applications that have none.
It asks visitors to sign in, remembers trusted devices for thirty days, and tells the application
who the user is in identity headers.";

const EXAMPLES: &str = "\
Examples:
  doorward demo                      Run a demo: two old applications behind a gateway, and
                                     three users
  doorward check doorward.yaml       Check a configuration, and list every problem
  doorward serve                     Run the gateway
  doorward user add ada --group staff
                                     Add a user, and print the link to give them

Exit codes: 0 done, 1 refused or failed, 2 invalid command line.";

const USER_NOTE: &str = "\
These commands use the running gateway, through the socket in its state folder: run them as the
system user of the gateway, or as root. If no gateway is running, they open the store directly: run
them as the system user who owns it.
Exit codes: 0 done, 1 refused or failed, 2 invalid command line.";

const SERVE_EXAMPLES: &str = "\
Examples:
  doorward serve
  doorward serve /etc/doorward/doorward.yaml

It runs in the foreground and logs to standard error. On SIGTERM it accepts no new requests. It
stops when the requests in progress are answered, or after `shutdown: { within }`.
Exit codes: 0 stopped by a signal, 1 could not start.";

const DEMO_NOTE: &str = "\
The demo needs no configuration and leaves nothing behind. It prints the addresses to open, the
users and their passwords, and where its configuration is. Enter prints the code that one of the
users would read from a phone. Ctrl-C stops the demo.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  doorward explain --url https://crm.example.com/admin/
  doorward explain --url https://crm.example.com/bank/ --method POST --user ada --group staff
  doorward explain --url 'https://crm.example.com/a/..%2fadmin' --from 10.0.0.9 --json

Nothing is sent to the application. Groups and factors of the user come from the running gateway or
its store. The output shows every way in which the application may read the request, and every rule
with a path that matches it. Demands are shown as they are after their `grace`.";

const WHY_EXAMPLES: &str = "\
Examples:
  doorward why 3kq7x2mwa5yd4c6e
  doorward why 3kq7x2mwa5yd4c6e --json | jq -r .rule

The running gateway remembers the last 10,000 refusals of users, some of other visitors, and some
requests that got an error because an application failed. Refusals from before it started are in the
event log, if `events` is set.";

/// What `report` is about, if not the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportAbout {
    /// Text messages, by country
    Sms,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  doorward report
  doorward report --json | jq -r '.[] | select(.verdict == \"set-up\") | .user' | sort -u
  doorward report --refused
  doorward report sms

Set `enforce: false` on a rule or an application, reload, and run this after a day. The counts start
at zero when the gateway starts. Only the first segment of a path is shown; `…` stands for the rest,
which may be a secret of the application.

With --refused: the last 10,000 refusals of users, and some of other visitors, with the id and the
request of the last one of each kind. `doorward why ID` tells more.

With sms: how many codes were sent to each country, and how many of them were entered.";

const RELOAD_EXAMPLES: &str = "\
Examples:
  doorward reload
  kill -HUP $(pidof doorward)

The file is checked and its tests are run first. Then all changes take effect at once.
Users stay signed in; the new rules apply from their next request on. The output lists which
decisions change: for the last thousand requests, the tests, and an example request for each rule,
as a user and as a stranger. Only the first segment of the path of a request is shown; `…` stands
for the rest, which may be a secret of the application.
Exit codes: 0 reloaded, 1 nothing was changed.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  doorward schema > doorward.schema.json

An editor with a YAML language server completes keys, explains them and marks mistakes, if the
configuration begins with this line:
  # yaml-language-server: $schema=doorward.schema.json";

const CHECK_EXAMPLES: &str = "\
Examples:
  doorward check
  doorward check doorward.yaml
  doorward check --connect new.yaml
  doorward check new.yaml --json | jq -r '.problems[].what'

Each problem shows the file, line and column, the key, what is wrong, and what to do about it.
Exit codes: 0 valid, perhaps with warnings, 1 not valid, the RP ID changed, or an upstream or
provider cannot be used.";

#[cfg(test)]
mod tests {
    use super::*;

    fn help(path: &[&str]) -> String {
        let mut command = Line::command().term_width(100);
        command.build();
        let command = path
            .iter()
            .fold(&mut command, |command, name| command.find_subcommand_mut(name).unwrap());
        command.render_long_help().to_string()
    }

    #[test]
    fn the_command_line_hangs_together() {
        Line::command().debug_assert();
    }

    #[test]
    fn help_teaches() {
        insta::assert_snapshot!("help", help(&[]));
        insta::assert_snapshot!("help_cert", help(&["cert"]));
        insta::assert_snapshot!("help_serve", help(&["serve"]));
        insta::assert_snapshot!("help_demo", help(&["demo"]));
        insta::assert_snapshot!("help_check", help(&["check"]));
        insta::assert_snapshot!("help_mail", help(&["mail"]));
        insta::assert_snapshot!("help_mail_test", help(&["mail", "test"]));
        insta::assert_snapshot!("help_sms", help(&["sms"]));
        insta::assert_snapshot!("help_sms_test", help(&["sms", "test"]));
        insta::assert_snapshot!("help_sms_reset_limits", help(&["sms", "reset-limits"]));
        insta::assert_snapshot!("help_user", help(&["user"]));
        insta::assert_snapshot!("help_user_add", help(&["user", "add"]));
        insta::assert_snapshot!("help_user_list", help(&["user", "list"]));
        insta::assert_snapshot!("help_user_unlock", help(&["user", "unlock"]));
        insta::assert_snapshot!("help_user_passwd", help(&["user", "passwd"]));
        insta::assert_snapshot!("help_user_import", help(&["user", "import"]));
        insta::assert_snapshot!("help_user_set", help(&["user", "set"]));
        insta::assert_snapshot!("help_user_remove", help(&["user", "remove"]));
    }

    #[test]
    fn every_command_shows_an_example_or_a_note() {
        let mut all = vec![Line::command()];
        while let Some(command) = all.pop() {
            assert!(command.get_after_help().is_some(), "{}", command.get_name());
            all.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn completions_and_manual_pages_know_every_command() {
        let made = |words: &[&str]| {
            let mut out = Vec::new();
            let line = ["doorward"].iter().chain(words).map(Into::into);
            assert_eq!(run(line, &mut out, &mut Vec::new()), ExitCode::SUCCESS);
            String::from_utf8(out).unwrap()
        };
        for shell in ["bash", "zsh", "fish"] {
            assert!(made(&["completions", shell]).contains("reset-2fa"), "{shell}");
        }
        assert!(made(&["man"]).starts_with(".ie"), "{}", made(&["man"]));
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        assert_eq!(made(&["man", &pages.display().to_string()]), "");
        let names: Vec<_> =
            std::fs::read_dir(&pages).unwrap().map(|e| e.unwrap().file_name()).collect();
        for page in ["doorward.1", "doorward-serve.1", "doorward-user-import.1"] {
            assert!(names.contains(&page.into()), "{page}: {names:?}");
        }
    }

    #[test]
    fn the_configuration_can_be_named_where_it_is_served() {
        for line in [&["serve", "a.yaml"][..], &["--config", "a.yaml", "serve"]] {
            let line = ["doorward"].iter().chain(line);
            let Line { command, config, .. } = Line::try_parse_from(line).unwrap();
            let Command::Serve { file, .. } = command else { panic!("{command:?}") };
            assert_eq!(file.or(config).as_deref(), Some(Path::new("a.yaml")));
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_before_anybody_is_asked() {
        let line = ["doorward", "user", "add", "ada,root"];
        let said = Line::try_parse_from(line).unwrap_err();
        assert_eq!(said.exit_code(), 2);
        assert!(said.to_string().contains("it may not contain a comma"), "{said}");
    }
}
