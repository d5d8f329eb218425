//! Checks a file against the table: unknown, missing and wrongly typed keys, numbers out of range.
//!
//! Valid parts are returned as a value for serde, so that the rest of a faulty file is still
//! validated.

use serde_yaml::{Mapping, Value as Left};

use super::{Key, Kind, below};
use crate::config::problem::{Problem, listed, meant};
use crate::config::span::{Rate, Span};
use crate::config::tree::{Node, Value};

/// What is wrong with a value, and how to fix it.
struct Fault {
    what: String,
    cure: Option<String>,
}

impl Fault {
    fn new(what: String, cure: impl Into<Option<String>>) -> Self {
        Self { what, cure: cure.into() }
    }
}

/// Checks `node`, at key path `path`, against `kind`; returns it without the refused parts. Refused
/// list items become null, so that the others keep their positions.
pub(in crate::config) fn check(
    kind: &Kind,
    node: &Node,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Left> {
    match (kind, &node.value) {
        (Kind::Later, _) | (_, Value::Refused) => None,
        (Kind::Map(keys) | Kind::WordOr(_, keys), Value::Map(_)) => {
            check_map(keys, node, path, problems).map(Left::Mapping)
        }
        (Kind::Names(kind), Value::Map(_)) => {
            let mut left = Mapping::new();
            for entry in node.entries() {
                let value = check(kind, &entry.node, &below(path, &entry.name), problems);
                left.insert(entry.name.as_str().into(), value.unwrap_or_default());
            }
            Some(Left::Mapping(left))
        }
        (Kind::List(kind), Value::List(items)) => Some(check_list(kind, items, path, problems)),
        (Kind::WordOrTexts(_) | Kind::TextOrTexts, Value::List(items)) => {
            Some(check_list(&Kind::Text, items, path, problems))
        }
        _ => match value(kind, node) {
            Ok(value) => Some(value),
            Err(Fault { what, cure }) => {
                let (place, key) = (Some(node.place), path.to_owned());
                problems.push(Problem { place, key, what, cure });
                None
            }
        },
    }
}

fn check_list(kind: &Kind, items: &[Node], path: &str, problems: &mut Vec<Problem>) -> Left {
    let left = items.iter().enumerate().map(|(index, item)| {
        check(kind, item, &format!("{path}[{index}]"), problems).unwrap_or_default()
    });
    Left::Sequence(left.collect())
}

/// If a map had entries and all were refused, the map is refused, too.
fn check_map(
    keys: &[Key],
    node: &Node,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Mapping> {
    let mut left = Mapping::with_capacity(node.entries().len());
    let mut suggested = Vec::new();
    for entry in node.entries() {
        let path = below(path, &entry.name);
        let mut refuse = |what: &str, cure: String| {
            let (what, cure) = (what.to_owned(), Some(cure));
            problems.push(Problem { place: Some(entry.place), key: path.clone(), what, cure });
        };
        match keys.iter().find(|key| key.name == entry.name) {
            Some(Key { kind: Kind::Later, .. }) => {
                refuse("this version does not support this key yet", "remove it".to_owned());
            }
            Some(key) => {
                if let Some(value) = check(&key.kind, &entry.node, &path, problems) {
                    left.insert(key.name.into(), value);
                } else if entry.node.is_empty()
                    && let Some(problem) = problems.last_mut()
                    && problem.cure.is_none()
                {
                    let cure = key.needed.unwrap_or("write a value, or remove the key");
                    problem.cure = Some(cure.to_owned());
                }
            }
            None => {
                let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
                let cure = match meant(&entry.name, keys.iter().map(|key| key.name)) {
                    Some(name) => {
                        suggested.push(name);
                        format!("did you mean `{name}`?")
                    }
                    None => format!("known here: {}", listed(known().map(|key| key.name))),
                };
                refuse("unknown key", cure);
            }
        }
    }
    for key in keys {
        // A misspelled key does not count as missing as well.
        let there = suggested.contains(&key.name)
            || node.entries().iter().any(|entry| entry.name == key.name);
        if let (Some(cure), false) = (key.needed, there) {
            let (key, what) = (below(path, key.name), "missing".to_owned());
            let cure = Some(cure.to_owned());
            problems.push(Problem { place: Some(node.place), key, what, cure });
        }
    }
    (!left.is_empty() || node.entries().is_empty()).then_some(left)
}

/// The value of a scalar, if it has the right type.
fn value(kind: &Kind, node: &Node) -> Result<Left, Fault> {
    if let Value::Scalar { text, plain: true } = &node.value
        && let Some(switch) = old_switch(text)
    {
        let cure = match kind {
            Kind::Switch => format!("write `{switch}`"),
            _ => format!("write `\"{text}\"` if it is meant as text"),
        };
        let what = format!("`{text}` means `{switch}` in YAML 1.1 and text in YAML 1.2");
        return Err(Fault::new(what, cure));
    }
    match (kind, &node.value) {
        (Kind::Text | Kind::Secret | Kind::TextOrTexts, Value::Scalar { text, plain })
            if is_text(node, *plain) =>
        {
            Ok(text.as_str().into())
        }
        (Kind::Switch, _) if let Some(switch) = switch(node) => Ok(switch.into()),
        (Kind::Whole(range), _) => match whole(node) {
            Some(number) if range.contains(&number) => Ok(number.into()),
            number => {
                let what = number.map_or_else(
                    || format!("{} is not a whole number", shown(node)),
                    |number| format!("{number} is out of range"),
                );
                let (least, most) = (range.start(), range.end());
                Err(Fault::new(what, format!("write a number from {least} to {most}")))
            }
        },
        (Kind::Span(range), _) => match node.scalar().map(|text| (text, text.parse::<Span>())) {
            Some((text, Ok(span))) if span.is_within(range) => Ok(text.into()),
            found => {
                let out = matches!(found, Some((_, Ok(_))));
                let fault = if out { "out of range" } else { "not a duration" };
                let [least, most] = [range.start(), range.end()].map(|end| Span::seconds(*end));
                let cure = format!(
                    "write a number and a unit, such as 30s, 15m, 1h or 30d, from {least} to {most}"
                );
                Err(Fault::new(format!("{} is {fault}", shown(node)), cure))
            }
        },
        (Kind::Rate(range), _) => match node.scalar().map(|text| (text, text.parse::<Rate>())) {
            Some((text, Ok(rate))) if range.contains(&rate.a_minute()) => Ok(text.into()),
            found => {
                let out = matches!(found, Some((_, Ok(_))));
                let fault = if out { "out of range" } else { "not a rate" };
                let (least, most) = (range.start(), range.end());
                let cure = format!("write how often in a minute, from {least}/m to {most}/m");
                Err(Fault::new(format!("{} is {fault}", shown(node)), cure))
            }
        },
        (
            Kind::Word(words) | Kind::WordOr(words, _) | Kind::WordOrTexts(words),
            Value::Scalar { text, .. },
        ) if !node.is_empty() => {
            if words.names.contains(&text.as_str()) {
                return Ok(text.as_str().into());
            }
            let names = || words.names.iter().copied();
            let also = words.also.iter().find(|(other, _)| other.eq_ignore_ascii_case(text));
            let meant = also.map(|(_, name)| *name).or_else(|| meant(text, names()));
            let what = format!("`{text}` is not one of {}", listed(names()));
            let map = match kind {
                Kind::WordOr(_, keys) => in_map(keys, text).map(|map| format!("write `{map}`")),
                _ => None,
            };
            let cure = meant.map(|name| format!("did you mean `{name}`?")).or(map);
            let list = matches!(kind, Kind::WordOrTexts(_)).then(|| format!("write `[{text}]`"));
            Err(Fault::new(what, list.or(cure)))
        }
        (kind, _) => {
            let what = format!("found {}, expected {}", shown(node), wanted(kind));
            Err(Fault::new(what, cure_for(kind, node)))
        }
    }
}

/// The boolean written here. Only the two spellings of YAML 1.2 are accepted.
fn switch(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } => text.parse().ok(),
        _ => None,
    }
}

/// The whole number written here. A leading zero is refused, because it means octal in YAML 1.1.
fn whole(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Scalar { text, plain: true }
            if text.bytes().all(|byte| byte.is_ascii_digit())
                && (text == "0" || !text.starts_with('0')) =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}

fn is_text(node: &Node, plain: bool) -> bool {
    let is = |word: &str| node.scalar().is_some_and(|text| text.eq_ignore_ascii_case(word));
    !node.is_empty() && !(plain && (is("true") || is("false")))
}

fn old_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        _ if node.is_empty() => "nothing".to_owned(),
        Value::Scalar { text, .. } => format!("`{text}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Refused => "something unread".to_owned(),
    }
}

fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::Map(_) | Kind::Names(_) => "a map",
        Kind::List(_) => "a list",
        Kind::Text | Kind::Secret => "a text",
        Kind::Whole(_) => "a whole number",
        Kind::Switch => "`true` or `false`",
        Kind::Span(_) => "a duration",
        Kind::Word(_) => "a word",
        Kind::Rate(_) => "a rate",
        Kind::WordOr(..) => "a word or a map",
        Kind::WordOrTexts(_) => "a word or a list",
        Kind::TextOrTexts => "a text or a list",
        Kind::Later => "nothing",
    }
}

/// The map that `text` is meant for: with the one required key, if that is a text.
fn in_map(keys: &[Key], text: &str) -> Option<String> {
    let mut needed = keys.iter().filter(|key| key.needed.is_some());
    let key = needed.next().filter(|key| matches!(key.kind, Kind::Text))?;
    needed.next().is_none().then(|| format!("{{ {}: \"{text}\" }}", key.name))
}

fn cure_for(kind: &Kind, node: &Node) -> Option<String> {
    match kind {
        Kind::Map(keys) if let Some(map) = node.scalar().and_then(|text| in_map(keys, text)) => {
            Some(format!("write `{map}`"))
        }
        Kind::Map(keys) => {
            let known = keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
            Some(format!("write a map with these keys: {}", listed(known.map(|key| key.name))))
        }
        Kind::List(Kind::Map(keys))
            if let Some(map) = node.scalar().and_then(|text| in_map(keys, text)) =>
        {
            Some(format!("write `[{map}]`"))
        }
        Kind::List(_) => Some(match node.scalar() {
            Some(text) => format!("write `[{text}]`"),
            None => "write `[…]`, or one line with `- ` for each".to_owned(),
        }),
        Kind::Text | Kind::Secret | Kind::TextOrTexts => {
            node.scalar().map(|text| format!("write `\"{text}\"` if it is meant as text"))
        }
        Kind::Names(_) => Some("write a map: `name: value` for each".to_owned()),
        Kind::Word(words) | Kind::WordOr(words, _) | Kind::WordOrTexts(words) => {
            Some(format!("write one of {}", listed(words.names.iter().copied())))
        }
        Kind::Switch | Kind::Whole(_) | Kind::Span(_) | Kind::Rate(_) | Kind::Later => None,
    }
}
