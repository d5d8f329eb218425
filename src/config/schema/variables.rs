//! Refuses environment variables where they are not expanded. A rule or a demand that names
//! `${GROUP}` literally would never match, and silently protect nothing.

use super::{Key, Kind, below};
use crate::config::problem::{Place, Problem};
use crate::config::tree::{Entry, Node, Value};

/// Refuses every text in `node`, at key path `path`, that names a variable and is no secret, unless
/// something else is wrong with it, too.
pub(in crate::config) fn refuse_variables(
    kind: &Kind,
    node: &Node,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    match (kind, &node.value) {
        (Kind::Secret, _) => {}
        (Kind::Map(keys) | Kind::WordOr(_, keys), Value::Map(entries)) => {
            for Entry { name, node, .. } in entries {
                if let Some(Key { kind, .. }) = keys.iter().find(|key| key.name == name) {
                    refuse_variables(kind, node, &below(path, name), problems);
                }
            }
        }
        (Kind::Names(kind), Value::Map(entries)) => {
            for Entry { name, place, node } in entries {
                let path = below(path, name);
                if names_variable(name) {
                    problems.push(refused(name, &path, *place));
                }
                refuse_variables(kind, node, &path, problems);
            }
        }
        (Kind::List(kind), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                refuse_variables(kind, item, &format!("{path}[{index}]"), problems);
            }
        }
        (Kind::WordOrTexts(_) | Kind::TextOrTexts, Value::List(_)) => {
            refuse_variables(&Kind::List(&Kind::Text), node, path, problems);
        }
        (_, Value::Scalar { text, .. })
            if names_variable(text) && problems.iter().all(|problem| problem.key != path) =>
        {
            problems.push(refused(text, path, node.place));
        }
        _ => {}
    }
}

fn refused(text: &str, path: &str, place: Place) -> Problem {
    Problem {
        place: Some(place),
        key: path.to_owned(),
        what: format!("`{text}`: environment variables work only for secrets"),
        cure: Some("write the value itself".to_owned()),
    }
}

/// Whether `${NAME}` is in `text`, also with a default (`${NAME:-x}`), as a shell or a compose file
/// would expand it.
fn names_variable(text: &str) -> bool {
    text.split("${").skip(1).any(|rest| {
        let Some((name, _)) = rest.split_once('}') else { return false };
        let name = name.split([':', '-', '?', '+']).next().unwrap_or_default();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty()
            && name.bytes().all(is_letter)
            && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_expand_is_a_variable() {
        for text in ["${P}", "/a/${P_2}/b", "${G:-staff}", "${X?}", "a${{${b}"] {
            assert!(names_variable(text), "{text}");
        }
        for text in
            ["", "$P", "/$metadata", "${", "${}", "${1}", "a{b}", "$ {P}", "${a.b}", "${a b}"]
        {
            assert!(!names_variable(text), "{text}");
        }
    }
}
