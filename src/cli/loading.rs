//! From a file to a configuration that may be used: valid, and as its own tests say.

use std::path::Path;

use crate::config::{Config, Problem, Problems};
use crate::edge;
use crate::flow::trial::{self, Failed};

/// Reads the file at `path` and tries its tests.
///
/// # Errors
/// Everything that is wrong with it; or, if it is valid, every test that does not come out.
pub(super) fn load(path: &Path) -> Result<Config, Problems> {
    let config = Config::load(&edge::environment, path)?;
    let failed: Vec<Problem> =
        trial::failed(&config, edge::system_time()).iter().map(problem).collect();
    if failed.is_empty() {
        return Ok(config);
    }
    let Problems { file, text, .. } = config.warnings().clone();
    Err(Problems { file, problems: failed, text })
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
