//! What a person must show, besides the password, to set up their first factor.

use serde::Deserialize;

/// What the operator asks for; see `set_up.proof` in the configuration.
///
/// Whoever stole a password could set up a factor of their own before its owner does. So the first
/// one is bound to something else that the owner has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SetUpProof {
    /// A code that is mailed to their verified address.
    Mail,
    /// A one-time link from an administrator: the one by which they set their first password, in the
    /// session that it begins, or a later one.
    #[default]
    Link,
    /// Nothing.
    None,
}
