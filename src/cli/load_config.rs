//! From a file to a usable configuration: valid, with passing tests.

use std::io;
use std::path::Path;

use super::keeper::Keeper;
use super::own_thread::on_own_thread;
use crate::config::{Config, Destination, Problem, Problems};
use crate::flow::trial::{self, Failed};
use crate::identity::Providers;
use crate::identity::provider::{File, NotSetUp};
use crate::identity::webauthn::Verifier;
use crate::messages::{Smtp, sms};
use crate::os;
use crate::proxy::Certificates;

/// Reads the file at `path` and the certificates that it names, and runs its tests.
///
/// Reading many rules takes several times the memory that they need afterwards. So this is done on
/// a thread of its own, and another one copies the result: otherwise what is kept would be scattered
/// over all the memory that was used meanwhile.
///
/// # Errors
/// Everything that is wrong with it; or, if it is valid, every test that fails and every
/// certificate that cannot be used, including the CA of the mail server.
pub(super) fn load(path: &Path) -> Result<Loaded, Problems> {
    on_own_thread("loading", || {
        let scattered = loaded(path)?;
        let (config, keeper) = Keeper::copies("configuration", scattered, Config::deep_copy);
        Ok(Loaded { config, keeper })
    })
}

/// The configuration alone, to explain it: its policy tests may fail, and files that it names may be
/// missing.
///
/// # Errors
/// What is wrong in the file.
pub(super) fn read(path: &Path) -> Result<Config, Problems> {
    on_own_thread("loading", || Config::load(&os::environment, path))
}

/// A configuration, and the thread that frees it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) keeper: Option<Keeper<Config>>,
}

fn loaded(path: &Path) -> Result<Config, Problems> {
    let config = Config::load(&os::environment, path)?;
    let now = os::system_time();
    let mut problems: Vec<Problem> = trial::failed(&config, now).iter().map(problem).collect();
    problems.extend(mail_problem(&config));
    problems.extend(sms_problem(&config));
    let providers = Providers::of(&config.providers, &Providers::default());
    problems.extend(providers.err().map(|not| provider_problem(&not)));
    let keys = Verifier::of(&config, now);
    let keys_expire = keys.as_ref().map(|keys| keys.warnings(&config, now)).unwrap_or_default();
    problems.extend(keys.err().and_then(|why| keys_problem(&config, &why)));
    problems.extend(state_problem(&config));
    problems.extend(folder_problem("events.to", &config.events));
    problems.extend(folder_problem("access_log.to", &config.access_log.to));
    match Certificates::read(&config) {
        Ok(certificates) if problems.is_empty() => {
            let mut warnings = certificates.warnings(&config, now);
            warnings.extend(keys_expire);
            return Ok(config.with_warnings(warnings));
        }
        Ok(_) => {}
        Err(found) => problems.extend(found),
    }
    let Problems { file, text, .. } = config.warnings().clone();
    Err(Problems { file, problems, text })
}

fn mail_problem(config: &Config) -> Option<Problem> {
    let error = Smtp::of(config).err()?;
    let authority = config.mail.as_ref()?.authority.as_ref();
    let (key, place) = match authority {
        Some(file) => (file.at.0.clone(), Some(file.at.1)),
        None => ("mail".to_owned(), None),
    };
    let cure = "name a PEM file with the CA certificates that sign the mail server's certificate";
    let (what, cure) = (error.to_string(), Some(cure.to_owned()));
    Some(Problem { place, key, what, cure })
}

/// A provider of text messages whose CA cannot be read.
fn sms_problem(config: &Config) -> Option<Problem> {
    let sms = config.sms.as_ref()?;
    let error = sms::Provider::of(sms).err()?;
    let (key, place) = match &sms.authority {
        Some(file) => (file.at.0.clone(), file.at.1),
        None => (sms.at.0.clone(), sms.at.1),
    };
    let cure = "name a PEM file with the CA certificates that sign the provider's certificate";
    Some(Problem { place: Some(place), key, what: error.to_string(), cure: Some(cure.to_owned()) })
}

/// A provider with a file that cannot be used.
pub(super) fn provider_problem(not: &NotSetUp) -> Problem {
    let NotSetUp { provider, file, source } = not;
    let (at, place) = provider.at.clone();
    let (key, place, cure) = match (file, &provider.authority) {
        (File::Key, _) => {
            let cure = "use a PEM private key (openssl genpkey -algorithm EC -pkeyopt \
                        ec_paramgen_curve:P-256 -out FILE), if the provider wants one with its \
                        certificate in the same file, and register the public key or the \
                        certificate at the provider";
            (format!("{at}.key_file"), place, cure)
        }
        (File::Authority, authority) => {
            let named = authority.as_ref().map_or((at, place), |file| file.at.clone());
            let cure =
                "name a PEM file with the CA certificates that sign the provider's certificate";
            (named.0, named.1, cure)
        }
    };
    let (what, cure) = (source.to_string(), Some(cure.to_owned()));
    Problem { place: Some(place), key, what, cure }
}

/// The CA certificates of security keys cannot be read.
pub(super) fn keys_problem(config: &Config, why: &io::Error) -> Option<Problem> {
    let (key, place) = config.accepted_keys.as_ref()?.authorities.at.clone();
    let cure = "name a PEM file with the CA certificates of the keys' manufacturers";
    let (what, cure) = (why.to_string(), Some(cure.to_owned()));
    Some(Problem { place: Some(place), key, what, cure })
}

/// The state folder may not exist yet, but nothing else may have its name.
fn state_problem(config: &Config) -> Option<Problem> {
    let state = &config.state;
    let is_other = state.exists() && !state.is_dir();
    is_other.then(|| Problem {
        place: None,
        key: "state".to_owned(),
        what: format!("{} is not a folder", state.display()),
        cure: Some("name a folder; it is created at the first start".to_owned()),
    })
}

/// Otherwise lines would be lost without notice.
fn folder_problem(key: &str, to: &Destination) -> Option<Problem> {
    let Destination::File(file) = to else { return None };
    let problem = |what: String, cure: String| {
        Some(Problem { place: None, key: key.to_owned(), what, cure: Some(cure) })
    };
    if file.is_dir() || file.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let inside = file.join("doorward.log");
        let what = format!("{} is a folder", file.display());
        return problem(what, format!("name a file in it, such as {}", inside.display()));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    if folder.is_dir() {
        return None;
    }
    let shown = folder.display();
    if let Some(in_the_way) = folder.ancestors().find(|above| above.exists() && !above.is_dir()) {
        let what = format!("{} is not a folder", in_the_way.display());
        return problem(what, "name a file in a folder".to_owned());
    }
    let cure = format!("create it for the system user of the gateway: mkdir -p {shown}");
    problem(format!("the folder {shown} does not exist"), cure)
}

fn problem(failed: &Failed<'_>) -> Problem {
    let Failed { test, expected, came, rule, observed } = failed;
    let (key, place) = &test.at;
    let (expected, came) = (expected.name(), came.name());
    let now = if *observed { " in observe mode" } else { "" };
    let (method, target) = (&test.method, &test.target);
    Problem {
        place: Some(*place),
        key: key.clone(),
        what: format!(
            "expected `{expected}`, but {method} {target} gives `{came}`{now}, by {rule}"
        ),
        cure: Some("change the rules or the test; `doorward explain` shows every step".to_owned()),
    }
}
