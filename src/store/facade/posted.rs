//! A letter that waits to be sent, as it is kept.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use crate::domain::letter::Letter;

/// A letter that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Posted {
    /// The letter.
    #[n(0)]
    pub letter: Letter,
    /// Names it, the same however often it is tried.
    #[n(1)]
    pub id: ByteArray<16>,
    /// How often it was tried.
    #[n(2)]
    pub tries: u32,
}
