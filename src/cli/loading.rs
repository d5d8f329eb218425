//! From a file to a configuration that may be used: valid, and as its own tests say.

use std::path::Path;

use crate::config::{Config, Problem, Problems};
use crate::edge;
use crate::flow::trial::{self, Failed};
use crate::messages::{Smtp, Unsent};
use crate::proxy::Certificates;

/// Reads the file at `path` and the certificates that it names, and tries its tests.
///
/// # Errors
/// Everything that is wrong with it; or, if it is valid, every test that does not come out, and
/// every certificate that cannot be used.
pub(super) fn load(path: &Path) -> Result<Config, Problems> {
    let config = Config::load(&edge::environment, path)?;
    let now = edge::system_time();
    let mut problems: Vec<Problem> = trial::failed(&config, now).iter().map(problem).collect();
    match Certificates::read(&config) {
        Ok(_) if unusable(&config, &mut problems) => {}
        Ok(certificates) if problems.is_empty() => {
            let warnings = certificates.warnings(&config, now);
            return Ok(config.with_warnings(warnings));
        }
        Ok(_) => {}
        Err(found) => problems.extend(found),
    }
    let Problems { file, text, .. } = config.warnings().clone();
    Err(Problems { file, problems, text })
}

/// Whether the mail server cannot be used as it is described, which `problems` then say.
fn unusable(config: &Config, problems: &mut Vec<Problem>) -> bool {
    let Err(error) = Smtp::of(config) else { return false };
    let authority = config.mail.as_ref().and_then(|mail| mail.authority.as_ref());
    let at =
        authority.map_or(("mail".to_owned(), None), |file| (file.at.0.clone(), Some(file.at.1)));
    let (Unsent::Away(what) | Unsent::Later(what) | Unsent::Never(what)) = error;
    let cure = Some("name a PEM file that holds certificates".to_owned());
    problems.push(Problem { place: at.1, key: at.0, what, cure });
    true
}

fn problem(failed: &Failed<'_>) -> Problem {
    let Failed { test, came, rule } = failed;
    let (key, place) = &test.at;
    let (expected, came) = (test.expect.name(), came.name());
    let (method, target) = (&test.method, &test.target);
    Problem {
        place: Some(*place),
        key: key.clone(),
        what: format!("expected `{expected}`, but {method} {target} comes to `{came}`, by {rule}"),
        cure: Some("change the rules or the test; `doorward explain` shows every step".to_owned()),
    }
}
