//! What is remembered: users, sessions, tokens, settings, events, on disk and sealed.
//!
//! Two parts lie on top of one another. The record port ([`Records`]) keeps opaque bytes under
//! a kind and a key, and changes them only while their versions are what the writer believes. The adapters ([`memory`], [`redb`]) hold them; one conformance suite,
//! `tests/store.rs`, says what all of them promise.

pub mod memory;
pub mod records;
pub mod redb;

pub use records::{Batch, Expect, Kind, Outcome, Record, Records, Unavailable, Version};
