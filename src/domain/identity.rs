//! Who a user is, internally and as applications are told.

use std::collections::BTreeSet;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::id::random_id;

/// Identifies a user permanently. Never shown to applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct UserId(#[n(0)] ByteArray<16>);

random_id!(UserId);

/// What applications are told about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The internal id.
    pub user: UserId,
    /// The normalised user name, as rules and demands use it.
    pub name: String,
    /// The user name as the operator wrote it, as applications are told it.
    pub written: String,
    /// The full name, if known.
    pub full_name: Option<String>,
    /// The e-mail address, if known.
    pub email: Option<String>,
    /// The groups that this user belongs to.
    pub groups: BTreeSet<String>,
}
