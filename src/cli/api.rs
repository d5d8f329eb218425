//! The messages between commands and the gateway on its socket: JSON over HTTP, one path for each
//! operation.
//!
//! `--json` prints the gateway's answer.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::name::{Email, FullName, Group, Name};
use crate::domain::time::Timestamp;

/// The paths of the operations.
pub(super) mod path {
    /// Nothing → [`super::super::reload::Reloaded`].
    pub(crate) const RELOAD: &str = "/reload";
    /// [`super::Which`] → [`super::Why`].
    pub(crate) const WHY: &str = "/why";
    /// [`super::RpId`] → [`super::KeysMoved`].
    pub(crate) const RP_ID: &str = "/rp-id";
    /// Nothing → a list of [`super::Stopped`].
    pub(crate) const REPORT: &str = "/report";
    /// Nothing → a list of [`super::TextsOfCountry`].
    pub(crate) const TEXTS: &str = "/texts";
    /// Nothing → nothing.
    pub(crate) const RESET_TEXT_LIMITS: &str = "/texts/reset-limits";
    /// Nothing → a list of [`super::RefusedRequests`].
    pub(crate) const REFUSED: &str = "/refused";
    /// [`super::NewUser`] → [`super::LinkMade`].
    pub(crate) const ADD: &str = "/user/add";
    /// [`super::NewAccount`] → [`super::Done`].
    pub(crate) const ADD_ACCOUNT: &str = "/user/add-account";
    /// [`super::Filter`] → a list of [`super::Person`].
    pub(crate) const LIST: &str = "/user/list";
    /// [`super::Whom`] → [`super::Details`].
    pub(crate) const SHOW: &str = "/user/show";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const UNLOCK: &str = "/user/unlock";
    /// [`super::WhichKey`] → [`super::Done`].
    pub(crate) const TRUST_KEY: &str = "/user/trust-key";
    /// [`super::Whom`] → [`super::LinkMade`].
    pub(crate) const PASSWORD_LINK: &str = "/user/password-link";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const DISABLE: &str = "/user/disable";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const ENABLE: &str = "/user/enable";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const RESET_2FA: &str = "/user/reset-2fa";
    /// [`super::Changes`] → [`super::Person`].
    pub(crate) const SET: &str = "/user/set";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const REMOVE: &str = "/user/remove";
    /// A list of [`super::Names`] → a list of [`super::Standing`], in the same order.
    pub(crate) const KNOWN: &str = "/user/known";
    /// [`super::Import`] → a list of [`super::Imported`], in the same order.
    pub(crate) const IMPORT: &str = "/user/import";
    /// Nothing → a list of [`super::KeyRing`].
    pub(crate) const KEYS: &str = "/keys/list";
    /// [`super::RotateKey`] → [`super::RotatedKey`].
    pub(crate) const ROTATE: &str = "/keys/rotate";
    /// Nothing → [`super::CarriedOn`].
    pub(crate) const CARRY_ON: &str = "/keys/carry-on";
}

/// The text messages of the last day to one country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextsOfCountry {
    /// Two letters; empty if the numbering plan does not know it.
    pub country: String,
    /// With a code.
    pub codes: usize,
    /// How many of these codes were entered.
    pub entered: usize,
    /// How many of them the provider refused.
    pub refused: usize,
    /// Without a code.
    pub notices: usize,
    /// Whether no codes are sent there now.
    pub braked: bool,
}

/// A user to add.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    pub(super) name: Name,
    pub(super) full_name: Option<FullName>,
    pub(super) email: Option<Email>,
    #[serde(default)]
    pub(super) groups: BTreeSet<Group>,
}

/// A user to add for whom an identity provider answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    pub(super) who: NewUser,
    /// The name of the provider in the configuration.
    pub(super) provider: String,
    pub(super) subject: String,
}

/// An RP ID that a configuration would have; `None`: keys could not be used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RpId {
    pub(super) rp_id: Option<String>,
}

/// Whether that would move it away from the security keys that people have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeysMoved {
    /// The RP ID of their keys; `None` if there are none, or if it would stay the same.
    pub(super) from: Option<String>,
    /// How many people have keys, if so.
    pub(super) people: usize,
}

/// A request, by the id on its error page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    pub(super) request_id: String,
}

/// Why a request was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Why {
    pub(super) request_id: String,
    pub(super) outcome: Outcome,
    /// RFC 3339, in UTC.
    pub(super) at: String,
    pub(super) from: String,
    pub(super) user: Option<String>,
    pub(super) app: Option<String>,
    pub(super) method: String,
    pub(super) path: String,
    /// In how many ways the path can be read; none if it cannot be parsed.
    pub(super) readings: usize,
    pub(super) rule: Option<String>,
    pub(super) reason: String,
}

/// What became of a request that got no response from its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It was not permitted.
    Refused,
    /// The application, or something of ours, failed.
    Failed,
}

/// What observe mode would have stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stopped {
    pub(super) app: String,
    pub(super) rule: String,
    pub(super) verdict: String,
    pub(super) user: Option<String>,
    pub(super) count: u64,
    /// RFC 3339, in UTC.
    pub(super) first: String,
    pub(super) last: String,
    pub(super) example: String,
}

/// Refusals of the same kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefusedRequests {
    pub(super) app: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) reason: String,
    pub(super) user: Option<String>,
    pub(super) count: u64,
    /// RFC 3339, in UTC.
    pub(super) first: String,
    pub(super) last: String,
    /// The last of them: its id, host, method and path.
    pub(super) request_id: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
}

/// A user, by name or e-mail address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    pub(super) name: String,
}

/// A security key of a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichKey {
    pub(super) name: String,
    /// Its name or its id.
    pub(super) key: String,
}

/// Which users are listed: those who meet all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Members of any of these groups; none: everybody.
    #[serde(default)]
    pub(super) groups: BTreeSet<Group>,
    /// Without a second factor.
    #[serde(default)]
    pub(super) without_second_factor: bool,
}

/// The changes to a user; what is `None` or empty stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Changes {
    pub(super) name: String,
    pub(super) full_name: Option<FullName>,
    pub(super) no_full_name: bool,
    pub(super) email: Option<Email>,
    pub(super) no_email: bool,
    pub(super) groups: Option<BTreeSet<Group>>,
    pub(super) add_groups: Vec<Group>,
    pub(super) remove_groups: Vec<Group>,
    /// `local`, or a provider and a subject there: `PROVIDER:SUBJECT`.
    pub(super) origin: Option<String>,
}

/// The names of a new user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) name: Name,
    pub(super) email: Option<Email>,
}

/// Whether the names of a new user are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Standing {
    /// They are free.
    New,
    /// A user has this name.
    There,
    /// The name is the e-mail address of a user.
    NameIsEmail,
    /// The e-mail address belongs to another user.
    EmailTaken,
}

/// Users to import.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    pub(super) people: Vec<Newcomer>,
    /// Whether users without a password get a link.
    pub(super) links: bool,
}

/// A user to import. The hash does not print.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newcomer {
    pub(super) who: NewUser,
    /// As in an htpasswd file.
    pub(super) digest: Option<String>,
}

impl fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, digest } = self;
        let has_digest = digest.is_some();
        f.debug_struct("Newcomer").field("who", who).field("has_digest", &has_digest).finish()
    }
}

/// The result for one imported user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Imported {
    /// The user was added, perhaps with a link.
    Added(Option<LinkMade>),
    /// The name or the address was taken meanwhile.
    Taken,
}

/// A one-time link to set a password. Its holder can act as the user, so it does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkMade {
    pub(super) name: String,
    pub(super) link: String,
    /// RFC 3339, in UTC.
    pub(super) expires: String,
}

impl fmt::Debug for LinkMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, link: _, expires } = self;
        f.debug_struct("LinkMade")
            .field("name", name)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// The result of changing one state of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) name: String,
    /// Whether the state changed.
    pub(super) changed: bool,
}

/// A user, as operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) full_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) groups: BTreeSet<String>,
    /// RFC 3339, in UTC.
    pub(super) added: String,
    /// Since when the user is disabled; RFC 3339, in UTC.
    pub(super) disabled_since: Option<String>,
    /// Whether a password was set.
    pub(super) has_password: bool,
    /// Whether two-factor is on.
    pub(super) has_second_factor: bool,
    pub(super) recovery_codes_left: usize,
    pub(super) trusted_devices: usize,
    /// The most wrong passwords in a row that any class of browser has.
    pub(super) password_failures: u32,
    /// The most wrong second factors in a row that any class of browser has.
    pub(super) second_factor_failures: u32,
}

/// Everything that operators may know about a user. Times are RFC 3339, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    #[serde(flatten)]
    pub(super) person: Person,
    /// The scheme of the imported hash, until the first sign-in.
    pub(super) imported_password: Option<String>,
    /// Since when the second factor is frozen: the user reported it as not theirs.
    pub(super) frozen_since: Option<String>,
    /// Whether a new second factor needs a link from an operator.
    pub(super) awaits_a_link: bool,
    /// When the user, who has none, must have a second factor, whatever they open; `None` too if no
    /// gateway runs.
    pub(super) second_factor_due: Option<String>,
    /// The accounts at identity providers that may speak for the user, as `ISSUER SUBJECT`; first
    /// the one that answers for them, if one does.
    pub(super) accounts: Vec<String>,
    /// Whether a provider answers for the user.
    pub(super) is_of_provider: bool,
    /// The second factors.
    pub(super) factors: Vec<Factor>,
    /// `None`: two-factor was never on, or was reset.
    pub(super) recovery_codes: Option<Codes>,
    pub(super) devices: Vec<Device>,
    /// How many browsers are known.
    pub(super) known_browsers: usize,
    /// The classes of browsers with failures.
    pub(super) failures: Vec<Failed>,
    /// The latest ones, newest first.
    pub(super) events: Vec<Happened>,
}

/// A second factor of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Factor {
    /// The word of its kind, as in the configuration.
    pub(super) kind: String,
    /// The user's own name for it.
    pub(super) name: Option<String>,
    pub(super) added: String,
    pub(super) last_used: String,
    /// Its id, for commands.
    pub(super) id: String,
    /// What else there is to know, in words.
    pub(super) notes: Vec<String>,
}

/// The recovery codes of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Codes {
    pub(super) left: usize,
    pub(super) of: usize,
    pub(super) made: String,
    /// Whether the user has confirmed that they are saved.
    pub(super) saved: bool,
}

/// A trusted device of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) first_used: String,
    pub(super) last_used: String,
    pub(super) expires: String,
}

/// The failures from one class of browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failed {
    /// When the user last completed a sign-in there; `None`: all unknown browsers.
    pub(super) known_browser: Option<String>,
    pub(super) password: Tally,
    pub(super) second_factor: Tally,
}

/// Failures of one factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// In a row.
    pub(super) failures: u32,
    /// Until when nothing is accepted.
    pub(super) waits_until: Option<String>,
    /// Whether only a recovery code, a security key or an operator unlocks.
    pub(super) locked: bool,
    /// Wrong codes from unknown browsers: how many of the last thirty days count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) in_thirty_days: Option<usize>,
}

/// An event about a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) at: String,
    /// Its name in logs.
    pub(super) what: String,
    pub(super) in_words: String,
    /// The client address.
    pub(super) from: Option<String>,
    /// The operator.
    pub(super) by: Option<String>,
}

/// The keys for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyRing {
    pub(super) purpose: String,
    /// What they do.
    pub(super) about: String,
    /// Oldest first.
    pub(super) keys: Vec<Key>,
    /// The rotation that is under way.
    pub(super) rotation: Option<Rotation>,
}

/// A key, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: u8,
    /// Since when it is or was the current one; RFC 3339, in UTC.
    pub(super) since: String,
    pub(super) state: KeyState,
    /// Until when it is accepted, if that depends on time alone; RFC 3339, in UTC.
    pub(super) until: Option<String>,
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KeyState {
    /// For everything new.
    Current,
    /// Only for what it sealed, hashed or signed before.
    Accepted,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    /// How many records were looked at.
    pub(super) done: u64,
    /// Of how many.
    pub(super) all: u64,
    /// How many of them cannot be read.
    pub(super) unreadable: u64,
    /// Whether nothing more can be done, because of those.
    pub(super) stuck: bool,
}

/// Which key to rotate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateKey {
    pub(super) purpose: String,
    /// Whether what older keys signed ends at once.
    #[serde(default)]
    pub(super) drop_old: bool,
}

/// A key was rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RotatedKey {
    #[serde(flatten)]
    pub(super) ring: KeyRing,
    /// Whether a gateway runs, which finishes the rotation.
    pub(super) gateway: bool,
}

/// What is left of the rotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CarriedOn {
    /// Whether a gateway runs, which finishes them.
    pub(super) gateway: bool,
    pub(super) left: Option<Rotation>,
}

/// Why an operation failed, in a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) problem: String,
}

/// `at` in RFC 3339, in UTC, to the second.
pub(super) fn written(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}
