//! Every key that this version knows, and what is written under it: one table.
//!
//! `check` holds a file against it. What a text means is for `validate` to judge.

mod check;

use std::ops::RangeInclusive;

use super::span::{DAY, HOUR, MINUTE};

pub(super) use check::check;

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
    needed("name", Kind::Text, "add a `name` for pages and logs, such as `name: crm`"),
    needed("hosts", Kind::List(&Kind::Text), "add `hosts: [crm.example.com]`"),
    needed("upstream", Kind::Text, "add `upstream: http://127.0.0.1:9000`"),
    key("insecure", Kind::Switch),
    key("rules", Kind::List(&RULE)),
    key("otherwise", REQUIREMENT),
    later("identity_headers"),
    later("sign_out_paths"),
    later("spelling"),
    later("enforce"),
    later("tls"),
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
    later("tls"),
    later("trusted_proxies"),
    later("portal"),
    later("set_up"),
    later("events"),
    later("limits"),
    later("upstream_timeouts"),
    later("mail"),
    later("tests"),
]);

/// The path of a key below another.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
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
