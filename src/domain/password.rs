//! Passwords.

use std::fmt;

use minicbor::{Decode, Encode};

/// A password as it is kept: an Argon2 hash in PHC string form.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct PasswordHash(#[n(0)] String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PasswordHash {
    /// Takes a hash in PHC string form.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The hash in PHC string form; search for this word when reviewing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
