//! The stored form of a waiting message.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use crate::domain::letter::Letter;

/// A waiting message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Posted {
    /// The message.
    #[n(0)]
    pub letter: Letter,
    /// Its message id, the same on every attempt.
    #[n(1)]
    pub id: ByteArray<16>,
    /// The number of attempts so far.
    #[n(2)]
    pub tries: u32,
}
