//! Who somebody is: to us, and to applications.

use std::collections::BTreeSet;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::id::random_id;

/// Names one user, for ever; never shown to applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct UserId(#[n(0)] ByteArray<16>);

random_id!(UserId);

/// What applications are told about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who, to us.
    pub user: UserId,
    /// The user name, normalised: what rules and demands mean.
    pub name: String,
    /// The user name as it was written: what applications are told.
    pub written: String,
    /// The full name, where known.
    pub full_name: Option<String>,
    /// The e-mail address, where known.
    pub email: Option<String>,
    /// The groups this person belongs to.
    pub groups: BTreeSet<String>,
}
