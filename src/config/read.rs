//! From the text to the file as written: two readers, who must agree.
//!
//! The tree knows places and finds every mistake; serde knows types. One of them reads YAML 1.2,
//! the other 1.1, and a file that decides who may enter must not mean two things. So a file is
//! accepted only if both read it, and read the same.

use serde::Deserialize;

use super::problem::{Place, Problem};
use super::schema;
use super::tree::Node;
use super::written::File;

/// The file that `text` describes, whose tree is `root`. What is wrong with it goes to `problems`;
/// whatever is not is still read, so that it can be judged, too.
pub(super) fn read(text: &str, root: &Node, problems: &mut Vec<Problem>) -> Option<File> {
    let left = schema::check(&schema::FILE, root, "", problems)?;
    let seen = File::deserialize(left);
    if !problems.is_empty() {
        return seen.ok();
    }
    match (serde_yaml::from_str::<File>(text), seen) {
        (Ok(read), Ok(seen)) if read == seen => return Some(read),
        (Err(error), _) => problems.push(refused(&error)),
        (Ok(_), _) => problems.push(Problem {
            place: None,
            key: String::new(),
            what: "two readers of YAML do not read the same here".to_owned(),
            cure: Some("write it more plainly: one value to a line, texts in quotes".to_owned()),
        }),
    }
    None
}

/// What serde says, in our words where the place is concerned.
fn refused(error: &serde_yaml::Error) -> Problem {
    let place =
        error.location().map(|at| Place { line: at.line().max(1), column: at.column().max(1) });
    let said = error.to_string();
    let what = said.split_once(" at line ").map_or(&*said, |(what, _)| what);
    Problem {
        place,
        key: String::new(),
        what: format!("not every reader of YAML takes this: {what}"),
        cure: Some("write it more plainly".to_owned()),
    }
}
