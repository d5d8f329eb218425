//! Trusted devices.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

/// Names one trusted device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct DeviceId(#[n(0)] ByteArray<16>);
