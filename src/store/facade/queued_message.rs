//! The stored form of a waiting message.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use crate::domain::message::Message;

/// A waiting message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QueuedMessage {
    /// The message.
    #[n(0)]
    pub message: Message,
    /// Its message id, the same on every attempt.
    #[n(1)]
    pub id: ByteArray<16>,
    /// The number of attempts so far.
    #[n(2)]
    pub tries: u32,
}
