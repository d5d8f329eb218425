//! The table of all keys of this version and their types.
//!
//! `check` compares a file with it. `validate` decides what the values mean.

mod check;
mod json;
mod sms;
mod variables;

use std::ops::RangeInclusive;

use super::span::{DAY, HOUR, MINUTE};
use crate::domain::assurance::Kinds;
use crate::domain::fact::FACTS;
use crate::domain::factor::KINDS;

pub(super) use check::check;
pub(super) use json::schema;
pub(super) use variables::refuse_variables;

/// What may be written under a key.
#[derive(Debug)]
pub(super) enum Kind {
    Map(&'static [Key]),
    /// A map whose keys the operator chooses.
    Names(&'static Kind),
    List(&'static Kind),
    Text,
    /// A text that names an environment variable: `${NAME}`.
    Secret,
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
const FACTORS: Words = Words { names: &COUNTED_WORDS, also: &KIND_ALSO };
/// What a rule may count: each kind, all that cannot be phished, and that of a provider.
const COUNTED_WORDS: [&str; KINDS.len() + 2] = {
    let (mut words, mut index) = ([Kinds::PHISHING_RESISTANT_WORD; KINDS.len() + 2], 0);
    words[KINDS.len() + 1] = Kinds::PROVIDER_WORD;
    while index < KINDS.len() {
        words[index] = KINDS[index].word;
        index += 1;
    }
    words
};
/// The words of the kinds that a user can set up.
const FACTOR_WORDS: [&str; factors()] = {
    let (mut words, mut index, mut next) = ([""; factors()], 0, 0);
    while index < KINDS.len() {
        if KINDS[index].at_most > 0 {
            words[next] = KINDS[index].word;
            next += 1;
        }
        index += 1;
    }
    words
};
/// What people write instead.
const KIND_ALSO: [(&str, &str); also()] = {
    let (mut words, mut index, mut next) = ([("", ""); also()], 0, 0);
    while index < KINDS.len() {
        let mut other = 0;
        while other < KINDS[index].also.len() {
            words[next] = (KINDS[index].also[other], KINDS[index].word);
            (other, next) = (other + 1, next + 1);
        }
        index += 1;
    }
    words
};

/// How many kinds a user can set up.
const fn factors() -> usize {
    let (mut count, mut index) = (0, 0);
    while index < KINDS.len() {
        count += (KINDS[index].at_most > 0) as usize;
        index += 1;
    }
    count
}

/// How many other words there are for kinds.
const fn also() -> usize {
    let (mut count, mut index) = (0, 0);
    while index < KINDS.len() {
        count += KINDS[index].also.len();
        index += 1;
    }
    count
}

const PROOFS: Words = Words {
    names: &["mail", "link", "none"],
    also: &[("email", "mail"), ("e-mail", "mail"), ("nothing", "none"), ("admin", "link")],
};
const EMAIL_CODES: Words = Words { names: &["never", "backup"], also: &[("false", "never")] };
const MAILBOXES: Words = Words { names: &["same", "separate"], also: &[] };
const SIGN_OUT: Words = Words { names: &["here", "everywhere"], also: &[] };
const PROVIDER_KINDS: Words = Words {
    names: &["openid-connect", "github", "facebook"],
    also: &[("oidc", "openid-connect"), ("openid", "openid-connect")],
};
const MATCH_BY: Words = Words {
    names: &["subject", "verified-email"],
    also: &[("sub", "subject"), ("email", "verified-email")],
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
/// A key for each identity fact.
const IDENTITY: [Key; FACTS.len()] = {
    let (mut keys, mut index) = ([const { later("") }; FACTS.len()], 0);
    while index < FACTS.len() {
        keys[index] = key(FACTS[index].word, Kind::Text, FACTS[index].about);
        index += 1;
    }
    keys
};
const STRANGER: Words = Words { names: &["stranger"], also: &[("nobody", "stranger")] };
const ANY: Words = Words { names: &["any"], also: &[("*", "any")] };
const HAS: Words = Words { names: &FACTOR_WORDS, also: &KIND_ALSO };
const SHOWN: Words = Words { names: &SHOWN_WORDS, also: &SHOWN_ALSO };
/// A first factor, all kinds of second factors, a trusted device, and the second factor of a provider.
const SHOWN_WORDS: [&str; KINDS.len() + 3] = {
    let mut words = ["trusted-device"; KINDS.len() + 3];
    words[0] = "password";
    words[KINDS.len() + 2] = Kinds::PROVIDER_WORD;
    let mut index = 0;
    while index < KINDS.len() {
        words[index + 1] = KINDS[index].word;
        index += 1;
    }
    words
};
const SHOWN_ALSO: [(&str, &str); also() + 1] = {
    let mut words = [("pwd", "password"); also() + 1];
    let mut index = 0;
    while index < also() {
        words[index + 1] = KIND_ALSO[index];
        index += 1;
    }
    words
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
            key("within", Kind::Span(1..=DAY), "maximum age of the second factor"),
            key("kinds", Kind::List(&Kind::Word(&FACTORS)), "the accepted kinds; default: all"),
            key("trusted_device", Kind::Switch, "whether a trusted device is enough"),
        ]),
        "a second factor, and its conditions",
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
                "a PEM file: the CA that signed the client certificates; with it, visitors need one",
            ),
        ]),
        "TLS 1.2 and 1.3: certificate and key",
    ),
    key("redirect", Kind::Word(&HTTPS), "https: redirect requests to the same address under https"),
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
        "the paths: a final slash includes everything below",
        "add `paths: [/]`",
    ),
    key("methods", TEXTS, "only for these methods"),
    key("networks", TEXTS, "only for visitors from these networks"),
    key("groups", TEXTS, "only for members of these groups"),
    key(
        "query",
        Kind::Names(&Kind::WordOrTexts(&ANY)),
        "adds to what is required if these parameters are sent",
    ),
    key("only", Kind::Map(PEOPLE), "who may enter; all others are refused"),
    needed("require", REQUIREMENT, "what is required", "add `require: second-factor`"),
    key("demand", Kind::Switch, "everyone who may enter here must have a second factor"),
    key("enforce", Kind::Switch, "false: observe mode, refusals are only logged and reported"),
]);

const APP: Kind = Kind::Map(&[
    needed(
        "name",
        Kind::Text,
        "its name on pages and in logs",
        "add a `name` for pages and logs, such as `name: crm`",
    ),
    needed("hosts", TEXTS, "its hosts, as browsers see them", "add `hosts: [crm.example.com]`"),
    needed(
        "upstream",
        Kind::TextOrTexts,
        "where it listens: http://, https:// or unix:, one or several",
        "add `upstream: http://127.0.0.1:9000`",
    ),
    key(
        "upstream_tls",
        Kind::Map(&[
            key("authority", Kind::Text, "a PEM file: the CA that signed its certificate"),
            key("certificate", Kind::Text, "a PEM file: the exact certificate to accept"),
            key("name", Kind::Text, "the name that its certificate must have"),
        ]),
        "how to verify an upstream under https://",
    ),
    key("upstream_host", Kind::Text, "the Host header that it gets; default: the visitor's"),
    key("upstream_http2", Kind::Switch, "true: use HTTP/2 to it, as gRPC needs"),
    key("slow_bodies", Kind::Switch, "true: no minimum rate for request bodies"),
    key(
        "upstream_reuse_after_body",
        Kind::Switch,
        "true: its server always reads request bodies, so connections are kept after them",
    ),
    key(
        "health",
        Kind::Map(&[
            needed("path", Kind::Text, "the path to request", "add `path: /health`"),
            key("every", Kind::Span(1..=10 * MINUTE), "how often"),
        ]),
        "health check of each upstream",
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
    key("insecure", Kind::Switch, "true: allow http:// for hosts that are not localhost"),
    key(
        "enforce",
        Kind::Switch,
        "false: observe mode, refused requests are let through and reported",
    ),
    key(
        "header_case",
        Kind::Word(&HEADER_CASES),
        "title: header names as X-Requested-With, for software that distinguishes letter case",
    ),
    key(
        "spelling",
        Kind::Word(&SPELLINGS),
        "strict: refuse paths that can be read in several ways",
    ),
    key("case_sensitive", Kind::Switch, "true: the application always distinguishes letter case"),
    key("safe_methods", TEXTS, "other methods that, like GET, change nothing"),
    key(
        "webdav",
        Kind::Switch,
        "true: DELETE and unknown methods must meet the rules of everything below their path",
    ),
    key(
        "identity_headers",
        Kind::WordOr(&REMOTE, &IDENTITY),
        "the headers that tell the application who the user is",
    ),
    key(
        "request_headers",
        Kind::Map(&[
            key(
                "remove",
                TEXTS,
                "other headers to remove from every request; X-Corp-* for a prefix",
            ),
            key(
                "from_trusted_proxies",
                TEXTS,
                "address headers that are accepted from trusted_proxies, only if they are spelled as here",
            ),
        ]),
        "which headers of a request the application gets",
    ),
    key(
        "upstream_secret",
        Kind::Secret,
        "a secret that the application gets with every request, from the environment: ${NAME}",
    ),
    key(
        "upstream_secret_file",
        Kind::Text,
        "a file with a secret that is sent to the application with every request",
    ),
    key("scripts", TEXTS, "folders in which every file is a script, whatever its name"),
    key("sign_out_paths", TEXTS, "its sign-out links that also sign out of Doorward"),
    key("rules", Kind::List(&RULE), "checked in order; the first that matches decides"),
    key("otherwise", REQUIREMENT, "what is required if no rule matches"),
    later("members"),
    later("owners"),
]);

const PROVIDER: Kind = Kind::Map(&[
    needed("name", Kind::Text, "its name in URLs and logs", "add a `name`, such as `name: google`"),
    key("label", Kind::Text, "its name on pages; default: `name`"),
    key("kind", Kind::Word(&PROVIDER_KINDS), "its protocol; default: openid-connect"),
    key("issuer", Kind::Text, "its issuer, exactly as it writes it"),
    needed(
        "client_id",
        Kind::Text,
        "the client id that it gave to Doorward",
        "add the `client_id` that the provider shows for the application",
    ),
    key(
        "client_secret",
        Kind::Secret,
        "the client secret, from an environment variable: `${NAME}`",
    ),
    key("client_secret_file", Kind::Text, "a file that holds the client secret"),
    key(
        "key_file",
        Kind::Text,
        "a PEM file: the private key that stands in for a client secret, and its certificate",
    ),
    key("key_id", Kind::Text, "the id of that key at the provider, if it needs one"),
    key("scopes", TEXTS, "scopes to ask for, besides openid, email and profile"),
    key(
        "people",
        Kind::Map(&[
            key("create", Kind::Switch, "true: somebody unknown becomes a user"),
            key("everyone", Kind::Switch, "true: create users for everybody who has an account"),
            key(
                "only",
                Kind::Map(&[
                    key("email_domains", TEXTS, "members of these domains, by verified address"),
                    key("organisations", TEXTS, "members of one of these organisations at GitHub"),
                ]),
                "who may sign in with it",
            ),
            key(
                "match_by",
                Kind::Word(&MATCH_BY),
                "verified-email: also find users without any credential by their address",
            ),
        ]),
        "who may sign in with it, and who becomes a user",
    ),
    key(
        "groups",
        Kind::Map(&[
            needed(
                "claim",
                Kind::Text,
                "the claim that lists the groups of a person",
                "add `claim: groups`",
            ),
            needed(
                "map",
                Kind::Names(&Kind::Text),
                "the provider's groups and the groups here that they stand for; others are ignored",
                "add `map: { their-group: our-group }`",
            ),
        ]),
        "groups that come from it",
    ),
    key(
        "trusts",
        Kind::Map(&[needed(
            "amr",
            TEXTS,
            "values of `amr` in its ID tokens that say that a second factor was shown there",
            "add `amr: [mfa]`",
        )]),
        "what it is trusted to say; default: nothing",
    ),
    key(
        "refresh",
        Kind::Span(5 * MINUTE..=12 * HOUR),
        "how often to check that signed-in users may stay signed in; default: never",
    ),
    key(
        "sign_out",
        Kind::Word(&SIGN_OUT),
        "everywhere: signing out here also signs out there; default: here",
    ),
    key("authority", Kind::Text, "a PEM file: the CA that signed its certificate"),
]);

const TEST: Kind = Kind::Map(&[
    needed(
        "as",
        Kind::WordOr(
            &STRANGER,
            &[
                needed("user", Kind::Text, "the user name", "add `user: ada`"),
                key("groups", TEXTS, "their groups"),
                key(
                    "has",
                    Kind::List(&Kind::Word(&HAS)),
                    "the second factors that they have set up",
                ),
                key(
                    "shown",
                    Kind::List(&Kind::Word(&SHOWN)),
                    "what they have shown; default: the password",
                ),
            ],
        ),
        "who sends the request",
        "add `as: stranger`",
    ),
    key("from", Kind::Text, "the client address"),
    key("get", Kind::Text, "the URL of a GET"),
    key("post", Kind::Text, "the URL of a POST"),
    key("put", Kind::Text, "the URL of a PUT"),
    key("patch", Kind::Text, "the URL of a PATCH"),
    key("delete", Kind::Text, "the URL of a DELETE"),
    needed(
        "expect",
        Kind::Word(&EXPECTED),
        "the decision once everything is enforced",
        "add `expect: sign-in`",
    ),
    key("while_observed", Kind::Word(&EXPECTED), "the decision now, in observe mode"),
]);

/// The whole file.
pub(super) const FILE: Kind = Kind::Map(&[
    needed(
        "listen",
        Kind::List(&LISTENER),
        "the addresses to listen on",
        "add `listen: [{ address: 127.0.0.1:8080 }]`",
    ),
    key(
        "tls",
        Kind::Map(&[key(
            "hsts",
            Kind::Span(0..=2 * 365 * DAY),
            "HSTS: for how long browsers use only https; 0s: not sent",
        )]),
        "encryption",
    ),
    key("trusted_proxies", TEXTS, "the proxies whose X-Forwarded-For is trusted"),
    needed(
        "state",
        Kind::Text,
        "the state folder: the store, its keys and its socket",
        "add `state: /var/lib/doorward`",
    ),
    key("portal", Kind::Text, "the host where people sign in and manage their security"),
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
                    key("everyone", Kind::Switch, "everyone"),
                    key("groups", TEXTS, "members of these groups"),
                    key("users", TEXTS, "these users"),
                    key("apps", TEXTS, "users of these applications, while they use them"),
                ]),
                "who must have a second factor",
            ),
            key("grace", Kind::Span(0..=365 * DAY), "how much time they have to set one up"),
            key(
                "kinds",
                Kind::List(&Kind::Word(&HAS)),
                "the kinds that people may set up; the first is offered first; default: all",
            ),
            key(
                "email_codes",
                Kind::Word(&EMAIL_CODES),
                "backup: people with a phone may turn on codes by e-mail, for texts that do not arrive",
            ),
            key(
                "security_keys",
                Kind::Map(&[
                    key("passkeys", Kind::Switch, "whether a passkey signs in without a password"),
                    key(
                        "rp_id",
                        Kind::Text,
                        "the domain that keys are bound to, if it is not the portal's host",
                    ),
                    key(
                        "only",
                        Kind::Map(&[
                            key(
                                "aaguids",
                                Kind::List(&Kind::Text),
                                "the models that are accepted; default: every model of these manufacturers",
                            ),
                            key(
                                "authorities",
                                Kind::Text,
                                "a PEM file with the CA certificates of their manufacturers",
                            ),
                        ]),
                        "the new keys that are accepted; default: all",
                    ),
                ]),
                "security keys and passkeys",
            ),
            key(
                "totp",
                Kind::Map(&[
                    key("issuer", Kind::Text, "the name in people's authenticator apps"),
                    key(
                        "skew",
                        Kind::Whole(0..=2),
                        "steps of thirty seconds accepted before and after",
                    ),
                ]),
                "authenticator apps",
            ),
            key("recovery_codes", Kind::Whole(8..=24), "how many a user gets"),
        ]),
        "second factors",
    ),
    key(
        "trusted_devices",
        Kind::Map(&[
            key("for", Kind::Span(HOUR..=365 * DAY), "for how long"),
            key("at_most", Kind::Whole(1..=100), "how many for one user"),
        ]),
        "browsers that may skip the second factor",
    ),
    key(
        "sessions",
        Kind::Map(&[
            key(
                "idle",
                Kind::Span(MINUTE..=30 * DAY),
                "without a request; a session may end earlier by a quarter of this, at most by a minute",
            ),
            key("at_most", Kind::Span(MINUTE..=30 * DAY), "in total"),
        ]),
        "how long people stay signed in",
    ),
    key(
        "confirm",
        Kind::Map(&[key("for", Kind::Span(MINUTE..=DAY), "for how long")]),
        "for how long after entering the password people can change security settings",
    ),
    key(
        "log",
        Kind::Map(&[
            key("format", Kind::Word(&FORMATS), "for people or for machines"),
            key("level", Kind::Word(&LEVELS), "the minimum level"),
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
        "the event log, as JSON lines",
    ),
    key(
        "access_log",
        Kind::Map(&[
            needed(
                "to",
                Kind::Text,
                "stdout, or a file that is appended to",
                "add `to: stdout`, or a file such as `to: /var/log/doorward/access.log`",
            ),
            key("format", Kind::Word(&FORMATS), "for people or for machines"),
        ]),
        "the access log: a line for each request",
    ),
    key("operators", OPERATORS, "the address of /healthz, /readyz and /metrics"),
    key(
        "limits",
        Kind::Map(&[
            key(
                "sign_in_posts",
                Kind::Rate(1..=10_000),
                "failed sign-ins of one address, or of one known browser",
            ),
            key("connections", Kind::Whole(10..=1_000_000), "connections in total"),
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
                "cancelled requests on one HTTP/2 connection",
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
                "MiB of answers that may wait for the visitor on one connection",
            ),
            key(
                "unsent_mib_per_address",
                Kind::Whole(1..=16_384),
                "MiB of answers that may wait for visitors from one address",
            ),
            key(
                "unsent_mib",
                Kind::Whole(1..=65_536),
                "MiB of answers that may wait for visitors in total",
            ),
            key(
                "body_rate",
                Kind::Whole(0..=1_000_000),
                "minimum bytes a second of request bodies; 0: no minimum",
            ),
            key(
                "free_disk_mib",
                Kind::Whole(0..=1_048_576),
                "warn when fewer MiB are free on the disk of the state folder; 0: never",
            ),
        ]),
        "limits",
    ),
    key(
        "deadlines",
        Kind::Map(&[
            key("handshake", Kind::Span(1..=MINUTE), "for the TLS handshake"),
            key("head", Kind::Span(1..=5 * MINUTE), "to send the head of a request"),
            key("idle", Kind::Span(1..=HOUR), "between requests"),
            key("form", Kind::Span(1..=5 * MINUTE), "to send a form of Doorward"),
            key(
                "body",
                Kind::Span(1..=HOUR),
                "to send a body, in addition to what limits.body_rate gives",
            ),
            key("queue", Kind::Span(1..=MINUTE), "how long a request waits at a limit"),
        ]),
        "time limits for visitors",
    ),
    key(
        "upstream_timeouts",
        Kind::Map(&[
            key("connect", Kind::Span(1..=MINUTE), "to accept a connection"),
            key("read", Kind::Span(1..=HOUR), "to send the next bytes of an answer"),
            key("write", Kind::Span(1..=HOUR), "to accept the next bytes of a request"),
        ]),
        "time limits for applications",
    ),
    key(
        "shutdown",
        Kind::Map(&[key(
            "within",
            Kind::Span(0..=HOUR),
            "how long requests in progress may take to end",
        )]),
        "stopping",
    ),
    key(
        "support",
        Kind::Text,
        "the contact for people who need help, shown on pages and in e-mails",
    ),
    key("tests", Kind::List(&TEST), "what the policy must decide; `doorward check` runs each"),
    key(
        "set_up",
        Kind::Map(&[
            key(
                "proof",
                Kind::Word(&PROOFS),
                "the proof, besides the password, for the first second factor of a user",
            ),
            key(
                "mailbox",
                Kind::Word(&MAILBOXES),
                "separate: the account at a provider does not open its owner's mailbox",
            ),
        ]),
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
            key("tls", Kind::Word(&MAIL_TLS), "how the connection is encrypted"),
            needed(
                "from",
                Kind::Text,
                "the sender: an address, or a name and an address in `<>`",
                "add one, such as `from: Doorward <doorward@example.com>`",
            ),
            key("user", Kind::Text, "the user name on the server"),
            key("password", Kind::Secret, "its password, from an environment variable: `${NAME}`"),
            key("password_file", Kind::Text, "a file that holds its password"),
            key("authority", Kind::Text, "a PEM file: the CA that signed the server's certificate"),
        ]),
        "how to send e-mail; without it no e-mail is sent",
    ),
    key("sms", sms::SMS, "how to send text messages; without it none are sent"),
    key("providers", Kind::List(&PROVIDER), "identity providers with which people sign in"),
    key("only_sign_in", Kind::Text, "the provider that the sign-in page leads to at once"),
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
        | Kind::Secret
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
