//! What a user must prove, besides the password, to set up their first second factor.

use serde::Deserialize;

/// The operator's choice; see `set_up.proof` in the configuration.
///
/// Somebody who stole a password could set up a factor before the owner does. So setting up the
/// first one also requires something else that only the owner has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SetUpProof {
    /// A code mailed to their verified address.
    Mail,
    /// A one-time link from an administrator, the one with which they set their first password. It
    /// counts in the session that it starts and in later ones.
    #[default]
    Link,
    /// Nothing more.
    None,
}
