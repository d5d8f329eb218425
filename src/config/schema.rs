//! Every key that this version knows, and what is written under it: one table.
//!
//! The table finds unknown, missing and ill-typed keys and numbers out of range. What a text
//! means is for `read` to judge.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::{Problem, listed, meant};
use super::tree::{Node, Value};

/// What may be written under a key.
#[derive(Debug)]
pub(super) enum Kind {
    Map(&'static [Key]),
    List(&'static Kind),
    Text,
    Whole(RangeInclusive<u64>),
    Switch,
    /// A span of time, in seconds from and to.
    Span(RangeInclusive<u64>),
    Word(&'static Words),
    /// A word, or a map for those who want more.
    WordOr(&'static Words, &'static [Key]),
    /// Known to the design, not to this version.
    Later,
}

/// The words that are allowed somewhere, and what people write who mean one of them.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) names: &'static [&'static str],
    pub(super) also: &'static [(&'static str, &'static str)],
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Where the key must be there: what to add if it is not.
    needed: Option<&'static str>,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, needed: None }
}

const fn needed(name: &'static str, kind: Kind, cure: &'static str) -> Key {
    Key { name, kind, needed: Some(cure) }
}

const fn later(name: &'static str) -> Key {
    key(name, Kind::Later)
}

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

const REQUIREMENTS: Words = Words {
    names: &["nothing", "sign-in", "second-factor", "nobody"],
    also: &[
        ("2fa", "second-factor"),
        ("mfa", "second-factor"),
        ("two-factor", "second-factor"),
        ("totp", "second-factor"),
        ("login", "sign-in"),
        ("password", "sign-in"),
        ("one-factor", "sign-in"),
        ("none", "nothing"),
        ("public", "nothing"),
        ("bypass", "nothing"),
        ("allow", "nothing"),
        ("deny", "nobody"),
        ("block", "nobody"),
    ],
};

const FORMATS: Words = Words { names: &["text", "json"], also: &[] };
const LEVELS: Words = Words {
    names: &["error", "warn", "info", "debug", "trace"],
    also: &[("warning", "warn"), ("verbose", "debug")],
};

const REQUIREMENT: Kind = Kind::WordOr(
    &REQUIREMENTS,
    &[key(
        "second_factor",
        Kind::Map(&[key("within", Kind::Span(1..=DAY)), key("trusted_device", Kind::Switch)]),
    )],
);

const LISTENER: Kind = Kind::Map(&[
    needed("address", Kind::Text, "add `address: 127.0.0.1:8080`"),
    later("tls"),
    later("redirect"),
]);

const RULE: Kind = Kind::Map(&[
    needed("paths", Kind::List(&Kind::Text), "add `paths: [/]`"),
    needed("require", REQUIREMENT, "add `require: second-factor`"),
    later("methods"),
    later("networks"),
    later("groups"),
    later("query"),
    later("only"),
    later("demand"),
    later("enforce"),
]);

const APP: Kind = Kind::Map(&[
    needed("name", Kind::Text, "add a `name` for logs, such as `name: crm`"),
    needed("hosts", Kind::List(&Kind::Text), "add `hosts: [crm.example.com]`"),
    needed("upstream", Kind::Text, "add `upstream: http://127.0.0.1:9000`"),
    key("insecure", Kind::Switch),
    key("rules", Kind::List(&RULE)),
    key("otherwise", REQUIREMENT),
    later("identity_headers"),
    later("sign_out_paths"),
    later("spelling"),
    later("enforce"),
    later("members"),
    later("owners"),
]);

/// The whole file.
pub(super) const FILE: Kind = Kind::Map(&[
    needed("listen", Kind::List(&LISTENER), "add `listen: [{ address: 127.0.0.1:8080 }]`"),
    needed("state", Kind::Text, "add `state: /var/lib/doorward`"),
    needed("apps", Kind::List(&APP), "add an application; config/minimal.yaml shows one"),
    key(
        "second_factor",
        Kind::Map(&[
            key("totp", Kind::Map(&[key("issuer", Kind::Text), key("skew", Kind::Whole(0..=2))])),
            key("recovery_codes", Kind::Whole(8..=24)),
            later("demanded_of"),
            later("grace"),
        ]),
    ),
    key(
        "trusted_devices",
        Kind::Map(&[
            key("for", Kind::Span(HOUR..=365 * DAY)),
            key("at_most", Kind::Whole(1..=100)),
        ]),
    ),
    key(
        "sessions",
        Kind::Map(&[
            key("idle", Kind::Span(MINUTE..=30 * DAY)),
            key("at_most", Kind::Span(MINUTE..=30 * DAY)),
        ]),
    ),
    key("confirm", Kind::Map(&[key("for", Kind::Span(MINUTE..=DAY))])),
    key(
        "log",
        Kind::Map(&[key("format", Kind::Word(&FORMATS)), key("level", Kind::Word(&LEVELS))]),
    ),
    key("operators", Kind::Map(&[needed("address", Kind::Text, "add `address: 127.0.0.1:9100`")])),
    key("shutdown", Kind::Map(&[key("within", Kind::Span(0..=HOUR))])),
    key("support", Kind::Text),
    later("trusted_proxies"),
    later("portal"),
    later("set_up"),
    later("events"),
    later("limits"),
    later("upstream_timeouts"),
    later("mail"),
    later("tests"),
]);

/// Checks `node`, which stands at `path`, against `kind`.
pub(super) fn check(kind: &Kind, node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let mut refuse = |what: String, cure: Option<String>| {
        problems.push(Problem { place: Some(node.place), key: path.to_owned(), what, cure });
    };
    if let Value::Scalar { text, plain: true } = &node.value
        && let Some(switch) = old_switch(text)
    {
        let cure = match kind {
            Kind::Switch => format!("write `{switch}`"),
            _ => format!("write `\"{text}\"` if it is meant as text"),
        };
        return refuse(
            format!("`{text}` means `{switch}` in YAML 1.1 and text in YAML 1.2"),
            Some(cure),
        );
    }
    match (kind, &node.value) {
        (Kind::Later, _) | (_, Value::Refused) => {}
        (Kind::Map(keys) | Kind::WordOr(_, keys), Value::Map(_)) => {
            check_map(keys, node, path, problems);
        }
        (Kind::List(kind), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(kind, item, &format!("{path}[{index}]"), problems);
            }
        }
        (Kind::Text, Value::Scalar { plain, .. }) if is_text(node, *plain) => {}
        (Kind::Switch, _) if switch(node).is_some() => {}
        (Kind::Whole(range), _) => match whole(node) {
            Some(number) if range.contains(&number) => {}
            number => {
                let what = number.map_or_else(
                    || format!("{} is not a whole number", shown(node)),
                    |number| format!("{number} is out of range"),
                );
                let (least, most) = (range.start(), range.end());
                refuse(what, Some(format!("write a number from {least} to {most}")));
            }
        },
        (Kind::Span(range), _) => match span(node) {
            Some(span) if range.contains(&span.as_secs()) && span.subsec_nanos() == 0 => {}
            found => {
                let fault = if found.is_some() { "out of range" } else { "not a span of time" };
                let [least, most] = [range.start(), range.end()]
                    .map(|seconds| written(Duration::from_secs(*seconds)));
                let cure = format!(
                    "write whole seconds with a unit, such as 30s, 15m, 1h or 30d, from {least} to {most}"
                );
                refuse(format!("{} is {fault}", shown(node)), Some(cure));
            }
        },
        (Kind::Word(words) | Kind::WordOr(words, _), Value::Scalar { text, .. })
            if !node.is_empty() =>
        {
            if !words.names.contains(&text.as_str()) {
                let also = words.also.iter().find(|(other, _)| other.eq_ignore_ascii_case(text));
                let meant = also
                    .map(|(_, name)| *name)
                    .or_else(|| meant(text, words.names.iter().copied()));
                refuse(
                    format!("`{text}` is not one of {}", listed(words.names.iter().copied())),
                    meant.map(|name| format!("did you mean `{name}`?")),
                );
            }
        }
        (kind, _) => refuse(
            format!("{} stands where {} belongs", shown(node), wanted(kind)),
            cure_for(kind, node),
        ),
    }
}

fn check_map(keys: &[Key], node: &Node, path: &str, problems: &mut Vec<Problem>) {
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
            Some(key) => check(&key.kind, &entry.node, &path, problems),
            None => {
                let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
                let cure = match meant(&entry.name, keys.iter().map(|key| key.name)) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known here: {}", listed(known().map(|key| key.name))),
                };
                refuse("unknown key", cure);
            }
        }
    }
    for key in keys {
        let there = node.entries().iter().any(|entry| entry.name == key.name);
        if let (Some(cure), false) = (key.needed, there) {
            let (key, what) = (below(path, key.name), "missing".to_owned());
            let cure = Some(cure.to_owned());
            problems.push(Problem { place: Some(node.place), key, what, cure });
        }
    }
}

/// The path of a key below another.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The switch that is written here: YAML 1.2 knows two spellings that nobody misreads.
pub(super) fn switch(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } => text.parse().ok(),
        _ => None,
    }
}

/// The whole number that is written here.
pub(super) fn whole(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Scalar { text, plain: true } if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok()
        }
        _ => None,
    }
}

/// The span of time that is written here.
pub(super) fn span(node: &Node) -> Option<Duration> {
    humantime::parse_duration(node.scalar()?).ok()
}

/// A span as one would write it: in the largest unit that leaves no rest.
pub(super) fn written(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(DAY) => format!("{}d", seconds / DAY),
        _ if seconds.is_multiple_of(HOUR) => format!("{}h", seconds / HOUR),
        _ if seconds.is_multiple_of(MINUTE) => format!("{}m", seconds / MINUTE),
        _ => format!("{seconds}s"),
    }
}

fn is_text(node: &Node, plain: bool) -> bool {
    let is_switch = plain && switch(node).is_some();
    !node.is_empty() && !is_switch
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
        Kind::Map(_) => "a map",
        Kind::List(_) => "a list",
        Kind::Text => "a text",
        Kind::Whole(_) => "a whole number",
        Kind::Switch => "`true` or `false`",
        Kind::Span(_) => "a span of time",
        Kind::Word(_) => "a word",
        Kind::WordOr(..) => "a word or a map",
        Kind::Later => "nothing",
    }
}

fn cure_for(kind: &Kind, node: &Node) -> Option<String> {
    match kind {
        Kind::Map(keys) => {
            let known = keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
            Some(format!("write the keys of a map: {}", listed(known.map(|key| key.name))))
        }
        Kind::List(_) => Some(match node.scalar() {
            Some(text) => format!("write `[{text}]`"),
            None => "write `[…]`, or one line with `- ` for each".to_owned(),
        }),
        Kind::Text => {
            node.scalar().map(|text| format!("write `\"{text}\"` if it is meant as text"))
        }
        Kind::Word(words) | Kind::WordOr(words, _) => {
            Some(format!("write one of {}", listed(words.names.iter().copied())))
        }
        Kind::Switch | Kind::Whole(_) | Kind::Span(_) | Kind::Later => None,
    }
}

/// Every key path of this version, without list positions.
#[cfg(test)]
pub(super) fn key_paths(kind: &Kind, path: &str) -> Vec<String> {
    match kind {
        Kind::Map(keys) | Kind::WordOr(_, keys) => {
            let known = keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
            let paths = known.flat_map(|key| {
                let path = below(path, key.name);
                let deeper = key_paths(&key.kind, &path);
                std::iter::once(path).chain(deeper)
            });
            paths.collect()
        }
        Kind::List(kind) => key_paths(kind, path),
        Kind::Text
        | Kind::Whole(_)
        | Kind::Switch
        | Kind::Span(_)
        | Kind::Word(_)
        | Kind::Later => Vec::new(),
    }
}
