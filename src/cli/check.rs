//! `doorward check`: finds everything that is wrong with a configuration.

use std::io::Write;
use std::path::Path;

use futures_util::future::join_all;
use serde::Serialize;

use super::api::{KeysMoved, RpId, path};
use super::client::{NO_GATEWAY, ask_gateway};
use super::failure::{Failure, unwritten};
use super::load_config;
use crate::config::{Config, MINIMAL, Problem, Problems};
use crate::flow::rp_id::Moved;
use crate::identity::Providers;
use crate::os;
use crate::proxy::{self, Asked};

/// What `check --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    valid: bool,
    problems: &'a [Problem],
    warnings: &'a [Problem],
    /// The result for each upstream, if they were tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstreams: Option<&'a [Asked]>,
    /// The result for each identity provider, if they were tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<&'a [AskedProvider]>,
    /// What the running gateway says of the security keys that people have.
    #[serde(skip_serializing_if = "Option::is_none")]
    security_keys: Option<&'a AskedKeys>,
}

/// What the running gateway says of the security keys that people have.
#[derive(Serialize)]
struct AskedKeys {
    /// The RP ID of the configuration.
    rp_id: Option<String>,
    /// Why the gateway could not say anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_asked: Option<String>,
    /// Why the configuration cannot be used for the keys that people have.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Asks the gateway with this state folder whether people have keys for another RP ID.
fn ask_for_keys(config: &Config) -> AskedKeys {
    let rp_id = config.relying_party.as_ref().map(|party| party.id.clone());
    let question = RpId { rp_id: rp_id.clone() };
    let asked = super::waits(ask_gateway::<KeysMoved>(&config.state, path::RP_ID, &question));
    let (moved, not_asked) = match asked {
        Ok(KeysMoved { from, people }) => {
            (from.map(|from| Moved { from, to: rp_id.clone(), people }), None)
        }
        Err(why) => (None, Some(why.in_one_line())),
    };
    AskedKeys { rp_id, not_asked, problem: moved.map(|moved| moved.to_string()) }
}

/// What an identity provider said.
#[derive(Serialize)]
struct AskedProvider {
    provider: String,
    issuer: String,
    /// How many of its keys may be used; absent for GitHub and Facebook, which are not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<usize>,
    problem: Option<String>,
}

/// Asks every identity provider for its discovery document and keys, at the same time.
async fn ask_providers(config: &Config) -> Vec<AskedProvider> {
    // `load` has found that they can be set up.
    let providers = Providers::of(&config.providers, &Providers::default()).unwrap_or_default();
    let now = os::system_time();
    let asking = providers.iter().map(|provider| async move {
        let settings = provider.settings();
        let (keys, problem) = match provider.try_out(now).await {
            Ok(Some(0)) => (Some(0), Some("it publishes no key that can be used".to_owned())),
            Ok(keys) => (keys, None),
            Err(fault) => (None, Some(fault.to_string())),
        };
        AskedProvider {
            provider: settings.name.clone(),
            issuer: settings.issuer.clone(),
            keys,
            problem,
        }
    });
    join_all(asking).await
}

/// Checks the file at `path`, connects to its upstreams if requested, and prints the result.
///
/// # Errors
/// If the configuration is not valid, or an upstream does not answer.
pub(super) fn run(
    path: &Path,
    connect: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let read = load_config::load(path).map(|loaded| loaded.config);
    let asked = match &read {
        Ok(config) if connect => Some(super::waits(async {
            Ok::<_, Failure>((proxy::ask_all(config).await, ask_providers(config).await))
        })?),
        _ => None,
    };
    let (asked, providers) = asked.unzip();
    let keys = read.as_ref().ok().map(ask_for_keys);
    let outcome = outcome(asked.as_deref(), providers.as_deref(), keys.as_ref());
    let file = path.display().to_string();
    if json {
        let report = match &read {
            Ok(config) => {
                let warnings = &config.warnings().problems;
                let (upstreams, providers) = (asked.as_deref(), providers.as_deref());
                let providers = providers.filter(|all| !all.is_empty());
                let (problems, security_keys) = (&[][..], keys.as_ref());
                Report {
                    file,
                    valid: true,
                    problems,
                    warnings,
                    upstreams,
                    providers,
                    security_keys,
                }
            }
            Err(Problems { problems, .. }) => Report {
                file,
                valid: false,
                problems,
                warnings: &[],
                upstreams: None,
                providers: None,
                security_keys: None,
            },
        };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new("cannot write the result as JSON").because(error))?;
        writeln!(out, "{text}").map_err(unwritten)?;
        return match read {
            Ok(_) => outcome,
            Err(_) => Err(Failure::new("the configuration is not valid")),
        };
    }
    match read {
        Ok(config) => {
            let count = config.warnings().problems.len();
            if count > 0 {
                let shown = config.warnings().shown_as_warnings();
                writeln!(out, "{shown}\n").map_err(unwritten)?;
            }
            let but = match count {
                0 => String::new(),
                1 => " (1 warning)".to_owned(),
                count => format!(" ({count} warnings)"),
            };
            let tests = match config.tests.len() {
                0 => String::new(),
                1 => " and its test passes".to_owned(),
                count => format!(" and its {count} tests pass"),
            };
            writeln!(out, "{file} is valid{tests}{but}.").map_err(unwritten)?;
            for Asked { app, upstream, status, problem } in asked.iter().flatten() {
                match (status, problem) {
                    (Some(status), _) => writeln!(out, "{app}: {upstream} answers {status}"),
                    (None, problem) => {
                        let why = problem.as_deref().unwrap_or("it does not answer");
                        // The system's own errors are about the connection.
                        let cure = if why.contains("(os error") {
                            "; check that the application runs, and listens there"
                        } else {
                            ""
                        };
                        writeln!(out, "{app}: {upstream}: {why}{cure}")
                    }
                }
                .map_err(unwritten)?;
            }
            say_of_providers(providers.as_deref().unwrap_or_default(), out)?;
            say_of_keys(keys.as_ref(), out)?;
            outcome
        }
        Err(problems) => {
            writeln!(out, "{}\n", problems.shown()).map_err(unwritten)?;
            if problems.are_of_empty_file() {
                let whole = "A minimal configuration:";
                writeln!(out, "{whole}\n\n{MINIMAL}").map_err(unwritten)?;
            }
            Err(Failure::new(match problems.problems.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            }))
        }
    }
}

fn say_of_providers(asked: &[AskedProvider], out: &mut dyn Write) -> Result<(), Failure> {
    for AskedProvider { provider, issuer, keys, problem } in asked {
        match (keys, problem) {
            (_, Some(why)) => writeln!(out, "{provider}: {issuer}: {why}"),
            (Some(keys), None) => {
                writeln!(out, "{provider}: {issuer} answers, with {keys} usable keys")
            }
            (None, None) => {
                writeln!(out, "{provider}: not checked: only OpenID Connect providers are")
            }
        }
        .map_err(unwritten)?;
    }
    Ok(())
}

/// What is wrong outside of the configuration, if it is valid.
fn outcome(
    asked: Option<&[Asked]>,
    providers: Option<&[AskedProvider]>,
    keys: Option<&AskedKeys>,
) -> Result<(), Failure> {
    let silent = asked.iter().copied().flatten().filter(|asked| asked.problem.is_some()).count();
    let wrong = providers.iter().copied().flatten().filter(|asked| asked.problem.is_some()).count();
    match (silent, wrong) {
        (0, 0) if keys.is_some_and(|keys| keys.problem.is_some()) => {
            Err(Failure::new("the RP ID changed: people's security keys would stop working"))
        }
        (0, 0) => Ok(()),
        (1, _) => Err(Failure::new("an upstream does not answer")),
        (0, 1) => Err(Failure::new("an identity provider cannot be used")),
        (0, count) => Err(Failure::new(format!("{count} identity providers cannot be used"))),
        (count, _) => Err(Failure::new(format!("{count} upstreams do not answer"))),
    }
}

/// Whether the keys that people have could be used, or that nobody could be asked.
fn say_of_keys(keys: Option<&AskedKeys>, out: &mut dyn Write) -> Result<(), Failure> {
    match keys {
        Some(AskedKeys { problem: Some(problem), .. }) => {
            writeln!(out, "security keys: {problem}").map_err(unwritten)
        }
        Some(AskedKeys { not_asked: Some(why), .. }) => {
            let not = "Not checked: whether existing security keys still work (RP ID)";
            let said = if why.starts_with(NO_GATEWAY) {
                format!("{not}, because {NO_GATEWAY}. Before the first start there are no keys.")
            } else {
                format!("{not}: {why}.")
            };
            writeln!(out, "{said}").map_err(unwritten)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked(yaml: &str, json: bool) -> (String, Option<String>) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("doorward.yaml");
        fs::write(&file, yaml).unwrap();
        let mut out = Vec::new();
        let failed = run(&file, false, json, &mut out).err().map(|failure| failure.to_string());
        let out = String::from_utf8(out).unwrap();
        (out.replace(&home.path().display().to_string(), "/etc"), failed)
    }

    const GOOD: &str = "
listen: [{ address: 127.0.0.1:8080 }]
state: /var/lib/doorward
portal: http://id.localhost:8080
apps:
  - { name: crm, hosts: ['http://crm.localhost:8080'], upstream: 'http://127.0.0.1:9000' }
";

    #[test]
    fn a_valid_configuration_is_called_valid() {
        let (out, failed) = checked(GOOD, false);
        assert_eq!(failed, None, "{out}");
        let valid = "/etc/doorward.yaml is valid.\nNot checked: whether existing security keys still \
                     work (RP ID), because no gateway is running. Before the first start there are no \
                     keys.\n";
        assert_eq!(out, valid);
    }

    #[test]
    fn of_an_empty_file_the_smallest_whole_one_is_shown_and_it_is_valid() {
        let commented = GOOD.replace('\n', "\n# ");
        for empty in
            ["", "\n", "\u{feff}", "---\n", "~", "# later\n", "---\n# a\n...\n", &commented]
        {
            let (out, failed) = checked(empty, false);
            assert!(out.contains(":1:1: the file is empty\n"), "{empty}: {out}");
            let (_, shown) = out.split_once("A minimal configuration:\n\n").unwrap();
            assert!(failed.is_some() && shown.starts_with('#'), "{out}");
            assert_eq!(checked(shown, false).1, None, "{shown}");
        }
        for other in ["{}", "[]", "a", "listen:"] {
            assert!(!checked(other, false).0.contains("A minimal configuration"), "{other}");
        }
    }

    #[test]
    fn nothing_is_shown_instead_of_a_file_that_cannot_be_read() {
        let mut out = Vec::new();
        let home = tempfile::tempdir().unwrap();
        assert!(run(home.path(), false, false, &mut out).is_err());
        assert!(!String::from_utf8(out).unwrap().contains("A minimal configuration"));
    }

    #[test]
    fn what_stands_in_the_way_of_folders_and_files_is_told() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().display();
        fs::write(home.path().join("file"), "").unwrap();
        let state = |named: &str| GOOD.replace("/var/lib/doorward", &format!("{at}/{named}"));
        let logs = |to: &str| format!("{}events: {{ to: {at}{to} }}\n", state("new"));
        for (yaml, told) in [
            (state("file"), format!("state: {at}/file is not a folder\n")),
            (logs(""), format!("events.to: {at} is a folder\n  name a file in it, such as {at}/")),
            (logs("/logs/"), format!("events.to: {at}/logs/ is a folder\n")),
            (logs("/file/a/b.log"), format!("events.to: {at}/file is not a folder\n")),
            (logs("/a/b.log"), format!("events.to: the folder {at}/a does not exist\n")),
        ] {
            let file = home.path().join("doorward.yaml");
            fs::write(&file, &yaml).unwrap();
            let mut out = Vec::new();
            assert!(run(&file, false, false, &mut out).is_err(), "{told}");
            let out = String::from_utf8(out).unwrap();
            assert!(out.contains(&told), "{told}: {out}");
        }
        assert_eq!(checked(&logs("/b.log"), false).1, None);
    }

    #[test]
    fn a_warning_is_called_one_and_shown_in_its_place() {
        let (out, failed) = checked(&GOOD.replace("127.0.0.1:9000", "10.0.0.7:9000"), false);
        assert_eq!(failed, None, "{out}");
        for told in [
            "/etc/doorward.yaml:6:66: warning: apps[0].upstream: others on the network",
            "\n  6 |   - { name: crm",
            "^^^^^\n\n/etc/doorward.yaml is valid (1 warning).\n",
        ] {
            assert!(out.contains(told), "{told}: {out}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once_each_with_its_place() {
        let bad = GOOD.replace("state", "stat").replace("127.0.0.1:8080", "everywhere");
        let (out, failed) = checked(&bad, false);
        for told in [
            "/etc/doorward.yaml:3:1: stat: unknown key\n",
            "  did you mean `state`?\n",
            "/etc/doorward.yaml:2:21: listen[0].address: `everywhere` is not an address",
        ] {
            assert!(out.contains(told), "{told}: {out}");
        }
        assert!(!out.contains("missing"), "{out}");
        assert!(out.contains("^^^^^^^^^^"), "the place is underlined: {out}");
        assert!(failed.unwrap().starts_with("doorward: the configuration has "));
    }

    #[test]
    fn upstreams_are_asked_where_that_is_wanted_and_what_is_wrong_with_them_is_told() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("doorward.yaml");
        fs::write(&file, GOOD.replace("127.0.0.1:9000", &nobody.to_string())).unwrap();
        let mut out = Vec::new();
        let failed = run(&file, true, false, &mut out).unwrap_err().to_string();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(&format!("crm: http://{nobody}: Connection refused")), "{out}");
        assert!(out.contains("; check that the application runs, and listens there\n"), "{out}");
        assert_eq!(failed, "doorward: an upstream does not answer");
    }

    #[test]
    fn machines_are_told_the_same() {
        let told = |yaml: &str| -> (serde_json::Value, Option<String>) {
            let (out, failed) = checked(yaml, true);
            (serde_json::from_str(&out).unwrap(), failed)
        };
        let (good, failed) = told(GOOD);
        assert_eq!((&good["valid"], failed), (&true.into(), None));
        let (bad, failed) = told("listen: 7");
        assert_eq!(bad["valid"], false);
        assert!(bad["problems"][0]["line"].is_u64(), "{bad}");
        assert!(failed.is_some());
    }
}
