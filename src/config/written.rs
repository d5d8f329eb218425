//! The file as written: the structs that serde reads, before validation.
//!
//! Values that may be absent have their default or are `None`, both if the file omits them and if
//! the tree has refused them.

mod sms;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::span::{DAY, HOUR, MINUTE, Rate, Span};
use super::{Expected, Log, LogFormat, MailTls, Shown};
use crate::domain::assurance::Kinds;
use crate::domain::factor::Kind;
use crate::domain::set_up::SetUpProof;

pub(super) use sms::{Sms, SmsMethod, SmsProvider, SmsSuccess};

/// A list. Refused items are `None`, so that the others keep their positions.
pub(super) type List<T> = Vec<Option<T>>;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<List<Listener>>,
    pub(super) tls: TlsEverywhere,
    pub(super) trusted_proxies: List<String>,
    pub(super) state: Option<String>,
    pub(super) portal: Option<String>,
    pub(super) apps: Option<List<App>>,
    pub(super) second_factor: SecondFactor,
    pub(super) trusted_devices: TrustedDevices,
    pub(super) sessions: Sessions,
    pub(super) confirm: Confirm,
    pub(super) log: Log,
    pub(super) events: Events,
    pub(super) access_log: AccessLog,
    pub(super) operators: Operators,
    pub(super) limits: Limits,
    pub(super) deadlines: Deadlines,
    pub(super) upstream_timeouts: UpstreamTimeouts,
    pub(super) shutdown: Shutdown,
    pub(super) support: Option<String>,
    pub(super) mail: Option<Mail>,
    pub(super) sms: Option<Sms>,
    pub(super) set_up: SetUp,
    pub(super) providers: List<Provider>,
    pub(super) only_sign_in: Option<String>,
    pub(super) tests: List<Test>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) address: Option<String>,
    pub(super) tls: Option<ListenerTls>,
    pub(super) redirect: Option<Https>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mail {
    pub(super) server: Option<String>,
    pub(super) tls: MailTls,
    pub(super) from: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) authority: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SetUp {
    pub(super) proof: Option<SetUpProof>,
    pub(super) mailbox: Option<SetUpMailbox>,
}

/// What opens the mailbox of somebody whom a provider brings.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SetUpMailbox {
    Same,
    Separate,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) name: Option<String>,
    pub(super) label: Option<String>,
    pub(super) kind: Option<ProviderKind>,
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) client_secret_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) scopes: List<String>,
    pub(super) people: ProvidersPeople,
    pub(super) groups: ProvidersGroups,
    pub(super) trusts: ProvidersTrust,
    pub(super) sign_out: Option<SignOutWhere>,
    pub(super) refresh: Option<Span>,
    pub(super) authority: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProviderKind {
    OpenidConnect,
    Github,
    Facebook,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProvidersPeople {
    pub(super) create: bool,
    pub(super) everyone: bool,
    pub(super) only: ProvidersOnly,
    pub(super) match_by: Option<MatchBy>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProvidersOnly {
    pub(super) email_domains: List<String>,
    pub(super) organisations: List<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MatchBy {
    Subject,
    VerifiedEmail,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProvidersGroups {
    pub(super) claim: Option<String>,
    pub(super) map: BTreeMap<String, Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SignOutWhere {
    Here,
    Everywhere,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProvidersTrust {
    pub(super) amr: List<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Operators {
    pub(super) address: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Https {
    Https,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListenerTls {
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_authority: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AppTls {
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsEverywhere {
    pub(super) hsts: Span,
}

impl Default for TlsEverywhere {
    fn default() -> Self {
        Self { hsts: Span::seconds(DAY) }
    }
}

/// One text or several.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Several(List<String>),
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UpstreamTls {
    pub(super) authority: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Health {
    pub(super) path: Option<String>,
    pub(super) every: Span,
}

impl Default for Health {
    fn default() -> Self {
        Self { path: None, every: Span::seconds(10) }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the switches are independent of each other")]
pub(super) struct App {
    pub(super) name: Option<String>,
    pub(super) hosts: Option<List<String>>,
    pub(super) upstream: Option<Texts>,
    pub(super) upstream_tls: UpstreamTls,
    pub(super) upstream_host: Option<String>,
    pub(super) upstream_http2: bool,
    pub(super) header_case: Option<HeaderCase>,
    pub(super) upstream_reuse_after_body: bool,
    pub(super) slow_bodies: bool,
    pub(super) health: Option<Health>,
    pub(super) tls: Option<AppTls>,
    pub(super) insecure: bool,
    pub(super) enforce: Option<bool>,
    pub(super) spelling: Option<Spelling>,
    pub(super) case_sensitive: bool,
    pub(super) safe_methods: List<String>,
    pub(super) webdav: bool,
    pub(super) identity_headers: Option<IdentityHeaders>,
    pub(super) request_headers: RequestHeaders,
    pub(super) upstream_secret: Option<String>,
    pub(super) upstream_secret_file: Option<String>,
    pub(super) scripts: Option<List<String>>,
    pub(super) sign_out_paths: List<String>,
    pub(super) rules: List<Rule>,
    pub(super) otherwise: Option<Require>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) paths: Option<List<String>>,
    pub(super) methods: Option<List<String>>,
    pub(super) networks: Option<List<String>>,
    pub(super) groups: Option<List<String>>,
    pub(super) query: Option<BTreeMap<String, Option<Values>>>,
    pub(super) only: Option<People>,
    pub(super) require: Option<Require>,
    pub(super) demand: bool,
    pub(super) enforce: Option<bool>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct People {
    pub(super) users: List<String>,
    pub(super) groups: List<String>,
}

/// Which values of a parameter match.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Values {
    Any(Any),
    These(List<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Any {
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spelling {
    Lenient,
    Strict,
}

/// How header names are written.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HeaderCase {
    Lower,
    Title,
}

/// The headers that tell the app who the user is.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum IdentityHeaders {
    Word(Remote),
    /// The names of the headers, by the word of the fact.
    Map(BTreeMap<String, Option<String>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Remote {
    Remote,
}

/// Which request headers of visitors are passed on to an app.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RequestHeaders {
    pub(super) remove: List<String>,
    pub(super) from_trusted_proxies: List<String>,
}

/// A requirement: a word, or a map with more settings.
#[derive(Debug, PartialEq)]
pub(super) enum Require {
    Word(Word),
    Map(Asked),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    Nothing,
    SignIn,
    SecondFactor,
    Nobody,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) second_factor: Option<Conditions>,
}

/// How a second factor must have been shown.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Conditions {
    pub(super) within: Option<Span>,
    pub(super) kinds: Option<List<CountedKind>>,
    pub(super) trusted_device: Option<bool>,
}

/// What counts as a second factor: a kind, every kind that cannot be phished, or that of a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CountedKind(pub(super) Kinds);

impl<'de> Deserialize<'de> for CountedKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if word == Kinds::PHISHING_RESISTANT_WORD {
            return Ok(Self(Kinds::PHISHING_RESISTANT));
        }
        if word == Kinds::PROVIDER_WORD {
            return Ok(Self(Kinds::PROVIDER));
        }
        let kind = Kind::of_word(&word).map(Kinds::only).map(Self);
        kind.ok_or_else(|| D::Error::custom("not a kind of factor"))
    }
}

/// A kind of factor, by its word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FactorKind(pub(super) Kind);

impl<'de> Deserialize<'de> for FactorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Kind::of_word(&word).map(Self).ok_or_else(|| D::Error::custom("not a kind of factor"))
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SecondFactor {
    pub(super) demanded_of: DemandedOf,
    pub(super) grace: Span,
    pub(super) kinds: Option<List<FactorKind>>,
    pub(super) email_codes: EmailCodes,
    pub(super) security_keys: SecurityKeys,
    pub(super) totp: Totp,
    pub(super) recovery_codes: usize,
}

/// What codes by e-mail may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EmailCodes {
    Never,
    Backup,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SecurityKeys {
    pub(super) passkeys: bool,
    pub(super) rp_id: Option<String>,
    pub(super) only: Option<OnlyKeys>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OnlyKeys {
    pub(super) aaguids: Option<List<String>>,
    pub(super) authorities: Option<String>,
}

impl Default for SecurityKeys {
    fn default() -> Self {
        Self { passkeys: true, rp_id: None, only: None }
    }
}

impl Default for SecondFactor {
    fn default() -> Self {
        Self {
            demanded_of: DemandedOf::default(),
            grace: Span::seconds(0),
            kinds: None,
            email_codes: EmailCodes::Never,
            security_keys: SecurityKeys::default(),
            totp: Totp::default(),
            recovery_codes: 12,
        }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DemandedOf {
    pub(super) everyone: bool,
    pub(super) groups: List<String>,
    pub(super) users: List<String>,
    pub(super) apps: List<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Totp {
    pub(super) issuer: Option<String>,
    pub(super) skew: Option<u16>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TrustedDevices {
    #[serde(rename = "for")]
    pub(super) lasting: Span,
    pub(super) at_most: usize,
}

impl Default for TrustedDevices {
    fn default() -> Self {
        Self { lasting: Span::seconds(30 * DAY), at_most: 10 }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sessions {
    /// An hour, or `at_most` if that is shorter.
    pub(super) idle: Option<Span>,
    pub(super) at_most: Span,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle: None, at_most: Span::seconds(24 * HOUR) }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Confirm {
    #[serde(rename = "for")]
    pub(super) lasting: Span,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { lasting: Span::seconds(15 * MINUTE) }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shutdown {
    pub(super) within: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { within: Span::seconds(30) }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Events {
    pub(super) to: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccessLog {
    pub(super) to: Option<String>,
    pub(super) format: LogFormat,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) sign_in_posts: Rate,
    pub(super) connections: usize,
    pub(super) connections_per_address: usize,
    pub(super) header_bytes: usize,
    pub(super) headers: usize,
    pub(super) streams: u32,
    pub(super) stream_resets: u32,
    pub(super) requests_per_address: usize,
    pub(super) requests_per_application: usize,
    pub(super) unsent_mib_per_connection: usize,
    pub(super) unsent_mib_per_address: usize,
    pub(super) unsent_mib: usize,
    pub(super) body_rate: u64,
    pub(super) free_disk_mib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = super::Limits::default();
        Self {
            sign_in_posts: Rate::of_a_minute(limits.sign_in_posts),
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            header_bytes: limits.header_bytes,
            headers: limits.headers,
            streams: limits.streams,
            stream_resets: limits.stream_resets,
            requests_per_address: limits.requests_per_address,
            requests_per_application: limits.requests_per_application,
            unsent_mib_per_connection: limits.unsent_per_connection >> 20,
            unsent_mib_per_address: limits.unsent_per_address >> 20,
            unsent_mib: limits.unsent >> 20,
            body_rate: limits.body_rate,
            free_disk_mib: limits.free_disk >> 20,
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Deadlines {
    pub(super) handshake: Span,
    pub(super) head: Span,
    pub(super) idle: Span,
    pub(super) form: Span,
    pub(super) body: Span,
    pub(super) queue: Span,
}

impl Default for Deadlines {
    fn default() -> Self {
        let deadlines = super::Deadlines::default();
        let span = |span: std::time::Duration| Span::seconds(span.as_secs());
        Self {
            handshake: span(deadlines.handshake),
            head: span(deadlines.head),
            idle: span(deadlines.idle),
            form: span(deadlines.form),
            body: span(deadlines.body),
            queue: span(deadlines.queue),
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UpstreamTimeouts {
    pub(super) connect: Span,
    pub(super) read: Span,
    pub(super) write: Span,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        let minute = Span::seconds(MINUTE);
        Self { connect: Span::seconds(5), read: minute, write: minute }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Test {
    #[serde(rename = "as")]
    pub(super) visitor: Option<TestVisitor>,
    pub(super) from: Option<String>,
    pub(super) get: Option<String>,
    pub(super) post: Option<String>,
    pub(super) put: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) delete: Option<String>,
    pub(super) expect: Option<Expected>,
    pub(super) while_observed: Option<Expected>,
}

/// Who sends the request of a test.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum TestVisitor {
    Word(Stranger),
    Map(TestUser),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stranger {
    Stranger,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TestUser {
    pub(super) user: Option<String>,
    pub(super) groups: List<String>,
    pub(super) has: List<FactorKind>,
    pub(super) shown: Option<List<Shown>>,
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Require;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a map")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Require, E> {
                Word::deserialize(StrDeserializer::new(word)).map(Require::Word)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Require, A::Error> {
                Asked::deserialize(MapAccessDeserializer::new(map)).map(Require::Map)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
