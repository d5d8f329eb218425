//! What is said over the socket between the commands and the gateway: JSON over HTTP, one path for
//! each deed.
//!
//! What a command prints with `--json` is what the gateway answered.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::name::{Email, FullName, Group, Name};
use crate::domain::time::Timestamp;

/// Where deeds are asked for.
pub(super) mod path {
    /// [`super::NewUser`] → [`super::LinkMade`].
    pub(crate) const ADD: &str = "/user/add";
    /// Nothing → a list of [`super::Person`].
    pub(crate) const LIST: &str = "/user/list";
    /// [`super::Whom`] → [`super::Done`].
    pub(crate) const UNLOCK: &str = "/user/unlock";
    /// [`super::Whom`] → [`super::LinkMade`].
    pub(crate) const PASSWORD_LINK: &str = "/user/password-link";
}

/// Somebody to be added.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    pub(super) name: Name,
    pub(super) full_name: Option<FullName>,
    pub(super) email: Option<Email>,
    #[serde(default)]
    pub(super) groups: BTreeSet<Group>,
}

/// Somebody, by user name or e-mail address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    pub(super) name: String,
}

/// A one-time link to set a password. Whoever has it is that person, so it does not print.
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

/// Something was done to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) name: String,
}

/// A person, as operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) full_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) groups: BTreeSet<String>,
    /// RFC 3339, in UTC.
    pub(super) added: String,
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

/// Why a deed was not done, in a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) problem: String,
}

/// `at` as RFC 3339 says, in UTC, to the second.
pub(super) fn written(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}
