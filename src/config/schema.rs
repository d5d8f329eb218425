//! The table of all keys of this version and their types.
//!
//! `check` compares a file with it. `validate` decides what the values mean.

mod check;
mod json;

use std::ops::RangeInclusive;

use super::span::{DAY, HOUR, MINUTE};

pub(super) use check::check;
pub(super) use json::schema;

/// What may be written under a key.
#[derive(Debug)]
pub(super) enum Kind {
    Map(&'static [Key]),
    /// A map whose keys the operator chooses.
    Names(&'static Kind),
    List(&'static Kind),
    Text,
    Whole(RangeInclusive<u64>),
    Switch,
    /// A duration, in seconds from and to.
    Span(RangeInclusive<u64>),
    /// A number of times a minute, from and to.
    Rate(RangeInclusive<u32>),
    Word(&'static Words),
    /// A word, or a map with more settings.
    WordOr(&'static Words, &'static [Key]),
    /// A word, or a list of texts.
    WordOrTexts(&'static Words),
    /// A text, or a list of texts.
    TextOrTexts,
    /// Planned, but not supported by this version.
    Later,
}

/// The allowed words, and other words that people write for them.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) names: &'static [&'static str],
    pub(super) also: &'static [(&'static str, &'static str)],
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A description, which editors show.
    pub(super) about: &'static str,
    /// For required keys: the suggested fix if the key is missing.
    pub(super) needed: Option<&'static str>,
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, needed: None }
}

const fn needed(name: &'static str, kind: Kind, about: &'static str, cure: &'static str) -> Key {
    Key { name, kind, about, needed: Some(cure) }
}

const fn later(name: &'static str) -> Key {
    key(name, Kind::Later, "")
}

const TEXTS: Kind = Kind::List(&Kind::Text);

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

const HTTPS: Words = Words { names: &["https"], also: &[("true", "https"), ("tls", "https")] };
const FORMATS: Words = Words { names: &["text", "json"], also: &[] };
const LEVELS: Words = Words {
    names: &["error", "warn", "info", "debug", "trace"],
    also: &[("warning", "warn"), ("verbose", "debug")],
};
const FACTORS: Words = Words {
    names: &["totp", "recovery-code"],
    also: &[("otp", "totp"), ("authenticator", "totp"), ("recovery_code", "recovery-code")],
};
const PROOFS: Words = Words {
    names: &["mail", "link", "none"],
    also: &[("email", "mail"), ("e-mail", "mail"), ("nothing", "none"), ("admin", "link")],
};
const MAIL_TLS: Words = Words {
    names: &["starttls", "implicit", "none"],
    also: &[("true", "starttls"), ("tls", "implicit"), ("smtps", "implicit"), ("false", "none")],
};
const SPELLINGS: Words =
    Words { names: &["lenient", "strict"], also: &[("loose", "lenient"), ("exact", "strict")] };
const HEADER_CASES: Words =
    Words { names: &["lower", "title"], also: &[("titled", "title"), ("upper", "title")] };
const REMOTE: Words = Words { names: &["remote"], also: &[] };
const STRANGER: Words = Words { names: &["stranger"], also: &[("nobody", "stranger")] };
const ANY: Words = Words { names: &["any"], also: &[("*", "any")] };
const HAS: Words = Words { names: &["totp"], also: &[("otp", "totp")] };
const SHOWN: Words = Words {
    names: &["password", "totp", "recovery-code", "trusted-device"],
    also: &[("pwd", "password"), ("otp", "totp")],
};
const EXPECTED: Words = Words {
    names: &["pass", "sign-in", "second-factor", "set-up", "refused"],
    also: &[
        ("allow", "pass"),
        ("challenge", "second-factor"),
        ("deny", "refused"),
        ("403", "refused"),
        ("nobody", "refused"),
    ],
};

const REQUIREMENT: Kind = Kind::WordOr(
    &REQUIREMENTS,
    &[key(
        "second_factor",
        Kind::Map(&[
            key("within", Kind::Span(1..=DAY), "shown no longer ago than this"),
            key("kinds", Kind::List(&Kind::Word(&FACTORS)), "which kinds count; all without it"),
            key("trusted_device", Kind::Switch, "whether a trusted device may stand in for it"),
        ]),
        "a second factor, and how it must have been shown",
    )],
);

const LISTENER: Kind = Kind::Map(&[
    needed(
        "address",
        Kind::Text,
        "an IP address, or localhost, and a port",
        "add `address: 127.0.0.1:8080`",
    ),
    key(
        "tls",
        Kind::Map(&[
            key("certificate", Kind::Text, "a PEM file: the certificate, then its chain"),
            key("key", Kind::Text, "a PEM file: the private key"),
            key(
                "client_authority",
                Kind::Text,
                "a PEM file: whose client certificates let visitors in; without one nobody comes in",
            ),
        ]),
        "how it encrypts; TLS 1.2 and 1.3",
    ),
    key(
        "redirect",
        Kind::Word(&HTTPS),
        "https: whoever comes here is sent to the same place under https",
    ),
]);

const OPERATORS: Kind = Kind::Map(&[needed(
    "address",
    Kind::Text,
    "an IP address and a port",
    "add `address: 127.0.0.1:9100`",
)]);

const PEOPLE: &[Key] = &[
    key("users", TEXTS, "these users, by name"),
    key("groups", TEXTS, "the members of these groups"),
];

const RULE: Kind = Kind::Map(&[
    needed(
        "paths",
        TEXTS,
        "where it applies: a last slash means everything below, too",
        "add `paths: [/]`",
    ),
    key("methods", TEXTS, "to these methods only"),
    key("networks", TEXTS, "to visitors from these networks only"),
    key("groups", TEXTS, "to members of these groups only"),
    key(
        "query",
        Kind::Names(&Kind::WordOrTexts(&ANY)),
        "adds to what is asked where these parameters are sent",
    ),
    key("only", Kind::Map(PEOPLE), "who may enter at all"),
    needed("require", REQUIREMENT, "what is asked", "add `require: second-factor`"),
    key("demand", Kind::Switch, "whoever may enter here must have a second factor everywhere"),
    key("enforce", Kind::Switch, "false: watched and reported, not enforced"),
]);

const APP: Kind = Kind::Map(&[
    needed(
        "name",
        Kind::Text,
        "its name on pages and in logs",
        "add a `name` for pages and logs, such as `name: crm`",
    ),
    needed("hosts", TEXTS, "as which hosts browsers see it", "add `hosts: [crm.example.com]`"),
    needed(
        "upstream",
        Kind::TextOrTexts,
        "where it listens itself: http://, https:// or unix:, once or several times",
        "add `upstream: http://127.0.0.1:9000`",
    ),
    key(
        "upstream_tls",
        Kind::Map(&[
            key("authority", Kind::Text, "a PEM file: who signs its certificate"),
            key("certificate", Kind::Text, "a PEM file: the very certificate that it shows"),
            key("name", Kind::Text, "for which name its certificate must be"),
        ]),
        "how an upstream under https:// is known",
    ),
    key("upstream_host", Kind::Text, "the Host that it is sent; the visitor's without it"),
    key("upstream_http2", Kind::Switch, "true: it is spoken to in HTTP/2, as gRPC needs"),
    key("slow_bodies", Kind::Switch, "true: request bodies may come as slowly as they like"),
    key(
        "upstream_reuse_after_body",
        Kind::Switch,
        "true: its server always reads request bodies, so connections are kept after them",
    ),
    key(
        "health",
        Kind::Map(&[
            needed("path", Kind::Text, "what is asked for", "add `path: /health`"),
            key("every", Kind::Span(1..=10 * MINUTE), "how often"),
        ]),
        "how each upstream is asked whether it is well",
    ),
    key(
        "tls",
        Kind::Map(&[
            needed(
                "certificate",
                Kind::Text,
                "a PEM file: the certificate, then its chain",
                "add `certificate: /etc/doorward/crm.pem`",
            ),
            needed(
                "key",
                Kind::Text,
                "a PEM file: the private key",
                "add `key: /etc/doorward/crm.key`",
            ),
        ]),
        "the certificate of its hosts",
    ),
    key("insecure", Kind::Switch, "allows http:// for hosts that are not on this machine"),
    key(
        "enforce",
        Kind::Switch,
        "false: what its rules and demands refuse is let through and reported",
    ),
    key(
        "header_case",
        Kind::Word(&HEADER_CASES),
        "title: names of headers are written as X-Requested-With, for software that compares letters",
    ),
    key(
        "spelling",
        Kind::Word(&SPELLINGS),
        "strict: paths that can be read in several ways are refused",
    ),
    key("case_sensitive", Kind::Switch, "true: the application tells letter case apart everywhere"),
    key("safe_methods", TEXTS, "methods beyond those of HTTP that do no more than GET"),
    key("webdav", Kind::Switch, "true: DELETE and unknown methods act on all below a path"),
    key(
        "identity_headers",
        Kind::WordOr(
            &REMOTE,
            &[
                key("user", Kind::Text, "the header with the user name"),
                key("groups", Kind::Text, "the header with the groups"),
                key("name", Kind::Text, "the header with the full name"),
                key("email", Kind::Text, "the header with the e-mail address"),
                key("amr", Kind::Text, "the header with what was shown (RFC 8176)"),
            ],
        ),
        "in which headers the application is told who is there",
    ),
    key(
        "request_headers",
        Kind::Map(&[
            key(
                "remove",
                TEXTS,
                "removed from every request, besides what always is; X-Corp-* for a family",
            ),
            key(
                "from_trusted_proxies",
                TEXTS,
                "names that say where a visitor is: they pass from trusted_proxies, spelt so",
            ),
        ]),
        "which headers of its visitors the application gets",
    ),
    key("upstream_secret", Kind::Text, "the same secret from the environment, written ${NAME}"),
    key(
        "upstream_secret_file",
        Kind::Text,
        "a file with a secret that every request carries to the application",
    ),
    key("scripts", TEXTS, "folders in which every file is a script, whatever its name"),
    key("sign_out_paths", TEXTS, "its own links that sign out here, too"),
    key("rules", Kind::List(&RULE), "tried in order; the first that fits governs"),
    key("otherwise", REQUIREMENT, "what is asked where no rule fits"),
    later("members"),
    later("owners"),
]);

const TEST: Kind = Kind::Map(&[
    needed(
        "as",
        Kind::WordOr(
            &STRANGER,
            &[
                needed("user", Kind::Text, "the user name", "add `user: ada`"),
                key("groups", TEXTS, "their groups"),
                key("has", Kind::List(&Kind::Word(&HAS)), "which second factors they have set up"),
                key(
                    "shown",
                    Kind::List(&Kind::Word(&SHOWN)),
                    "what they have shown; the password without it",
                ),
            ],
        ),
        "who asks",
        "add `as: stranger`",
    ),
    key("from", Kind::Text, "from which address"),
    key("get", Kind::Text, "the URL of a GET"),
    key("post", Kind::Text, "the URL of a POST"),
    key("put", Kind::Text, "the URL of a PUT"),
    key("patch", Kind::Text, "the URL of a PATCH"),
    key("delete", Kind::Text, "the URL of a DELETE"),
    needed(
        "expect",
        Kind::Word(&EXPECTED),
        "what must come of it once everything is enforced",
        "add `expect: sign-in`",
    ),
    key("while_observed", Kind::Word(&EXPECTED), "what must come of it now"),
]);

/// The whole file.
pub(super) const FILE: Kind = Kind::Map(&[
    needed(
        "listen",
        Kind::List(&LISTENER),
        "where visitors are listened for",
        "add `listen: [{ address: 127.0.0.1:8080 }]`",
    ),
    key(
        "tls",
        Kind::Map(&[key(
            "hsts",
            Kind::Span(0..=2 * 365 * DAY),
            "for how long browsers are told to come by https alone; 0s: not at all",
        )]),
        "encryption",
    ),
    key("trusted_proxies", TEXTS, "whose X-Forwarded-For is believed"),
    needed(
        "state",
        Kind::Text,
        "the directory of the store, its keys and its socket",
        "add `state: /var/lib/doorward`",
    ),
    key("portal", Kind::Text, "the host where people sign in and look after themselves"),
    needed(
        "apps",
        Kind::List(&APP),
        "the applications to protect",
        "add an application; config/minimal.yaml shows one",
    ),
    key(
        "second_factor",
        Kind::Map(&[
            key(
                "demanded_of",
                Kind::Map(&[
                    key("everyone", Kind::Switch, "of everyone"),
                    key("groups", TEXTS, "of the members of these groups"),
                    key("users", TEXTS, "of these users"),
                    key("apps", TEXTS, "of whoever uses one of these applications, there"),
                ]),
                "who must have a second factor",
            ),
            key("grace", Kind::Span(0..=365 * DAY), "how long they have to set one up"),
            key(
                "totp",
                Kind::Map(&[
                    key("issuer", Kind::Text, "the name in people's authenticator apps"),
                    key(
                        "skew",
                        Kind::Whole(0..=2),
                        "steps of thirty seconds accepted on either side",
                    ),
                ]),
                "authenticator apps",
            ),
            key("recovery_codes", Kind::Whole(8..=24), "how many a person gets"),
        ]),
        "second factors",
    ),
    key(
        "trusted_devices",
        Kind::Map(&[
            key("for", Kind::Span(HOUR..=365 * DAY), "for how long"),
            key("at_most", Kind::Whole(1..=100), "how many of one person"),
        ]),
        "browsers that may skip the second factor",
    ),
    key(
        "sessions",
        Kind::Map(&[
            key("idle", Kind::Span(MINUTE..=30 * DAY), "without a request"),
            key("at_most", Kind::Span(MINUTE..=30 * DAY), "in all"),
        ]),
        "how long people stay signed in",
    ),
    key(
        "confirm",
        Kind::Map(&[key("for", Kind::Span(MINUTE..=DAY), "for how long")]),
        "how long a password that was shown is good for changes to one's own protection",
    ),
    key(
        "log",
        Kind::Map(&[
            key("format", Kind::Word(&FORMATS), "for people or for machines"),
            key("level", Kind::Word(&LEVELS), "the least important line that is written"),
        ]),
        "the log, on standard error",
    ),
    key(
        "events",
        Kind::Map(&[needed(
            "to",
            Kind::Text,
            "stdout, or a file that is appended to",
            "add `to: stdout`",
        )]),
        "what happened, as JSON lines",
    ),
    key("operators", OPERATORS, "where /healthz, /readyz and /metrics are"),
    key(
        "limits",
        Kind::Map(&[
            key("sign_in_posts", Kind::Rate(1..=10_000), "sign-ins of one address that may fail"),
            key("connections", Kind::Whole(10..=1_000_000), "connections in all"),
            key(
                "connections_per_address",
                Kind::Whole(1..=1_000_000),
                "connections from one address; trusted proxies may have more",
            ),
            key("header_bytes", Kind::Whole(4_096..=524_288), "bytes of a request head"),
            key("headers", Kind::Whole(16..=250), "header lines of a request"),
            key("streams", Kind::Whole(1..=1_000), "requests at once on one HTTP/2 connection"),
            key(
                "stream_resets",
                Kind::Whole(10..=100_000),
                "requests on one HTTP/2 connection whose answers were not waited for",
            ),
            key(
                "requests_per_address",
                Kind::Whole(16..=100_000),
                "requests at once from one address without a sign-in; with one: 16 times as many",
            ),
            key(
                "requests_per_application",
                Kind::Whole(16..=1_000_000),
                "requests at once to one application",
            ),
            key(
                "unsent_mib_per_connection",
                Kind::Whole(1..=1_024),
                "MiB of answers that may wait on one connection for its visitor to take them",
            ),
            key(
                "unsent_mib_per_address",
                Kind::Whole(1..=16_384),
                "MiB of answers that may wait for visitors from one address",
            ),
            key(
                "unsent_mib",
                Kind::Whole(1..=65_536),
                "MiB of answers that may wait for visitors in all",
            ),
            key(
                "body_rate",
                Kind::Whole(0..=1_000_000),
                "bytes a second that bodies must come at; 0: none",
            ),
            key(
                "free_disk_mib",
                Kind::Whole(0..=1_048_576),
                "warn when fewer MiB are free on the disk of the state folder; 0: never",
            ),
        ]),
        "how much there may be of something",
    ),
    key(
        "deadlines",
        Kind::Map(&[
            key("handshake", Kind::Span(1..=MINUTE), "to negotiate TLS"),
            key("head", Kind::Span(1..=5 * MINUTE), "to send the head of a request"),
            key("idle", Kind::Span(1..=HOUR), "between requests"),
            key("form", Kind::Span(1..=5 * MINUTE), "to send a form of ours"),
            key("body", Kind::Span(1..=HOUR), "to send a body, beside what limits.body_rate gives"),
            key("queue", Kind::Span(1..=MINUTE), "for which a request waits for room"),
        ]),
        "how long visitors may take",
    ),
    key(
        "upstream_timeouts",
        Kind::Map(&[
            key("connect", Kind::Span(1..=MINUTE), "to take a connection"),
            key("read", Kind::Span(1..=HOUR), "to send the next bytes of an answer"),
            key("write", Kind::Span(1..=HOUR), "to take the next bytes of a request"),
        ]),
        "how long applications may take",
    ),
    key(
        "shutdown",
        Kind::Map(&[key(
            "within",
            Kind::Span(0..=HOUR),
            "requests under way may take so long to end",
        )]),
        "the end",
    ),
    key("support", Kind::Text, "whom people should turn to: shown on pages"),
    key("tests", Kind::List(&TEST), "what the policy must decide; `doorward check` tries each"),
    key(
        "set_up",
        Kind::Map(&[key(
            "proof",
            Kind::Word(&PROOFS),
            "what somebody's first second factor needs besides the password",
        )]),
        "setting up two-factor",
    ),
    key(
        "mail",
        Kind::Map(&[
            needed(
                "server",
                Kind::Text,
                "the mail server: host and port",
                "add one, such as `server: smtp.example.com:587`",
            ),
            key("tls", Kind::Word(&MAIL_TLS), "how the way there is encrypted"),
            needed(
                "from",
                Kind::Text,
                "from whom letters come: an address, or a name and an address in `<>`",
                "add one, such as `from: Doorward <doorward@example.com>`",
            ),
            key("user", Kind::Text, "the user name that the server wants"),
            key("password", Kind::Text, "its password: `${NAME}` of the environment"),
            key("password_file", Kind::Text, "a file that holds its password"),
            key("authority", Kind::Text, "a PEM file: who signs the server's certificate"),
        ]),
        "how letters are sent; without it nobody is told anything by mail",
    ),
]);

/// Appends a key to a key path.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// All key paths of this version, without list positions.
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
        Kind::Names(_)
        | Kind::Text
        | Kind::Whole(_)
        | Kind::Switch
        | Kind::Span(_)
        | Kind::Rate(_)
        | Kind::Word(_)
        | Kind::WordOrTexts(_)
        | Kind::TextOrTexts
        | Kind::Later => Vec::new(),
    }
}
